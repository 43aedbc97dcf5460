"""Keys, cadences, numerals, decoding, beats and form where the truth is known, without ears; and the grid of frames that all of it stands on."""

from itertools import product

import numpy as np
import pytest

from ostinato.ears import features
from ostinato.harmony.chords import Chord
from ostinato.harmony.keys import Key, roman
from ostinato.listen.decoding import EVIDENCE, border_worth, decode, duration_prior
from ostinato.listen.evidence import analyse
from ostinato.listen.form import sections
from ostinato.listen.key import cadences, find_key, keys_over_time
from ostinato.listen.steady import steady_beats

BAR = 2.0


def line(names: str, semitones: int = 0) -> list:
    """Chords of a bar each: `line("C F G C")`."""
    return [(BAR * i, BAR * (i + 1), Chord.parse(name).transpose(semitones)) for i, name in enumerate(names.split())]


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(
    "names, mode",
    [
        ("C A:min F G C F G7 C", "major"),
        ("F G C A:min F G C", "major"),
        ("C:min F:min G C:min Ab F:min G7 C:min", "minor"),
        ("C:min Bb Ab G C:min Eb Bb C:min", "minor"),
        ("C:min7 F:min7 Bb Eb Ab:maj7 G7 C:min", "minor"),
        ("C:min Bb Ab Bb C:min Bb Ab Bb C:min", "minor"),
    ],
)
def test_a_key_is_heard_on_every_tonic(names, mode, tonic):
    assert find_key(line(names, tonic)) == Key(tonic, mode)


def test_the_key_follows_modulations_and_not_each_borrowed_chord():
    home, away = "C A:min F G C F G C", "E C#:min A B E A B E"
    chords = line(" ".join([home, home, away, away, home]))
    found = keys_over_time(chords, find_key(chords))
    assert [str(key) for _, _, key in found] == ["C:major", "E:major", "C:major"]
    assert [start for start, _, _ in found] == [0.0, 16 * BAR, 32 * BAR] and found[-1][1] == 40 * BAR
    borrowed = line("C D7 G C E7 A:min D:min G7 C F:min C Bb F C")
    assert [str(key) for _, _, key in keys_over_time(borrowed, find_key(borrowed))] == ["C:major"]
    to_minor = line(" ".join([home, home] + ["C:min Ab F:min G C:min Eb Bb G C:min"] * 2))
    assert [str(key) for _, _, key in keys_over_time(to_minor, find_key(to_minor))] == ["C:major", "C:minor"]


@pytest.mark.parametrize(
    "mode, names, kinds",
    [
        ("major", "C F G C  A:min D:min F C  F C D:min G  C F G7 A:min  C A:min C F  F D:min B:dim C", ["authentic"]),
        ("minor", "C:min F:min G C:min  Ab Eb F:min C:min  C:min Ab F:min G7  C:min F:min G Ab  G C:min F:min C", []),
    ],
)
def test_cadences_close_phrases_of_four_bars(mode, names, kinds):
    chords = line(names)
    end = chords[-1][1]
    bars = np.arange(0, end, BAR) + 0.1  # chords come a little before the beat, and belong to their bar all the same
    found = cadences(chords, [(0.0, end, Key(0, mode))], [(0.0, 16 * BAR, "A"), (16 * BAR, end, "B")], bars)
    assert [cadence.kind for cadence in found] == ["authentic", "plagal", "half", "deceptive", *kinds]
    assert [round(cadence.time / BAR, 1) for cadence in found][:4] == [4.0, 8.1, 12.1, 16.0]
    assert (found[3].approach.quality, found[3].goal) == (chords[14][2].quality, chords[15][2])


@pytest.mark.parametrize(
    "key, chord, numeral",
    [
        ("C:major", "G7", "V7"),
        ("C:major", "D:min/b3", "ii6"),
        ("C:major", "C/5", "I64"),
        ("C:major", "Bb", "bVII"),
        ("C:major", "B:dim", "viio"),
        ("C:major", "B:hdim7", "viiø7"),
        ("C:major", "F:min7/5", "iv43"),
        ("C:major", "N", "N"),
        ("Eb:major", "Ab:maj7", "IVM7"),
        ("Eb:major", "Bb:7/b7", "V42"),
        ("F#:major", "C#", "V"),
        ("G:major", "D:sus4", "Vsus4"),
        ("G:major", "G/2", "I/2"),
        ("A:minor", "E:7/3", "V65"),
        ("A:minor", "C", "III"),
        ("A:minor", "G#:dim7", "#viio7"),
        ("A:minor", "F/3", "VI6"),
    ],
)
def test_roman_numerals(key, chord, numeral):
    assert roman(Chord.parse(chord), Key.parse(key)) == numeral


