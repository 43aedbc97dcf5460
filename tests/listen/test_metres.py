"""Metres as they are told, drawn, saved and read again; form, cadences and cuts in metres of any length, where metres change, and where a downbeat is wrong."""

from dataclasses import replace

import jams
import numpy as np
import pytest

from heard import BEAT, heard
from music import PARAMS
from ostinato.dataset.cuts import bars_between, cut
from ostinato.dataset.segments import metre_between
from ostinato.ears import features
from ostinato.harmony.chords import Chord
from ostinato.harmony.keys import Key
from ostinato.harmony.metres import Metre
from ostinato.listen import jamsfile
from ostinato.listen.bars import changes, counted, regular
from ostinato.listen.batch import line
from ostinato.listen.drawing import draw, facts, report
from ostinato.listen.form import sections
from ostinato.listen.key import cadences

SILENT = {"beats": np.zeros(0), "positions": np.zeros(0, int), "sureness": np.zeros(0)}


@pytest.mark.parametrize(
    "parts, said",
    [
        ([("3/4", 8)], "3/4 (90%)"),
        ([("6/8", 8)], "6/8 (90%)"),
        ([("4/4", 31), ("3/4", 8)], "4/4 then 3/4 from 1:02 (90%)"),
        ([("4/4", 9), ("3/4", 4), ("4/4", 4), ("7/4", 4)], "mostly 4/4, 3 changes (90%)"),
    ],
)
def test_the_metre_is_told_with_how_sure_it_is(parts, said, tmp_path):
    told = heard(parts)
    assert said in facts(told) and said in line(told) and said in report(told, "song")
    assert ("\nmetres    0:00 4/4 (90%), " in report(told, "song")) == (len(parts) > 1)
    draw(tmp_path / "song.png", told, "song")
    assert (tmp_path / "song.png").stat().st_size > 10_000


def test_without_beats_nothing_is_said_of_metre(tmp_path):
    told = heard([("4/4", 8)], **SILENT)
    assert "/4" not in report(told, "song").replace("1:00", "") and "/4" not in line(told)
    jamsfile.write(tmp_path / "song.jams", told, "song")
    draw(tmp_path / "song.png", told, "song")
    assert jamsfile.read(tmp_path / "song.jams").metres == [] and "metre" not in (tmp_path / "song.jams").read_text()


def test_jams_has_metres_and_how_sure_each_beat_is(tmp_path):
    path, told = tmp_path / "song.jams", heard([("3/4", 4), ("6/8", 3), ("5/4", 2)])
    jamsfile.write(path, told, "song")
    document = jams.load(str(path), validate=True, strict=True)
    assert [row.confidence for row in document.search(namespace="beat$")[0].data] == pytest.approx(told.sureness.tolist(), abs=1e-3)
    places = [(row.value["position"], row.value["measure"], row.value["num_beats"], row.value["beat_units"]) for row in document.search(namespace="beat_position")[0].data]
    assert places[:4] == [(1, 1, 3, 4), (2, 1, 3, 4), (3, 1, 3, 4), (1, 2, 3, 4)] and places[12:15] == [(1, 5, 6, 8), (4, 5, 6, 8), (1, 6, 6, 8)] and places[-1] == (5, 9, 5, 4)
    read = jamsfile.read(path)
    assert read.metres == told.metres and read.downbeats == told.downbeats.tolist()


def test_files_that_tell_no_metre_are_read_by_their_beats(tmp_path):
    path, told = tmp_path / "song.jams", heard([("4/4", 4), ("3/4", 4), ("4/4", 1)])
    jamsfile.write(path, told, "song")
    document = jams.load(str(path))
    for annotation in [*document.annotations]:
        if annotation.namespace == "tag_open":
            annotation.data = type(annotation.data)(row for row in annotation.data if "metre" not in row.value)
    document.save(str(path))
    assert [(start, end, str(metre)) for start, end, metre, _ in jamsfile.read(path).metres] == [(0.0, 8.0, "4/4"), (8.0, 16.0, "3/4")]
    assert counted([0.0, 1.0], [2, 1], 2.0) == []


def bars_of(lengths: str) -> list[float]:
    """Starts of bars of so many beats of 0.5 s, and the end of the last."""
    return (BEAT * np.cumsum([0, *map(int, lengths.split())])).tolist()


@pytest.mark.parametrize(
    "given, meant",
    [
        ("4 4 4 2 2 4 4", "4 4 4 4 4 4"),
        ("4 4 1 3 4 4", "4 4 4 4 4"),
        ("3 3 2 1 3 3 6 3 3", "3 3 3 3 3 3 3 3 3"),
        ("4 4 3 5 4 4", "4 4 4 4 4 4"),
        ("7 7 6 8 7 7", "7 7 7 7 7 7"),
        ("4 4 8 4 4", "4 4 4 4 4 4"),
        ("4 4 2 4 4", "4 4 2 4 4"),  # a bar of two for once
        ("4 4 3 4 4", "4 4 3 4 4"),  # a new count
        ("4 4 4 3 3 3", "4 4 4 3 3 3"),
        ("4 4 4 2 2 2 2", "4 4 4 2 2 2 2"),
        ("2 2 2 4 4 4", "2 2 2 4 4 4"),
        ("3 4 3 4 3 4", "3 4 3 4 3 4"),
        ("5", "5"),
    ],
)
def test_a_lone_wrong_downbeat_is_put_right_and_nothing_else_is_touched(given, meant):
    assert regular(bars_of(given)) == pytest.approx(bars_of(meant))
    assert regular([]) == []


