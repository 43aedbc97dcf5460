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
    """Measures a recording block by block, in float64."""

    def __init__(self) -> None:
        self.frames, self.loudest = 0, 0.0
        self._sum = self._square = self._least = self._most = np.zeros(0)
        self._channels = 0

    def add(self, block: np.ndarray, rate: int) -> None:
        """A block [T, C] at `rate` (Hz)."""
        views = _views(block)
        if not self.frames:
            self._channels = block.shape[1]
            self._sum, self._square = np.zeros(views.shape[1]), np.zeros(views.shape[1])
            self._least, self._most = np.full(views.shape[1], np.inf), np.full(views.shape[1], -np.inf)
        self.frames += len(block)
        self._sum, self._square = self._sum + views.sum(axis=0), self._square + (views**2).sum(axis=0)
        self._least, self._most = np.minimum(self._least, views.min(axis=0)), np.maximum(self._most, views.max(axis=0))
        self.loudest = max(self.loudest, _loudest_second(block, rate))

    @property
    def levels(self) -> Levels:
        """How what was measured is to be heard."""
        mean = self._sum / self.frames
        power = self._square / self.frames - mean**2
        channels, mix, side = power[: self._channels], power[-2], power[-1]
        offset = mean[: self._channels]
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
        view = {"mean": -2, "side": -1}.get(levels.mix, levels.mix)  # type: ignore[arg-type]
        offset = self._sum[view] / self.frames if levels.offset else 0.0
        return float(max(self._most[view] - offset, offset - self._least[view]))


def _views(block: np.ndarray) -> np.ndarray:
    """Each channel, their mean, and half the difference of the first two (of one: nothing): float64 [T, C + 2]."""
    wide = block.astype(np.float64)
    side = (wide[:, 0] - wide[:, 1]) / 2 if block.shape[1] > 1 else np.zeros(len(wide))
    return np.column_stack([wide, wide.mean(axis=1), side])


def _loudest_second(block: np.ndarray, rate: int) -> float:
    """Largest variance of whole seconds (of the block itself, if it is shorter), mean of the channels: a constant offset is no sound."""
    seconds = max(1, len(block) // rate)
    length = min(rate, len(block))
    return float(block[: seconds * length].astype(np.float64).reshape(seconds, length, -1).var(axis=1).mean(axis=1).max())
