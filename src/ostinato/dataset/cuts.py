"""Where to cut a song: dynamic programming over the chord changes that fall on bars.

Candidates are the downbeats at which the heard chord changes, and downbeats on section borders where it changes too: nothing is ever cut in
mid-chord. A path through the candidates alternates segments and left-out music. Minimised is the sum over segments of

    duration / target * length_cost * |ln(duration / target)| + border(start) + border(end) + skip_cost * seconds without a chord

and over left-out stretches of skip_cost * seconds; border(t) adds no_section_cost and off_phrase_cost where they apply.
Times in seconds throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log

import numpy as np

from ostinato.params import Segments
from ostinato.theory import Chord

Interval = tuple[float, float, Chord]
#: A chord change this near to a downbeat (s) falls on it; the beat tracker's own grid is no finer.
TOLERANCE = 0.1


def candidates(downbeats: Sequence[float], chords: Sequence[Interval], duration: float) -> list[float]:
    """Downbeats where the chord changes, and the outer edges of what sounds."""
    changes = [start for (start, _, _) in chords[1:]]
    sounding = [(start, end) for start, end, chord in chords if chord.is_chord]
    if not sounding:
        return []
    edges = [sounding[0][0], min(sounding[-1][1], duration)]
    on_bars = [beat for beat in downbeats if any(abs(beat - change) <= TOLERANCE for change in changes)]
    cuts = sorted(beat for beat in on_bars if edges[0] - TOLERANCE <= beat <= edges[1] + TOLERANCE)
    return _distinct([edges[0], *cuts, edges[1]], preferred=set(cuts))


def _distinct(times: list[float], preferred: set[float]) -> list[float]:
    """Merge candidates nearer than the tolerance, keeping the one that is a downbeat."""
    kept: list[float] = []
    for time in sorted(times):
        if kept and time - kept[-1] <= TOLERANCE:
            kept[-1] = time if time in preferred else kept[-1]
        else:
            kept.append(time)
    return kept


def cut(downbeats: Sequence[float], chords: Sequence[Interval], sections: Sequence[tuple[float, float, str]], duration: float,
        params: Segments) -> list[tuple[float, float]]:
    """The cheapest segments of one song, as (start, end). Empty when no stretch between the bounds begins and ends on a candidate."""
    times = candidates(downbeats, chords, duration)
    if len(times) < 2:
        return []
    border = [_border_cost(time, downbeats, sections, params) for time in times]
    silent = _silence(times, chords)
    best, came = [0.0] + [inf] * (len(times) - 1), [(0, False)] * len(times)
    for j in range(1, len(times)):
        for i in range(j - 1, -1, -1):
            length = times[j] - times[i]
            if length > params.max_seconds and i < j - 1:
                break
            for is_segment, cost in _edges(length, border[i] + border[j], silent[j] - silent[i], i == j - 1, params):
                if best[i] + cost < best[j]:
                    best[j], came[j] = best[i] + cost, (i, is_segment)
    return _walk_back(times, came)


def _edges(length: float, borders: float, silent: float, neighbours: bool, params: Segments) -> list[tuple[bool, float]]:
    """(is a segment, cost) for each way of going from one candidate to another."""
    edges = [(False, params.skip_cost * length)] if neighbours else []
    if params.min_seconds <= length <= params.max_seconds:
        shape = length / params.target_seconds * params.length_cost * abs(log(length / params.target_seconds))
        edges.append((True, shape + borders + params.skip_cost * silent))
    return edges


def _silence(times: list[float], chords: Sequence[Interval]) -> list[float]:
    """Seconds without a chord before each time."""
    silences = [(start, end) for start, end, chord in chords if not chord.is_chord]
    return [sum(max(0.0, min(end, time) - start) for start, end in silences) for time in times]


def _border_cost(time: float, downbeats: Sequence[float], sections: Sequence[tuple[float, float, str]], params: Segments) -> float:
    starts = [start for start, _, _ in sections] + [end for _, end, _ in sections[-1:]]
    if not starts or not len(downbeats):
        return params.no_section_cost
    section = max((start for start in starts if start <= time + TOLERANCE), default=starts[0])
    if abs(section - time) <= TOLERANCE:
        return 0.0
    beats = np.asarray(downbeats)
    bars = int(np.argmin(np.abs(beats - time))) - int(np.argmin(np.abs(beats - section)))
    return params.no_section_cost + (params.off_phrase_cost if bars % params.phrase_bars else 0.0)


def _walk_back(times: list[float], came: list[tuple[int, bool]]) -> list[tuple[float, float]]:
    segments, j = [], len(times) - 1
    while j > 0:
        i, is_segment = came[j]
        if is_segment:
            segments.append((times[i], times[j]))
        j = i
    return segments[::-1]


def bars_between(start: float, end: float, downbeats: Sequence[float], chords: Sequence[Interval]) -> list[tuple[float, float, list[Chord]]]:
    """The bars of a segment: (start, end, one chord or two that share it), times relative to the segment's start.

    The chord of a half bar is the one that sounds longest in it; two equal halves are one chord.
    """
    inner = [beat for beat in downbeats if start + TOLERANCE < beat < end - TOLERANCE]
    edges = [start, *inner, end]
    bars = []
    for left, right in zip(edges, edges[1:]):
        middle = (left + right) / 2
        halves = [_longest(left, middle, chords), _longest(middle, right, chords)]
        names = halves[:1] if halves[0].same_sound(halves[1]) else halves
        bars.append((left - start, right - start, names))
    return bars


def _longest(start: float, end: float, chords: Sequence[Interval]) -> Chord:
    overlaps: dict[Chord, float] = {}
    for left, right, chord in chords:
        overlaps[chord] = overlaps.get(chord, 0.0) + max(0.0, min(end, right) - max(start, left))
    return max(overlaps, key=lambda chord: overlaps[chord], default=Chord("N", ""))
