"""Instruments that nobody built: partials added up, with a sound drawn anew for every part.

SoundFonts hold a few guitars and pianos; recordings hold any. What ears learn on these instruments is how harmonics lie, not how a sample sounds: slope
and resonances of the spectrum, the point where a string is struck, stiffness (inharmonicity), decay that is faster for high partials, detuned unisons,
breath and vibrato are drawn independently (additive synthesis; strings after Fletcher & Rossing, The Physics of Musical Instruments, 1998).
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from ostinato.etudes.arrangement import Note
from ostinato.etudes.rendering import PEAK, SAMPLE_RATE

PARTIALS = 36
#: Partials are left out, and end, where they are this much weaker than the strongest, dB.
FAINT = -50
#: Families whose notes die away by themselves.
STRUCK = ("piano", "guitar", "ukulele", "mallet")


class Instrument:
    """One drawn sound. The same generator state draws the same instrument."""

    def __init__(self, rng: np.random.Generator, family: str) -> None:
        self.rng, self.struck = rng, family in STRUCK
        self.slope = float(rng.uniform(0.2, 2.2) if self.struck else rng.uniform(0.6, 2.5))
        self.stiffness = float(np.exp(rng.uniform(np.log(1e-6), np.log(6e-4)))) if self.struck else 0.0
        self.strike_point = float(rng.uniform(0.04, 0.5)) if self.struck else None
        # resonances belong to the body and stay where they are; what is uneven about the partials moves with the note
        self.resonances = rng.normal(0, rng.uniform(1, 7), 48)
        self.unevenness = rng.normal(0, rng.uniform(0, 6), PARTIALS)
        self.seconds, self.damping = float(np.exp(rng.uniform(np.log(0.8), np.log(8)))), float(rng.uniform(0.2, 1.2))
        self.attack = float(rng.uniform(0.001, 0.006) if self.struck else np.exp(rng.uniform(np.log(0.01), np.log(0.15))))
        self.release = float(np.exp(rng.uniform(np.log(0.02), np.log(0.4))))
        self.unison = float(rng.uniform(0, 0.08)) if rng.random() < 0.4 else 0.0
        self.vibrato = 0.0 if self.struck or rng.random() < 0.5 else float(rng.uniform(0.05, 0.3))
        self.noise = float(np.exp(rng.uniform(np.log(1e-3), np.log(0.1))))
        self.waves: dict[int, np.ndarray] = {}

    def play(self, notes: list[Note], seconds: float) -> np.ndarray:
        """Notes (times in s) as float32 mono [T] at SAMPLE_RATE, `seconds` long, peak PEAK."""
        out = np.zeros(int(round(seconds * SAMPLE_RATE)), np.float32)
        longest = {pitch: max(duration for _, duration, other, _ in notes if other == pitch) for _, _, pitch, _ in notes}
        for start, duration, pitch, velocity in notes:
            if pitch not in self.waves:
                self.waves[pitch] = self._wave(pitch, longest[pitch] + self.release + 0.01)
            first, held, fade = (int(value * SAMPLE_RATE) for value in (start, duration, self.release))
            wave = self.waves[pitch][: held + fade].copy()
            wave[held:] *= np.linspace(1, 0, len(wave) - held, dtype=np.float32) ** 2
            room = out[first : first + len(wave)]
            room += (velocity / 127) ** 2 * wave[: len(room)]
        return out * np.float32(PEAK / max(float(np.abs(out).max()), 1e-9))

    def _wave(self, pitch: int, seconds: float) -> np.ndarray:
        """One note at full velocity: [T], float32."""
        count = int(seconds * SAMPLE_RATE)
        number = np.arange(1, PARTIALS + 1)
        base = 440 * 2 ** ((pitch - 69) / 12)
        frequencies = number * base * np.sqrt(1 + self.stiffness * number**2)
        number, unevenness, frequencies = (values[frequencies < 0.45 * SAMPLE_RATE] for values in (number, self.unevenness, frequencies))
        levels = number**-self.slope * 10 ** ((unevenness + self._body(frequencies)) / 20)
        if self.strike_point:
            levels = levels * np.maximum(np.abs(np.sin(np.pi * number * self.strike_point)), 0.05)
        if self.struck:
            rates = 6.9 / self.seconds * (base / 200) ** 0.5 * (1 + self.damping * (number - 1) / 4)
            wave = self._dying(frequencies, levels, rates, count)
            if self.unison:
                wave += self._dying(frequencies * 2 ** (self.unison / 12), levels * self.rng.uniform(0.3, 1), rates, count)
        else:
            wave = self._lasting(base, levels, count)
            if self.unison:
                wave += self._lasting(base * 2 ** (self.unison / 12), levels * self.rng.uniform(0.3, 1), count)
        wave = wave / np.sqrt(np.sum(levels**2))
        hiss = lfilter([1], [1, -0.6], self.rng.standard_normal(count)) * (np.exp(-np.arange(count) / SAMPLE_RATE / 0.02) if self.struck else 0.1)
        ramp = np.minimum(1, np.arange(count) / (self.attack * SAMPLE_RATE))
        return ((wave + self.noise * hiss) * ramp).astype(np.float32)

    def _body(self, frequencies: np.ndarray) -> np.ndarray:
        """Gain of the body's resonances, dB; a value every sixth of an octave from 40 Hz."""
        return np.interp(6 * np.log2(frequencies / 40), np.arange(len(self.resonances)), self.resonances)

    def _dying(self, frequencies: np.ndarray, levels: np.ndarray, rates: np.ndarray, count: int) -> np.ndarray:
        """Sum of sines of `frequencies` (Hz) that start with `levels` and fall by `rates` (nepers per s), each a two-pole resonator that is struck: [count]."""
        wave, loudest = np.zeros(count), levels.max()
        for frequency, level, rate in zip(frequencies, levels, rates):
            audible = int(np.log(level / loudest / 10 ** (FAINT / 20)) / rate * SAMPLE_RATE)
            if audible > 0:
                impulse = np.zeros(min(count, audible))
                impulse[0] = level * self.rng.choice([-1, 1])
                radius, angle = np.exp(-rate / SAMPLE_RATE), 2 * np.pi * frequency / SAMPLE_RATE
                wave[: len(impulse)] += lfilter([np.sin(angle)], [1, -2 * radius * np.cos(angle), radius**2], impulse)
        return wave

    def _lasting(self, base: float, levels: np.ndarray, count: int) -> np.ndarray:
        """Sum of harmonics of `base` (Hz) with vibrato: [count]."""
        time = np.arange(count) / SAMPLE_RATE
        vibrato = 2 ** (self.vibrato / 12 * np.sin(2 * np.pi * self.rng.uniform(4, 7) * time))
        rotation = np.exp(2j * np.pi * np.cumsum(base * vibrato) / SAMPLE_RATE).astype(np.complex64)
        wave, power = np.zeros(count), np.ones(count, np.complex64)
        for level, start in zip(levels * (levels > levels.max() * 10 ** (FAINT / 20)), np.exp(1j * self.rng.uniform(0, 6, len(levels)))):
            power *= rotation
            if level:
                wave += level * (start * power).imag
        return wave
