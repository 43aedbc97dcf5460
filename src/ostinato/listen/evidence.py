"""What the ears say of a recording, frame by frame: spectra taken block by block, networks run over them in pieces.

`analyse` reads a recording once and keeps what all listeners look at; two hours take some hundred MB. `Evidence` is what a chord network makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from ostinato.ears import features
from ostinato.ears.labels import QUALITIES, SPECTRA, fine_loudness, loudness
from ostinato.ears.weights import load_ear
from ostinato.listen.beats import Activations

if TYPE_CHECKING:
    import torch
    from torch import nn

#: Frames a chord network is given at once, and how many at each end only serve as context.
PIECE, CONTEXT = 1200, 40
#: The same of the network for beats, which looks farther.
BEAT_PIECE, BEAT_CONTEXT = 6000, 1000


@dataclass(frozen=True)
class Analysis:
    """Spectra of a recording: `spectrum` [F, bins] for the ear, `mel` [M, MELS], `beat_bands` [M, BEAT_BANDS], `fine` [N, FINE_BANDS], `level` (RMS) [F]; `tuning` in
    semitones, `duration` in s."""

    spectrum: np.ndarray
    mel: np.ndarray
    beat_bands: np.ndarray
    fine: np.ndarray
    level: np.ndarray
    tuning: float
    duration: float


@dataclass(frozen=True)
class Evidence:
    """Log-probabilities `chord` [F, 12 * Q + 1] and `bass` [F, 13], and the probability `pitches` [F, 12] that each pitch class sounds.

    `embedded` [F, 2 * hidden] is what the judge's ear has made of each frame before it names a chord; the labeller's has no such.
    """

    chord: np.ndarray
    bass: np.ndarray
    pitches: np.ndarray
    embedded: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """Mono audio [T] at the rate that ears listen at."""
    return samples if rate == features.RATE else soxr.resample(samples, rate, features.RATE)


def analyse(chunks: Iterable[np.ndarray], ear: str) -> Analysis:
    """Take the spectra of mono audio at frames.RATE, given in chunks of any length."""
    rows, mels, beats, fines, levels, tuning, length = [], [], [], [], [], None, 0
    spectrum = getattr(features, SPECTRA[ear])
    for block in features.blocks(chunks):
        if tuning is None and np.abs(block.samples).max() > 1e-3:  # silence before the music says nothing of its pitch
            tuning = features.tuning_of(block.samples)
        rows.append(spectrum(block, tuning or 0.0))
        levels.append(features.level(block))
        mels.append(features.mel(block))
        beats.append(features.beat_bands(block))
        fines.append(features.fine(block))
        length += block.length
    if not rows:
        return analyse([np.zeros(1, np.float32)], ear)
    spectra = [np.concatenate(parts) for parts in (rows, mels, beats, fines, levels)]
    return Analysis(spectra[0], spectra[1], spectra[2], spectra[3], spectra[4], tuning or 0.0, length / features.RATE)


def chord_evidence(analysis: Analysis, ear: str, folder: str | None) -> Evidence:
    """Run a chord network (`labeller` or `judge`) over a recording."""
    import torch

    network, scaled = load_ear(ear, folder), torch.from_numpy(analysis.spectrum / np.float32(loudness(analysis.level)))
    with torch.inference_mode():
        joined = _in_pieces(partial(_listen, network), scaled, PIECE, CONTEXT)
        return Evidence(joined["chord"].log_softmax(dim=1).numpy(), joined["bass"].log_softmax(dim=1).numpy(), joined["pitches"].sigmoid().numpy(), joined["embedded"].numpy())


def beat_evidence(analysis: Analysis, folder: str | None) -> Activations:
    """Run the network for beats over a recording."""
    import torch

    network, scaled = load_ear("beats", folder), torch.from_numpy(analysis.beat_bands / np.float32(loudness(analysis.level)))
    with torch.inference_mode():
        said = _in_pieces(network, scaled, BEAT_PIECE, BEAT_CONTEXT)
    return Activations(said["beat"].numpy(), said["downbeat"].numpy(), said["compound"].numpy(), said["metre"].log_softmax(dim=1).numpy())


def _in_pieces(network: Callable[[torch.Tensor], dict[str, torch.Tensor]], spectrum: torch.Tensor, piece: int, context: int) -> dict[str, torch.Tensor]:
    """What a network says of frames [F, bins], so many at once, and as many on either side for context: [F, ...] each."""
    import torch

    parts: list[dict[str, torch.Tensor]] = []
    for first in range(0, len(spectrum), piece):
        before = min(first, context)
        values = network(spectrum[None, first - before : first + piece + context])
        parts.append({name: value[0, before : before + piece] for name, value in values.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _listen(network: nn.Module, spectrum: torch.Tensor) -> dict[str, torch.Tensor]:
    """A network's logits, and of the judge's what they are made from."""
    from ostinato.ears.nets import RecurrentNet

    if not isinstance(network, RecurrentNet):
        return {**network(spectrum), "embedded": spectrum[..., :0]}
    embedded = network.embed(spectrum)
    return {**network.heads(embedded), "embedded": embedded}


def timbre_of(analysis: Analysis, folder: str | None) -> np.ndarray:
    """What the instruments' ear makes of a clip before it names an instrument, pooled over time and bands: means, then standard deviations, float32 [2 * C]."""
    import torch

    network: Any = load_ear("instruments", folder)
    with torch.inference_mode():
        embedded = network.embed(torch.from_numpy(analysis.fine / np.float32(fine_loudness(analysis.fine)))[None])[0].flatten(1).numpy()
    return np.concatenate([embedded.mean(axis=1), embedded.std(axis=1)])


def columns(vocabulary: tuple[str, ...]) -> list[int]:
    """Columns of `Evidence.chord` that belong to the qualities of a vocabulary, quality-major as everywhere, and "no chord" last."""
    return [QUALITIES.index(quality) * 12 + root for quality in vocabulary for root in range(12)] + [12 * len(QUALITIES)]
