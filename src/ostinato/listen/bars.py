"""Bars as form, cadences and cuts count them: a lone wrong downbeat is put right, and a change of metre counts where it lasts.

Phrases are counted in bars. A downbeat that was heard once too often, once too seldom or a beat beside its place, between bars that agree with each other,
would put every border of its section off its phrase. A bar of another length that stays by itself (2/4 for once) or for good (3/4 from here) is left as it is.
Times in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.harmony.metres import Metre, MetreSpan

#: Bars are as long as each other within this share: less than half a beat of any metre up to 4, and more than what a tempo drifts in three bars.
ALIKE = 0.12
#: A metre that lasts fewer bars is no change of metre.
SETTLED_BARS = 4


def regular(downbeats: Sequence[float] | np.ndarray) -> list[float]:
    """Starts of bars, rising: `downbeats` without those that split a bar, with those that were missed between two, and with those beside their place moved.

    One or two strange bars are put right where the bars before and after them are equally long, and they are together one such bar or two.
    """
    times = [float(time) for time in downbeats]
    kept, at = times[:2], 1  # the last kept is times[at]
    while at + 1 < len(times):
        starts, at = _next(times, at, kept[-1] - kept[-2])
        kept += starts
    return kept


def _next(times: list[float], at: int, bar: float) -> tuple[list[float], int]:
    """The next starts of bars after times[at], and the place of the last of them in `times`, where the bar before lasts `bar`."""
    for last in (at + 1, at + 2):  # without a downbeat between, and with one
        if last + 1 >= len(times) or not _alike(times[last + 1] - times[last], bar) or _alike(times[at + 1] - times[at], bar):
            continue
        length = times[last] - times[at]
        if last > at + 1 and _alike(length, bar):
            return [times[last]], last
        if _alike(length, 2 * bar):
            return [(times[at] + times[last]) / 2, times[last]], last
    return [times[at + 1]], at + 1


def _alike(length: float, other: float) -> bool:
    return abs(length - other) <= ALIKE * other


def changes(metres: Sequence[MetreSpan], downbeats: Sequence[float] | np.ndarray) -> list[float]:
    """When another metre begins, for at least SETTLED_BARS bars after as many of the one before; spans as `Heard.metres` has them."""
    starts = np.asarray(downbeats, float)
    settled = [(start, metre) for start, end, metre, _ in metres if ((starts >= start - 1e-3) & (starts < end - 1e-3)).sum() >= SETTLED_BARS]
    return [start for (start, metre), (_, before) in zip(settled[1:], settled) if metre != before]


def counted(beats: Sequence[float], positions: Sequence[float], duration: float) -> list[MetreSpan]:
    """The metres that places in the bar count, as `Heard.metres` has them over 0..duration (s): bars of as many beats, one after another; none without a whole bar.

    Places do not tell how beats divide, so 6/8 is 2/4 here. A bar of another length that stays by itself is a metre of its own.
    """
    first = [number for number, position in enumerate(positions) if position == 1]
    spans: list[tuple[float, Metre]] = []
    for start, after in zip(first, first[1:]):
        if not spans or spans[-1][1].beats != after - start:
            spans.append((beats[start] if spans else 0.0, Metre(after - start)))
    ends = [*(start for start, _ in spans[1:]), duration]
    return [(start, end, metre, 1.0) for (start, metre), end in zip(spans, ends)]
