"""Which MIDI files are the same music: the same notes, or the same tune in another key, at another tempo, in another setting.

Same notes: equal pitches, and onsets relative to the first that differ by no more than a file's clock rounds. Same tune: half of the runs of eight intervals of
the highest voice, whatever their rhythm, are shared. Sets of runs are compared by their smallest hashes (Broder's MinHash), so that all pairs need not be.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations

import numpy as np

from ostinato.midi.notes import DRUMS, Piece

#: Onsets that differ by less are the same (s): clocks of files differ, and a file moved in time is rounded anew.
TOLERANCE = 0.01
#: Notes that begin within this time are one chord (s).
CHORD = 0.03
#: Intervals in a run, hashes kept of a piece.
RUN, KEPT = 8, 64
#: The same tune shares this part of its runs, and so many.
SAME_SHARE, SAME_LEAST = 0.5, 4
#: Runs that so many tunes share are idioms, such as scales and repeated notes, and say nothing.
IDIOM = 20


def pitches(piece: Piece) -> str:
    """A hash of the pitches alone: equal wherever `same_onsets` can be."""
    order = _order(piece)
    notes = piece.notes[order]
    return hashlib.sha256(np.stack([notes["program"] == DRUMS, notes["pitch"]]).astype(np.int16).tobytes()).hexdigest()


def onsets(piece: Piece) -> np.ndarray:
    """Seconds after the first note, by pitch, then time."""
    starts = piece.notes["start"]
    return starts[_order(piece)] - starts.min()


def same_onsets(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two files with equal `pitches` have the same notes."""
    return bool(np.abs(one - other).max() <= TOLERANCE)


def _order(piece: Piece) -> np.ndarray:
    notes = piece.notes
    return np.lexsort([notes["start"], notes["pitch"], notes["program"] == DRUMS])


def highest(piece: Piece) -> list[int]:
    """Pitches of the highest voice: notes above all that sound as they begin. Of drums alone, the drums."""
    tuned = piece.notes[piece.notes["program"] != DRUMS]
    line: list[int] = []
    at, until, top = -np.inf, -np.inf, -1
    for start, end, pitch in zip(*(tuned[name].tolist() for name in ("start", "end", "pitch"))):
        if start - at < CHORD:  # the chord goes on
            if pitch > top:
                line[-1], top, until = pitch, pitch, end
        elif pitch > top or start > until - CHORD:
            line.append(pitch)
            at, top, until = start, pitch, end
    return line if len(tuned) else piece.notes["pitch"].tolist()


def sketch(piece: Piece) -> tuple[int, ...]:
    """The smallest hashes of the runs of intervals of the highest voice."""
    steps = np.diff(np.array(highest(piece), np.int64)).astype(np.uint64)
    runs = np.lib.stride_tricks.sliding_window_view(steps, RUN) if len(steps) >= RUN else steps[None]
    with np.errstate(over="ignore"):  # hashes wrap around
        hashes = np.full(len(runs), runs.shape[1], np.uint64)
        for column in runs.T:
            hashes = _mixed(hashes * np.uint64(0x100000001B3) ^ column)
    return tuple(np.unique(hashes)[:KEPT].tolist())


def _mixed(hashes: np.ndarray) -> np.ndarray:
    # splitmix64's finish: without it the smallest hashes would be of small intervals
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


class Families:
    """Names joined into families (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def head(self, name: Hashable) -> Hashable:
        """The one that stands for a name's family."""
        while (parent := self._parents.setdefault(name, name)) != name:
            self._parents[name] = self._parents[parent]
            name = parent
        return name

    def join(self, one: Hashable, other: Hashable) -> None:
        """Make two families one."""
        self._parents[self.head(other)] = self.head(one)


def same_tunes(sketches: Sequence[tuple[int, ...]], names: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Pairs of names whose pieces are the same tune."""
    first: dict[tuple[int, ...], int] = {}
    for i, hashes in enumerate(sketches):
        if first.setdefault(hashes, i) != i:
            yield names[first[hashes]], names[i]
    holders: defaultdict[int, list[int]] = defaultdict(list)
    for hashes, i in first.items():
        for value in hashes:
            holders[value].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for pieces in holders.values():
        if len({names[i] for i in pieces}) <= IDIOM:
            shared.update(pair for pair in combinations(pieces, 2) if names[pair[0]] != names[pair[1]])
    for (one, other), count in sorted(shared.items()):
        if count >= max(SAME_LEAST, SAME_SHARE * min(len(sketches[one]), len(sketches[other]))):
            yield names[one], names[other]
