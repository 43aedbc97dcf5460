"""The ears' alphabet: which qualities they know (instruments: harmony.instruments), and how truth becomes frames. Imports no torch."""

from __future__ import annotations

import numpy as np

from ostinato.ears.features import FRAME_RATE
from ostinato.harmony.chords import Chord

#: Qualities the networks tell apart.
QUALITIES = ("maj", "min", "7", "maj7", "min7", "sus4", "sus2", "dim", "aug", "hdim7", "dim7", "maj6", "min6", "minmaj7", "5")
#: Other qualities count as the one they contain.
REDUCED = {"9": "7", "maj9": "maj7", "min9": "min7"}
#: Each network for chords and the spectrum (a function of `features`) it looks at.
SPECTRA = {"labeller": "constant_q", "judge": "log_spectrum"}
#: All networks, in the order they are told of.
EARS = ("labeller", "judge", "instruments", "beats")
#: Beats of a bar that the ear for beats tells apart.
BAR_LENGTHS = (2, 3, 4, 5, 6, 7)
NO_PITCH = 12
#: A recording quieter than this RMS is not made louder.
QUIETEST = 1e-3


def frame_labels(chords: list[tuple[float, float, Chord]], count: int) -> np.ndarray:
    """Root (12: none), quality index (-1: none or unknown) and bass (12: none) at the centre of each frame: int8 [count, 3]."""
    labels = np.full((count, 3), (NO_PITCH, -1, NO_PITCH), np.int8)
    for start, end, chord in chords:
        first, last = int(np.ceil(start * FRAME_RATE - 1e-6)), int(np.ceil(end * FRAME_RATE - 1e-6))
        if chord.is_chord:
            quality = REDUCED.get(chord.quality, chord.quality)
            labels[first:last] = (chord.pitch_class, QUALITIES.index(quality) if quality in QUALITIES else -1, chord.bass_pitch_class)
    return labels


def loudness(level: np.ndarray) -> float:
    """RMS of the loud frames of a recording (95th percentile), at least QUIETEST: what spectra are divided by."""
    return max(float(np.percentile(level, 95)) if len(level) else 0.0, QUIETEST)


def fine_loudness(spectrum: np.ndarray) -> float:
    """Level of the loud frames (95th percentile) of a fine spectrum [F, FINE_BANDS]: what it is divided by; hardly anything counts as silence."""
    return max(float(np.percentile(np.sqrt((spectrum.astype(np.float32) ** 2).sum(axis=1)), 95)) if len(spectrum) else 0.0, 0.05)
