"""A codec without pretrained weights: residual vector quantisation of spectrogram frames.

Magnitude frames at 16 Hz are gathered into bands spaced by pitch, log-compressed, projected on principal components, and quantised by
residual k-means (Gray, "Vector quantization", 1984; residual stages as in SoundStream and EnCodec). Decoding inverts the projection and the
bands, and finds a phase by fast Griffin-Lim (Perraudin et al., 2013; librosa). It keeps harmony and loses sparkle: made for machines that
reach no model hub, and honest about it: `ostinato scores` always prints what true renderings score through it.

Conventions: audio [B, 1, T] at 16 kHz, codes [B, K, T // 1000] (int64). Behind audiocraft's CompressionModel, so that EnCodec can take its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import librosa
import numpy as np
import torch

from ostinato.codec.audiocraft_compat import import_audiocraft
from ostinato.compiling import compiled_alone
from ostinato.params import Codec

CompressionModel: Any = import_audiocraft("audiocraft.models.encodec").CompressionModel
quantization = import_audiocraft("audiocraft.quantization")

SAMPLE_RATE = 16000
HOP = 1000
FFT = 4096
WINDOW = 3072
LOWEST_HZ = 40.0
BANDS_PER_OCTAVE = 24
COMPRESSION = 100.0


class SpectralCodec(CompressionModel):
    """See the module. All state is in buffers, so that state_dict holds the whole codec."""

    def __init__(self, codebooks: int, cardinality: int, components: int, griffin_lim_iterations: int, seed: int, **_: Any) -> None:
        super().__init__()
        bands = torch.from_numpy(pitch_bands()).float()
        self.register_buffer("bands", bands)
        self.register_buffer("unband", torch.linalg.pinv(bands.double(), rtol=1e-3).float())
        self.register_buffer("mean", torch.zeros(len(bands)))
        self.register_buffer("loudest", torch.full((len(bands),), torch.inf))
        self.register_buffer("basis", torch.zeros(len(bands), components))
        self.register_buffer("codebooks", torch.zeros(codebooks, cardinality, components))
        self.iterations, self.seed, self.active = griffin_lim_iterations, seed, codebooks

    def frames(self, audio: torch.Tensor) -> torch.Tensor:
        """Log band magnitudes [B, T // HOP, bands] of audio [B, 1, T]."""
        window = torch.hann_window(WINDOW, device=audio.device)
        spectrum = torch.stft(audio[:, 0], FFT, HOP, WINDOW, window, center=True, pad_mode="constant", return_complex=True).abs()
        spectrum = spectrum[..., : audio.shape[-1] // HOP]
        return torch.log1p(COMPRESSION * (self.bands @ spectrum)).transpose(1, 2)

    def fit(self, songs: Iterable[np.ndarray], iterations: int) -> dict[str, float]:
        """Fit projection and codebooks on audio ([T] each, 16 kHz). Returns the share of variance each stage leaves unexplained."""
        frames = torch.cat([self.frames(torch.from_numpy(song)[None, None])[0] for song in songs])
        generator = torch.Generator().manual_seed(self.seed)
        self.mean.copy_(frames.mean(0))
        self.loudest.copy_(frames.amax(0))
        centred = frames - self.mean
        _, vectors = torch.linalg.eigh((centred.T @ centred).double())
        self.basis.copy_(vectors.flip(1)[:, : self.basis.shape[1]].float())
        residual, total = centred @ self.basis, float((centred**2).sum())
        left = {"projection": 1 - float((residual**2).sum()) / total}
        for k, codebook in enumerate(self.codebooks):
            codebook.copy_(kmeans(residual, len(codebook), iterations, generator))
            residual = residual - codebook[nearest(residual, codebook)]
            left[f"codebook {k + 1}"] = left["projection"] + float((residual**2).sum()) / total
        return left

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Audio [B, 1, T] -> codes [B, K, T // HOP] and no scale."""
        latent = (self.frames(x) - self.mean) @ self.basis
        codes, residual = [], latent.flatten(0, 1)
        for codebook in self.codebooks[: self.active]:
            index = nearest(residual, codebook)
            residual = residual - codebook[index]
            codes.append(index.view(latent.shape[:2]))
        return torch.stack(codes, dim=1), None

    def decode_latent(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [B, K, S] -> log band magnitudes [B, bands, S].

        No band gets louder than it ever was in what the codec was fitted on: codes that never stood together, as a model may say them, add up to anything, and
        on a logarithmic scale a little too much is a bang beside which the rest of the clip is silence.
        """
        latent = sum(codebook[codes[:, k]] for k, codebook in enumerate(self.codebooks[: codes.shape[1]]))
        return torch.minimum((latent @ self.basis.T + self.mean).clamp(min=0), self.loudest).transpose(1, 2)

    @compiled_alone
    def decode(self, codes: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        """Codes [B, K, S] -> audio [B, 1, S * HOP]."""
        magnitude = torch.expm1(self.decode_latent(codes)) / COMPRESSION
        spectrum = (self.unband @ magnitude).clamp(min=0).cpu().numpy()
        spectrum = np.concatenate([spectrum, spectrum[..., -1:]], axis=-1)  # a centred STFT has one frame more than hops
        audio = librosa.griffinlim(spectrum, n_iter=self.iterations, hop_length=HOP, win_length=WINDOW, n_fft=FFT, length=codes.shape[-1] * HOP, random_state=self.seed)
        return torch.from_numpy(audio).float()[:, None].to(codes.device)

    def forward(self, x: torch.Tensor) -> Any:
        """Encode and decode: audiocraft's QuantizedResult."""
        codes, _ = self.encode(x)
        bits_per_second = torch.tensor(self.frame_rate * self.num_codebooks * np.log2(self.cardinality) / 1000)
        return quantization.QuantizedResult(self.decode(codes), codes, bits_per_second.to(x))

    @property
    def channels(self) -> int:
        """Mono."""
        return 1

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return SAMPLE_RATE / HOP

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return SAMPLE_RATE

    @property
    def cardinality(self) -> int:
        """Entries per codebook."""
        return self.codebooks.shape[1]

    @property
    def num_codebooks(self) -> int:
        """Codebooks in use."""
        return self.active

    @property
    def total_codebooks(self) -> int:
        """Codebooks there are."""
        return self.codebooks.shape[0]

    def set_num_codebooks(self, n: int) -> None:
        """Use only the first `n` codebooks."""
        if not 1 <= n <= self.total_codebooks:
            raise ValueError(f"num_codebooks must be 1 to {self.total_codebooks}, got {n}")
        self.active = n


def build(params: Codec) -> SpectralCodec:
    """An unfitted codec of these parameters."""
    return SpectralCodec(**params.model_dump())


def pitch_bands() -> np.ndarray:
    """Triangular bands, equally spaced in pitch but nowhere narrower than a bin: [bands, FFT // 2 + 1], rows summing to 1."""
    bins = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)
    count = int(np.log2(SAMPLE_RATE / 2 / LOWEST_HZ) * BANDS_PER_OCTAVE) - 1
    centres = LOWEST_HZ * 2 ** (np.arange(-1, count + 1) / BANDS_PER_OCTAVE)
    low = np.minimum(centres[:-2], centres[1:-1] - bins[1])[:, None]
    high = np.maximum(centres[2:], centres[1:-1] + bins[1])[:, None]
    middle = centres[1:-1, None]
    bands = np.clip(np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)), 0, None)
    return bands / bands.sum(axis=1, keepdims=True)


def nearest(points: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    """Index of the nearest codebook entry for each point: [N, D], [C, D] -> [N]."""
    # |p - c|^2 without |p|^2, which changes no minimum
    return torch.addmm((codebook**2).sum(1), points, codebook.T, alpha=-2).argmin(1)


def kmeans(points: torch.Tensor, clusters: int, iterations: int, generator: torch.Generator) -> torch.Tensor:
    """Lloyd's algorithm from random points; an empty cluster takes a random point. [N, D] -> [clusters, D]. Deterministic."""
    if len(points) < clusters:
        raise ValueError(f"{len(points)} frames cannot fill {clusters} codebook entries")
    centres = points[torch.randperm(len(points), generator=generator)[:clusters]].clone()
    for _ in range(iterations):
        index = nearest(points, centres)
        counts = torch.bincount(index, minlength=clusters)
        sums = torch.zeros_like(centres).index_add_(0, index, points)
        spare = points[torch.randint(len(points), (clusters,), generator=generator)]
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], spare)
    return centres
