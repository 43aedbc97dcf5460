"""How well the instruments' ear tells what plays: test clips of a SoundFont that it was not trained with, and F measures by family.

Clip k is a single part (`single`), two, three or four together (`mix`), in turn, each family as often first as any other, at levels as in training. Parts play all the time,
or, in a mix, one time of three enter or leave. Everything is heard through the door that recordings come in by, and what is counted are the names that a prompt would get,
and the same second by second. Clips are as the SoundFont plays them (`clean`), or went through rooms, noise, coding (`worn`, etudes.effects).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.compiling import compiled_alone
from ostinato.ears.instrument_spectra import heard as audible
from ostinato.ears.instrument_spectra import spectrum_of
from ostinato.etudes import effects, mixes
from ostinato.etudes.rendering import PEAK, SAMPLE_RATE, Player
from ostinato.harmony.instruments import FAMILIES
from ostinato.listen.evidence import analyse, resampled
from ostinato.listen.instruments import COVERED, Playing, names_of, playing
from ostinato.params import Listen

#: How many parts clips have, in turn, and how often a part of a mix enters or leaves.
COUNTS, ENTERING = (1, 1, 1, 2, 3, 4), 0.3
LEVELS = (-9.0, 0.0)


@dataclass(frozen=True)
class Test:
    """A clip: mono audio [T] at SAMPLE_RATE, of each second and family whether it is heard (1, 0, -1 where nobody can say; [seconds, FAMILIES]), and how many parts it has."""

    samples: np.ndarray
    truth: np.ndarray
    parts: int


@compiled_alone
def test_clip(k: int, seed: int, player: Player, worn: bool = False) -> Test:
    """Test clip `k` of a seed and a SoundFont."""
    rng = np.random.default_rng([seed, k])
    first, count = k // len(COUNTS) % len(FAMILIES), COUNTS[k % len(COUNTS)]
    families = [first, *(int(number) for number in rng.permutation(len(FAMILIES)) if number != first)][:count]
    timeline, beat = mixes.plan(rng)
    sounds = [_placed(mixes.part(FAMILIES[number], timeline, beat, rng, player, plain=True), rng, count) for number in families]
    truth = np.zeros((int(mixes.SECONDS), len(FAMILIES)), np.int8)
    truth[:, families] = audible(np.stack([(spectrum_of(sound) ** 2).sum(axis=1) for sound in sounds])).T
    mix = np.sum(sounds, axis=0)
    mix *= PEAK / max(float(np.abs(mix).max()), 1e-9)
    return Test(effects.degrade(mix, rng) if worn else mix.astype(np.float32), truth, count)


def _placed(sound: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """A part as loud as others but for its level, entering or leaving."""
    loud = float(np.percentile(np.sqrt(np.convolve(sound**2, np.ones(2205) / 2205, "same")[::441]), 95))
    sound = sound / max(loud, 1e-6) * 10 ** (rng.uniform(*LEVELS) / 20)
    if count > 1 and rng.random() < ENTERING:
        at, enters = int(rng.uniform(0.2, 0.8) * len(sound)), rng.random() < 0.5
        sound = np.concatenate([np.zeros(at), sound[at:]] if enters else [sound[:at], np.zeros(len(sound) - at)])
    return sound


def hear_clip(k: int, seed: int, player: Player, listen: Listen, worn: bool) -> tuple[Test, list[Playing]]:
    """A test clip and what the ear says plays in it."""
    test = test_clip(k, seed, player, worn)
    return test, playing(analyse([resampled(test.samples, SAMPLE_RATE)], "labeller"), listen.ears)


def by_second(found: Sequence[Playing], seconds: int) -> np.ndarray:
    """Of each second and family whether it is named: bool [seconds, FAMILIES]."""
    said = np.zeros((seconds, len(FAMILIES)), bool)
    for start, end, name, _ in found:
        said[round(start) : max(round(end), round(start) + 1), FAMILIES.index(name)] = True
    return said


def in_all(test: Test) -> np.ndarray:
    """Of each family whether it is heard most of the clip: 1, 0, -1 where nobody can say; [FAMILIES]."""
    sure, maybe = (test.truth == 1).mean(axis=0), (test.truth != 0).mean(axis=0)
    return np.where(sure >= COVERED, 1, np.where(maybe >= COVERED / 2, -1, 0))


def scores(rows: Sequence[tuple[Test, list[Playing]]]) -> dict[str, dict[str, float]]:
    """F measures by family and their mean (`macro`), and precision and recall over all, percent: `single` and `mix` by clips, and `... by second`."""
    found: dict[str, dict[str, float]] = {}
    for name, chosen in (("single", [row for row in rows if row[0].parts == 1]), ("mix", [row for row in rows if row[0].parts > 1])):
        clips = [(np.array([family in dict(names_of(said, 0.0, mixes.SECONDS)) for family in FAMILIES]), in_all(test)) for test, said in chosen]
        seconds = [(by_second(said, len(test.truth)), test.truth) for test, said in chosen]
        found |= {name: _scored(*(np.stack(values) for values in zip(*clips))), f"{name} by second": _scored(*(np.concatenate(values) for values in zip(*seconds)))}
    return found


def _scored(said: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of yes and no [rows, FAMILIES] against 1, 0, -1."""
    right, wrong, missed = (said & (truth == 1)).sum(axis=0), (said & (truth == 0)).sum(axis=0), (~said & (truth == 1)).sum(axis=0)
    measures = 200 * right / np.maximum(2 * right + wrong + missed, 1)
    known = right + missed > 0
    named = {family: round(float(value), 1) for family, value, is_there in zip(FAMILIES, measures, known) if is_there}
    overall = {"precision": 100 * right.sum() / max((right + wrong).sum(), 1), "recall": 100 * right.sum() / max((right + missed).sum(), 1)}
    return named | {"macro": round(float(measures[known].mean()), 1)} | {key: round(float(value), 1) for key, value in overall.items()}
