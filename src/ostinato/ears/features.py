"""What ears are given: spectra in frames whose places are exact.

Frame f of a spectrum is centred on sample f * HOP at RATE, ten a second, for any length: a recording is taken block by block, and blocks are whole
numbers of frames, so that no clock drifts and two hours need no more memory than a minute (but for the frames themselves). Spectra are linear
magnitudes [F, bins], float32:

- `constant_q`: 24 bins per octave from MIDI 24 (see ears.constant_q; a little bandwidth is added, so that the bass is not smeared);
- `log_spectrum`: one Fourier transform of half a second, summed in triangles 24 to the octave from MIDI 36 (as in Böck & Schedl, 2012);
- `mel`: 40 mel bands, fifty frames a second, for onsets;
- `beat_bands`: 80 mel bands, fifty frames a second, for beats;
- `fine`: 128 mel bands, twenty frames a second, whose squares are power: of parts that sound together the squares add up. For timbre.

The first two are tuned to the recording: `tuning` is its deviation from A = 440 Hz in semitones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import librosa
import numpy as np

from ostinato.ears.constant_q import PER_OCTAVE
from ostinato.ears.constant_q import constant_q as constant_q_of

RATE = 16000
HOP = 1600
FRAME_RATE = RATE / HOP
MEL_HOP = 320
MEL_RATE = RATE / MEL_HOP
MELS, BEAT_BANDS, BEAT_WINDOW = 40, 80, 1024
FINE_HOP, FINE_WINDOW, FINE_BANDS = 800, 2048, 128
FINE_RATE = RATE // FINE_HOP
BINS_PER_SEMITONE = PER_OCTAVE // 12
CONSTANT_Q_LOWEST, CONSTANT_Q_BINS = 24, 180
LOG_LOWEST, LOG_BINS, LOG_WINDOW = 36, 160, 8192
#: Added to the bandwidth of every constant-Q filter, Hz.
GAMMA = 1.0
BLOCK_SECONDS, MARGIN_SECONDS = 60, 2
#: Tuning is estimated on this much of a recording, s.
TUNING_SECONDS = 60


@dataclass(frozen=True)
class Block:
    """Samples of one block with MARGIN_SECONDS of context (or silence) on both sides, and how many samples it really holds."""

    samples: np.ndarray
    length: int


def blocks(chunks: Iterable[np.ndarray]) -> Iterator[Block]:
    """Cut mono audio at RATE, given in chunks of any length, into blocks of BLOCK_SECONDS with their margins."""
    size, margin = BLOCK_SECONDS * RATE, MARGIN_SECONDS * RATE
    held = np.zeros(margin, np.float32)
    for chunk in chunks:
        held = np.concatenate([held, np.asarray(chunk, np.float32)])
        while len(held) >= size + 2 * margin:
            yield Block(held[: size + 2 * margin], size)
            held = held[size:]
    held = np.concatenate([held, np.zeros(2 * margin, np.float32)])
    while (left := len(held) - 3 * margin) > 0:
        length = min(left, size)
        yield Block(held[: length + 2 * margin], length)
        held = held[length:] if left > size else held[:0]


def constant_q(block: Block, tuning: float) -> np.ndarray:
    """Constant-Q magnitudes of a block: [frames, CONSTANT_Q_BINS]."""
    lowest = float(librosa.midi_to_hz(CONSTANT_Q_LOWEST + tuning))
    spectrum = constant_q_of(block.samples, RATE, HOP, lowest, CONSTANT_Q_BINS, GAMMA)
    return _within(np.abs(spectrum).T, block, HOP)


def log_spectrum(block: Block, tuning: float) -> np.ndarray:
    """Log-frequency magnitudes of a block: [frames, LOG_BINS]."""
    spectrum = np.abs(librosa.stft(block.samples, n_fft=LOG_WINDOW, hop_length=HOP)) * (4 / LOG_WINDOW)  # a sine's amplitude
    return _within(spectrum.T @ _triangles(round(tuning, 2)), block, HOP)


def mel(block: Block) -> np.ndarray:
    """Mel magnitudes of a block: [frames, MELS] at MEL_RATE."""
    spectrum = librosa.feature.melspectrogram(y=block.samples, sr=RATE, hop_length=MEL_HOP, n_fft=1024, n_mels=MELS, power=1.0)
    return _within(spectrum.T, block, MEL_HOP)


def beat_bands(block: Block) -> np.ndarray:
    """Mel magnitudes of a block, finer: [frames, BEAT_BANDS] at MEL_RATE; a sine has about its amplitude."""
    spectrum = np.abs(librosa.stft(block.samples, n_fft=BEAT_WINDOW, hop_length=MEL_HOP)) * np.float32(4 / BEAT_WINDOW)
    return _within(spectrum.T @ _mel_filters(BEAT_WINDOW, BEAT_BANDS), block, MEL_HOP)


def fine(block: Block) -> np.ndarray:
    """Square roots of the power in fine mel bands: [frames, FINE_BANDS] at FINE_RATE."""
    spectrum = librosa.stft(block.samples, n_fft=FINE_WINDOW, hop_length=FINE_HOP)
    power = spectrum.real**2 + spectrum.imag**2
    return _within(np.sqrt(power.T @ _mel_filters(FINE_WINDOW, FINE_BANDS)), block, FINE_HOP)


def level(block: Block) -> np.ndarray:
    """RMS of each frame's hop on either side: [frames], full scale 1."""
    power = librosa.feature.rms(y=block.samples, frame_length=2 * HOP, hop_length=HOP)[0]
    return _within(power[:, None], block, HOP)[:, 0]


