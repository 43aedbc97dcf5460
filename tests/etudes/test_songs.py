"""Songs in every metre: their truth is consistent, and what is played says where the bars begin."""

import numpy as np
import pytest

from music import PARAMS
from ostinato.etudes.arrangement import Note, arrange
from ostinato.etudes.composition import GROUPINGS, INSTRUMENTS, PATTERNS, Section, Song, compose
from ostinato.etudes.rendering import soundfont
from ostinato.etudes.songs import truth, write_song
from ostinato.files import read_json, sha256
from ostinato.harmony.chords import Chord
from ostinato.harmony.keys import Key
from ostinato.harmony.metres import COMMON_TIME, Metre

METRES = list(map(str, GROUPINGS))


def song_of(metre: Metre, pattern: str, instrument: str = "piano") -> Song:
    """Eight bars at one beat a second, the chord new in each, and two in the second."""
    chords = [Chord(root) for root in "CFGCFGCF"]
    bars = tuple((chord, Chord("A", "min")) if place == 1 else (chord,) for place, chord in enumerate(chords))
    return Song(Key(0), 60.0, instrument, (Section("verse", bars, pattern),), metre, GROUPINGS[metre][0])


def starts(notes: list[Note], bar: float) -> set[float]:
    """When notes of the first bar begin, s, to a tenth."""
    return {round(start, 1) for start, _, _, _ in notes if start < bar - 1e-6}


@pytest.mark.parametrize("name", METRES)
@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_the_truth_is_consistent(name, instrument):
    metre = Metre.parse(name)
    song = compose(np.random.default_rng(3), instrument, 60, 120, metre)
    told, bars = truth(song), sum(len(part.bars) for part in song.sections)
    assert told.get("metre", "4/4") == name and ("metre" in told) == (metre != COMMON_TIME)
    assert len(told["beats"]) == metre.beats * bars and told["downbeats"] == told["beats"][:: metre.beats]
    assert np.allclose(np.diff(told["beats"]), 60 / told["tempo"], atol=1e-5)
    starts = np.array([start for start, _, _ in told["chords"]])
    assert np.abs(starts[:, None] - np.array(told["beats"])).min(axis=1).max() < 1e-5  # chords begin on beats, the second of a bar too
    assert set(np.round(told["downbeats"], 3)) <= set(np.round(starts, 3)) and told["chords"][-1][1] == pytest.approx(bars * song.bar_seconds)
    assert 55 <= bars * song.bar_seconds <= 130
    notes = arrange(song, np.random.default_rng(0))
    assert max(start + length for start, length, _, _ in notes) <= bars * song.bar_seconds + 0.1 and min(length for _, length, _, _ in notes) > 0


@pytest.mark.parametrize(
    "name, bass, chords, quick, second",
    [
        ("2/4", {0}, {0, 1}, 4, 1),
        ("3/4", {0}, {0, 1, 2}, 6, 2),
        ("4/4", {0, 2}, {0, 1, 3}, 8, 2),
        ("5/4", {0, 3}, {0, 1, 2, 4}, 10, 3),
        ("7/4", {0, 2, 4}, {0, 1, 3, 5, 6}, 14, 4),
        ("6/8", {0, 1}, {0, 0.3, 0.7, 1.3, 1.7}, 6, 1),
    ],
)
def test_bars_sound_like_their_metre(name, bass, chords, quick, second):
    metre, rng = Metre.parse(name), np.random.default_rng(0)
    notes = arrange(song_of(metre, "bass_chords"), rng)
    low, high = [note for note in notes if note[2] < 48], [note for note in notes if note[2] >= 48]
    assert starts(low, metre.beats) == bass and starts(high, metre.beats) == chords
    assert len(starts(arrange(song_of(metre, "arpeggio"), rng), metre.beats)) == quick
    assert truth(song_of(metre, "block"))["chords"][2][0] == pytest.approx(metre.beats + second)
    for pattern in PATTERNS["guitar"]:
        played = arrange(song_of(metre, pattern, "guitar"), rng)
        assert all(any(abs(start - bar * metre.beats) < 1e-6 for start, _, _, _ in played) for bar in range(8))


def test_metres_take_turns_and_the_first_songs_stay_what_they_were(tmp_path):
    params, font = PARAMS.corpus.etudes.model_copy(update={"min_seconds": 20.0, "max_seconds": 30.0}), soundfont(None)
    turns = params.model_copy(update={"metres": ["4/4", "3/4"]})
    for name, some in (("plain", params), ("turns", turns)):
        for folder in ("audio", "truth"):
            (tmp_path / name / folder).mkdir(parents=True)
        for index in (0, len(INSTRUMENTS)):
            write_song(index, some, tmp_path / name, font)
    first, later = "etude-000-piano", "etude-005-piano"
    assert sha256(tmp_path / f"plain/audio/{first}.flac") == sha256(tmp_path / f"turns/audio/{first}.flac")
    assert "metre" not in read_json(tmp_path / f"turns/truth/{first}.json") and read_json(tmp_path / f"turns/truth/{later}.json")["metre"] == "3/4"
