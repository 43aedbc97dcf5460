"""How sure a score is, and what luck alone would score.

Conventions: values are percentages grouped by prompt, `{prompt: [value of each clip]}`; an estimate is
`{"value", "low", "high", "n"}` with n the number of clips; value, low and high are None when n is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ostinato.files import UserError
from ostinato.harmony.prompts.prompt import Prompt
from ostinato.judge.adherence import triads_in_order

Estimate = dict[str, Any]
#: (prompt, demo, seed) of a clip -> its value.
Values = dict[tuple[str, str, int], float | None]
#: More than any sum of random costs in [0, 1), so that a forbidden pair is taken only where no other matching exists.
FORBIDDEN = 1e6
DIGITS = 4


def bootstrap(values: Mapping[str, Sequence[float]], resamples: int, confidence: float, seed: int) -> Estimate:
    """Mean over clips with a percentile interval from a cluster bootstrap over prompts.

    Clips of one prompt are not independent, so whole prompts are drawn with replacement (Davison & Hinkley, *Bootstrap Methods and
    their Application*, 1997, 3.8). With a single prompt there is nothing to draw among: its clips are drawn instead, and the interval
    says nothing about other prompts. The same seed draws the same prompts for every metric.
    """
    groups = [list(group) for group in values.values() if len(group)]
    if not groups:
        return estimate(None, None, None, 0)
    count = sum(len(group) for group in groups)
    value = sum(sum(group) for group in groups) / count
    units = groups if len(groups) > 1 else [[clip] for clip in groups[0]]
    sums, sizes = np.array([sum(unit) for unit in units]), np.array([len(unit) for unit in units])
    drawn = np.random.default_rng(seed).integers(len(units), size=(resamples, len(units)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return estimate(value, *_percentiles(means, confidence), count)


def paired(minuend: Values, subtrahend: Values, resamples: int, confidence: float, seed: int) -> Estimate:
    """Mean difference of clips with the same prompt and seed, with `bootstrap`'s interval. Raises UserError for clips without a partner."""
    odd = sorted(set(minuend) ^ set(subtrahend))
    if odd:
        raise UserError(f"before and after do not hold the same demos: '{odd[0][1]}' with seed {odd[0][2]} is in one of them only")
    groups: dict[str, list[float]] = {}
    for key in sorted(minuend):
        first, second = minuend[key], subtrahend[key]
        if first is not None and second is not None:
            groups.setdefault(key[0], []).append(first - second)
    return bootstrap(groups, resamples, confidence, seed)


def estimate(value: float | None, low: float | None, high: float | None, n: int) -> Estimate:
    """One number with its interval, rounded so that the last bits of a sum do not change a file's hash."""
    low, value, high = (None if number is None else round(float(number), DIGITS) + 0.0 for number in (low, value, high))
    return {"value": value, "low": low, "high": high, "n": n}


def _percentiles(values: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


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
        The mean over permutations of the mean over clips. The interval is the percentiles over permutations: the null distribution of
        a permutation test, so that a score above `high` is not explained by luck at that confidence. n counts the clips with a partner.
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
