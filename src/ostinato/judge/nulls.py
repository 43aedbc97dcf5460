"""What luck alone would score: the same clips against prompts that were not theirs, and against their own chords in other orders.

The first says what is left when a clip was not asked for what it is compared with; the second is harder: the right chords, in the right key, at the wrong places.
Every model has its own chance, from its own clips: one that always plays C has another than one that obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ostinato.harmony.chords import QUALITIES, Chord
from ostinato.harmony.prompts.prompt import Prompt
from ostinato.judge.adherence import Span, compared, on_grid, triads_in_order
from ostinato.judge.intervals import Estimate, estimate

#: More than any sum of random costs in [0, 1), so that a forbidden pair is taken only where no other matching exists.
FORBIDDEN = 1e6
#: All orders of so many chords are tried (40,320); of more chords, as many random ones.
ALL_ORDERS = 8


def partners(prompts: Sequence[Prompt], pool: Sequence[Prompt]) -> np.ndarray:
    """Which prompts of `pool` may stand in for each of `prompts`: bool [prompts, pool].

    Never one whose chords, reduced to triads and collapsed, are the same. Only those with as many chords, where there are any: fewer
    chords are easier to align. A row without True has no partner.
    """
    shape = len(prompts), len(pool)
    different = np.array([triads_in_order(a.chords) != triads_in_order(b.chords) for a in prompts for b in pool], dtype=bool).reshape(shape)
    same_count = np.array([len(a.chords) == len(b.chords) for a in prompts for b in pool], dtype=bool).reshape(shape)
    strict = different & same_count
    return np.where(strict.any(axis=1, keepdims=True), strict, different)


def derangements(allowed: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` random assignments of a partner to each prompt, no partner used twice where that is possible: int [count, prompts].

    Each is the cheapest matching under random costs (close to uniform over matchings, and one always comes out, which drawing until
    nothing is forbidden does not promise). Prompts that no matching serves draw any allowed partner; without one they get -1.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        costs = np.where(allowed, rng.random(allowed.shape), FORBIDDEN)
        row = np.full(len(allowed), -1)
        matched, partner = linear_sum_assignment(costs)
        row[matched] = partner
        rows.append([_serve(allowed[i], int(row[i]), rng) for i in range(len(allowed))])
    return np.array(rows, dtype=int).reshape(count, len(allowed))


def _serve(allowed: np.ndarray, partner: int, rng: np.random.Generator) -> int:
    if partner >= 0 and allowed[partner]:
        return partner
    return int(rng.choice(np.flatnonzero(allowed))) if allowed.any() else -1


def chance(scores: np.ndarray, owners: np.ndarray, choices: np.ndarray, confidence: float) -> Estimate:
    """What the same clips score against permuted prompts.

    Args:
        scores: [clips, pool], each clip judged against each prompt of the pool; NaN where a metric is not defined.
        owners: int [clips], which row of `choices`' columns is the clip's own prompt.
        choices: int [permutations, prompts] from `derangements`; clips of one prompt share a partner, as they shared a prompt.

    Returns:
        The mean over permutations of the mean over clips. `low` and `high` are no interval of that mean but the band in which the share `confidence` of the permutations
        falls: the null distribution of a permutation test, so that a score above `high` is not explained by luck. n counts the clips with a partner.
    """
    permuted = _permuted(scores, owners, choices)
    counted = ~np.isnan(permuted)
    clips = int(counted.any(axis=0).sum())
    rows = counted.any(axis=1)
    if not clips:
        return estimate(None, None, None, 0)
    means = np.where(counted, permuted, 0)[rows].sum(axis=1) / counted[rows].sum(axis=1)
    return estimate(means.mean(), *_percentiles(means, confidence), clips)


def chance_by_clip(scores: np.ndarray, owners: np.ndarray, choices: np.ndarray) -> list[float | None]:
    """Each clip's mean over the permutations, None where it has no partner: what `permuted_gain` pairs with the clips before training."""
    permuted = _permuted(scores, owners, choices)
    return [float(np.nanmean(column)) if not np.isnan(column).all() else None for column in permuted.T]


def _permuted(scores: np.ndarray, owners: np.ndarray, choices: np.ndarray) -> np.ndarray:
    """[permutations, clips]: each clip's score against its prompt's partner; NaN without partner."""
    partner = choices[:, owners]
    return np.where(partner >= 0, scores[np.arange(len(owners))[None, :], partner], np.nan)


def other_orders(prompt: Prompt, heard: Sequence[Span], duration: float, seed: int) -> tuple[float, float] | None:
    """`triads` of a clip against its own chords in all other orders, on the even grid: the mean over them and the best of them, percent.

    The places keep their lengths and the chords change theirs; an order that asks for the same triads at the same places is not another one.

    Returns:
        None where there is no other order: one chord, or the same one throughout.
    """
    places = on_grid(prompt, duration)
    right = np.array([[_seconds_right(chord, start, end, heard) for chord in prompt.chords] for start, end, _ in places])
    orders = _orders(len(places), seed)
    same = {sound: number for number, sound in enumerate(dict.fromkeys(map(_sound, prompt.chords)))}
    numbers = np.array([same[_sound(chord)] for chord in prompt.chords])
    others = orders[(numbers[orders] != numbers).any(axis=1)]
    if not len(others):
        return None
    scores = 100 * right[np.arange(len(places)), others].sum(axis=1) / duration
    return float(scores.mean()), float(scores.max())


def _seconds_right(asked: Chord, start: float, end: float, heard: Sequence[Span]) -> float:
    overlaps = ((max(0.0, min(end, until) - max(start, since)), chord) for since, until, chord in heard)
    return sum(seconds for seconds, chord in overlaps if seconds and compared("triads", asked.harte, chord.harte) > 0)


def _sound(chord: Chord) -> tuple[int, frozenset[int]] | None:
    """What mir_eval's `triads` tells apart: root, and the notes up to the augmented fifth."""
    return (chord.pitch_class, frozenset(step for step in QUALITIES[chord.quality] if step <= 8)) if chord.is_chord else None


@lru_cache(16)
def _orders(count: int, seed: int) -> np.ndarray:
    """Orders of so many chords, as indices [orders, count]."""
    if count <= ALL_ORDERS:
        return np.array(list(permutations(range(count))))
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(count) for _ in range(40320)])


def _percentiles(values: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
