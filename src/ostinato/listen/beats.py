"""Beats, downbeats and metre, from what the network for beats says of each frame.

Beats are the path of most evidence through the frames: each beat gains its log-odds, and a change of the time from beat to beat costs its logarithm (dynamic programming
over beats and tempi, after Ellis, 2007, and the bar pointer of Krebs, Böck & Widmer, ISMIR 2015). Bars are then the path of most evidence through the beats: places in
bars of 2 to 7, where another metre, or a bar cut short, costs something; a bar begins where the network says so, and where the harmony changes. Nothing supposes four
beats, or one tempo. Times in seconds, costs in nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ostinato.ears.features import FRAME_RATE, MEL_RATE
from ostinato.ears.labels import BAR_LENGTHS
from ostinato.harmony.metres import Metre, MetreSpan

#: Time from beat to beat, frames: 375 to 27 beats a minute.
SHORTEST, LONGEST = 8, 110
#: What a beat gains besides its log-odds (the logarithm of how many frames to a beat might have been it); cost of a change of tempo by the factor e, of a pause.
WORTH, CHANGE, PAUSE = 3.0, 15.0, 12.0
#: Frames with lower log-odds carry no beat.
LEAST = -7.0
#: Cost of another metre, and of a bar cut short or prolonged; weight of what is said of the metre at each beat that is sure.
OTHER_METRE, IRREGULAR, METRE_WEIGHT = 6.0, 8.0, 0.5
#: How likely a beat begins a bar: log-odds from the network's (which are of frames, not of beats) and from how much the harmony changes with it. Fitted by logistic regression
#: on held-out pieces of ASAP and POP909 that no figure is told of (29 pieces, 4,244 beats; area under the curve: the network 0.79, harmony 0.73, both 0.81).
SAID, CHANGED, BIAS = 0.53, 0.59, 0.2
LEAST_CHANGE, MOST_CHANGE = 0.02, 4.0
#: Log-probability that is added to that of bars of two beats: what sounds alike is commonly written in four.
IN_TWO = -1.2
#: Where beats are less sure than this on average, attacks are slow or the tempo is free: then beats of one tempo to which chord changes keep (listen.steady) are believed,
#: and otherwise where they have the tempo that is heard, but for this share of it.
UNSURE, SAME_TEMPO = 0.4, 0.04
#: Beats that all the others repeat, when it is asked how sure a metre is.
HEARD_AS = 16
#: Frames around a beat in which its downbeat is looked for: the network was not asked to be more exact.
BESIDE = 3
#: Beats on either side that one is aligned with, where all lie on a line within STEADY s: frames are 20 ms, and cuts want more.
NEIGHBOURS, STEADY = 4, 0.03


@dataclass(frozen=True)
class Activations:
    """What the network says of frames at MEL_RATE, logits: `beat`, `downbeat`, `compound` [M], and log-probabilities `metre` [M, len(BAR_LENGTHS)]."""

    beat: np.ndarray
    downbeat: np.ndarray
    compound: np.ndarray
    metre: np.ndarray

    def at(self, frames: np.ndarray) -> Activations:
        """What it says of beats on some frames: of beat and downbeat the most nearby."""
        near = np.clip(frames[:, None] + np.arange(-BESIDE, BESIDE + 1), 0, max(0, len(self.beat) - 1))
        return Activations(self.beat[near].max(axis=1), self.downbeat[near].max(axis=1), self.compound[frames], self.metre[frames])


@dataclass(frozen=True)
class Pulse:
    """Beats (s, rising), their places in the bar (1 for the first), how sure each is (0-1), all [B]; metres as (start, end, metre, sureness); beats a minute, 0 without any."""

    beats: np.ndarray
    positions: np.ndarray
    sureness: np.ndarray
    metres: list[MetreSpan]
    tempo: float

    def yields_to(self, steady: np.ndarray) -> bool:
        """Whether beats of one tempo (s), if there are any, are to be believed instead."""
        if len(steady) < 2:
            return False
        unsure = not len(self.beats) or float(self.sureness.mean()) < UNSURE
        return unsure or abs(tempo_of(steady) / self.tempo - 1) < SAME_TEMPO


def onset_strength(mel: np.ndarray) -> np.ndarray:
    """How much each frame of mel magnitudes [M, bands] is louder than the last, mean over bands, in units of 20 dB: [M]."""
    decibels = np.log10(np.maximum(mel, 1e-4 * max(float(mel.max(initial=0)), 1e-3)))
    return np.maximum(0, np.diff(decibels, axis=0, prepend=decibels[:1])).mean(axis=1)


def pulse(said: Activations, chords: np.ndarray, duration: float, times: np.ndarray | None = None, positions: np.ndarray | None = None, given: bool = True) -> Pulse:
    """Beats and metre of a recording of `duration` s.

    Args:
        chords: probabilities of chords [F, S] at FRAME_RATE.
        times: beats in place of those heard, s; positions: their places in the bar, likewise; given: somebody wrote them down, so that they are sure.
    """
    frames = path_of_beats(said.beat) if times is None else np.clip(np.round(times * MEL_RATE).astype(int), 0, max(0, len(said.beat) - 1))
    if not len(frames):
        return Pulse(np.zeros(0), np.zeros(0, int), np.zeros(0), [], 0.0)
    heard = said.at(frames)
    sure = 1 / (1 + np.exp(-heard.beat))
    beats = steadied(peaks(said.beat, frames)) if times is None else times
    beats = np.clip(beats, 0, duration)
    begins = SAID * heard.downbeat + CHANGED * change_of_harmony(chords, beats) + BIAS
    kinds = METRE_WEIGHT * (sure[:, None] * heard.metre + np.where(np.array(BAR_LENGTHS) == 2, IN_TWO, 0.0))
    places, lengths = bars(begins, kinds)
    if positions is not None:
        places, lengths = positions, lengths_of(positions)
    if len(beats) < 2:  # no bar, no tempo
        return Pulse(beats, places, sure, [], 0.0)
    sureness = np.ones(len(beats)) if times is not None and given else sure
    return Pulse(beats, places, sureness, metres(beats, lengths, begins, kinds, heard.compound, duration, positions is not None), tempo_of(beats))


def tempo_of(beats: np.ndarray) -> float:
    """Beats a minute; 0 for fewer than two."""
    return 60 / float(np.median(np.diff(beats))) if len(beats) > 1 else 0.0


def change_of_harmony(chords: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """How much the chords that are likely [F, S] from each beat (s) to the next differ from those before it, as a multiple of the mean over all beats, at most MOST_CHANGE: [B].

    The difference is the squared Hellinger distance; compared with the piece's own mean it tells bars better than by itself (AUC 0.83 for 0.82).
    """
    if len(beats) < 2 or not len(chords):
        return np.zeros(len(beats))
    edges = np.append(beats, 2 * beats[-1] - beats[-2])
    first = np.minimum(np.round(edges[:-1] * FRAME_RATE).astype(int), len(chords) - 1)
    after = np.clip(np.round(edges[1:] * FRAME_RATE).astype(int), first + 1, len(chords))
    sums = np.concatenate([np.zeros((1, chords.shape[1])), np.cumsum(chords, axis=0)])
    means = (sums[after] - sums[first]) / (after - first)[:, None]
    changed = np.append(0.0, np.maximum(0, 1 - np.sqrt(means[1:] * means[:-1]).sum(axis=1)))
    return np.minimum(changed / (changed.mean() + LEAST_CHANGE), MOST_CHANGE)


def path_of_beats(logits: np.ndarray) -> np.ndarray:
    """Frames of beats, rising, from log-odds [M]."""
    steps = np.arange(SHORTEST, LONGEST + 1)
    cost = _costs_of_change(steps)
    padded = np.pad(logits, 1, constant_values=-np.inf)
    candidates = np.flatnonzero((logits > LEAST) & (logits >= padded[:-2]) & (logits >= padded[2:]))
    # of the last LONGEST frames: the best path with a beat there whose next one is so many frames later, and the time that led to it
    onward, led, held = np.full((LONGEST + 1, len(steps)), -np.inf), np.zeros((LONGEST + 1, len(steps)), np.int16), np.full(LONGEST + 1, -LONGEST * 2)
    best, chosen = np.zeros(len(candidates)), np.zeros(len(candidates), np.int16)
    came, paused = np.zeros((len(candidates), len(steps)), np.int16), np.full(len(candidates), -1)
    columns, leader = np.arange(len(steps)), -1
    for number, frame in enumerate(candidates):
        rows = (frame - steps) % (LONGEST + 1)
        reached = np.where(held[rows] == frame - steps, onward[rows, columns], -np.inf)
        begun = max(0.0, best[leader] - PAUSE) if leader >= 0 else 0.0
        came[number] = np.where(reached > begun, led[rows, columns], -1)
        paused[number] = leader if leader >= 0 and best[leader] > PAUSE else -1
        values = np.maximum(reached, begun) + logits[frame] + WORTH
        through = values - cost
        place = frame % (LONGEST + 1)
        led[place] = through.argmax(axis=1)
        onward[place], held[place] = through[columns, led[place]], frame
        chosen[number] = values.argmax()
        best[number] = values[chosen[number]]
        leader = number if leader < 0 or best[number] > best[leader] else leader
    if leader < 0 or best[leader] <= 0:  # silence, or what has no beat
        return np.zeros(0, int)
    return _walk_back(candidates, leader, chosen, came, paused, steps)


def _costs_of_change(steps: np.ndarray) -> np.ndarray:
    """What it costs that a time between beats (frames) follows another: [next, last]. One frame more or less is no change, since beats fall on frames."""
    logs = np.log(steps)
    return CHANGE * np.maximum(0, np.abs(logs[:, None] - logs) - 1 / np.minimum(steps[:, None], steps))


def _walk_back(candidates: np.ndarray, number: int, chosen: np.ndarray, came: np.ndarray, paused: np.ndarray, steps: np.ndarray) -> np.ndarray:
    frames: list[int] = []
    step = int(chosen[number]) if number >= 0 else 0
    while number >= 0:
        frames.append(int(candidates[number]))
        last = int(came[number, step])
        if last < 0:
            number = int(paused[number])
            step = int(chosen[number]) if number >= 0 else 0
        else:
            number, step = int(np.searchsorted(candidates, frames[-1] - steps[step])), last
    return np.array(frames[::-1], int)


def peaks(logits: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Times (s) of beats: the top of a parabola through a frame and its neighbours."""
    padded = np.pad(logits, 1, mode="edge")
    left, middle, right = padded[frames], padded[frames + 1], padded[frames + 2]
    bend = left - 2 * middle + right
    moved = np.where((bend < 0) & (middle >= np.maximum(left, right)), 0.5 * (left - right) / np.where(bend < 0, bend, -1), 0.0)
    return (frames + np.clip(moved, -0.5, 0.5)) / MEL_RATE


