"""Training examples from codes: memory-mapped, cropped at bars, described anew for every crop.

Nothing is loaded but what a batch needs; batches depend on (seed, step) alone, so that a resumed run sees what an undisturbed one would see.
Codes are [K, frames] int16, batches [B, K, S] int64 with a mask [B, 1, S] that is False on padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import UserError, read_jsonl
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import Prompt, draw_phrasing


@dataclass(frozen=True)
class Batch:
    """Codes [B, K, S], mask [B, 1, S], prompts and lengths in frames, one each per example."""

    codes: np.ndarray
    mask: np.ndarray
    prompts: list[str]
    frames: list[int]


class CodesDataset:
    """The segments of one split in several shards of codes."""

    def __init__(self, codes: Sequence[Path], split: str) -> None:
        self.arrays = [np.load(path, mmap_mode="r") for path in codes]
        self.rows = [(shard, row) for shard, path in enumerate(codes) for row in read_jsonl(path.with_suffix(".jsonl")) if row["split"] == split]
        if not self.rows:
            raise UserError(f"{', '.join(map(str, codes))}: no segment of split '{split}'")
        self.frames = sum(row["frames"] for _, row in self.rows)

    def batch(self, rng: np.random.Generator, size: int, frames: int, chords: bool) -> Batch:
        """Draw `size` examples of at most `frames` frames; segments are drawn in proportion to their length.

        Args:
            chords: describe the chords; otherwise the instrument alone.
        """
        weights = np.array([row["frames"] for _, row in self.rows], dtype=float)
        drawn = rng.choice(len(self.rows), size, p=weights / weights.sum())
        examples = [self.example(int(index), rng, frames, chords) for index in drawn]
        codes = np.zeros((size, len(self.arrays[0]), frames), np.int64)
        mask = np.zeros((size, 1, frames), bool)
        for i, (crop, _) in enumerate(examples):
            codes[i, :, : crop.shape[1]] = crop
            mask[i, :, : crop.shape[1]] = True
        return Batch(codes, mask, [prompt for _, prompt in examples], [crop.shape[1] for crop, _ in examples])

    def example(self, index: int, rng: np.random.Generator, frames: int, chords: bool) -> tuple[np.ndarray, str]:
        """One crop of whole bars (of frames, if a single bar is longer than allowed) and its prompt."""
        shard, row = self.rows[index]
        bars = row["bars"]
        first = int(rng.integers(_starts(bars, frames)))
        last = first
        while last + 1 < len(bars) and bars[last + 1][1] - bars[first][0] <= frames:
            last += 1
        start, end = bars[first][0], min(bars[last][1], bars[first][0] + frames)
        crop = self.arrays[shard][:, row["start"] + start : row["start"] + end]
        return np.asarray(crop), describe(row, bars[first : last + 1] if chords else [], rng)


def _starts(bars: list[Any], frames: int) -> int:
    """How many bars a crop may begin at, so that it is no shorter than it must be."""
    return 1 + max((i for i in range(len(bars)) if bars[-1][1] - bars[i][0] >= frames), default=0)


def describe(row: dict[str, Any], bars: list[Any], rng: np.random.Generator) -> str:
    """The prompt of some bars of a segment, in a phrasing drawn from `rng`."""
    prompt = Prompt(row["instrument"], tuple(tuple(Chord.parse(name) for name in names) for _, _, names in bars))
    return draw_phrasing(prompt, rng) if bars else prompt.instrument
