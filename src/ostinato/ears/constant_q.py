"""Constant-Q spectra (Brown, 1991) as librosa computes them: octave by octave, each at half the rate of the one above (Schörkhuber & Klapuri, 2010).

librosa.vqt makes its filters anew at each call, which takes longer than to filter ten seconds of music with them. Here they are kept for as long as calls ask for the
same; filters, transforms and resampling are librosa's, and so is the result but for last bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import librosa
import numpy as np

PER_OCTAVE = 24
#: Sets of filters that are kept: a recording asks for those of its tuning.
KEPT = 8
#: Share of a filter's magnitude that is left out for the sake of speed, librosa's.
SPARSITY = 0.01


@dataclass(frozen=True)
class Octave:
    """Sparse filters [bins, points / 2 + 1] of an octave for spectra of so many points, with the hop there; whether what comes next is at half the rate."""

    filters: Any
    points: int
    hop: int
    halved: bool


@dataclass(frozen=True)
class Bank:
    """Octaves from the highest down, how often the rate is halved before, and what each bin is divided by: [bins, 1]."""

    octaves: list[Octave]
    halvings: int
    scale: np.ndarray


def constant_q(samples: np.ndarray, rate: float, hop: int, lowest: float, bins: int, gamma: float = 0.0) -> np.ndarray:
    """Complex spectrum [bins, frames] of mono audio [T], frame f centred on sample f * hop, PER_OCTAVE bins to the octave from `lowest` Hz.

    Args:
        gamma: added to the bandwidth of each filter, Hz.
    """
    filters, found = bank(rate, hop, lowest, bins, gamma), []
    for _ in range(filters.halvings):
        samples = _halved(samples)
    for octave in filters.octaves:
        spectrum = librosa.stft(samples, n_fft=octave.points, hop_length=octave.hop, window="ones", pad_mode="constant")
        found.append(octave.filters.dot(spectrum))
        samples = _halved(samples) if octave.halved else samples
    frames = min(part.shape[1] for part in found)
    return np.concatenate([part[:, :frames] for part in reversed(found)]) / filters.scale


def _halved(samples: np.ndarray) -> np.ndarray:
    return librosa.resample(samples, orig_sr=2, target_sr=1, res_type="soxr_hq", scale=True)


@lru_cache(KEPT)
def bank(rate: float, hop: int, lowest: float, bins: int, gamma: float) -> Bank:
    """The filters for `constant_q`."""
    frequencies = lowest * 2.0 ** (np.arange(bins) / PER_OCTAVE)
    count = math.ceil(bins / PER_OCTAVE)
    _, cutoff = librosa.filters.wavelet_lengths(freqs=frequencies, sr=rate, gamma=gamma)
    twos = (hop & -hop).bit_length() - 1
    halvings = min(max(0, math.ceil(math.log2(rate / 2 / cutoff)) - 2), max(0, twos - count + 1))
    rate, hop = rate / 2**halvings, hop >> halvings
    lengths, _ = librosa.filters.wavelet_lengths(freqs=frequencies, sr=rate, gamma=gamma)
    octaves, here = [], rate
    for number in range(count):
        high = bins - number * PER_OCTAVE
        filters, points = _filters(frequencies[max(0, high - PER_OCTAVE) : high], here, gamma)
        octaves.append(Octave(filters * math.sqrt(rate / here), points, hop, hop % 2 == 0))
        hop, here = (hop // 2, here / 2) if hop % 2 == 0 else (hop, here)
    return Bank(octaves, halvings, np.sqrt(lengths, dtype=np.float32)[:, None])


def _filters(frequencies: np.ndarray, rate: float, gamma: float) -> tuple[Any, int]:
    """Spectra of the wavelets of some frequencies (Hz), sparse, and their number of points."""
    wavelets, lengths = librosa.filters.wavelet(freqs=frequencies, sr=rate, gamma=gamma)
    points = wavelets.shape[1]
    spectra = np.fft.fft(wavelets * (lengths[:, None] / points), axis=1)[:, : points // 2 + 1]
    return librosa.util.sparsify_rows(spectra, quantile=SPARSITY, dtype=np.complex64), points
