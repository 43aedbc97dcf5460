"""A singer that nobody recorded: harmonics of a gliding, trembling pitch, shaped by the formants of vowels (after Klatt, 1980; Sundberg, 1987).

Ears must hear chords through a voice. What sets voices apart from the instruments of a SoundFont is all here, drawn anew for each singer: vibrato that comes in
late, glides between notes and scoops into them, pitch that is a little off, loud formants that stay where they are while the pitch moves, consonants that
interrupt the tone and hiss, breath.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from ostinato.etudes.arrangement import Note
from ostinato.etudes.rendering import PEAK, SAMPLE_RATE

HARMONICS = 20
#: Formants of vowels (a, e, i, o, u, schwa), Hz, of a man; a woman's are up to a fifth higher.
VOWELS = np.array([(730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240), (500, 1500, 2500)], float)
WIDTHS = np.array([90.0, 120.0, 170.0])
#: Loudness, pitch and vowel have a value every so many samples.
STEP = 147


def sing(notes: list[Note], seconds: float, rng: np.random.Generator) -> np.ndarray:
    """One voice sings notes (times in s), each until the next begins: float32 mono [T] at SAMPLE_RATE, `seconds` long, peak PEAK."""
    count = int(round(seconds * SAMPLE_RATE))
    size = count // STEP + 2
    octave = 12 * int(rng.choice([-1, -1, 0]))
    pitch, level, hiss, formants = np.full(size, 60.0 + octave), np.zeros(size), np.zeros(size), np.tile(VOWELS[0], (size, 1))
    sizes, legato, stretch = float(rng.uniform(0.1, 0.7)), float(rng.uniform(0.2, 0.9)), float(rng.uniform(1.0, 1.25))
    ordered = sorted(notes)
    for note, following in zip(ordered, [*ordered[1:], (seconds, 0.0, 0, 0)]):
        first, last = (min(size, round(time * SAMPLE_RATE / STEP)) for time in (note[0], min(note[0] + note[1], following[0])))
        if last - first > 3:
            pitch[first:] = note[2] + octave + rng.normal(0, 0.12)
            pitch[first:last] += _wavering(last - first, sizes, rng)
            formants[first:] = stretch * VOWELS[int(rng.integers(len(VOWELS)))]
            level[first:last] = _swell(last - first, rng, slurred=rng.random() < legato)
            if rng.random() < 0.4:
                hiss[max(0, first - 8) : first] = rng.uniform(0.05, 0.4)
    return _voice(_smooth(pitch, float(rng.uniform(2, 10))), _smooth(level, 3), _smooth(hiss, 2), formants, count, rng)


def _wavering(size: int, vibrato: float, rng: np.random.Generator) -> np.ndarray:
    """Semitones off a held pitch: vibrato that comes in after a quarter of a second, and now and then a scoop from below."""
    time = np.arange(size) * STEP / SAMPLE_RATE
    wave = vibrato * np.clip((time - 0.25) / 0.3, 0, 1) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time + rng.uniform(0, 6))
    return wave - (rng.uniform(0, 2.5) * np.exp(-time / 0.05) if rng.random() < 0.4 else 0.0)


def _swell(size: int, rng: np.random.Generator, slurred: bool) -> np.ndarray:
    shape = rng.uniform(0.5, 1.0) * np.interp(np.arange(size), [0, size / 3, size], rng.uniform(0.6, 1.0, 3))
    if not slurred:
        shape[:3] = 0.0
        shape[-2:] *= 0.3
    return shape


def _smooth(values: np.ndarray, steps: float) -> np.ndarray:
    """One pole, so many steps long: what is sung has no corners."""
    kept = np.exp(-1 / steps)
    return lfilter([1 - kept], [1, -kept], values, zi=[kept * values[0]])[0]


def _voice(pitch: np.ndarray, level: np.ndarray, hiss: np.ndarray, formants: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Harmonics that follow pitch, each as loud as the formants have it where it lies, and breath."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    rotation = np.exp(2j * np.pi * np.cumsum(np.repeat(frequency, STEP)[:count]) / SAMPLE_RATE).astype(np.complex64)
    slope, centres = float(rng.uniform(0.6, 1.6)), np.stack([_smooth(row, 6) for row in formants.T], axis=1)
    wave, power = np.zeros(count, np.float32), np.ones(count, np.complex64)
    for number in range(1, HARMONICS + 1):
        power *= rotation
        partial = number * frequency
        gain = (1 / (1 + ((partial[:, None] - centres) / WIDTHS) ** 2) @ np.array([1.0, 0.6, 0.4]) + 0.03) * level * number**-slope
        gain[partial > 0.45 * SAMPLE_RATE] = 0.0
        wave += np.repeat(gain.astype(np.float32), STEP)[:count] * power.imag
    noise = sosfilt(butter(2, [2500, 8000], "bandpass", fs=SAMPLE_RATE, output="sos"), rng.standard_normal(count)).astype(np.float32)
    breath = np.repeat((hiss + rng.uniform(0.0, 0.05) * level).astype(np.float32), STEP)[:count]
    wave += noise * breath * float(np.abs(wave).max(initial=0))
    return wave * np.float32(PEAK / max(float(np.abs(wave).max(initial=0)), 1e-9))
