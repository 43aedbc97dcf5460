"""How a recording is brought to one channel at a sound level: measured while it is decoded, applied whenever it is read.

Two channels in opposite phase cancel when they are mixed, so the louder of mid (L + R) / 2 and side (L - R) / 2 is heard; a constant offset is taken off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

#: An offset (share of full scale) that is taken off: more than converters, the samples of SoundFonts and 8 bits that are cut off leave (0.018 seen).
OFFSET = 0.02
#: The side is heard when it has so many times the power of the mid; instruments far left and right leave the two about equal.
OPPOSITE = 2.0
#: Of more than two channels the loudest is heard when mixing loses so much more power than channels that have nothing in common lose.
CANCELLED = 4.0


@dataclass(frozen=True)
class Levels:
    """`mix`: "mean" of the channels, "side", or the number of a channel; `offset` of each channel, share of full scale, or empty."""

    mix: str | int = "mean"
    offset: tuple[float, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Levels:
        """Those of a row of the table of songs, which has a key `levels` only where they are not plain."""
        levels = row.get("levels", {})
        return cls(levels.get("mix", "mean"), tuple(levels.get("offset", ())))

    @property
    def row(self) -> dict[str, Any]:
        """For the table of songs: nothing where they are plain."""
        return {} if self == Levels() else {"levels": {key: value for key, value in asdict(self).items() if value not in ("mean", ())}}

    def centred(self, block: np.ndarray) -> np.ndarray:
        """Samples [T, C] without their offset."""
        return block - np.array(self.offset, np.float32) if self.offset else block

    def mono(self, block: np.ndarray) -> np.ndarray:
        """Samples [T, C] as one channel [T]."""
        block = self.centred(block)
        if self.mix == "mean":
            return block.mean(axis=1)
        return (block[:, 0] - block[:, 1]) / 2 if self.mix == "side" else block[:, int(self.mix)]


class Meter:
    """Measures a recording block by block: sums, squares and extremes of each channel, of their mean, and of half the difference of the first two."""

    def __init__(self) -> None:
        self.frames, self.loudest, self._channels = 0, 0.0, 0
        self._sum = self._square = self._shift = np.zeros(0)
        self._least, self._most = np.array(np.inf), np.array(-np.inf)

    def add(self, block: np.ndarray, rate: int) -> None:
        """A block [T, C] at `rate` (Hz)."""
        views = _views(block)
        if not self.frames:
            self._channels, self._sum, self._square = block.shape[1], np.zeros(len(views)), np.zeros(len(views))
            self._shift = np.array([view.mean(dtype=np.float64) for view in views], np.float32)  # squares of a large offset would drown what is quiet
        self.frames += len(block)
        self.loudest = max(self.loudest, _loudest_second(views[: self._channels], rate))
        views = [view - shift for view, shift in zip(views, self._shift)]
        self._sum = self._sum + [view.sum(dtype=np.float64) for view in views]
        self._square = self._square + [np.dot(view, view) for view in views]
        self._least, self._most = np.minimum(self._least, [view.min() for view in views]), np.maximum(self._most, [view.max() for view in views])

    @property
    def levels(self) -> Levels:
        """How what was measured is to be heard."""
        mean = self._sum / self.frames
        power = self._square / self.frames - mean**2
        channels, mix, side, offset = power[: self._channels], power[-2], power[-1], (mean + self._shift)[: self._channels]
        how: str | int = "mean"
        if self._channels == 2 and side > OPPOSITE * mix:
            how = "side"
        elif self._channels > 2 and channels.max() > CANCELLED * self._channels * mix:
            how = int(channels.argmax())
        return Levels(how, tuple(round(float(value), 6) for value in offset) if np.abs(offset).max() > OFFSET else ())

    @property
    def peak(self) -> float:
        """The largest sample of what is heard, 1 being full scale."""
        levels = self.levels
        view = {"mean": -2, "side": -1}[levels.mix] if isinstance(levels.mix, str) else levels.mix
        offset = self._sum[view] / self.frames if levels.offset else -float(self._shift[view])
        return float(max(self._most[view] - offset, offset - self._least[view]))


def _views(block: np.ndarray) -> list[np.ndarray]:
    """Each channel of a block [T, C], their mean, and half the difference of the first two (of one: itself again), each [T]; columns are slow to sum."""
    channels = [np.ascontiguousarray(channel) for channel in block.T]
    if len(channels) == 1:
        return [channels[0]] * 3
    return [*channels, block.mean(axis=1), (channels[0] - channels[1]) / 2]


def _loudest_second(channels: list[np.ndarray], rate: int) -> float:
    """Largest variance of whole seconds (of the block itself, if it is shorter), mean of the channels: a constant offset is no sound."""
    length = min(rate, len(channels[0]))
    whole = np.stack([channel[: len(channel) // length * length].reshape(-1, length) for channel in channels])
    whole -= whole.mean(axis=2, keepdims=True)
    return float((np.einsum("cst,cst->cs", whole, whole) / length).mean(axis=0).max())