def test_a_planted_path_is_found_in_noise():
    rng = np.random.default_rng(0)
    lengths = [23, 8, 15, 40, 12, 130, 9, 20]
    planted = np.repeat([3, 7, 0, 24, 5, 11, 5, 2], lengths)
    logits = rng.normal(0, 1.5, (len(planted), 25))
    logits[np.arange(len(planted)), planted] += 4
    borders = np.cumsum(lengths)[:-1]
    scores = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    assert (scores.argmax(axis=1) != planted).mean() > 0.1
    heard = decode(scores, 3.0, border_worth(len(planted), (borders - 0.5) / 10, np.zeros(0)))
    assert np.array_equal(heard, planted)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_path_is_better(seed):
    rng = np.random.default_rng(seed)
    scores, worth, switch, prior = rng.normal(0, 8, (7, 2)), rng.uniform(0, 3, 7), rng.uniform(0, 2), duration_prior()

    def value(path: tuple, starts: list[int]) -> float:
        """The sum that the module promises to maximise, written a second time from its description."""
        lasting = sum(prior[after - first - 1] + worth[first] - switch for first, after in zip(starts, [*starts[1:], len(path)]))
        return lasting + EVIDENCE * sum(scores[frame, state] for frame, state in enumerate(path))

    def best(path: tuple) -> float:
        ways = product((False, True), repeat=len(path) - 1)
        return max(value(path, [0, *(i + 1 for i, cut in enumerate(way) if cut)]) for way in ways if all(cut or path[i] == path[i + 1] for i, cut in enumerate(way)))

    assert best(tuple(decode(scores, switch, worth))) == pytest.approx(max(best(path) for path in product((0, 1), repeat=7)))


@pytest.mark.parametrize("frame", [47, 50, 53])
def test_a_border_goes_to_the_beat_where_evidence_is_even(frame):
    scores = np.log(np.full((100, 2), 0.5))
    scores[:45], scores[55:] = np.log([0.9, 0.1]), np.log([0.1, 0.9])
    beats_around = (frame - 0.5) / 10 + np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    heard = decode(scores, 3.0, border_worth(100, beats_around, np.zeros(0)))
    assert np.flatnonzero(np.diff(heard)).tolist() == [frame - 1]
    scores[:45], scores[45:] = np.log([0.99, 0.01]), np.log([0.01, 0.99])  # where it is not, it stays
    assert np.flatnonzero(np.diff(decode(scores, 3.0, border_worth(100, beats_around, np.zeros(0))))).tolist() == [44]


def strokes(times: np.ndarray, duration: float) -> np.ndarray:
    """Onset strength with a stroke at each time (s)."""
    return np.bincount(np.round(times * features.MEL_RATE).astype(int), minlength=round(duration * features.MEL_RATE)).astype(float)


@pytest.mark.parametrize("beats", [4, 3])
def test_where_the_network_is_unsure_chords_that_keep_time_tell_beats(beats):
    truth = np.arange(0.35, 200, 60 / 87.3)
    found = steady_beats(strokes(truth, 200), features.MEL_RATE, truth[beats::beats], 200.0)
    assert 60 / np.median(np.diff(found)) == pytest.approx(87.3, rel=1e-3) and np.abs(found[:, None] - truth).min(axis=1).max() < 0.02 and len(found) == len(truth)


def test_no_constant_tempo_is_believed_of_two():
    truth = np.concatenate([np.arange(0, 60, 60 / 90), np.arange(60, 120, 60 / 120)])
    onsets = strokes(truth, 120) + 0.7 * strokes((truth[1:] + truth[:-1]) / 2, 120)
    assert len(steady_beats(onsets, features.MEL_RATE, truth[4::4], 120.0)) == 0
    assert len(steady_beats(onsets, features.MEL_RATE, truth[4:20:4], 120.0)) == 0  # and of few changes nothing


@pytest.mark.parametrize("verse, bridge, bars", [("C A:min F G C F G C", "A:min E:min F D:min A:min F D:min G", 8), ("C A:min F F G C", "A:min E:min F D:min D:min G", 6)])
def test_form_is_aaba(verse, bridge, bars):
    rng = np.random.default_rng(1)
    chords = line(" ".join([verse, verse, bridge, verse]))
    duration = chords[-1][1]
    notes = [[0.9 if pitch in chord.pitch_classes else 0.1 for pitch in range(12)] for _, _, chord in chords]
    pitches = np.repeat(notes, round(BAR * features.FRAME_RATE), axis=0) + rng.normal(0, 0.02, (round(duration * features.FRAME_RATE), 12))
    part = np.repeat([0, 0, 1, 0], round(bars * BAR * features.MEL_RATE))  # the bridge has another timbre, and strokes at another pace
    since = np.arange(len(part)) % np.where(part, 20, 25)
    mel = 10 ** rng.uniform(-1, 1, (2, features.MELS))[part] * (0.1 + np.exp(-since / 4))[:, None] * 10 ** rng.normal(0, 0.05, (len(part), features.MELS))
    found = sections(mel, pitches, chords, np.arange(0, duration, BAR), duration, BAR / 4)
    assert [(round(start / BAR), round(end / BAR), letter) for start, end, letter in found] == [
        (0, bars, "A"),
        (bars, 2 * bars, "A"),
        (2 * bars, 3 * bars, "B"),
        (3 * bars, 4 * bars, "A"),
    ]


@pytest.mark.parametrize("ear", ["labeller", "judge"])
def test_frames_keep_their_places_for_minutes_whatever_the_chunks(ear):
    samples = np.random.default_rng(0).normal(0, 1e-3, 180 * features.RATE + 77).astype(np.float32)
    samples[170 * features.RATE] = 1.0
    whole = analyse([samples], ear)
    pieces = analyse(np.split(samples, np.cumsum([1, 4799, 0, 70001, 960000, 33333, 1000003])), ear)
    for name in ("spectrum", "mel", "level", "tuning", "duration"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name))
    assert len(whole.spectrum) == len(whole.level) == -(-len(samples) // features.HOP) and len(whole.mel) == -(-len(samples) // features.MEL_HOP)
    assert whole.duration == len(samples) / features.RATE
    assert whole.spectrum.sum(axis=1).argmax() == 1700 and whole.mel.sum(axis=1).argmax() == 170 * features.MEL_RATE
