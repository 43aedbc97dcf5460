"""What decides a decoder's parameters; apart from the decoder, so that a plan can be made without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """What decides a decoder's parameters. `hidden` is the feed-forward width, `delays` in frames, one for each codebook."""

    dim: int
    layers: int
    heads: int
    hidden: int
    cardinality: int
    delays: tuple[int, ...]
    cross: bool = True
    rotary: bool = False
    dropout: float = 0.0

    @property
    def codebooks(self) -> int:
        """Number of streams."""
        return len(self.delays)
