"""The two networks for chords: what a frame's spectrum says of chord, bass and notes (instruments: ears.instrument_net; beats: ears.beat_net).

- `PitchNet`, the labeller: constant-Q in; harmonics are stacked as channels, octaves folded onto a circle of twelve pitch classes, and everything after
  treats all pitch classes alike (circular convolutions), dilated in time. What is learnt of C is known of F#. (Stacked harmonics:
  Bittner et al., "Deep salience", ISMIR 2017.)
- `RecurrentNet`, the judge: log-frequency spectrum in; plain convolutions, then gated recurrent units in both directions, nothing equivariant
  (as McFee & Bello, "Structured training for large-vocabulary chord recognition", ISMIR 2017).

Inputs are linear magnitudes [B, T, bins], scaled so that a recording's loud frames have RMS 1 (`loudness`). The chord networks give a dict of logits:
`chord` [B, T, 12 * Q + 1] (quality-major: index quality * 12 + root; last is no chord), `bass` [B, T, 13] (last is none), `pitches` [B, T, 12].
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from ostinato.ears import features
from ostinato.ears.labels import QUALITIES

#: Magnitudes are compressed as log(1 + COMPRESSION * x).
COMPRESSION = 30.0
OCTAVES = 8


def compress(spectrum: torch.Tensor) -> torch.Tensor:
    """Logarithm that is linear near silence."""
    return torch.log1p(COMPRESSION * spectrum)


class PitchBlock(nn.Module):
    """Circular convolution over all twelve pitch classes, then a dilated one over time, residual. [B, width, 12, T].

    One after the other they cost less than half of what one kernel of both would, so that the net may be wider.
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, width, (12, 1), bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.time = nn.Conv2d(width, width, (1, 3), dilation=(1, dilation), padding=(0, dilation), bias=False)
        self.time_norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = functional.gelu(self.norm(self.mix(torch.cat([x, x[:, :, :11]], dim=2))))
        return x + self.drop(functional.gelu(self.time_norm(self.time(mixed))))


class PitchNet(nn.Module):
    """See the module. From its first layer on it has a value a semitone; where between them a partial lies is in the channels of that layer."""

    HARMONICS = (0.5, 1, 2, 3, 4, 5, 6, 7)
    DILATIONS = (1, 2, 4, 8, 2, 1)

    def __init__(self, width: int = 64, stem: int = 16, stacked: int = 48) -> None:
        super().__init__()
        self.shifts = [round(12 * math.log2(harmonic)) for harmonic in self.HARMONICS]
        self.local = nn.Conv2d(3, stem, (7, 3), stride=(2, 1), padding=(3, 1), bias=False)
        self.local_norm = nn.BatchNorm2d(stem)
        self.harmonic = nn.Conv2d(stem * len(self.shifts), stacked, 1, bias=False)
        self.harmonic_norm = nn.BatchNorm2d(stacked)
        self.fold = nn.Conv2d(stacked, width, (OCTAVES, 1), dilation=(12, 1), bias=False)  # a row of each octave
        self.fold_norm = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList(PitchBlock(width, dilation) for dilation in self.DILATIONS)
        self.chord = nn.Conv2d(width, len(QUALITIES), 1)
        self.bass = nn.Conv2d(width, 1, 1)
        self.pitch = nn.Conv2d(width, 1, 1)
        self.nothing = nn.Sequential(nn.Conv1d(2 * width, 48, 1), nn.GELU(), nn.Conv1d(48, 2, 1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on the CPU

    def kernels(self) -> list[str]:
        """The parameters that Muon trains (train.optimizers): kernels of all convolutions but the last ones."""
        return _kernels(self)

    def forward(self, spectrum: torch.Tensor) -> dict[str, torch.Tensor]:
        x = compress(spectrum).transpose(1, 2)[:, None]
        below = torch.log1p(torch.cumsum(spectrum, dim=2)).transpose(1, 2)[:, None]  # nothing lower sounds: this is the bass
        contrast = x - functional.avg_pool2d(x, (25, 1), stride=1, padding=(12, 0))
        x = functional.gelu(self.local_norm(self.local(torch.cat([x, contrast, below], dim=1))))
        x = functional.gelu(self.harmonic_norm(self.harmonic(torch.cat([_shifted(x, shift) for shift in self.shifts], dim=1))))
        x = functional.gelu(self.fold_norm(self.fold(functional.pad(x, (0, 0, 0, 12 * OCTAVES - x.shape[2])))))
        for block in self.blocks:
            x = block(x)
        nothing = self.nothing(torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)).transpose(1, 2)
        chord = self.chord(x).flatten(1, 2).transpose(1, 2)
        bass = self.bass(x)[:, 0].transpose(1, 2)
        return {"chord": torch.cat([chord, nothing[..., :1]], dim=2), "bass": torch.cat([bass, nothing[..., 1:]], dim=2), "pitches": self.pitch(x)[:, 0].transpose(1, 2)}


def _kernels(network: nn.Module) -> list[str]:
    """Names of the kernels of convolutions that have no bias: those that are normalised afterwards."""
    return [f"{name}.weight" for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d) and layer.bias is None]


def _shifted(x: torch.Tensor, shift: int) -> torch.Tensor:
    """What lies `shift` rows higher, in place; [B, C, rows, T]."""
    if shift >= 0:
        return functional.pad(x[:, :, shift:], (0, 0, 0, shift))
    return functional.pad(x[:, :, :shift], (0, 0, -shift, 0))


class RecurrentNet(nn.Module):
    """See the module."""

    def __init__(self, width: int = 24, hidden: int = 112) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(2, width, (5, 5), padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, (3, 3), stride=(2, 1), padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, (13, 1), padding=(6, 0), bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 12, 1, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(),
        )
        self.narrow = nn.Sequential(nn.Linear(12 * features.LOG_BINS // 2, 2 * hidden), nn.ReLU(), nn.Dropout(0.2))
        self.recurrent = nn.GRU(2 * hidden, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.chord = nn.Linear(2 * hidden, 12 * len(QUALITIES) + 1)
        self.bass = nn.Linear(2 * hidden, 13)
        self.pitch = nn.Linear(2 * hidden, 12)

    def kernels(self) -> list[str]:
        """The parameters that Muon trains: kernels, and the matrices between them and the heads."""
        return [*_kernels(self), "narrow.0.weight", *(name for name, p in self.named_parameters() if name.startswith("recurrent.weight"))]

    def forward(self, spectrum: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.heads(self.embed(spectrum))

    def embed(self, spectrum: torch.Tensor) -> torch.Tensor:
        """What the heads are given of each frame: [B, T, 2 * hidden], each number between -1 and 1."""
        x = compress(spectrum).transpose(1, 2)[:, None]
        contrast = x - functional.avg_pool2d(x, (25, 1), stride=1, padding=(12, 0))
        x = self.convolutions(torch.cat([x, contrast], dim=1))
        return self.recurrent(self.narrow(x.flatten(1, 2).transpose(1, 2)))[0]

    def heads(self, embedded: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits from what `embed` gives."""
        return {"chord": self.chord(embedded), "bass": self.bass(embedded), "pitches": self.pitch(embedded)}
