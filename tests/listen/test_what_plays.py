"""What plays over time: spans, names of a segment, JAMS and back, and the ear that comes with Ostinato on what it must know."""

import json
from dataclasses import replace

import numpy as np
import pytest

from music import PARAMS, RATE, play
from ostinato.harmony.instruments import FAMILIES
from ostinato.listen import jamsfile
from ostinato.listen.hear import hear
from ostinato.listen.instruments import names_of, spans

PIANO, STRINGS, DRUMS = (FAMILIES.index(name) for name in ("piano", "strings", "drums"))


def test_spans_begin_and_end_with_what_is_sure_and_what_flickers_is_none():
    shares = np.full((20, len(FAMILIES)), 0.1, np.float32)
    shares[:, PIANO], shares[10:, STRINGS], shares[5, DRUMS] = 0.9, 0.8, 0.9
    found = spans(shares, np.full(len(FAMILIES), 0.6), 20.4)
    assert [(start, end, name) for start, end, name, _ in found] == [(0.0, 20.4, "piano"), (10.0, 20.4, "strings")]
    assert [sure for *_, sure in found] == pytest.approx([0.9, 0.8], abs=0.05)
    assert spans(np.full((4, len(FAMILIES)), 0.4), np.full(len(FAMILIES), 0.6), 4.0) == []


def test_a_segment_has_the_names_that_cover_most_of_it_four_at_most():
    found = [(0.0, 20.0, "strings", 0.9), (0.0, 12.0, "piano", 0.7), (18.0, 20.0, "drums", 0.99)]
    assert [name for name, _ in names_of(found, 0.0, 20.0)] == ["piano", "strings"]
    assert [name for name, _ in names_of(found, 12.0, 20.0)] == ["strings"]
    assert names_of([], 0.0, 10.0) == []
    many = [(0.0, 10.0, name, 0.9 - k / 10) for k, name in enumerate(reversed(FAMILIES[:6]))]
    assert [name for name, _ in names_of(many, 0.0, 10.0)] == list(FAMILIES[2:6])


@pytest.fixture(scope="module")
def heard():
    return hear(play("piano C F G C Am F G C", 16.0), RATE, PARAMS.listen)


def test_a_piano_is_heard_and_comes_back_from_its_file(heard, tmp_path):
    assert heard.instrument[0] == "piano" and heard.instrument[1] > 0.5
    jamsfile.write(tmp_path / "song.jams", heard, "song")
    back = jamsfile.read(tmp_path / "song.jams").instruments
    assert [span[2] for span in back] == [span[2] for span in heard.instruments] and back[0] == pytest.approx(heard.instruments[0], abs=1e-3)
    jamsfile.write(tmp_path / "none.jams", replace(heard, instruments=[]), "none")
    assert jamsfile.read(tmp_path / "none.jams").instruments == []
    assert replace(heard, instruments=[]).instrument == ("", 0.0)


def test_a_file_with_one_tag_for_the_whole_is_read(heard, tmp_path):
    jamsfile.write(tmp_path / "old.jams", replace(heard, instruments=[(0.0, heard.duration, "harp", 0.4)]), "old")
    document = json.loads((tmp_path / "old.jams").read_text())
    tag = next(annotation for annotation in document["annotations"] if annotation["namespace"] == "tag_open")["data"][0]
    assert tag["value"] == "instrument: harp"
    assert [span[2] for span in jamsfile.read(tmp_path / "old.jams").instruments] == ["harp"]
    tag["duration"] = 0.0
    (tmp_path / "old.jams").write_text(json.dumps(document))
    assert jamsfile.read(tmp_path / "old.jams").instruments == [(0.0, pytest.approx(16.0), "harp", 0.4)]


def test_silence_is_no_instrument():
    assert hear(np.zeros(8 * RATE, np.float32), RATE, PARAMS.listen).instruments == []
