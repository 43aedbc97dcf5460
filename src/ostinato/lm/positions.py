"""What tells a decoder where its steps are: sinusoids, or turns of queries and keys."""

from __future__ import annotations

import torch


def sinusoids(positions: torch.Tensor, dim: int) -> torch.Tensor:
    """Cosines, then sines, of positions [...] at dim / 2 frequencies from 1 to 1 / 10,000: [..., dim]."""
    half = dim // 2
    phase = positions[..., None] / 10_000 ** (torch.arange(half, device=positions.device, dtype=torch.float32) / (half - 1))
    return torch.cat([phase.cos(), phase.sin()], dim=-1)


def turns(positions: torch.Tensor, width: int) -> torch.Tensor:
    """Cosines and sines of rotary positions [S] in heads of a width: [2, S, width / 2]."""
    half = width // 2
    angle = positions[:, None] / 10_000 ** (torch.arange(half, device=positions.device, dtype=torch.float32) / half)
    return torch.stack([angle.cos(), angle.sin()])


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """The halves of [..., S, D] turned against each other by angles that grow with the position."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)
