"""Beats that somebody wrote down: lines of a time (s) and the place in the bar, 1 for the first, as mirdata reads them, or of a time alone.

Metre is whatever the places say. Where they do not count beats of a bar, the times are believed and the places heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ostinato.corpus.labels import FEWEST_COVERED, excerpt, refuse_beyond, unit
from ostinato.corpus.timed_tables import read_timed_table
from ostinato.files import UserError

#: More beats make no bar: such numbers count beats from the beginning.
LONGEST_BAR = 16
#: This share of the places must follow the one before, or begin a bar, for all to be believed.
COUNTED = 0.8


@dataclass(frozen=True)
class Beats:
    """Times of beats, s [B], and their places in the bar, 1 for the first [B]; None where only times are known."""

    times: np.ndarray
    positions: np.ndarray | None

    def until(self, duration: float) -> Beats:
        """Those up to a time, s."""
        kept = self.times <= duration
        return Beats(self.times[kept], None if self.positions is None else self.positions[kept])


@dataclass(frozen=True)
class BeatEntry:
    """What stands in one place (`line 3`, `beat 3`) of a file: a time (s) and a place in the bar, None where there is none, and all of it as found."""

    place: str
    time: float | None
    position: float | None
    found: str


def beat_entries(path: Path | str) -> list[BeatEntry]:
    """The beats of a text file. Raises UserError where it is no text."""
    rows = ((row, (*row.numbers, None, None)) for row in read_timed_table(path).rows)
    return [BeatEntry(f"line {row.line}", numbers[0], numbers[1], row.raw) for row, numbers in rows]


def beats_of(entries: list[BeatEntry], duration: float) -> tuple[Beats, list[str]]:
    """Beats, rising, and what is wrong with entries.

    Raises:
        UserError: these cannot be the beats of a song of `duration` s.
    """
    kept: list[tuple[float, BeatEntry]] = []  # with their times
    problems = []
    for entry in entries:
        if entry.time is not None and not math.isfinite(entry.time):
            raise UserError(f"{entry.place}: found '{excerpt(entry.found)}', expected times in seconds that are numbers")
        if entry.time is None or (kept and entry.time <= kept[-1][0]):
            problems.append(f"{entry.place}: found '{excerpt(entry.found)}', expected a time" + (f" after {kept[-1][0]:g} s" if kept else " in seconds"))
        else:
            kept.append((entry.time, entry))
    _refuse_strange([time for time, _ in kept], problems, duration)
    kept = [(time, entry) for time, entry in kept if 0 <= time <= duration]
    positions, strange = _positions([entry for _, entry in kept])
    return Beats(np.array([time for time, _ in kept]), positions), problems + strange


def _refuse_strange(times: list[float], problems: list[str], duration: float) -> None:
    first = f"; {len(problems)} lines cannot be used, first {problems[0]}" if problems else ""
    end = times[-1] if times else 0.0
    refuse_beyond(end, duration)
    inside = [time for time in times if 0 <= time <= duration]
    if len(inside) < 2:
        raise UserError(f"found {len(inside)} beats within the song, expected at least 2{first}")
    if inside[-1] - inside[0] < FEWEST_COVERED * duration:
        raise UserError(f"beats from {inside[0]:.3g} to {inside[-1]:.3g} s in a song of {duration:.1f} s{unit(end, duration)}{first}")


def _positions(kept: list[BeatEntry]) -> tuple[np.ndarray | None, list[str]]:
    """Places in the bar, if they count beats, else None; and what is wrong with some, which are counted from those around them."""
    if all(entry.position is None for entry in kept):
        return None, []
    found = [entry.position if entry.position in range(1, LONGEST_BAR + 1) else None for entry in kept]
    wrong = [entry for entry, position in zip(kept, found) if position is None]
    listed = [f"{entry.place}: found '{excerpt(entry.found)}', expected a place in the bar from 1 to {LONGEST_BAR}" for entry in wrong]
    pairs = list(zip(found, found[1:]))
    if sum(one is not None and other is not None and other in (one + 1, 1) for one, other in pairs) < COUNTED * len(pairs):
        told = listed[0] if listed else f"found places such as {', '.join(f'{place:g}' for place in found[:5])}, expected 1, 2, 3, 4, 1, ..."
        return None, [f"{told}; these do not count the beats of a bar, which are heard instead"]
    before = 0.0
    for place, position in enumerate(found):
        if position is None:
            after = next((later for later in found[place + 1 : place + 2] if later), 1)
            position = found[place] = after - 1 if after > 1 else before + 1
        before = position
    return np.array(found, int), listed