def steadied(beats: np.ndarray) -> np.ndarray:
    """Beats (s) put on the line of their neighbours, where these keep one tempo."""
    if len(beats) < 2 * NEIGHBOURS + 1:
        return beats
    window = np.lib.stride_tricks.sliding_window_view(beats, 2 * NEIGHBOURS + 1)
    numbers = np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    slope = (window * numbers).sum(axis=1) / (numbers**2).sum()
    line = window.mean(axis=1)[:, None] + slope[:, None] * numbers
    steady = np.abs(window - line).max(axis=1) < STEADY
    moved = beats.copy()
    moved[NEIGHBOURS:-NEIGHBOURS] = np.where(steady, line[:, NEIGHBOURS], moved[NEIGHBOURS:-NEIGHBOURS])
    if steady[0]:
        moved[:NEIGHBOURS] = line[0, :NEIGHBOURS]
    if steady[-1]:
        moved[-NEIGHBOURS:] = line[-1, -NEIGHBOURS:]
    return moved


def bars(downbeat: np.ndarray, metre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place in the bar of each beat, and how many beats that bar has: int [B] both.

    Args:
        downbeat: log-odds that a bar begins with each beat [B]; metre: what speaks for each of BAR_LENGTHS at it, nats [B, len(BAR_LENGTHS)].
    """
    lengths = np.array([length for length in BAR_LENGTHS for _ in range(length)])
    places = np.concatenate([np.arange(length) for length in BAR_LENGTHS])
    kinds = np.repeat(np.arange(len(BAR_LENGTHS)), BAR_LENGTHS)
    first, ends = np.flatnonzero(places == 0), np.flatnonzero(places == lengths - 1)
    begins, goes_on = -np.logaddexp(0, -downbeat), -np.logaddexp(0, downbeat)
    value, came = np.zeros(len(places)), np.zeros((len(downbeat), len(places)), np.int16)
    for beat in range(len(downbeat)):
        if beat:
            came[beat] = np.arange(len(places)) - 1
            came[beat, first] = _before_a_bar(value, ends)
            moved = value[came[beat]]
            moved[first] -= np.where(came[beat, first] == ends, 0.0, np.where(np.isin(came[beat, first], ends), OTHER_METRE, IRREGULAR))
            value = moved
        value = value + np.where(places == 0, begins[beat], goes_on[beat]) + metre[beat, kinds]
    path, state = np.zeros(len(downbeat), int), int(value.argmax())
    for beat in range(len(downbeat) - 1, -1, -1):
        path[beat], state = state, int(came[beat, state])
    return places[path] + 1, lengths[path]


def _before_a_bar(value: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which state comes best before the first beat of each metre: the end of its own bar, of another's, or any."""
    other, anywhere = ends[value[ends].argmax()], int(value.argmax())
    options = np.array([ends, np.full(len(ends), other), np.full(len(ends), anywhere)])
    costs = np.array([0.0, OTHER_METRE, IRREGULAR])[:, None]
    return options[(value[options] - costs).argmax(axis=0), np.arange(len(ends))]


def lengths_of(positions: np.ndarray) -> np.ndarray:
    """How many beats the bar of each beat has, from places in bars [B]: the largest place before the next 1; of a last bar that is cut short, as many as the one before."""
    number = np.cumsum(positions == 1)
    longest = np.zeros(number[-1] + 1, int)
    np.maximum.at(longest, number, positions)
    if len(longest) > 2 and longest[-1] < longest[-2]:
        longest[-1] = longest[-2]
    return longest[number]


def metres(beats: np.ndarray, lengths: np.ndarray, begins: np.ndarray, kinds: np.ndarray, compound: np.ndarray, duration: float, given: bool) -> list[MetreSpan]:
    """Metres over time, from 0 to `duration` s: a span for each run of bars of one length. Given ones are sure of their length.

    Args:
        lengths: of the bar of each beat [B]; begins, kinds: as for `bars`; compound: log-odds that each beat has three parts [B].
    """
    borders = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(beats)]
    spans: list[MetreSpan] = []
    for first, after in zip(borders, borders[1:]):
        length, parts = int(lengths[first]), float(compound[first:after].mean())
        metre = Metre(length, 3 if parts > 0 and length <= 4 else 2)
        start, end = 0.0 if first == 0 else float(beats[first]), duration if after == len(beats) else float(beats[after])
        sureness = 1.0 if given else sure_of_length(begins[first:after], kinds[first:after], length) / (1 + float(np.exp(-abs(parts))))
        if spans and spans[-1][2] == metre:
            start = spans.pop()[0]
        spans.append((start, end, metre, sureness))
    return spans


def sure_of_length(begins: np.ndarray, kinds: np.ndarray, length: int) -> float:
    """How likely bars of a length are among BAR_LENGTHS, 0-1, by what speaks for each with its best first beat, as if there were HEARD_AS beats: what is repeated is said once."""
    worth = [max(begins[first::beats].sum() for first in range(beats)) + kinds[:, number].sum() for number, beats in enumerate(BAR_LENGTHS)]
    logs = np.array(worth) * min(1.0, HEARD_AS / len(begins))
    return float(np.exp(logs[BAR_LENGTHS.index(length)] - np.logaddexp.reduce(logs)))
