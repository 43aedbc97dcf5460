"""What rules compute while Snakemake plans: lists of inputs, sections as text, disk space."""

import json
import os
from pathlib import Path

import pytest

from music import PARAMS
from ostinato.files import UserError
from ostinato.graph import inputs, sections, space


def test_recordings_are_listed_with_what_lies_beside_them_and_what_may_be_one(tmp_path):
    for name in ("b.mp3", "b.lab", "a.wav", "of nobody.lab", "words.md", "unnamed"):
        (tmp_path / name).write_text("")
    listed = [Path(path).name for path in inputs.recordings(str(tmp_path))]
    assert listed == sorted(listed) and {"a.wav", "b.mp3", "b.lab", "unnamed"} <= set(listed) and "words.md" not in listed
    assert inputs.recordings(None) == [] == inputs.midi_files(None)


def test_folders_without_music_are_refused(tmp_path):
    with pytest.raises(UserError, match="no recording in it"):
        inputs.recordings(str(tmp_path))
    with pytest.raises(UserError, match=f"midi.pieces.folder: {tmp_path / 'gone'}: no such folder"):
        inputs.midi_files(str(tmp_path / "gone"))


def test_names_that_snakemake_cannot_have_are_known_by_size_and_time(tmp_path):
    plain, strange = tmp_path / "plain.wav", tmp_path / "{strange}.wav"
    for path in (plain, strange):
        path.write_bytes(b"sound")
    files = [str(plain), str(strange)]
    assert inputs.watched(files) == [str(plain)] and inputs.state_of_others([str(plain)]) == ""
    before = inputs.state_of_others(files)
    os.utime(plain, (0, 0))
    assert inputs.state_of_others(files) == before
    os.utime(strange, (0, 0))
    assert inputs.state_of_others(files) != before


def test_a_section_is_the_same_text_however_it_was_written():
    assert sections.as_json({"b": 2.0, "a": "é"}) == sections.as_json({"a": "é", "b": 2.0}) == '{"a":"é","b":2.0}'
    said = json.loads(sections.training(PARAMS))
    assert not {"base", "tune", "launch"} & said.keys() and said["seed"] == PARAMS.train.seed
    assert not {"pretrain", "finetune", "sweep", "composers"} & json.loads(sections.midi_training(PARAMS)).keys()


def test_what_a_run_writes_is_known_beforehand(tmp_path):
    song = tmp_path / "song.wav"
    song.write_bytes(bytes(882_000))  # ten seconds of 44.1 kHz in 16 bits: ten of segments
    without = PARAMS.model_copy(update={"demos": PARAMS.demos.model_copy(update={"prompts": [], "heldout": []})})
    models = space.models_bytes(PARAMS, 2)
    assert space.expected_bytes(without, [str(song)], 2) == 10 * 2 * PARAMS.segments.sample_rate + models + 200_000_000
    weights = 4 * 16 * PARAMS.model.layers * PARAMS.model.dim**2
    states = 4 if PARAMS.train.method.ema else 3
    assert models == weights * (2 * 3 + 1) + states * weights * 4
    assert space.missing_bytes(str(tmp_path), 1_000_000) == 118_000 and space.missing_bytes(str(tmp_path), 1) == 0
