"""How long a run of consecutive notes was copied from the training set.

Notes are taken in order of (onset, pitch), whatever plays them, drums left out. A note is told by its interval to the note before and by the time between
their onsets in steps of GRID; so a copy is found in any transposition, and not where it is played at another tempo: `rhythm=False` looks at intervals alone,
which bounds from above what a tempo can hide. A run does not go on from one piece to another; it is found exactly (see judge.runs).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ostinato.judge.runs import Sequences
from ostinato.midi.notes import DRUMS, Piece

#: s; more than the rounding of a tokenizer's grid, less than what tells rhythms apart.
GRID = 0.03
#: Steps beyond this are one.
LONGEST_STEPS = 4095


@dataclass(frozen=True)
class Copy:
    """A run of `notes` notes from note `start` of the sample on, which is in piece `source` of the training set; 0 notes where no two follow one another so."""

    notes: int
    start: int = 0
    source: str | None = None


def symbols(piece: Piece, rhythm: bool = True) -> np.ndarray:
    """What tells each pitched note but the first from the note before: int64, one fewer than there are notes."""
    notes = piece.notes[piece.notes["program"] != DRUMS]
    notes = notes[np.lexsort([notes["pitch"], notes["start"]])]
    intervals = np.diff(notes["pitch"].astype(np.int64)) + 128
    # a time that lies between two steps goes up, although its float may be a little less
    steps = np.minimum(np.floor(np.diff(notes["start"]) / GRID + 0.5 + 1e-6), LONGEST_STEPS).astype(np.int64)
    return intervals * (LONGEST_STEPS + 1) + steps * rhythm


class TrainingSet:
    """Pieces to look for copies in, as (id, symbols)."""

    def __init__(self, pieces: Iterable[tuple[str, np.ndarray]]) -> None:
        self.sequences = Sequences(pieces)

    def longest_copy(self, sample: np.ndarray) -> Copy:
        """The longest run of a sample's symbols that is in the training set; of equally long ones, the first in the training set."""
        run = self.sequences.longest_run(sample)
        return Copy(run.length + 1, run.start, run.source) if run.length else Copy(0)