def test_a_change_of_metre_counts_where_it_lasts():
    for parts, starts in (([("4/4", 8), ("3/4", 8)], [16.0]), ([("4/4", 8), ("3/4", 1), ("4/4", 8)], []), ([("4/4", 3), ("3/4", 8)], []), ([("2/4", 8), ("6/8", 8)], [8.0])):
        told = heard(parts)
        assert changes(told.metres, told.downbeats) == starts


def played(edges: np.ndarray, part: np.ndarray, chords: list, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """mel [M, MELS] and pitches [F, 12] of bars, each played as its `part` (0 or 1) is."""
    rng, duration = np.random.default_rng(seed), edges[-1]
    times = np.arange(round(duration * features.FRAME_RATE)) / features.FRAME_RATE
    starts = np.array([start for start, _, _ in chords])
    notes = np.array([[0.9 if pitch in chord.pitch_classes else 0.1 for pitch in range(12)] for _, _, chord in chords])
    pitches = notes[np.searchsorted(starts, times + 1e-6) - 1] + rng.normal(0, 0.02, (len(times), 12))
    frames = np.arange(round(duration * features.MEL_RATE)) / features.MEL_RATE
    bar = np.searchsorted(edges, frames + 1e-6) - 1
    since = (frames - edges[bar]) % np.where(part[bar] > 0, BEAT / 2, BEAT)
    mel = 10 ** rng.uniform(-1, 1, (2, features.MELS))[part[bar]] * (0.1 + np.exp(-12 * since))[:, None] * 10 ** rng.normal(0, 0.05, (len(frames), features.MELS))
    return mel, pitches


VERSE, BRIDGE = "C A:min F G C F G C", "A:min E:min F D:min A:min F D:min G"


@pytest.mark.parametrize("name", ["2/4", "3/4", "5/4", "6/8", "7/4"])
def test_form_is_aaba_in_every_metre(name):
    told = heard([(name, 32)], " ".join([VERSE, VERSE, BRIDGE, VERSE]))
    mel, pitches = played(np.append(told.downbeats, told.duration), np.repeat([0, 0, 1, 0], 8), told.chords)
    wrong = told.downbeats[np.arange(32) != 11]  # a downbeat is missed: borders stay
    for downbeats in (told.downbeats, np.array(regular(wrong))):
        found = sections(mel, pitches, told.chords, downbeats, told.duration, BEAT)
        bar = Metre.parse(name).beats * BEAT
        assert [(start / bar, letter) for start, _, letter in found] == [(0, "A"), (8, "A"), (16, "B"), (24, "A")]


def test_form_follows_a_change_of_metre_and_cadences_close_phrases_after_it():
    told = heard([("4/4", 16), ("3/4", 16)], "C F G C")
    mel, pitches = played(np.append(told.downbeats, told.duration), np.zeros(32, int), told.chords)
    found = sections(mel, pitches, told.chords, told.downbeats, told.duration, BEAT, changes(told.metres, told.downbeats))
    assert 32.0 in [start for start, _, _ in found]
    closed = cadences(told.chords, [(0.0, told.duration, Key(0))], [(0.0, 32.0, "A"), (32.0, told.duration, "B")], told.downbeats)
    assert [cadence.time for cadence in closed] == [8.0, 16.0, 24.0, 32.0, 38.0, 44.0, 50.0, 56.0]


@pytest.mark.parametrize("parts", [[("3/4", 48)], [("5/4", 32)], [("7/4", 24)], [("6/8", 64)], [("4/4", 22), ("3/4", 32)]])
def test_cuts_fall_on_whole_phrases_in_every_metre(parts):
    told = heard(parts)
    starts = changes(told.metres, told.downbeats)
    found = cut(told.downbeats.tolist(), told.chords, told.sections, [], told.duration, PARAMS.segments, starts)
    bars = [*told.downbeats.tolist(), told.duration]
    assert found and {time for piece in found for time in piece} <= set(bars)
    for start, end in found:
        first = max([0.0, *(time for time in starts if time <= start)])
        assert (bars.index(start) - bars.index(first)) % 4 == 0 and not any(start < time < end for time in starts)  # phrases are counted anew, and a piece has one metre
        assert metre_between(start, end, told.metres) == parts[0 if not starts or start < starts[0] else 1][0]


def test_a_lone_wrong_downbeat_moves_no_cut_and_no_bar():
    told = heard([("3/4", 48)])
    wrong = regular(np.sort(np.append(np.delete(told.downbeats, 30), told.downbeats[10] + BEAT)))
    assert wrong == pytest.approx(told.downbeats.tolist())
    assert cut(wrong, told.chords, told.sections, [], told.duration, PARAMS.segments) == cut(
        told.downbeats.tolist(), told.chords, told.sections, [], told.duration, PARAMS.segments
    )


@pytest.mark.parametrize("beats, before", [(2, 1), (3, 1), (3, 2), (4, 2), (5, 2), (5, 3), (7, 3), (7, 4)])
def test_two_chords_share_a_bar_on_whichever_beat_the_second_begins(beats, before):
    chords = [(beats * (bar + share), beats * (bar + end), Chord(root)) for bar in range(2) for share, end, root in ((0, before / beats, "C"), (before / beats, 1, "G"))]
    assert [[chord.root for chord in names] for _, _, names in bars_between(0.0, 2.0 * beats, [0.0, float(beats)], chords)] == [["C", "G"]] * 2


def test_a_segment_without_beats_has_no_metre():
    assert metre_between(0.0, 10.0, []) is None
    assert metre_between(5.0, 12.0, replace(heard([("4/4", 4), ("3/4", 8)])).metres) == "3/4"
