"""References for the judge: the demo prompts played truly, by players who read them, and passed through the codec.

They say what obedience sounds like to this judge through this codec. They are no bound: a model may play more plainly than they do, and score higher.
The first player is the etudes' own, with its patterns and its SoundFont, whose music the small model learnt from. The other shares none of that: even chords in
quarters above their bass, on an instrument that nobody built (etudes.synthesis).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ostinato.etudes import rendering
from ostinato.etudes.arrangement import REGISTERS, Note, arrange, bass_pitch, voice
from ostinato.etudes.composition import BEATS_PER_BAR, INSTRUMENTS, PATTERNS, Section, Song
from ostinato.etudes.synthesis import Instrument
from ostinato.harmony.chords import Chord
from ostinato.harmony.keys import Key
from ostinato.harmony.prompts.prompt import Prompt

#: Notes of the second player last this share of their beat, s of velocities 1-127.
HELD, LOUD = 0.9, 88


def perform(prompt: Prompt, seconds: float, font: Path, rng: np.random.Generator) -> np.ndarray:
    """Play a prompt's bars evenly over `seconds`: float32 [T] at the etudes' rate. An unknown instrument is played on the piano."""
    instrument, bars = _instrument(prompt), _bars(prompt, seconds)
    tempo = BEATS_PER_BAR * 60 * len(bars) / seconds
    tonic = next((chord.pitch_class for chord in prompt.chords if chord.is_chord), 0)
    song = Song(Key(tonic), tempo, instrument, (Section("demo", bars, str(rng.choice(PATTERNS[instrument]))),))
    return rendering.render(arrange(song, rng), int(rng.choice(rendering.PROGRAMS[instrument])), font, seconds)


def perform_plainly(prompt: Prompt, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """The same by the second player."""
    instrument, bars = _instrument(prompt), _bars(prompt, seconds)
    lowest, centre = REGISTERS[instrument]
    beat = seconds / len(bars) / BEATS_PER_BAR
    notes: list[Note] = []
    upper: list[int] | None = None
    for number, bar in enumerate(bars):
        for place in range(BEATS_PER_BAR):
            chord = bar[place * len(bar) // BEATS_PER_BAR]
            if chord.is_chord:
                upper = voice(chord, upper, centre)
                pitches = [*upper, *([] if lowest is None else [bass_pitch(chord, lowest)])]
                notes += [((number * BEATS_PER_BAR + place) * beat, HELD * beat, pitch, LOUD) for pitch in pitches]
    return Instrument(rng, instrument).play(notes, seconds)


def _instrument(prompt: Prompt) -> str:
    return next((word for word in reversed(prompt.instrument.lower().split()) if word in INSTRUMENTS), "piano")


def _bars(prompt: Prompt, seconds: float) -> tuple[tuple[Chord, ...], ...]:
    """A prompt's bars; one chord for the whole clip would be one endless bar: it is played in bars of about 2.5 s."""
    return prompt.bars * (max(1, round(seconds / 2.5 / len(prompt.bars))) if len(prompt.bars) == 1 else 1)
