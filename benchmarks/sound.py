"""What the judge's measures of sound tell apart, and what they do not: `python benchmarks/sound.py [repetition|distance|coverage]`, half a minute for all.

- `repetition`: phrases that the etudes' players play twice, through a lossy format: the same again, another figure over the same chords, other chords;
- `distance`: KAD of true renderings of the demo prompts, damaged in one way each, from those that are not: harmony and timbre;
- `coverage`: how often KAD's interval holds the true distance, of ten prompts with three seeds each drawn from normal distributions.
"""

from __future__ import annotations

import io
import sys
from itertools import permutations
from pathlib import Path

import librosa
import numpy as np
import scipy.signal
import soundfile

from ostinato.etudes import rendering
from ostinato.etudes.arrangement import play
from ostinato.etudes.composition import PATTERNS
from ostinato.generate.reference import perform
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge.embedding import embed_samples
from ostinato.judge.kad import SCALE, bandwidth, kad
from ostinato.judge.repetition import THRESHOLD, WINDOW_SECONDS, likeness
from ostinato.judge.spectra import FRAME_RATE, log_spectrum
from ostinato.params import load

RATE = rendering.SAMPLE_RATE
PARAMS = load(Path(__file__).parents[1] / "params.yaml")
FONT = rendering.soundfont(None)
LOWPASS = scipy.signal.butter(4, 1500 / (RATE / 2))


def phrase(chords: str, pattern: str, instrument: str, beat: float, seed: int) -> np.ndarray:
    """A bar of four beats (s each) for each chord: float32 [T]."""
    rng, voices, notes = np.random.default_rng(seed), None, []
    for bar, name in enumerate(chords.split()):
        voices, played = play(Chord.parse(name), pattern, instrument, bar * 4 * beat, 4.0, beat, voices, rng)
        notes += played
    programs = rendering.PROGRAMS[instrument]
    return rendering.render(notes, programs[seed % len(programs)], FONT, len(chords.split()) * 4 * beat)


def as_mp3(samples: np.ndarray) -> np.ndarray:
    """Samples through the worst MP3."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.95)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def repetition() -> None:
    found: dict[tuple[str, bool], list[np.ndarray]] = {}
    for instrument, patterns in PATTERNS.items():
        for seed, (pattern, other) in enumerate(permutations(patterns, 2)):
            for beat in (0.5, 0.63):
                first = phrase("C:maj A:min", pattern, instrument, beat, seed)
                second = {
                    "the same again": first,
                    "another figure": phrase("C:maj A:min", other, instrument, beat, seed),
                    "other chords": phrase("F:maj G:maj", pattern, instrument, beat, seed),
                }
                for name, half in second.items():
                    best = likeness(log_spectrum(as_mp3(np.concatenate([first, half])), RATE), round(WINDOW_SECONDS * FRAME_RATE))
                    found.setdefault((name, instrument == "strings"), []).append(best[round(len(first) / RATE * FRAME_RATE) :])
    print(f"{'windows of the second half':28s}{'alike, %':>10s}{'likeness: 5, 50, 95 %':>26s}")
    for (name, strings), windows in found.items():
        best = np.concatenate(windows)
        print(f"{name + (' (strings)' if strings else ''):28s}{100 * (best >= THRESHOLD).mean():10.1f}{'  '.join(f'{x:6.2f}' for x in np.percentile(best, [5, 50, 95])):>26s}")


def distance() -> None:
    rng = np.random.default_rng(0)
    damages = {
        "none": lambda x: x,
        "noise 20 dB below": lambda x: x + 0.1 * x.std() * rng.normal(size=len(x)),
        "noise 6 dB below": lambda x: x + 0.5 * x.std() * rng.normal(size=len(x)),
        "low-pass 1.5 kHz": lambda x: scipy.signal.lfilter(*LOWPASS, x),
        "clipped at half the RMS": lambda x: np.clip(x, -0.5 * x.std(), 0.5 * x.std()),
        "backwards": lambda x: x[::-1],
        "pitch wobbles": lambda x: np.interp(np.arange(len(x)) + 0.01 * RATE * np.sin(2 * np.pi * 0.7 * np.arange(len(x)) / RATE), np.arange(len(x)), x),
        "a tritone higher": lambda x: librosa.effects.pitch_shift(x, sr=RATE, n_steps=6),
        "noise alone": lambda x: 0.1 * rng.normal(size=len(x)),
    }
    prompts = PARAMS.demos.heldout
    groups = [prompt for prompt in prompts for _ in range(3)]
    plain, reference = ([perform(parse(prompt), 10.0, FONT, np.random.default_rng([seed, 7])) for prompt in prompts for seed in seeds] for seeds in ((1, 2, 3), (4, 5, 6)))
    embedded = {name: [embed_samples(np.asarray(damage(clip), np.float32), RATE, PARAMS.listen) for clip in plain] for name, damage in damages.items()}
    others = [embed_samples(clip, RATE, PARAMS.listen) for clip in reference]
    print(f"{'damage':28s}{'harmony':>22s}{'timbre':>22s}")
    for name, clips in embedded.items():
        found = [kad(*(np.array([getattr(one, part) for one in some]) for some in (clips, others)), groups, 0.95, groups) for part in ("harmony", "timbre")]
        print(f"{name:28s}" + "".join(f"{one['value']:8.1f} ({one['low']:.1f}, {one['high']:.1f})".rjust(22) for one in found))


def coverage() -> None:
    rng, dimensions, shared = np.random.default_rng(1), 20, 0.6
    reference = rng.normal(size=(300, dimensions))
    square = bandwidth(reference) ** 2
    apart = np.square(reference[:, None] - reference[None]).sum(axis=2)
    within = np.exp(-apart / (2 * square))[~np.eye(len(reference), dtype=bool)].mean()
    print(f"{'shift, standard deviations':28s}{'distance':>10s}{'mean':>10s}{'covered, %':>12s}")
    for shift in (0.0, 0.6, 1.2):
        centre = np.full(dimensions, shift / np.sqrt(dimensions))
        # E exp(-|x - r|^2 / 2s^2) of x ~ N(c, I) is (1 + 1/s^2)^(-n/2) exp(-|c - r|^2 / (2 (s^2 + 1))); of two such x as in the tests
        across = ((1 + 1 / square) ** (-dimensions / 2) * np.exp(-np.square(reference - centre).sum(axis=1) / (2 * (square + 1)))).mean()
        truth = SCALE * ((1 + 2 / square) ** (-dimensions / 2) + within - 2 * across)
        found = []
        for _ in range(1000):
            prompts, seeds = rng.normal(size=(10, 1, dimensions)), rng.normal(size=(10, 3, dimensions))
            found.append(kad((centre + np.sqrt(shared) * prompts + np.sqrt(1 - shared) * seeds).reshape(30, dimensions), reference, np.repeat(np.arange(10), 3).tolist(), 0.95))
        covered = 100 * np.mean([one["low"] <= truth <= one["high"] for one in found])
        print(f"{shift:<28g}{truth:10.3f}{np.mean([one['value'] for one in found]):10.3f}{covered:12.1f}")


if __name__ == "__main__":
    for name in sys.argv[1:] or ("repetition", "distance", "coverage"):
        {"repetition": repetition, "distance": distance, "coverage": coverage}[name]()
