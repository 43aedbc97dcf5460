"""Training examples from codes: memory-mapped, cropped at bars, described anew for every crop.

Nothing is loaded but what a batch needs; batches depend on (seed, step) alone, so that a resumed run sees what an undisturbed one would see.
Codes are [K, frames] int16, batches [B, K, S] int64 with a mask [B, 1, S] that is False on padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ostinato.codec.encoding import Table
from ostinato.files import UserError
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import Prompt, draw_phrasing
from ostinato.params.blocks import SPLITS


@dataclass(frozen=True)
class Batch:
    """Codes [B, K, S], mask [B, 1, S], prompts and lengths in frames, one each per example."""

    codes: np.ndarray
    mask: np.ndarray
    prompts: list[str]
    frames: list[int]


class CodesDataset:
    """The segments of one split in all shards, in the order of their ids.

    Args:
        shuffled: a seed, by which each segment is described by the chords of another (and by its own instrument): what a control learns from.

    Raises:
        UserError: there is no segment of the split.
    """

    def __init__(self, table: Table, split: str, shuffled: int | None = None) -> None:
        self.table, self.rows = table, table.rows[table.rows["split"] == SPLITS.index(split)]
        if not len(self.rows):
            raise UserError(f"{table.codes[0].parent}: no segment of split '{split}' in the codes there")
        # a mapped file is an open one, of which a process may have a thousand or so: the last few stay
        self._codes = lru_cache(maxsize=64)(lambda shard: np.load(table.codes[shard], mmap_mode="r"))
        self.frames = int(self.rows["frames"].sum())
        ends = (self.rows["frames"] / self.frames).cumsum()
        self.ends = ends / ends[-1]
        self.codebooks = len(self._codes(int(self.rows[0]["shard"])))
        self.described_by = None if shuffled is None else derangement(len(self.rows), shuffled)

    def batch(self, rng: np.random.Generator, size: int, frames: int, chords: bool) -> Batch:
        """Draw `size` examples of at most `frames` frames; segments are drawn in proportion to their length.

        Args:
            chords: describe the chords; otherwise the instrument alone.
        """
        drawn = self.ends.searchsorted(rng.random(size), side="right")  # rng.choice(..., p=) adds up all shares for every batch: 6 ms of a million segments
        examples = [self.example(int(index), rng, frames, chords) for index in drawn]
        codes = np.zeros((size, self.codebooks, frames), np.int64)
        mask = np.zeros((size, 1, frames), bool)
        for i, (crop, _) in enumerate(examples):
            codes[i, :, : crop.shape[1]] = crop
            mask[i, :, : crop.shape[1]] = True
        return Batch(codes, mask, [prompt for _, prompt in examples], [crop.shape[1] for crop, _ in examples])

    def example(self, index: int, rng: np.random.Generator, frames: int, chords: bool) -> tuple[np.ndarray, str]:
        """One crop of whole bars (of frames, if a single bar is longer than allowed) and its prompt."""
        place = self.rows[index]
        row = self.table.line(place)
        bars = row["bars"]
        first = int(rng.integers(_starts(bars, frames)))
        last = first
        while last + 1 < len(bars) and bars[last + 1][1] - bars[first][0] <= frames:
            last += 1
        start, end = bars[first][0], min(bars[last][1], bars[first][0] + frames)
        crop = self._codes(int(place["shard"]))[:, row["start"] + start : row["start"] + end]
        if self.described_by is not None:
            bars = self.table.line(self.rows[self.described_by[index]])["bars"]
            first, last = max(0, min(first, len(bars) - 1 - last + first)), min(last, len(bars) - 1)
        return np.asarray(crop), describe(row, bars[first : last + 1] if chords else [], rng)


def derangement(count: int, seed: int) -> np.ndarray:
    """For each of so many the number of another, each named once, in one random circle: int [count]."""
    circle = np.random.default_rng(seed).permutation(count)
    others = np.empty(count, int)
    others[circle] = np.roll(circle, 1)
    return others


def _starts(bars: list[Any], frames: int) -> int:
    """How many bars a crop may begin at, so that it is no shorter than it must be."""
    return 1 + max((i for i in range(len(bars)) if bars[-1][1] - bars[i][0] >= frames), default=0)


def describe(row: dict[str, Any], bars: list[Any], rng: np.random.Generator) -> str:
    """The prompt of some bars of a segment, in a phrasing drawn from `rng`."""
    prompt = Prompt(row["instrument"], tuple(tuple(Chord.parse(name) for name in names) for _, _, names in bars))
    return draw_phrasing(prompt, rng) if bars else prompt.instrument
