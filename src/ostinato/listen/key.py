"""The key of a recording: correlation of its chroma with Temperley's profiles ("What's key for key?", Music Perception 1999), over the chords heard
as well as the raw chroma, since chords are cleaner."""

from __future__ import annotations

import numpy as np

from ostinato.listen.chords import Interval
from ostinato.theory import Key

MAJOR = np.array([5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0])
MINOR = np.array([5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0])


def find_key(chroma: np.ndarray, chords: list[Interval]) -> Key:
    """The likeliest key of chroma [12, F] and chord intervals."""
    from_chords = np.zeros(12)
    for start, end, chord in chords:
        for rank, pitch_class in enumerate(chord.pitch_classes):
            from_chords[pitch_class] += (end - start) * (1.5 if rank == 0 else 1.0)
    profile = chroma.sum(axis=1) / max(chroma.sum(), 1e-9) + 2 * from_chords / max(from_chords.sum(), 1e-9)
    # the last chord is the tonic more often than not
    last = next((chord for _, _, chord in reversed(chords) if chord.is_chord), None)
    scores = {}
    for mode, weights in (("major", MAJOR), ("minor", MINOR)):
        for tonic in range(12):
            bonus = 0.1 if last and last.pitch_class == tonic and last.quality.startswith("min") == (mode == "minor") else 0.0
            scores[Key(tonic, mode)] = float(np.corrcoef(np.roll(weights, tonic), profile)[0, 1]) + bonus if profile.std() > 0 else bonus
    return max(scores, key=lambda key: scores[key])
