"""The ceiling of the judge: the demo prompts played truly by the etudes' own players and passed through the codec.

No model that speaks through this codec and is heard by this judge can be expected to score higher.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ostinato.etudes import rendering
from ostinato.etudes.arrangement import arrange
from ostinato.etudes.composition import BEATS_PER_BAR, INSTRUMENTS, PATTERNS, Section, Song
from ostinato.harmony.keys import Key
from ostinato.harmony.prompts.prompt import Prompt


def perform(prompt: Prompt, seconds: float, font: Path, rng: np.random.Generator) -> np.ndarray:
    """Play a prompt's bars evenly over `seconds`: float32 [T] at the etudes' rate. An unknown instrument is played on the piano."""
    instrument = next((word for word in prompt.instrument.lower().split() if word in INSTRUMENTS), "piano")
    # one chord for the whole clip would be one endless bar: play it in bars of about 2.5 s
    repeats = max(1, round(seconds / 2.5 / len(prompt.bars))) if len(prompt.bars) == 1 else 1
    bars = prompt.bars * repeats
    tempo = BEATS_PER_BAR * 60 * len(bars) / seconds
    tonic = next((chord.pitch_class for chord in prompt.chords if chord.is_chord), 0)
    song = Song(Key(tonic), tempo, instrument, (Section("demo", bars, str(rng.choice(PATTERNS[instrument]))),))
    return rendering.render(arrange(song, rng), int(rng.choice(rendering.PROGRAMS[instrument])), font, seconds)
