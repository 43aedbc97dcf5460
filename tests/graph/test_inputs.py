"""What rules compute while Snakemake plans: lists of inputs, sections as text, disk space."""

import json
import os
from pathlib import Path

import pytest

from music import PARAMS
from ostinato import lists
from ostinato.corpus.listing import recordings_in
from ostinato.files import UserError
from ostinato.graph import sections, space
from ostinato.midi.listing import midi_in


def rows(lists_of_shards: list) -> dict[str, tuple]:
    """Kind and what else a list says of a file, by its name."""
    return {Path(path).name: (kind, *rest) for lines in lists_of_shards for kind, path, *rest in lines}


def test_a_list_has_what_lies_beside_a_recording_and_what_may_be_one(tmp_path):
    for name in ("b.mp3", "b.lab", "a.wav", "of nobody.lab", "of nobody.yaml", "words.md", "unnamed", ".hidden.wav", "{strange}.wav"):
        (tmp_path / name).write_text("")
    found = recordings_in(str(tmp_path), 3)
    kinds = {name: kind for name, (kind, *_) in rows(found).items()}
    there = {"a.wav": "wanted", "b.mp3": "wanted", "b.lab": "beside", "unnamed": "other", "{strange}.wav": "wanted"}
    assert kinds == there | {"of nobody.lab": "aside", ".hidden.wav": "aside"}
    at = {Path(path).name: number for number, lines in enumerate(found) for _, path, *_ in lines}
    assert at["b.mp3"] == at["b.lab"]
    lists.write([tmp_path / f"lists/{number}.jsonl" for number in range(3)], found)
    read = [lists.read(tmp_path / f"lists/{number}.jsonl") for number in range(3)]
    assert {path.name for one in read for path in one.files} == {"a.wav", "b.mp3", "{strange}.wav"} and {path.name for one in read for path in one.others} == {"unnamed"}
    assert {(Path(path).name, reason) for one in read for path, reason, _ in one.aside} == {("of nobody.lab", "side_file"), (".hidden.wav", "hidden")}


def test_a_change_is_seen_in_its_own_list_and_moves_nothing(tmp_path):
    for number in range(50):
        (tmp_path / f"in/{number}").mkdir(parents=True)
        (tmp_path / f"in/{number}/song.wav").write_text("sound")
    places = [tmp_path / f"lists/{number}.jsonl" for number in range(8)]

    def written(folder: str = "in") -> int:
        return lists.write(places, recordings_in(str(tmp_path / folder), 8))

    assert written() == 8 and written() == 0
    os.utime(tmp_path / "in/7/song.wav", (0, 0))
    assert written() == 1
    (tmp_path / "in/7/song.jams").write_text("{}")
    assert written() == 1
    (tmp_path / "in/50").mkdir()
    (tmp_path / "in/50/song.wav").write_text("sound")
    assert written() == 1
    shards = [sorted(Path(path).parent.name for _, path, *_ in lines) for lines in recordings_in(str(tmp_path / "in"), 8)]
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    assert [sorted(Path(path).parent.name for _, path, *_ in lines) for lines in recordings_in(str(tmp_path / "elsewhere"), 8)] == shards


def test_midi_files_are_listed_apart_from_tables(tmp_path):
    for name in ("a.mid", "b.KAR", "metadata.csv", "words.txt"):
        (tmp_path / name).write_text("")
    *found, tables = midi_in(str(tmp_path), 2)
    assert {name: kind for name, (kind, *_) in rows(found).items()} == {"a.mid": "wanted", "b.KAR": "wanted", "words.txt": "other"}
    assert [Path(path).name for _, path, *_ in tables] == ["metadata.csv"]


def test_folders_without_music_are_refused(tmp_path):
    with pytest.raises(UserError, match="no recording in it"):
        recordings_in(str(tmp_path), 1)
    with pytest.raises(UserError, match=f"midi.pieces.folder: {tmp_path / 'gone'}: no such folder"):
        midi_in(str(tmp_path / "gone"), 1)


def test_a_section_is_the_same_text_however_it_was_written():
    assert sections.as_json({"b": 2.0, "a": "é"}) == sections.as_json({"a": "é", "b": 2.0}) == '{"a":"é","b":2.0}'
    said = json.loads(sections.training(PARAMS))
    assert not {"base", "tune", "launch"} & said.keys() and said["seed"] == PARAMS.train.seed
    assert not {"pretrain", "finetune", "sweep", "composers"} & json.loads(sections.midi_training(PARAMS)).keys()


def test_what_a_run_writes_is_known_beforehand(tmp_path):
    (tmp_path / "song.wav").write_bytes(bytes(882_000))  # ten seconds of 44.1 kHz in 16 bits: ten of segments
    songs = recordings_in(str(tmp_path), 2)
    without = PARAMS.model_copy(update={"demos": PARAMS.demos.model_copy(update={"prompts": [], "heldout_set": None, "heldout": [], "text_only": []})})
    models = space.models_bytes(PARAMS, 2)
    assert space.expected_bytes(without, songs, 2) == 10 * 2 * PARAMS.segments.sample_rate + models + 200_000_000
    weights = 4 * 16 * PARAMS.model.layers * PARAMS.model.dim**2
    states = 4 if PARAMS.train.method.ema else 3
    assert models == weights * (2 * 3 + 1) + states * weights * 4
    assert space.missing_bytes(str(tmp_path), 1_000_000) == 118_000 and space.missing_bytes(str(tmp_path), 1) == 0
