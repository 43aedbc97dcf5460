"""Tones as recordings."""

import numpy as np

from music import PARAMS

RATE = 22050
CORPUS = PARAMS.corpus.model_copy(update={"min_seconds": 5.0})


def tone(seconds: float, seed: int = 0, channels: int = 1) -> np.ndarray:
    """A chord with some noise, so that no two seeds sound the same: [T, C]."""
    rng, time = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * 220 * 2 ** (note / 12) * time) for note in (0, 4, 7)) / 6 + 0.01 * rng.standard_normal(len(time))
    return np.repeat(sound[:, None], channels, axis=1).astype(np.float32)
