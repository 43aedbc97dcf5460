"""Training examples from words: windows of memory-mapped pieces, varied on the fly, with what is known of the piece in front.

Batches depend on (seed, split, step) alone. Ids are int64 [B, S]; what is counted in the loss is a mask of the same shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.files import UserError
from ostinato.midi.augmentation import Augment
from ostinato.midi.encoding import Gathered, translated
from ostinato.midi.metadata import same_composer
from ostinato.midi.tokens import TIME, Tokenizer
from ostinato.params.midi import Augmentation

#: So much of a window may lie before a piece's first word, so that beginnings are seen more often than their length says.
EARLY_SHARE = 0.25
#: A window's start is looked for in so many words: between two onsets.
SEARCH = 64
#: At most so many of the programs that play are said.
PROGRAMS = 16


@dataclass(frozen=True)
class Windows:
    """Ids and which of them count, each [B, S]."""

    ids: np.ndarray
    counts: np.ndarray


class PiecesDataset:
    """The pieces of one split in all shards, of one composer or of all."""

    def __init__(self, words: Gathered, tokenizer: Tokenizer, split: str, augmentation: Augmentation, composer: str | None = None) -> None:
        self.tokenizer, self.arrays, self.translation = tokenizer, words.arrays, words.translation
        self.augment = Augment(tokenizer, augmentation) if split == "train" and any(augmentation.model_dump().values()) else None
        self.rows = [row for row in words.rows if row["split"] == split and same_composer(composer, row["composer"])]
        if not self.rows:
            raise UserError(f"no piece of split '{split}'" + (f" by {composer}" if composer else "") + " among those that have words")
        lengths = np.array([row["length"] for row in self.rows], float)
        self.words, self.shares = int(lengths.sum()), lengths / lengths.sum()
        kinds = np.where(self.translation >= 0, tokenizer.kinds[self.translation], "")  # of the shards' words
        self.silent, self.names_program = np.isin(kinds, TIME), kinds == "Program"

    def batch(self, rng: np.random.Generator, size: int, context: int, dropout: float) -> Windows:
        """`size` windows of up to `context` + 1 ids, padded to the longest; pieces are drawn in proportion to their length."""
        ids = np.full((size, context + 1), self.tokenizer.padding)
        counts = np.zeros((size, context + 1), bool)
        for i, index in enumerate(rng.choice(len(self.rows), size, p=self.shares)):
            prefix, words = self.example(int(index), rng, context, dropout)
            ids[i, : len(prefix)], ids[i, len(prefix) : len(prefix) + len(words)] = prefix, words
            counts[i, len(prefix) : len(prefix) + len(words)] = True
        longest = int(np.flatnonzero(counts.any(axis=0))[-1]) + 1  # nobody needs padding that all rows have
        return Windows(ids[:, :longest], counts[:, :longest])

    def example(self, index: int, rng: np.random.Generator, context: int, dropout: float) -> tuple[list[int], np.ndarray]:
        """A window's prefix and its words."""
        row = self.rows[index]
        first = self._start(row, int(rng.integers(-int(EARLY_SHARE * context), row["length"])))
        prefix = self.prefix(row, rng, dropout, begins=first == 0)
        # a merged word holds several single ones, a slower tempo takes more of them than were taken out
        room = context + 1 - len(prefix)
        last = min(row["length"], first + (4 if self.tokenizer.merges else 1) * room)
        spoken = self.arrays.of(row, first, last)
        if first:
            spoken = np.concatenate([self._program(row, first), spoken])
        words = translated(spoken, self.translation)
        if self.augment:
            words = self.augment(words, rng)
        words = self.tokenizer.merged(words)
        if last == row["length"]:
            words = np.append(words, self.tokenizer.end)
        return prefix, words[:room]

    def prefix(self, row: dict[str, Any], rng: np.random.Generator, dropout: float, begins: bool) -> list[int]:
        """What is known of a piece, each left out now and then, and now and then all of it."""
        said = rng.random(3) >= dropout if rng.random() >= dropout else np.zeros(3, bool)
        programs = sorted({program for other in row["programs"] if (program := self.tokenizer.nearest_program(other)) in self.tokenizer.programs})[:PROGRAMS]
        composer, genre = (value if value and self.tokenizer.knows(kind, value) else None for kind, value in (("Composer", row["composer"]), ("Genre", row["genre"])))
        return self.tokenizer.prefix(composer if said[0] else None, genre if said[1] else None, programs if said[2] else None, begins)

    def _start(self, row: dict[str, Any], place: int) -> int:
        """The next word at or after `place` that comes after a shift of time, between two onsets; 0 where there is none near."""
        if place <= 0:
            return 0
        near = self.silent[self.arrays.of(row, place - 1, min(place + SEARCH, row["length"]))]
        found = np.flatnonzero(near[:-1] & ~near[1:])
        return place + int(found[0]) if len(found) else 0

    def _program(self, row: dict[str, Any], first: int) -> np.ndarray:
        """The word of the program that plays at a window's start, where programs are words."""
        before = self.arrays.of(row, 0, first)
        return before[np.flatnonzero(self.names_program[before])[-1:]]
