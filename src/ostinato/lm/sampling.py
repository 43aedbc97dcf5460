"""From prompts to audio: batched sampling with audiocraft's LMModel, then the codec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import UserError
from ostinato.lm.codec import load_codec
from ostinato.lm.model import conditions, load_lm


class Generator:
    """A model folder ready to generate: `lm` is audiocraft's LMModel, `codec` its CompressionModel."""

    def __init__(self, folder: Path | str) -> None:
        self.lm, self.codec = load_lm(folder), load_codec(folder)

    def describe(self, prompt: str, seconds: float) -> str:
        """The description the model is given: ours is told the length, a pretrained MusicGen is not."""
        from ostinato.lm.text import ChordTextEncoder, describe

        ours = any(isinstance(module, ChordTextEncoder) for module in self.lm.condition_provider.conditioners.values())
        return describe(prompt, seconds) if ours else prompt

    def generate(self, prompts: list[str], seconds: float, seed: int, temperature: float, top_k: int, guidance: float) -> np.ndarray:
        """Generate one clip per prompt: float32 [len(prompts), T] at the codec's rate.

        The random state is set once per call: the same prompts in the same order, seed and model give the same clips, and two models called
        alike draw from the same state.
        """
        import torch

        frames = int(round(seconds * self.codec.frame_rate))
        if frames < 1:
            raise UserError(f"seconds: {seconds:g} is shorter than one frame ({1 / self.codec.frame_rate:g} s)")
        torch.manual_seed(seed)
        with torch.no_grad():
            codes = self.lm.generate(conditions=conditions([self.describe(prompt, seconds) for prompt in prompts]), max_gen_len=frames,
                                     use_sampling=True, temp=temperature, top_k=min(top_k, self.lm.card), cfg_coef=guidance)
            audio: Any = self.codec.decode(codes, None)
        return limit(audio.mean(dim=1).numpy())


def limit(audio: np.ndarray) -> np.ndarray:
    """Scale clips that would clip (peak above 0.99) down to it. [B, T] -> [B, T]."""
    peak = np.abs(audio).max(axis=-1, keepdims=True)
    return (audio * np.minimum(1.0, 0.99 / np.maximum(peak, 1e-9))).astype(np.float32)
