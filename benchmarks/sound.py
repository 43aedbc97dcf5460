"""What the judge's measures of sound tell apart, and what they do not: `python benchmarks/sound.py [repetition|diversity|distance|coverage]`.

All take four minutes, most of them in the codec.

- `repetition`: phrases that the etudes' players play twice, through a lossy format, and through the codec of a finished demo where results/codec is: the same again, another
  figure over the same chords, other chords;
- `diversity`: how far apart true renderings of one phrase are, by what they share: pattern, instrument;
- `distance`: KAD of true renderings of ten prompts of workflow/prompts/dev.tsv, damaged in one way each, from those that are not: harmony and timbre;
- `coverage`: how often KAD's interval holds the true distance, of ten prompts with three seeds each drawn from normal distributions.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path

import librosa
import numpy as np
import scipy.signal
import soundfile
import soxr

from ostinato.codec.codec import load_codec
from ostinato.etudes import rendering
from ostinato.etudes.arrangement import play
from ostinato.etudes.composition import PATTERNS
from ostinato.generate.reference import perform
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import parse
from ostinato.harmony.prompts.sets import read_set
from ostinato.judge.diversity import distance as apart
from ostinato.judge.diversity import picture
from ostinato.judge.embedding import embed_samples
from ostinato.judge.kad import SCALE, bandwidth, kad
from ostinato.judge.repetition import THRESHOLD, WINDOW_SECONDS, likeness
from ostinato.judge.spectra import FRAME_RATE, log_spectrum
from ostinato.params import load
from ostinato.sampling import evenly

RATE = rendering.SAMPLE_RATE
ROOT = Path(__file__).parents[1]
PARAMS, CODEC = load(ROOT / "params.yaml"), ROOT / "results/codec"
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


def through_codec(samples: np.ndarray) -> np.ndarray:
    """Samples through the demo's codec."""
    import torch

    codec = load_codec(CODEC)
    with torch.no_grad():
        decoded = codec.decode(*codec.encode(torch.from_numpy(soxr.resample(samples, RATE, codec.sample_rate))[None, None]))
    return soxr.resample(decoded[0, 0].numpy(), codec.sample_rate, RATE)


def repetition() -> dict[str, float]:
    ways = {"MP3": as_mp3} | ({"codec": through_codec} if CODEC.is_dir() else {})
    return {f"{way}, {name}": share for way, lossy in ways.items() for name, share in repeated(way, lossy).items()}


def repeated(way: str, lossy: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
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
                    best = likeness(log_spectrum(lossy(np.concatenate([first, half])), RATE), round(WINDOW_SECONDS * FRAME_RATE))
                    found.setdefault((name, instrument == "strings"), []).append(best[round(len(first) / RATE * FRAME_RATE) :])
    print(f"{'second half, ' + way:28s}{'alike, %':>10s}{'likeness: 5, 50, 95 %':>26s}")
    for (name, strings), windows in found.items():
        best = np.concatenate(windows)
        print(f"{name + (' (strings)' if strings else ''):28s}{100 * (best >= THRESHOLD).mean():10.1f}{'  '.join(f'{x:6.2f}' for x in np.percentile(best, [5, 50, 95])):>26s}")
    return {name + " (strings)" * strings: round(100 * float((np.concatenate(windows) >= THRESHOLD).mean()), 1) for (name, strings), windows in found.items()}


def diversity() -> dict[str, float]:
    clips = [
        (instrument, pattern, picture(log_spectrum(phrase("C:maj F:maj G:maj C:maj", pattern, instrument, 0.6, seed), RATE)))
        for instrument, patterns in PATTERNS.items()
        for pattern in patterns
        for seed in (0, 6)  # one program of the instrument, two performances
    ]
    found: dict[str, list[float]] = {}
    for (one, figure, first), (other, another, second) in combinations(clips, 2):
        same = {(True, True): "the same pattern and instrument", (True, False): "another pattern", (False, True): "another instrument", (False, False): "both others"}
        found.setdefault(same[one == other, figure == another], []).append(apart(first, second))
    means = {name: round(float(np.mean(values)), 1) for name, values in found.items()}
    for name, value in means.items():
        print(f"{name:34s}{value:8.1f} %")
    return means


def distance() -> dict[str, float]:
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
    prompts = list(evenly(read_set(ROOT / "workflow/prompts/dev.tsv"), 10))
    means = {}
    groups = [prompt for prompt in prompts for _ in range(3)]
    plain, reference = ([perform(parse(prompt), 10.0, FONT, np.random.default_rng([seed, 7])) for prompt in prompts for seed in seeds] for seeds in ((1, 2, 3), (4, 5, 6)))
    embedded = {name: [embed_samples(np.asarray(damage(clip), np.float32), RATE, PARAMS.listen) for clip in plain] for name, damage in damages.items()}
    others = [embed_samples(clip, RATE, PARAMS.listen) for clip in reference]
    print(f"{'damage':28s}{'harmony':>22s}{'timbre':>22s}")
    for name, clips in embedded.items():
        found = [kad(*(np.array([getattr(one, part) for one in some]) for some in (clips, others)), groups, 0.95, groups) for part in ("harmony", "timbre")]
        print(f"{name:28s}" + "".join(f"{one['value']:8.1f} ({one['low']:.1f}, {one['high']:.1f})".rjust(22) for one in found))
        means |= {f"{name}, {part}": one["value"] for one, part in zip(found, ("harmony", "timbre"))}
    return means


def coverage() -> dict[str, float]:
    shares = {}
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
        shares[f"shift {shift:g}"] = round(float(covered), 1)
    return shares


if __name__ == "__main__":
    parts = {"repetition": repetition, "diversity": diversity, "distance": distance, "coverage": coverage}
    print(json.dumps({name: parts[name]() for name in sys.argv[1:] or parts}))
