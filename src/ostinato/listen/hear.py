"""The door of the listening room: `hear` says what is in a recording. A better listener goes behind this door and changes nothing before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from ostinato.compiling import compiled_alone
from ostinato.listen import beats as beat_tracking
from ostinato.listen.chords import Interval, recognise, snap
from ostinato.listen.features import features
from ostinato.listen.form import sections
from ostinato.listen.key import find_key
from ostinato.params import Listen
from ostinato.theory import Key

#: A chord border this near to a beat (as a share of the beat) belongs on it.
SNAP = 0.4


@dataclass(frozen=True)
class Heard:
    """What was heard, times in seconds: `chords` cover 0..duration ("N" where nothing sounds), one confidence (0-1) each; `positions` are the beats'
    places in the bar, 1 to 4; `chroma` is [12, F] at `chroma_rate` frames per second."""

    duration: float
    tempo: float
    beats: np.ndarray
    positions: np.ndarray
    chords: list[Interval]
    confidences: list[float]
    key: Key
    sections: list[tuple[float, float, str]]
    chroma: np.ndarray
    chroma_rate: float

    @property
    def downbeats(self) -> np.ndarray:
        """Times of the first beats of bars, s."""
        return self.beats[self.positions == 1]


@compiled_alone
def hear(samples: np.ndarray, sample_rate: int, params: Listen, want_form: bool = True) -> Heard:
    """Listen to mono audio [T].

    Args:
        want_form: also find beats and sections; without, both are empty (for short clips, where they mean little).
    """
    if sample_rate != params.sample_rate:
        samples = soxr.resample(samples, sample_rate, params.sample_rate)
    found = features(samples, params.sample_rate, params.hop)
    chords, confidences = recognise(found, params.vocabulary, params.chord_switch)
    key = find_key(found.treble, chords)
    beats, positions, tempo, form = np.zeros(0), np.zeros(0, int), 0.0, [(0.0, found.duration, "A")]
    if want_form:
        changes = np.array([start for start, _, _ in chords[1:]])
        beats, tempo = beat_tracking.track(samples, params.sample_rate, params.hop, changes)
        positions = beat_tracking.downbeats(beats, changes, _bass_rise(found.bass, found.rate, beats))
        if len(beats) > 1:
            snapped = snap(chords, beats, SNAP * float(np.median(np.diff(beats))))
            confidences = _carry(chords, confidences, snapped)
            chords = snapped
        form = sections(samples, params.sample_rate, params.hop, beats[positions == 1], found.duration, params.section_beats)
    return Heard(found.duration, tempo, beats, positions, chords, confidences, key, form, found.treble + found.bass, found.rate)


def _bass_rise(bass: np.ndarray, rate: float, beats: np.ndarray) -> np.ndarray:
    """How much bass energy rises at each beat."""
    energy = np.pad(bass.sum(axis=0), (2, 3), mode="edge")
    at = np.minimum((beats * rate).astype(int), bass.shape[1] - 1) + 2
    return np.maximum(0, energy[at + 1] - energy[at - 2]) if len(beats) else np.zeros(0)


def _carry(before: list[Interval], confidences: list[float], after: list[Interval]) -> list[float]:
    """Confidences of snapped intervals: that of the original interval at their middle."""
    starts = np.array([start for start, _, _ in before])
    return [confidences[max(0, int(np.searchsorted(starts, (left + right) / 2, side="right")) - 1)] for left, right, _ in after]