def tuning_of(samples: np.ndarray) -> float:
    """Deviation from A = 440 Hz in semitones, -0.5 to 0.5 (a histogram of interpolated spectral peaks, as librosa.estimate_tuning); 0 for silence."""
    if np.abs(samples).max(initial=0) < 1e-4:
        return 0.0
    pitches, magnitudes = librosa.piptrack(y=samples[: TUNING_SECONDS * RATE], sr=RATE)
    found = magnitudes[pitches > 0]
    if not len(found):
        return 0.0
    return float(librosa.pitch_tuning(pitches[(magnitudes >= np.median(found)) & (pitches > 0)]))


def _within(spectrum: np.ndarray, block: Block, hop: int) -> np.ndarray:
    """The block's own frames, without those of its margins."""
    first = MARGIN_SECONDS * RATE // hop
    return np.ascontiguousarray(spectrum[first : first + -(-block.length // hop)], dtype=np.float32)


@cache
def _mel_filters(points: int, bands: int) -> np.ndarray:
    """Triangles on the mel scale [points / 2 + 1, bands], each with a peak of 1, so that bands of one width below 1 kHz are alike."""
    return np.ascontiguousarray(librosa.filters.mel(sr=RATE, n_fft=points, n_mels=bands, fmin=30.0, norm=None).T, dtype=np.float32)


@cache
def _triangles(tuning: float) -> np.ndarray:
    """Overlapping triangles on a logarithmic frequency axis, each of unit area where the resolution allows: [LOG_WINDOW / 2 + 1, LOG_BINS]."""
    step = 1 / BINS_PER_SEMITONE
    centres = librosa.midi_to_hz(LOG_LOWEST + tuning + step * np.arange(-1, LOG_BINS + 1))
    frequencies = np.fft.rfftfreq(LOG_WINDOW, 1 / RATE)
    width = RATE / LOG_WINDOW
    low, centre, high = centres[:-2], centres[1:-1], centres[2:]
    rise = (frequencies[:, None] - np.minimum(low, centre - width)) / np.maximum(centre - low, width)
    fall = (np.maximum(high, centre + width) - frequencies[:, None]) / np.maximum(high - centre, width)
    bank = np.maximum(0, np.minimum(rise, fall))
    return (bank / np.maximum(bank.sum(axis=0), 1e-9)).astype(np.float32)
