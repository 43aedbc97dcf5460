"""What the samples say without a chord recogniser: what is in the bass, and whether there is sound at all.

Conventions: samples are mono, float, full scale 1.0, shape [T]; times in seconds; shares in percent; pitch classes count from C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np

from ostinato.compiling import compiled_alone
from ostinato.ears.constant_q import PER_OCTAVE, constant_q
from ostinato.judge.adherence import Span

#: E1, 41.2 Hz: the lowest string of a bass guitar.
LOWEST_MIDI = 28
#: The bass band ends with F#3 (185 Hz): the third harmonic of a bass note, a fifth above and so another pitch class, stays outside
#: from C2 (65 Hz) up, and so do the close-position chords of a left hand.
BASS_SEMITONES = 27
#: The range whose energy the bass is held against: five octaves, 41-1319 Hz.
OCTAVES = 5
HOP = 512
#: Bass energy less than this share of all energy (-20 dB) is no bass but leakage and plucking noise. Measured on TimGM6mb renders:
#: 5e-2 to 5e-1 where a bass plays (piano, guitar, organ, strings), 3e-3 to 4e-3 where none does (ukulele).
NO_BASS = 1e-2
FRAME_SECONDS = 0.05
CHROMA_RATE = 5  # frames per second in judgements.json


@dataclass(frozen=True)
class Bass:
    """Energy per frame: `classes` [12, frames] in the bass band by pitch class, `total` [frames] over five octaves; `rate` frames/s."""

    classes: np.ndarray
    total: np.ndarray
    rate: float


@compiled_alone
def bass_energy(samples: np.ndarray, rate: int) -> Bass:
    """Fold the constant-Q energy of 41-185 Hz on pitch classes (see ears.constant_q). `samples` [T], `rate` Hz."""
    spectrum = constant_q(np.asarray(samples, dtype=np.float32), rate, HOP, float(librosa.midi_to_hz(LOWEST_MIDI)), OCTAVES * PER_OCTAVE)
    # librosa scales a bin with the square root of its window length, 1/f: undone, so that equal amplitudes count alike
    energy = np.abs(spectrum) ** 2 * 2.0 ** (np.arange(len(spectrum)) / PER_OCTAVE)[:, None]
    # of quarter tones: there (Q about 34) a neighbouring semitone falls on a zero of the Hann window. 12 bins would leak a quarter of the
    # energy to each neighbour; 36 would blur 1.2 s in time where 24 blur 0.8 s at E1
    semitones = energy[:: PER_OCTAVE // 12]
    classes = np.zeros((12, energy.shape[1]))
    np.add.at(classes, (LOWEST_MIDI + np.arange(BASS_SEMITONES)) % 12, semitones[:BASS_SEMITONES])
    return Bass(classes, semitones.sum(axis=0), rate / HOP)


def bass_share(samples: np.ndarray, rate: int, asked: Sequence[Span]) -> float:
    """Share of the bass band's energy at the asked bass (root, or the note after the slash), duration-weighted over `asked`, percent.

    Silence, and a passage without bass (below -20 dB of all energy), count 0. An instrument without notes below 185 Hz, such as a
    ukulele, so scores about 0 in the reference as well; true renders reach about 90 (piano, guitar, strings) and 45-60 (an organ stop that
    sounds its fifth). Read it beside the reference.
    """
    return share_of_bass(bass_energy(samples, rate), asked)


def share_of_bass(bass: Bass, asked: Sequence[Span]) -> float:
    """`bass_share` from energies already computed: one clip is compared with many prompts."""
    times = np.arange(bass.classes.shape[1]) / bass.rate
    weighted = 0.0
    for start, end, chord in asked:
        frames = (times >= start) & (times < end)
        classes, total = bass.classes[:, frames].sum(axis=1), float(bass.total[frames].sum())
        if chord.is_chord and classes.sum() > NO_BASS * total:
            weighted += (end - start) * float(classes[chord.bass_pitch_class] / classes.sum())
    duration = sum(end - start for start, end, _ in asked)
    return 100 * weighted / duration if duration > 0 else 0.0


def sounding_frames(samples: np.ndarray, rate: int, silence_db: float) -> np.ndarray:
    """For each 50 ms frame (the last may be shorter): is its RMS above `silence_db`, relative to full scale? bool [frames]."""
    size = max(1, round(FRAME_SECONDS * rate))
    starts = np.arange(0, len(samples), size)
    if not len(starts):
        return np.zeros(0, dtype=bool)
    squares = np.add.reduceat(np.asarray(samples, dtype=float) ** 2, starts)
    lengths = np.minimum(size, len(samples) - starts)
    return np.sqrt(squares / lengths) > 10 ** (silence_db / 20)


def sounding_share(samples: np.ndarray, rate: int, silence_db: float) -> float:
    """Share of 50 ms frames that sound, percent; 0 for no samples."""
    frames = sounding_frames(samples, rate, silence_db)
    return 100 * float(frames.mean()) if len(frames) else 0.0


def sound_end(samples: np.ndarray, rate: int, silence_db: float) -> float:
    """End of the last frame that sounds, seconds; 0 when none does."""
    last = np.flatnonzero(sounding_frames(samples, rate, silence_db))
    return min((int(last[-1]) + 1) * round(FRAME_SECONDS * rate), len(samples)) / rate if len(last) else 0.0


def quantise(chroma: np.ndarray, rate: float) -> list[list[int]]:
    """Chroma [12, frames] at `rate` frames/s -> 12 lists of ints 0-99 at 5 frames/s, 99 being the clip's loudest."""
    count = max(1, round(chroma.shape[1] * CHROMA_RATE / rate))
    edges = np.minimum(np.round(np.arange(count + 1) * rate / CHROMA_RATE).astype(int), chroma.shape[1])
    means = np.stack([chroma[:, min(a, chroma.shape[1] - 1) : max(b, a + 1)].mean(axis=1) for a, b in zip(edges, edges[1:])], axis=1)
    loudest = means.max()
    return np.round(99 * np.clip(means / loudest if loudest > 0 else means, 0, 1)).astype(int).tolist()
