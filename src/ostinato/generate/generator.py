"""From prompts to audio: a language model's codes, decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ostinato.codec.codec import load_codec
from ostinato.files import UserError
from ostinato.generate.sampling import Sampling, generate, stream, window_frames
from ostinato.lm import adapters
from ostinato.lm.model import load_lm
from ostinato.lm.text import describe
from ostinato.machine import machine

#: Streamed audio is decoded with this much of its past and, but for the end, of its future, s; pieces are crossfaded.
CONTEXT_SECONDS, FADE_SECONDS = 1.0, 0.05
PEAK = 0.99


class Generator:
    """A model ready to generate: a folder, or a hub's name. On a GPU where there is one, in bfloat16; `machine` says on what."""

    def __init__(self, source: Path | str, adapter: Path | None = None) -> None:
        self.lm, self.codec = load_lm(source), load_codec(source)
        self.machine = machine("cuda", "bf16") if torch.cuda.is_available() else machine("cpu", "fp32")
        if adapter:
            adapters.load(adapter, self.lm, source)
        if torch.cuda.is_available():
            self.lm.cuda().decoder.bfloat16()
            self.codec = self.codec.cuda()
        if (self.lm.decoder.shape.codebooks, self.lm.decoder.shape.cardinality) != (self.codec.num_codebooks, self.codec.cardinality):
            raise UserError(
                f"{source}: the model has {self.lm.decoder.shape.codebooks} codebooks of {self.lm.decoder.shape.cardinality} codes, its codec "
                f"{self.codec.num_codebooks} of {self.codec.cardinality}: they do not belong together"
            )

    def generate(self, prompts: list[str], seconds: float, seed: int, how: Sampling) -> np.ndarray:
        """Generate one clip per prompt: float32 [len(prompts), T] at the codec's rate.

        The random state is set once per call: the same prompts in the same order, seed and model give the same clips, and two models called
        alike draw from the same state.
        """
        return self.clips(self.codes(prompts, seconds, seed, how))

    def codes(self, prompts: list[str], seconds: float, seed: int, how: Sampling) -> torch.Tensor:
        """What `generate` decodes: int64 [len(prompts), K, frames]."""
        texts, frames, window = self._begin(prompts, seconds, seed)
        return generate(self.lm, texts, frames, how, window=window)

    def clips(self, codes: torch.Tensor) -> np.ndarray:
        """The clips of codes [B, K, frames]: float32 [B, T] at the codec's rate."""
        return limit(self._decode(codes))

    def stream(self, prompts: list[str], seconds: float, seed: int, how: Sampling, piece_seconds: float = 2.0) -> Iterator[np.ndarray]:
        """`generate` for those who listen at once: yields pieces [len(prompts), T'] as they come."""
        texts, frames, window = self._begin(prompts, seconds, seed)
        piece = max(1, round(piece_seconds * self.codec.frame_rate))
        return self.audio(stream(self.lm, texts, frames, how, window=window, piece=piece), frames)

    def _begin(self, prompts: list[str], seconds: float, seed: int) -> tuple[list[str | None], int, int | None]:
        frames = int(round(seconds * self.codec.frame_rate))
        if frames < 1:
            raise UserError(f"seconds: {seconds:g} is shorter than one frame ({1 / self.codec.frame_rate:g} s)")
        torch.manual_seed(seed)
        texts: list[str | None] = [describe(prompt, seconds) if self.lm.is_told_length else prompt for prompt in prompts]
        return texts, frames, window_frames(self.lm, self.codec.frame_rate)

    def audio(self, pieces: Iterator[torch.Tensor], frames: int) -> Iterator[np.ndarray]:
        """Decode codes that come in pieces [B, K, T'] of `frames` in all: yields audio [B, T''] at the codec's rate, a little later than the codes."""
        hop = self.codec.sample_rate / self.codec.frame_rate
        margin, fade = round(CONTEXT_SECONDS * self.codec.frame_rate), round(FADE_SECONDS * self.codec.sample_rate)
        codes, said, tail = None, 0, None
        for piece in pieces:
            codes = piece if codes is None else torch.cat([codes, piece], dim=2)
            until = codes.shape[2] if codes.shape[2] == frames else codes.shape[2] - margin
            if until <= said:
                continue
            left = max(0, said - margin)
            decoded = self._decode(codes[:, :, left:])[:, round(said * hop) - round(left * hop) :]
            new, after = np.split(decoded, [round(until * hop) - round(said * hop)], axis=1)
            if tail is not None:
                rise = np.linspace(0, 1, min(fade, tail.shape[1], new.shape[1]), dtype=np.float32)
                new[:, : len(rise)] = new[:, : len(rise)] * rise + tail[:, : len(rise)] * (1 - rise)
            said, tail = until, after
            yield np.clip(new, -PEAK, PEAK)

    def _decode(self, codes: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return self.codec.decode(codes, None).float().mean(dim=1).cpu().numpy()


def limit(audio: np.ndarray) -> np.ndarray:
    """Scale clips that would clip (peak above PEAK) down to it. [B, T] -> [B, T]."""
    peak = np.abs(audio).max(axis=-1, keepdims=True)
    return (audio * np.minimum(1.0, PEAK / np.maximum(peak, 1e-9))).astype(np.float32)
