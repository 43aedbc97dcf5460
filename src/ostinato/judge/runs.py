"""The longest run of symbols that a sequence shares with any of many others, exactly.

The longest run is found by trying lengths, as all windows of one length can be compared at once: a window's polynomial hash modulo 2^64 is a difference of two
prefix sums. A hash that fits is believed only when the symbols do, and equal windows always have equal hashes, so the answer is exact. Three million symbols take
about 25 ms a sample, and 24 bytes each to keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

#: Stands between sequences; no symbol, as these are 0 or more.
BORDER = -1
#: The base of the hash: odd, so that it can be divided by.
BASE = 0x9E3779B97F4A7C15
UNBASE = pow(BASE, -1, 2**64)
#: The first length tried: rare enough to leave few places to look at further.
FIRST = 8
#: Bits of the table that sorts out most places before hashes are compared.
TABLE_BITS = 20


@dataclass(frozen=True)
class Run:
    """A run of `length` symbols from symbol `start` of the sample on, which is in the sequence `source`; of length 0 there is none."""

    length: int
    start: int = 0
    source: str | None = None


class Sequences:
    """Sequences to look for runs in, as (id, symbols), symbols being whole numbers from 0 on. A run does not go on from one to another."""

    def __init__(self, sequences: Iterable[tuple[str, np.ndarray]]) -> None:
        self.ids: list[str] = []
        parts: list[np.ndarray | list[int]] = []
        for name, told in sequences:
            self.ids.append(name)
            parts += [told, [BORDER]]
        self.symbols = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
        self.begins = np.cumsum([0, *(len(part) + 1 for part in parts[::2])])[:-1]
        self.hashes = _Hashes(self.symbols)

    def longest_run(self, sample: np.ndarray, beyond: int = 0) -> Run:
        """The longest run of a sample's symbols that is in one of the sequences; of equally long ones, the first there.

        Args:
            beyond: runs of so many symbols are known already: only longer ones are looked for, which is one look where there is none.
        """
        own = _Hashes(sample)
        best, places, low, high = Run(0), None, beyond, len(sample)
        length, growing = min(low + 1 if low else FIRST, high), True
        while low < high:  # a run of `low` symbols is known, of more than `high` there is none
            here = self._places(own, length, places)
            if found := self._confirm(sample, own, here, length):
                best, places, low = found, here, length  # a longer run begins where a shorter one does
            else:
                high, growing = length - 1, False
            length = min(2 * length, high) if growing else (low + high + 1) // 2
        return best

    def _places(self, own: _Hashes, length: int, places: np.ndarray | None) -> np.ndarray:
        """Where in the sequences, or at which of `places`, the hash is one of the sample's windows of this length."""
        wanted = own.windows(length)
        table = np.zeros(2**TABLE_BITS, bool)
        table[wanted >> np.uint64(64 - TABLE_BITS)] = True
        here = self.hashes.windows(length, places)
        maybe = np.flatnonzero(table[here >> np.uint64(64 - TABLE_BITS)])
        maybe = maybe[np.isin(here[maybe], wanted)]
        return maybe if places is None else places[maybe]

    def _confirm(self, sample: np.ndarray, own: _Hashes, places: np.ndarray, length: int) -> Run | None:
        wanted, here = own.windows(length), self.hashes.windows(length, places)
        for place, value in zip(places, here):
            for start in np.flatnonzero(wanted == value):
                if np.array_equal(self.symbols[place : place + length], sample[start : start + length]):
                    return Run(length, int(start), self.ids[int(np.searchsorted(self.begins, place, "right")) - 1])
        return None


class _Hashes:
    """Hashes of all windows of a sequence: sums of symbol * BASE^place, divided by BASE^(place of the first)."""

    def __init__(self, sequence: np.ndarray) -> None:
        mixed = _mixed(sequence)
        self.sums = np.concatenate([[np.uint64(0)], np.cumsum(mixed * _powers(BASE, len(mixed)), dtype=np.uint64)])
        self.divisors = _powers(UNBASE, len(mixed))

    def windows(self, length: int, places: np.ndarray | None = None) -> np.ndarray:
        """Hashes of the windows of a length that begin at `places` (all, for None; places too near the end have none and are left out at the end)."""
        count = max(0, len(self.divisors) - length + 1)
        if places is None:
            return (self.sums[length : length + count] - self.sums[:count]) * self.divisors[:count]
        places = places[places < count]  # they are sorted: what is left out is at the end
        return (self.sums[places + length] - self.sums[places]) * self.divisors[places]


def _powers(base: int, count: int) -> np.ndarray:
    factors = np.full(count, base, np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)


def _mixed(sequence: np.ndarray) -> np.ndarray:
    """Symbols as 64 bits that look random (splitmix64): a polynomial modulo 2^64 of small numbers would collide."""
    x = sequence.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
