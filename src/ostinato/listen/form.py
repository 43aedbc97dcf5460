"""Form: where sections begin, from what the bars of a song have in common, and which sections are alike.

Bars are compared by harmony (which notes sound in each half) and by how they are played (spectral shape, onsets within the bar). A section begins

- where blocks of bars meet that are played alike: a checkerboard kernel along the diagonal of the self-similarity (Foote, 2000);
- where a repetition begins or ends: the lags at which the harmony returns change (structural features; Serrà et al., 2014);
- after a phrase that came home: its last chord stands on the tonic of the song's key;
- where another metre begins, to stay.

The borders are chosen together, by dynamic programming, in favour of sections of whole phrases, counted from the border before. A phrase is four bars, unless
another length explains the whole song clearly better. Sections that are alike bar by bar get the same letter. The constants were tuned on rendered songs,
see docs/log.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.ears.features import FRAME_RATE, MEL_RATE
from ostinato.listen.beats import onset_strength
from ostinato.listen.chords import Interval
from ostinato.listen.key import find_key

#: The usual length of a phrase, the others that are tried, bars, and what these cost once.
PHRASE_BARS, OTHER_PHRASES, OTHER_COST = 4, (3, 5, 6, 7), 0.7
#: Bars on either side of a border that are compared.
KERNEL_BARS = 4
#: Weights of the kinds of evidence, each 0-1, against a cost of 1 for a section. Whoever changes the metre begins something new.
PLAYING_WEIGHT, REPETITION_WEIGHT, HOME_WEIGHT, METRE_WEIGHT = 1.5, 0.7, 0.6, 1.5
#: What a section costs besides: if it is no whole number of phrases; if it is shorter than one; for each four bars beyond sixteen.
OFF_PHRASE, SHORT, LONG = 0.95, 0.6, 0.1
#: Mean similarity of bar to bar from which two sections have one name.
SAME = 0.7
#: Points at which the onsets of a bar are compared, whatever its metre: bars of one metre fall between them alike.
RHYTHM_POINTS = 16


def sections(
    mel: np.ndarray, pitches: np.ndarray, chords: list[Interval], downbeats: np.ndarray, duration: float, beat: float, metre_changes: Sequence[float] = ()
) -> list[tuple[float, float, str]]:
    """Sections (start, end, letter) covering 0..duration, in seconds; one section when there are fewer than eight bars.

    Args:
        mel: mel magnitudes [M, bands] at MEL_RATE; pitches: how likely each pitch class sounds [F, 12] at FRAME_RATE; downbeats: starts of bars, s [B];
        beat: length of a beat, s; metre_changes: starts of bars from which another metre holds, s.
    """
    if len(downbeats) < 2 * PHRASE_BARS:
        return [(0.0, duration, "A")]
    edges = np.append(downbeats, duration)
    harmony, playing = bar_harmony(pitches, edges), bar_playing(mel, edges)
    harmony, playing = harmony @ harmony.T, playing @ playing.T
    evidence = PLAYING_WEIGHT * novelty(playing) + REPETITION_WEIGHT * repetition_change(harmony) + HOME_WEIGHT * homecomings(chords, downbeats, beat)
    evidence += METRE_WEIGHT * np.isin(np.arange(len(downbeats)), [np.abs(downbeats - time).argmin() for time in metre_changes])
    fits = [_spans(evidence, PHRASE_BARS)] + [_spans(evidence, bars, OTHER_COST) for bars in OTHER_PHRASES]
    spans = max(fits, key=lambda fit: fit[0])[1]
    times = [0.0, *(float(edges[after]) for _, after in spans)]
    return list(zip(times, times[1:], _letters(spans, (harmony + playing) / 2)))


def bar_harmony(pitches: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Which notes sound in the first and second half of each bar, against the song's mean: unit vectors [B, 24]."""
    halves = [[_mean(pitches, left, (left + right) / 2, FRAME_RATE), _mean(pitches, (left + right) / 2, right, FRAME_RATE)] for left, right in zip(edges, edges[1:])]
    return _unit(_centred(np.array(halves).reshape(len(halves), -1)))


