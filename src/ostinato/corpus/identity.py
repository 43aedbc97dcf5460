"""What a recording is known by, whatever it is called and however it is wrapped: a hash that is the same in any process and on any machine."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


class Identity:
    """What a recording is known by, whatever it is called and however it is wrapped."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def begin(self, rate: int, channels: int) -> None:
        """The first sound has this rate (Hz) and so many channels."""

    def packet(self, packet: Any) -> None:
        """A packet of the stream, as it is stored."""

    def samples(self, block: np.ndarray) -> None:
        """A block of the decoded sound, [T, C]."""

    def digest(self) -> str:
        """The identity, once all has been seen."""
        return self._hash.hexdigest()


class Samples(Identity):
    """Of sound kept without loss: 16-bit samples, rate and channels; a FLAC and the WAV it was made from are one recording."""

    def begin(self, rate: int, channels: int) -> None:
        self._hash.update(f"{rate} {channels} ".encode())

    def samples(self, block: np.ndarray) -> None:
        self._hash.update((np.clip(block, -1, 1) * 32767).astype(np.int16).tobytes())


class Packets(Identity):
    """Of coded sound: its packets as they are stored. What a decoder makes of them may differ in the last bit from one processor to the next."""

    def __init__(self, codec: str) -> None:
        super().__init__()
        self._hash.update(f"{codec} ".encode())

    def packet(self, packet: Any) -> None:
        self._hash.update(bytes(packet))


def identity_of(codec: Any) -> Identity:
    """The one that suits a codec of PyAV's."""
    return Samples() if codec.lossless else Packets(codec.canonical_name)
