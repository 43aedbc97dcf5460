"""Where to cut a song: dynamic programming over all places where it could be cut.

Candidates are chord changes, downbeats, the borders of phrases and sections, and the edges of silence. A path through them alternates segments and left-out
music. Minimised is the sum over segments of

    duration / target * length_cost * |ln(duration / target)| + border(start) + border(end) + skip_cost * seconds without a chord

and over left-out stretches of skip_cost * seconds; border(t) adds, where they apply, no_section_cost, off_phrase_cost, off_bar_cost, no_cadence_cost and
mid_chord_cost (see params.yaml). At the edge of a silence ("N") a border costs nothing. Where a chord is unknown ("X") no segment is: nothing could be said of
it that is true. Times in seconds throughout.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import inf, log

import numpy as np

from ostinato.harmony.chords import Chord
from ostinato.params import Segments

Interval = tuple[float, float, Chord]
#: Places this near to one another (s) are one; the beat tracker's own grid is no finer.
TOLERANCE = 0.1


class Places:
    """What a song offers to a knife: sorted times of each sort, and what a border at a time costs."""

    def __init__(
        self,
        downbeats: Sequence[float],
        chords: Sequence[Interval],
        sections: Sequence[tuple[float, float, str]],
        cadences: Sequence[float],
        duration: float,
        params: Segments,
        metre_changes: Sequence[float] = (),
    ) -> None:
        self.params, self.downbeats, self.cadences = params, sorted(downbeats), sorted(cadences)
        self.starts = sorted({*(start for start, _, _ in sections), *(end for _, end, _ in sections[-1:]), *metre_changes})
        self.changes = [start for start, _, _ in chords[1:]]
        sounding = [(start, min(end, duration)) for start, end, chord in chords if chord.is_chord]
        self.edges = [sounding[0][0], sounding[-1][1]] if sounding else []
        pauses = [(start, end) for start, end, chord in chords if chord.root == "N" and end - start > TOLERANCE]
        self.silences = sorted({*self.edges, *(time for pause in pauses for time in pause)})

    def candidates(self) -> list[float]:
        """All places between the first and the last sound, those nearer than the tolerance merged: an edge or a chord change is kept before a downbeat."""
        if not self.edges:
            return []
        first, last = self.edges
        ranked = [(time, rank) for rank, times in enumerate((self.silences, self.changes, self.downbeats, self.starts)) for time in times]
        kept: list[tuple[float, int]] = []
        for time, rank in sorted((time, rank) for time, rank in ranked if first <= time <= last):
            if kept and time - kept[-1][0] <= TOLERANCE:
                kept[-1] = min(kept[-1], (time, rank), key=lambda place: place[1])
            else:
                kept.append((time, rank))
        return [time for time, _ in kept]

    def border_cost(self, time: float) -> float:
        """What it costs to begin or end a segment at `time`."""
        params = self.params
        if _near(self.silences, time):
            return 0.0
        cost = 0.0 if _near(self.changes, time) else params.mid_chord_cost
        if not _near(self.downbeats, time):
            cost += params.off_bar_cost
        if not _near(self.cadences, time):
            cost += params.no_cadence_cost
        if not _near(self.starts, time):
            cost += params.no_section_cost + (params.off_phrase_cost if self._bars_into_section(time) % params.phrase_bars else 0.0)
        return cost

    def _bars_into_section(self, time: float) -> int:
        section = max((start for start in self.starts if start <= time + TOLERANCE), default=0.0)
        return bisect_left(self.downbeats, time - TOLERANCE) - bisect_left(self.downbeats, section - TOLERANCE)


def _near(times: Sequence[float], time: float) -> bool:
    """Whether a sorted list has a time within the tolerance."""
    at = bisect_left(times, time - TOLERANCE)
    return at < len(times) and times[at] <= time + TOLERANCE


def cut(
    downbeats: Sequence[float],
    chords: Sequence[Interval],
    sections: Sequence[tuple[float, float, str]],
    cadences: Sequence[float],
    duration: float,
    params: Segments,
    metre_changes: Sequence[float] = (),
) -> list[tuple[float, float]]:
    """The cheapest segments of one song, as (start, end). Empty when no stretch between the bounds is worth its borders.

    Args:
        cadences: times at which a phrase ends in a cadence; metre_changes: times from which another metre holds, where phrases begin anew as in a section.
    """
    places = Places(downbeats, chords, sections, cadences, duration, params, metre_changes)
    times = places.candidates()
    if len(times) < 2:
        return []
    border = [places.border_cost(time) for time in times]
    silent = _seconds_of(times, [(start, end) for start, end, chord in chords if not chord.is_chord])
    unknown = _seconds_of(times, [(start, end) for start, end, chord in chords if chord.root == "X"])
    best, came = [0.0] + [inf] * (len(times) - 1), [(0, False)] * len(times)
    for j in range(1, len(times)):
        for i in range(j - 1, -1, -1):
            length = times[j] - times[i]
            if length > params.max_seconds and i < j - 1:
                break
            for is_segment, cost in _edges(length, border[i] + border[j], silent[j] - silent[i], i == j - 1, params):
                if is_segment and unknown[j] - unknown[i] > TOLERANCE:
                    continue
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


def _seconds_of(times: list[float], spans: list[tuple[float, float]]) -> list[float]:
    """Seconds of spans before each time."""
    return [sum(max(0.0, min(end, time) - start) for start, end in spans) for time in times]


def _walk_back(times: list[float], came: list[tuple[int, bool]]) -> list[tuple[float, float]]:
    segments, j = [], len(times) - 1
    while j > 0:
        i, is_segment = came[j]
        if is_segment:
            segments.append((times[i], times[j]))
        j = i
    return segments[::-1]


def confidence(start: float, end: float, chords: Sequence[Interval], confidences: Sequence[float]) -> float:
    """Mean confidence of the chords between two times, weighted by duration; 1 where there is none."""
    shares = [max(0.0, min(end, right) - max(start, left)) for left, right, _ in chords]
    return float(np.dot(shares, confidences) / sum(shares)) if sum(shares) > 0 else 1.0


def bars_between(start: float, end: float, downbeats: Sequence[float], chords: Sequence[Interval]) -> list[tuple[float, float, list[Chord]]]:
    """The bars of a segment: (start, end, one chord or two that share it), times relative to the segment's start.

    The chord of a half bar is the one that sounds longest in it; two equal halves are one chord. The middle of a bar of three, five or seven beats lies within one, so
    that a chord is told whether it begins on the beat before or after: a prompt says which two chords share a bar, and never on which beat the second comes.
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