def bar_playing(mel: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How each bar is played: its spectral shape in decibels and its rhythm, in equal shares: unit vectors [B, D]."""
    decibels, onsets = 20 * np.log10(np.maximum(mel, 1e-4 * max(float(mel.max()), 1e-9))), onset_strength(mel)
    spans = list(zip(edges, edges[1:]))
    shapes = np.array([_mean(decibels, left, right, MEL_RATE) for left, right in spans])
    finer = 4  # points averaged into one, so that an onset between two is seen
    at = np.array([np.linspace(left, right, finer * RHYTHM_POINTS, endpoint=False) for left, right in spans]) * MEL_RATE
    rhythms = np.interp(at, np.arange(len(onsets)), onsets).reshape(len(spans), RHYTHM_POINTS, finer).sum(axis=2)
    return _unit(np.concatenate([_centred(shapes), _centred(rhythms)], axis=1))


def novelty(similarity: np.ndarray) -> np.ndarray:
    """Foote's novelty at the start of each bar, 0-1: similarity within the blocks before and after, less that across; [B]."""
    values = np.zeros(len(similarity))
    for bar in range(1, len(similarity)):
        before, after = _around(bar, len(similarity))
        within = similarity[before, before].mean() + similarity[after, after].mean()
        values[bar] = (within / 2 - similarity[before, after].mean()) / 2
    return np.maximum(values, 0)


def repetition_change(similarity: np.ndarray) -> np.ndarray:
    """How much changes, at the start of each bar, at which lags the music repeats: mean change over the three lags that change most; [B]."""
    count = len(similarity)
    lags = np.zeros((2 * count, count))  # similarity to the bar so much later, then to the bar so much earlier
    for lag in range(PHRASE_BARS, count):
        lags[lag, : count - lag] = lags[count + lag, lag:] = np.maximum(np.diagonal(similarity, lag), 0) ** 2
    values = np.zeros(count)
    for bar in range(1, count):
        before, after = _around(bar, count)
        values[bar] = np.sort(np.abs(lags[:, before].mean(axis=1) - lags[:, after].mean(axis=1)))[-3:].mean()
    return values


def homecomings(chords: list[Interval], downbeats: np.ndarray, beat: float) -> np.ndarray:
    """1 at the bars before which a chord on the tonic sounds, else 0: [B]. What begins half a `beat` (s) before the bar belongs to it."""
    tonic, starts = find_key(chords).tonic, np.array([start for start, _, _ in chords])
    last = [chords[max(0, number)][2] for number in np.searchsorted(starts, downbeats - beat / 2) - 1]
    return np.array([chord.is_chord and chord.pitch_class == tonic for chord in last], float)


def _around(bar: int, count: int) -> tuple[slice, slice]:
    """The bars before and after a border, as many on either side."""
    width = min(KERNEL_BARS, bar, count - bar)
    return slice(bar - width, bar), slice(bar, bar + width)


def _spans(evidence: np.ndarray, phrase: int, cost: float = 0.0) -> tuple[float, list[tuple[int, int]]]:
    """What is gained with phrases of so many bars, and the sections, (first bar, bar after the last), with the most evidence [B] for their costs."""
    count = len(evidence)
    gains, best, came = np.append(evidence, 0.0), np.full(count + 1, -np.inf), np.zeros(count + 1, int)
    best[0] = 0.0
    for after in range(1, count + 1):
        lengths = after - np.arange(after)
        costs = 1 + LONG * np.maximum(0, lengths / 4 - 4)
        if after < count:  # how the last chord rings on is nobody's phrase
            costs = costs + OFF_PHRASE * (lengths % phrase > 0) + SHORT * (lengths < phrase)
        values = best[:after] + gains[after] - costs
        came[after] = int(values.argmax())
        best[after] = values[came[after]]
    borders = [count]
    while borders[-1] > 0:
        borders.append(int(came[borders[-1]]))
    return float(best[count]) - cost, list(zip(borders[::-1], borders[-2::-1]))


def _letters(spans: list[tuple[int, int]], similarity: np.ndarray) -> list[str]:
    """A, B, ... for sections in order of appearance; the letter of an earlier one for those that follow it bar by bar for most of both."""
    numbers: list[int] = []
    for place, (first, after) in enumerate(spans):
        alike = (
            numbers[other]
            for other, (start, end) in enumerate(spans[:place])
            if (width := min(after - first, end - start)) * 2 >= max(after - first, end - start)
            and np.diagonal(similarity[first : first + width, start : start + width]).mean() > SAME
        )
        numbers.append(next(alike, max(numbers, default=-1) + 1))
    return [chr(ord("A") + min(number, 25)) for number in numbers]


def _mean(table: np.ndarray, left: float, right: float, rate: float) -> np.ndarray:
    """Mean of the rows between two times, s."""
    first = min(round(left * rate), len(table) - 1)
    return table[first : max(first + 1, round(right * rate))].mean(axis=0)


def _centred(rows: np.ndarray) -> np.ndarray:
    """Less the mean row, scaled to a mean squared length of 1."""
    rows = rows - rows.mean(axis=0)
    return rows / max(float(np.sqrt((rows**2).sum(axis=1).mean())), 1e-9)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
