"""The listener on music whose chords, bars and key are known, and the files it writes."""

import mir_eval
import numpy as np
import pytest
import soundfile

from music import PARAMS, RATE, play
from ostinato.cli import main
from ostinato.files import UserError, sha256, write_jsonl
from ostinato.harmony.prompts.prompt import parse
from ostinato.listen import jamsfile
from ostinato.listen.hear import hear

SONG = "piano " + " ".join(["C A:min F G"] * 3 + ["F C G C"])
SECONDS = 16 * 2.5


def accuracy(prompt: str, seconds: float, heard) -> float:
    """mir_eval's duration-weighted majmin, 0-1."""
    asked = parse(prompt)
    intervals = np.array(asked.fractions) * seconds
    return mir_eval.chord.evaluate(intervals, [chord.harte for chord in asked.chords], np.array([row[:2] for row in heard.chords]), [chord.harte for _, _, chord in heard.chords])[
        "majmin"
    ]


@pytest.mark.parametrize("instrument", ["piano", "guitar", "strings", "organ"])
def test_it_hears_chords_key_and_tempo(instrument):
    prompt = SONG.replace("piano", instrument)
    heard = hear(play(prompt, SECONDS), RATE, PARAMS.listen)
    assert accuracy(prompt, SECONDS, heard) > 0.85
    assert str(heard.key) == "C:major"
    assert heard.tempo == pytest.approx(96, rel=0.01)
    assert heard.chords[0][0] == 0 and heard.chords[-1][1] == pytest.approx(SECONDS)
    assert all(a[1] == b[0] for a, b in zip(heard.chords, heard.chords[1:]))


def test_bars_are_where_they_are():
    heard = hear(play(SONG, SECONDS), RATE, PARAMS.listen)
    bars = np.arange(16) * 2.5
    assert mir_eval.beat.f_measure(bars, heard.downbeats, 0.07) > 0.9


def test_what_is_played_off_pitch_is_heard_in_tune():
    flat = play(SONG, SECONDS)  # read at a rate 2 % lower: 34 cents flat
    heard = hear(flat, round(RATE * 0.98), PARAMS.listen, want_form=False)
    assert accuracy(SONG, SECONDS / 0.98, heard) > 0.85


@pytest.mark.parametrize("samples", [np.zeros(5 * RATE, np.float32), np.zeros(100, np.float32)])
def test_silence_is_no_chord(samples):
    heard = hear(samples, RATE, PARAMS.listen)
    assert {chord.harte for _, _, chord in heard.chords} == {"N"} and len(heard.beats) == 0


@pytest.fixture
def shard(tmp_path):
    """A table of three songs: one as it is, one with a .lab, one that went missing after it was checked."""
    samples = play(SONG, SECONDS)
    rows = []
    for name in ("plain", "labelled", "gone"):
        path = tmp_path / f"{name}.flac"
        soundfile.write(path, samples, RATE)
        rows.append({"id": name, "path": str(path), "lab": None, "tags": {"instrument": "piano"}, "split": "train", "duration": SECONDS})
    (tmp_path / "gone.flac").write_bytes(b"")
    (tmp_path / "labelled.lab").write_text("0.5 20 Ab:min7\n20 45 Db\n")
    rows[1]["lab"] = str(tmp_path / "labelled.lab")
    write_jsonl(tmp_path / "songs.jsonl", rows)
    return tmp_path


def test_the_stage_writes_jams_believes_labels_and_lists_what_failed(shard):
    for out in ("one", "two"):
        assert main(["listen", "--params", PARAMS.listen.model_dump_json(), "--songs", str(shard / "songs.jsonl"), "--out", str(shard / out)]) == 0
    assert sha256(shard / "one") == sha256(shard / "two")
    plain, labelled = (jamsfile.read(shard / f"one/{name}.jams") for name in ("plain", "labelled"))
    assert str(plain.key) == "C:major" and plain.tempo == pytest.approx(96, rel=0.01) and plain.sections[-1][1] == pytest.approx(SECONDS)
    assert [chord.harte for _, _, chord in labelled.chords] == ["X", "Ab:min7", "Db:maj"] and labelled.chords[-1][1] == pytest.approx(SECONDS)
    assert labelled.downbeats == plain.downbeats
    rows = (shard / "one/failed.tsv").read_text().splitlines()
    assert len(rows) == 2 and rows[1].startswith("gone\t")


def test_a_broken_jams_file_is_named(tmp_path):
    (tmp_path / "x.jams").write_text("{}")
    with pytest.raises(UserError, match="x.jams"):
        jamsfile.read(tmp_path / "x.jams")
