"""Metres: how many beats a bar has, and whether a beat divides into two or three.

6/8 has two beats, of three eighths each; 3/4 has three, of two each. A beat is what one taps to: in 6/8, 9/8 and 12/8 the dotted quarter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ostinato.files import UserError

#: Upper numbers of compound metres, written over 8 or 16.
COMPOUND = (6, 9, 12)


@dataclass(frozen=True)
class Metre:
    """`beats` to the bar, each of `division` parts: 2, or 3 in compound metres."""

    beats: int
    division: int = 2

    def __str__(self) -> str:
        return f"{3 * self.beats}/8" if self.division == 3 else f"{self.beats}/4"

    @staticmethod
    def parse(text: str) -> Metre:
        """A metre as it is written: `3/4`, `6/8`.

        Raises:
            UserError: it is no such.
        """
        match = re.fullmatch(r"(\d{1,2})/(1|2|4|8|16|32)", text.strip())
        if match is None or int(match[1]) == 0:
            raise UserError(f"metre: found '{text}', expected beats over a note value such as 3/4 or 6/8")
        upper, lower = int(match[1]), int(match[2])
        return Metre(upper // 3, 3) if lower >= 8 and upper in COMPOUND else Metre(upper)


COMMON_TIME = Metre(4)
#: (start, end, metre, how sure it is: 0-1), times in seconds.
MetreSpan = tuple[float, float, Metre, float]


@dataclass(frozen=True)
class BeatGrid:
    """Beats of a piece: `times` (s, rising), `positions` in the bar (1 for the first), `bars` (beats of the bar it is in) and `divisions` (2 or 3 parts a beat), all [B].

    0 stands for what is not known.
    """

    times: np.ndarray
    positions: np.ndarray
    bars: np.ndarray
    divisions: np.ndarray

    @staticmethod
    def of(times: np.ndarray, firsts: np.ndarray, divisions: np.ndarray) -> BeatGrid:
        """From times and whether each is the first of a bar, both [B]. An upbeat counts back from the first bar; how long the last bar is stays unknown."""
        starts = np.flatnonzero(firsts)
        if not len(starts):
            return BeatGrid(times, np.zeros(len(times), int), np.zeros(len(times), int), divisions)
        number = np.cumsum(firsts) - 1
        lengths = np.append(np.diff(starts), 0)
        positions = np.arange(len(times)) - starts[np.maximum(number, 0)] + 1
        usual = int(lengths[0])
        upbeat = number < 0
        positions = np.where(upbeat, np.maximum(usual + positions, 0), positions)
        return BeatGrid(times, positions, np.where(upbeat, usual, lengths[number]), divisions)

    def between(self, start: float, end: float) -> BeatGrid:
        """Beats in [start, end) s, their times from `start` on."""
        kept = (self.times >= start) & (self.times < end)
        return BeatGrid(self.times[kept] - start, self.positions[kept], self.bars[kept], self.divisions[kept])

    def at(self, moved: Callable[[np.ndarray], np.ndarray]) -> BeatGrid:
        """The same beats at other times, which `moved` gives for theirs."""
        return BeatGrid(moved(self.times), self.positions, self.bars, self.divisions)

    @property
    def downbeats(self) -> np.ndarray:
        """Times of first beats, s."""
        return self.times[self.positions == 1]
