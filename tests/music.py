"""Music for the tests: prompts played by the etudes' own players."""

from pathlib import Path

import numpy as np

from ostinato.etudes import rendering
from ostinato.generate.reference import perform
from ostinato.harmony.prompts.prompt import parse
from ostinato.params import Params, load

PARAMS: Params = load(Path(__file__).parents[1] / "params.yaml")
RATE = rendering.SAMPLE_RATE


def play(prompt: str, seconds: float, seed: int = 0) -> np.ndarray:
    """A prompt's bars played evenly over `seconds`: float32 [T] at RATE."""
    return perform(parse(prompt), seconds, rendering.soundfont(None), np.random.default_rng(seed))
