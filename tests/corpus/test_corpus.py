"""From a folder to tables of songs: what is set aside and why, and what stays where it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ostinato.files import read_json, write_jsonl
from ostinato.tables import read_table, write_set_aside
from tones import CORPUS, RATE, tone
from tracks import check


@pytest.fixture
def folder(tmp_path) -> Path:
    """Good and bad recordings."""
    folder = tmp_path / "music"
    (folder / "live").mkdir(parents=True)
    soundfile.write(folder / "good.wav", tone(8, 1), RATE)
    soundfile.write(folder / "live/stereo take.FLAC", tone(8, 2, 2), RATE, format="FLAC")
    soundfile.write(folder / "good.ogg", tone(8, 3), RATE)
    soundfile.write(folder / "good.mp3", tone(8, 4), RATE)
    shutil.copy(folder / "good.wav", folder / "live/copy.wav")
    (folder / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "header.wav", np.zeros((0, 1)), RATE)
    (folder / "text.flac").write_text("this is no music")
    soundfile.write(folder / "silent.wav", np.zeros(8 * RATE), RATE)
    soundfile.write(folder / "short.wav", tone(3, 5), RATE)
    for name in ("good.mp3", "good.wav", "good.ogg"):
        data = (folder / name).read_bytes()
        (folder / f"truncated{Path(name).suffix}").write_bytes(data[: len(data) * 2 // 3])
    return folder


def test_bad_files_are_set_aside_with_reasons_and_the_rest_goes_through(folder, tmp_path):
    status, songs, aside = check(folder, tmp_path / "out", CORPUS)
    assert status == 0
    assert {Path(song["path"]).name for song in songs} == {"good.wav", "stereo take.FLAC", "good.ogg", "good.mp3"}
    assert aside == {
        "copy.wav": "duplicate",
        "empty.wav": "empty",
        "header.wav": "empty",
        "text.flac": "unreadable",
        "silent.wav": "silent",
        "short.wav": "too_short",
        "truncated.mp3": "truncated",
        "truncated.wav": "truncated",
        "truncated.ogg": "truncated",
    }
    stereo = next(song for song in songs if song["path"].endswith("FLAC"))
    assert (stereo["channels"], stereo["sample_rate"], stereo["duration"]) == (2, RATE, 8.0)


def test_side_files_are_read_and_broken_ones_named(folder, tmp_path):
    (folder / "good.yaml").write_text("instrument: harp\n")  # for good.wav, good.ogg and good.mp3
    (folder / "good.lab").write_text("0 3 C:maj\n3 8 Q:maj\n")
    (folder / "live/stereo take.lab").write_text("0 4 C:maj\n4 8 F\n")
    _, songs, aside = check(folder, tmp_path / "out", CORPUS)
    by_name = {Path(song["path"]).name: song for song in songs}
    assert by_name["good.wav"]["tags"] == {"instrument": "harp"} and by_name["good.wav"]["lab"] is None
    assert by_name["stereo take.FLAC"]["lab"].endswith("stereo take.lab") and aside["good.lab"] == "side_file"


def test_of_copies_the_one_that_is_described_is_kept(folder, tmp_path):
    (folder / "live/copy.yaml").write_text("instrument: harp\n")
    _, songs, aside = check(folder, tmp_path / "out", CORPUS)
    assert "copy.wav" in {Path(song["path"]).name for song in songs} and aside["good.wav"] == "duplicate" and "copy.wav" not in aside


def test_adding_renaming_and_moving_songs_moves_no_other(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    for seed in range(20):
        soundfile.write(folder / f"{seed}.wav", tone(5.5, seed), RATE)
    _, before, _ = check(folder, tmp_path / "out", CORPUS)
    tables = {path.name: path.read_text() for path in (tmp_path / "out/shards").glob("*.jsonl")}
    soundfile.write(folder / "new.wav", tone(5.5, 99), RATE)
    _, after, _ = check(folder, tmp_path / "out", CORPUS)
    touched = [path.name for path in (tmp_path / "out/shards").glob("*.jsonl") if path.read_text() != tables[path.name]]
    assert len(touched) == 1 and len(after) == 21 and all(song in after for song in before)
    assert {song["split"] for song in after} == {"train", "valid", "test"}
    (folder / "new.wav").rename(folder / "renamed.wav")
    _, renamed, _ = check(folder, tmp_path / "other", CORPUS)
    assert {song["id"]: song["split"] for song in renamed} == {song["id"]: song["split"] for song in after}


def test_an_empty_split_names_the_key_that_mends_it(tmp_path, caplog):
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music/one.wav", tone(5.5), RATE)
    for valid, test, mend in (
        (0.999, 0.0, "lower corpus.split.valid (0.999)"),
        (0.5, 0.499, "lower corpus.split.valid (0.5) or corpus.split.test (0.499)"),
        (0.001, 0.0, "raise corpus.split.valid (0.001)"),
    ):
        check(tmp_path / "music", tmp_path / "out", CORPUS.model_copy(update={"split": CORPUS.split.model_copy(update={"valid": valid, "test": test})}))
        assert f"bring more songs, or {mend}" in [record.getMessage().partition(": ")[2] for record in caplog.records]
        caplog.clear()


def test_folders_that_cannot_be_used_are_one_line(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    soundfile.write(tmp_path / "none/short.wav", tone(1), RATE)
    assert check(tmp_path / "none", tmp_path / "out", CORPUS)[0] == 2
    assert "no recording can be used; the reasons are in" in capsys.readouterr().err
    assert check(tmp_path / "missing", tmp_path / "out", CORPUS)[0] == 2
    assert "no such folder" in capsys.readouterr().err


def test_tables_of_more_shards_than_there_can_be_open_files_are_one_sorted_table(tmp_path):
    shards = [tmp_path / f"shard-{number:02d}.jsonl" for number in range(250)]
    for number, table in enumerate(shards):
        write_jsonl(table, [{"id": f"{number:016x}", "path": f"{number}.wav", "duration": 60.0, "split": "train", "tags": {}}])
        write_set_aside(table.with_suffix(".tsv"), [(f"{path:04d}.wav", "silent", "") for path in range(number, 1000, 250)], tell=False)
    options = ["--params", CORPUS.model_dump_json(), "--duplicates", str(tmp_path / "duplicates.jsonl"), "--set-aside", str(tmp_path / "aside.tsv"), "--songs", *map(str, shards)]
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150)); from ostinato.cli import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", limited, "songs", *options], check=True)
    assert [row["path"] for row in read_table(tmp_path / "aside.tsv", {"path"})] == [f"{path:04d}.wav" for path in range(1000)]


def etudes(out: Path, songs: int) -> None:
    """In a process of its own, where sets of names have an order of their own, as on another day."""
    params = CORPUS.model_copy(update={"etudes": CORPUS.etudes.model_copy(update={"songs": songs})})
    command = [sys.executable, "-m", "ostinato.cli", "etudes", "--params", params.model_dump_json(), "--out", str(out)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": str(songs - 4)})


def test_etudes_come_from_their_seed_with_their_truth(tmp_path):
    etudes(tmp_path / "few", 5)
    etudes(tmp_path / "more", 6)
    for path in (tmp_path / "few").rglob("etude-*"):
        assert path.read_bytes() == (tmp_path / "more" / path.relative_to(tmp_path / "few")).read_bytes(), path.name
    instruments = set()
    for path in (tmp_path / "few/audio").glob("*.flac"):
        truth, info = read_json(tmp_path / f"few/truth/{path.stem}.json"), soundfile.info(path)
        assert 60 <= info.duration <= 125 and abs(truth["chords"][-1][1] - info.duration) < 10
        assert {name for _, _, name in truth["sections"]} >= {"intro", "verse", "chorus", "ending"}
        instruments.add(truth["instrument"])
    assert len(instruments) == 5
