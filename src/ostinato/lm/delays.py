"""The delay pattern of MusicGen (Copet et al., 2023): codebook k is delayed by `delays[k]` frames.

Codes are int64 [B, K, T]: B examples, K codebooks, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def delayed(codes: torch.Tensor, delays: Sequence[int], filling: int) -> torch.Tensor:
    """Codes [B, K, T] with codebook k moved right by `delays[k]`: [B, K, T]; what is moved in is `filling`, what is moved out is gone."""
    moved = torch.full_like(codes, filling)
    for k, delay in enumerate(delays):
        moved[:, k, delay:] = codes[:, k, : codes.shape[2] - delay]
    return moved


def inputs_and_targets(codes: torch.Tensor, mask: torch.Tensor, delays: Sequence[int], special: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a decoder is shown of codes [B, K, T], what it is to say to it, and where that counts, each [B, K, T].

    Step s is shown the codes of step s - 1, the first one nothing. `mask` (bool, [B, 1 or K, T]) is False on padding. As in audiocraft (keep_only_valid_steps),
    the last delays[k] codes of codebook k are not asked for: their steps would lie beyond the T-th.
    """
    targets = delayed(codes, delays, special)
    counts = delayed(mask.expand_as(codes).long(), delays, 0).bool()
    shown = torch.cat([torch.full_like(targets[:, :, :1], special), targets[:, :, :-1]], dim=2)
    return shown, targets, counts
