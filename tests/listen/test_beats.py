"""Beats, bars and metres from what a network would say: of steady and free tempi, of every metre, of a metre that changes, of pauses."""

import numpy as np
import pytest

from ostinato.ears.labels import BAR_LENGTHS
from ostinato.harmony.metres import Metre
from ostinato.listen.beats import Activations, bars, path_of_beats, pulse, steadied

RATE = 50


STILL = np.zeros((10, 12))  # nothing changes


def said(times, firsts, lengths, seconds, compound=-4.0, sure=4.0):
    """Logits that are high on beats and low elsewhere, with some noise."""
    rng, frames = np.random.default_rng(1), np.round(np.asarray(times) * RATE).astype(int)
    beat, downbeat = rng.normal(-6, 0.5, round(seconds * RATE)), rng.normal(-6, 0.5, round(seconds * RATE))
    beat[frames] = sure
    downbeat[frames[np.asarray(firsts)]] = sure
    metre = np.zeros((len(beat), len(BAR_LENGTHS)))
    for frame, after, length in zip(frames, [*frames[1:], len(beat)], lengths):
        metre[frame:after, BAR_LENGTHS.index(length)] = 3.0
    metre -= np.logaddexp.reduce(metre, axis=1, keepdims=True)
    return Activations(beat, downbeat, np.full(len(beat), compound), metre)


@pytest.mark.parametrize("tempo", [42, 96, 150, 236])
@pytest.mark.parametrize("length", BAR_LENGTHS)
def test_every_metre_at_every_tempo(tempo, length):
    times = 0.4 + np.arange(6 * length) * 60 / tempo
    heard = pulse(said(times, np.arange(len(times)) % length == 0, [length] * len(times), times[-1] + 1), STILL, times[-1] + 1)
    assert np.abs(heard.beats - times).max() < 0.011 and heard.tempo == pytest.approx(tempo, rel=0.01)
    assert heard.positions.tolist() == (np.arange(len(times)) % length + 1).tolist()
    assert [str(metre) for _, _, metre, _ in heard.metres] == [f"{length}/4"] and 0.5 < heard.metres[0][3] < 1 and heard.sureness.min() > 0.9


def test_six_eighths_are_two_beats_of_three():
    times = np.arange(1, 30) * 0.6
    heard = pulse(said(times, np.arange(29) % 2 == 0, [2] * 29, 19.0, compound=3.0), STILL, 19.0)
    assert [metre for _, _, metre, _ in heard.metres] == [Metre(2, 3)] and str(heard.metres[0][2]) == "6/8"


def test_a_metre_that_changes_is_followed():
    lengths = [4] * 24 + [3] * 18 + [4] * 16
    firsts = np.concatenate([np.arange(24) % 4 == 0, np.arange(18) % 3 == 0, np.arange(16) % 4 == 0])
    times = 0.5 + np.arange(len(lengths)) * 0.5
    heard = pulse(said(times, firsts, lengths, 30.0), STILL, 30.0)
    assert [str(metre) for _, _, metre, _ in heard.metres] == ["4/4", "3/4", "4/4"]
    assert [start for start, *_ in heard.metres] == pytest.approx([0.0, 12.5, 21.5], abs=0.02) and heard.metres[-1][1] == 30.0
    assert np.array_equal(heard.positions == 1, firsts)


def test_rubato_is_followed_and_not_straightened():
    steps = 0.5 * np.exp(0.35 * np.sin(np.arange(60) / 5))
    times = 0.3 + np.cumsum(steps)
    found = path_of_beats(said(times, np.arange(60) % 4 == 0, [4] * 60, times[-1] + 1).beat) / RATE
    assert len(found) == 60 and np.abs(found - times).max() < 0.011
    assert np.abs(steadied(times) - times).max() < 0.03


def test_a_beat_that_is_hardly_heard_is_supplied_and_noise_between_is_not_taken():
    times = 0.5 + np.arange(40) * 0.5
    heard = said(times, np.arange(40) % 4 == 0, [4] * 40, 21.0)
    heard.beat[np.round(times[[9, 10, 23]] * RATE).astype(int)] = -3.0
    heard.beat[np.round((times[[5, 15]] + 0.25) * RATE).astype(int)] = 1.0
    assert len(path_of_beats(heard.beat)) == 40


def test_after_a_pause_beats_go_on():
    times = np.concatenate([0.5 + np.arange(20) * 0.5, 17.13 + np.arange(20) * 0.41])
    found = path_of_beats(said(times, np.arange(40) % 4 == 0, [4] * 40, 26.0).beat) / RATE
    assert len(found) == 40 and np.abs(found - times).max() < 0.011


def test_one_wrong_downbeat_moves_no_bar():
    downbeat = np.where(np.arange(40) % 4 == 0, 3.0, -3.0)
    downbeat[[10, 20]] = [2.5, -2.5]
    positions, lengths = bars(downbeat, np.full((40, len(BAR_LENGTHS)), -np.log(len(BAR_LENGTHS))))
    assert positions.tolist() == (np.arange(40) % 4 + 1).tolist() and set(lengths) == {4}


def test_given_beats_are_believed_and_their_places_heard_or_believed():
    times = 0.5 + np.arange(24) * 0.5
    heard = pulse(said(times, np.arange(24) % 3 == 0, [3] * 24, 13.0), STILL, 13.0, times)
    assert np.array_equal(heard.beats, times) and heard.positions.tolist() == [1, 2, 3] * 8 and (heard.sureness == 1).all()
    told = pulse(said(times, np.arange(24) % 3 == 0, [3] * 24, 13.0), STILL, 13.0, times, np.tile([1, 2, 3, 4], 6))
    assert [str(metre) for _, _, metre, _ in told.metres] == ["4/4"] and told.metres[0][3] == 1.0


@pytest.mark.parametrize("frames", [0, 3, 500])
def test_nothing_is_no_beat(frames):
    nothing = Activations(np.full(frames, -9.0), np.full(frames, -9.0), np.zeros(frames), np.zeros((frames, len(BAR_LENGTHS))))
    heard = pulse(nothing, STILL, frames / RATE)
    assert len(heard.beats) == 0 and heard.tempo == 0.0 and heard.metres == []


def test_bars_begin_where_the_harmony_changes():
    times = 0.5 + np.arange(32) * 0.5
    unsure = said(times, np.arange(32) % 4 < 0, [4] * 32, 17.0)
    unsure.downbeat[:] = -3.0
    pitches = np.zeros((170, 12))
    for bar in range(9):
        pitches[max(0, 20 * bar - 5) : 20 * bar + 15, [bar % 12, (bar + 4) % 12, (bar + 7) % 12]] = 0.9  # chords begin at 0.5 - 1.0, 1.5, 3.5, ... s
    assert pulse(unsure, pitches, 17.0).positions[:10].tolist() == [3, 4, 1, 2, 3, 4, 1, 2, 3, 4]
