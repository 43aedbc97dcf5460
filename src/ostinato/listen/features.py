"""What every listener looks at: notes and onsets over time.

`note_salience` explains a constant-Q spectrum as a non-negative mixture of notes with decaying harmonics (after Mauch & Dixon, "Approximate note
transcription for the improved identification of difficult chords", ISMIR 2010), so that the third and fifth harmonics of a root do not pass for
its fifth and third. Frames are HOP samples apart (about 93 ms at 22050 Hz).
"""

from __future__ import annotations

from dataclasses import dataclass

import librosa
import numpy as np

LOWEST_MIDI = 28
NOTES = 68
BINS_PER_SEMITONE = 3
HARMONICS = 8
HARMONIC_DECAY = 0.7
ITERATIONS = 30
CHORD_HOP_FACTOR = 4
#: Notes below C3 sound as bass, notes above as treble; both fade over half an octave.
BASS_CENTRE_MIDI = 48


@dataclass(frozen=True)
class Features:
    """Frame-wise features: `treble` and `bass` chroma [12, F], `level` in dBFS [F], all at `rate` frames per second."""

    treble: np.ndarray
    bass: np.ndarray
    level: np.ndarray
    rate: float
    duration: float


def features(samples: np.ndarray, sample_rate: int, hop: int) -> Features:
    """Features of mono audio [T]; `hop` in samples at `sample_rate`."""
    hop = hop * CHORD_HOP_FACTOR
    padded = np.pad(samples, (0, max(0, sample_rate - len(samples))))
    salience = note_salience(padded, sample_rate, hop)
    frames = max(1, int(np.ceil(len(samples) / hop)))
    salience = salience[:, :frames]
    midi = LOWEST_MIDI + np.arange(NOTES)
    is_bass = 1 / (1 + np.exp((midi - BASS_CENTRE_MIDI) / 2.0))
    fold = np.eye(12)[:, midi % 12]
    return Features(fold @ (salience * (1 - is_bass)[:, None]), fold @ (salience * is_bass[:, None]), level_db(padded, hop, frames),
                    sample_rate / hop, len(samples) / sample_rate)


def note_salience(samples: np.ndarray, sample_rate: int, hop: int) -> np.ndarray:
    """How strongly each note sounds: [NOTES, F], MIDI LOWEST_MIDI upwards; tuned to the recording."""
    tuning = librosa.estimate_tuning(y=samples[: 60 * sample_rate], sr=sample_rate) if np.abs(samples).max() > 1e-4 else 0.0
    spectrum = np.abs(librosa.cqt(
        samples, sr=sample_rate, hop_length=hop, fmin=librosa.midi_to_hz(LOWEST_MIDI - 1 / BINS_PER_SEMITONE), tuning=tuning * BINS_PER_SEMITONE,
        n_bins=NOTES * BINS_PER_SEMITONE, bins_per_octave=12 * BINS_PER_SEMITONE))
    semitones = spectrum.reshape(NOTES, BINS_PER_SEMITONE, -1).max(axis=1)
    semitones = np.sqrt(semitones / max(float(np.percentile(semitones.max(axis=0), 95)), 1e-6))
    return _explain(semitones, _dictionary())


def _dictionary() -> np.ndarray:
    """Columns are notes: a peak at the note and at its harmonics, decaying; [NOTES, NOTES]."""
    table = np.zeros((NOTES, NOTES))
    for harmonic in range(1, HARMONICS + 1):
        offset = int(round(12 * np.log2(harmonic)))
        for note in range(NOTES - offset):
            table[note + offset, note] += HARMONIC_DECAY ** (harmonic - 1)
    return table / np.linalg.norm(table, axis=0)


def _explain(spectrum: np.ndarray, dictionary: np.ndarray) -> np.ndarray:
    """Non-negative activations by multiplicative updates (Lee & Seung, 2001)."""
    activation = np.maximum(dictionary.T @ spectrum, 1e-9)
    target, gram = dictionary.T @ spectrum, dictionary.T @ dictionary
    for _ in range(ITERATIONS):
        activation *= target / np.maximum(gram @ activation, 1e-9)
    return activation


def level_db(samples: np.ndarray, hop: int, frames: int) -> np.ndarray:
    """RMS level of each frame, dBFS [frames]."""
    rms = librosa.feature.rms(y=samples, frame_length=2 * hop, hop_length=hop, center=True)[0][:frames]
    return 20 * np.log10(np.maximum(rms, 1e-6))
