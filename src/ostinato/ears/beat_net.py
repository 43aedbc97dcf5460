"""The network that hears beats: mel magnitudes in; of each frame, whether a beat and whether a bar begins with it, how long the bar is, how a beat divides.

Convolutions find onsets of all kinds, then dilated convolutions look back and ahead over half a minute (temporal convolutions: Davies & Böck, "Temporal convolutional
networks for musical audio beat tracking", EUSIPCO 2019; all of it told together: Böck & Davies, "Deconstruct, analyse, reconstruct", ISMIR 2020).

In: magnitudes [B, T, BEAT_BANDS] at features.MEL_RATE, scaled so that a recording's loud frames have RMS 1. Out: a dict of logits: `beat` and `downbeat` [B, T], `metre`
[B, T, len(BAR_LENGTHS)], `compound` [B, T].
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ostinato.ears import features
from ostinato.ears.labels import BAR_LENGTHS
from ostinato.ears.nets import compress


class Dilated(nn.Module):
    """A residual layer over frames that lie `dilation` apart: [B, T, width]. Products of matrices, which a CPU computes faster than dilated convolutions."""

    REACH = 2

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear((2 * self.REACH + 1) * width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reach, length = self.REACH * self.dilation, x.shape[1]
        padded = functional.pad(self.norm(x), (0, 0, reach, reach))
        around = torch.cat([padded[:, step * self.dilation : step * self.dilation + length] for step in range(2 * self.REACH + 1)], dim=2)
        return x + self.out(functional.gelu(self.mix(around)))


class BeatNet(nn.Module):
    """See the module."""

    DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 4, 16, 64)

    def __init__(self, width: int = 128, stem: int = 16) -> None:
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv2d(1, stem, (3, 5), stride=(1, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(stem),
            nn.GELU(),
            nn.Conv2d(stem, 2 * stem, (3, 5), stride=(1, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(2 * stem),
            nn.GELU(),
            nn.Conv2d(2 * stem, 2 * stem, (3, 3), stride=(1, 2), padding=1, bias=False),
            nn.BatchNorm2d(2 * stem),
            nn.GELU(),
        )
        self.inner = nn.Sequential(nn.Linear(2 * stem * features.BEAT_BANDS // 8, width), nn.Dropout(0.1))
        self.layers = nn.ModuleList(Dilated(width, dilation) for dilation in self.DILATIONS)
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, 3 + len(BAR_LENGTHS))

    def forward(self, spectrum: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.front(compress(spectrum)[:, None])
        x = self.inner(x.permute(0, 2, 1, 3).flatten(2))
        for layer in self.layers:
            x = layer(x)
        found = self.heads(self.norm(x))
        return {"beat": found[..., 0], "downbeat": found[..., 1], "compound": found[..., 2], "metre": found[..., 3:]}
