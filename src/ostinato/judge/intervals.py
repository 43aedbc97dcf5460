"""How sure a score is.

Conventions: values are grouped by what was drawn, `{prompt: [value of each clip]}`; an estimate is `{"value", "low", "high", "n"}` with n the number of clips;
what is not known is None: value, low and high when n is 0, low and high when all clips belong to one prompt.

Clips of one prompt are not independent: a prompt is one observation, the mean of its clips, and the interval is Student's t over prompts. Scores end at 0 and at 100, and of
a few prompts that all score 99 nobody knows the one that fails: so where a scale has ends, one observation more is supposed at each (as Agresti & Coull, 1998, do for
shares). Where 95 is said, this holds the truth 95 to 100 times of a hundred for all sorts of scores that were tried, with five prompts or with forty; Student's t by itself 65
times with five of the references' scores, the percentile bootstrap and BCa 89 and 90 with ten of ours (benchmarks/intervals.py). It is wide where there are few prompts. What has
no ends (differences, bits, seconds) has Student's t by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from ostinato.files import UserError

Estimate = dict[str, Any]
#: (prompt, demo, seed) of a clip -> its value.
Values = dict[tuple[str, str, int], float | None]
Scale = tuple[float, float]
PERCENT: Scale = (0.0, 100.0)
DIGITS = 4


def cluster_mean(values: Mapping[str, Sequence[float]], confidence: float, scale: Scale | None = PERCENT) -> Estimate:
    """Mean over clusters of the mean of each, with its interval over clusters; every cluster counts alike, however many clips it has.

    Args:
        values: cluster (a prompt, a composition) -> values; clusters without any are left out.
        scale: the ends of what a value can be; None: there are none.
    """
    means = np.array([np.mean(group) for group in values.values() if len(group)])
    count = sum(map(len, values.values()))
    if not len(means):
        return estimate(None, None, None, 0)
    if len(means) == 1:
        return estimate(means[0], None, None, count)
    low, high = _students(np.append(means, scale or []), len(means) - 1, confidence)
    if scale:
        low, high = max(scale[0], min(low, means.mean())), min(scale[1], max(high, means.mean()))
    return estimate(means.mean(), low, high, count)


def _students(values: np.ndarray, freedom: int, confidence: float) -> tuple[float, float]:
    reach = stats.t.ppf((1 + confidence) / 2, freedom) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)


def not_negative(found: Estimate) -> Estimate:
    """An estimate of what is never below 0 and has no other end (seconds, bits)."""
    return found if found["low"] is None else found | {"low": max(0.0, found["low"])}


def grouped(values: Iterable[tuple[str, float | None]]) -> dict[str, list[float]]:
    """Values by their cluster, those that are not defined left out."""
    groups: dict[str, list[float]] = {}
    for name, value in values:
        if value is not None:
            groups.setdefault(name, []).append(value)
    return groups


def clopper_pearson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """The exact interval of a share, 0-1, from independent trials (Clopper & Pearson, 1934); never narrower than it says."""
    tail = (1 - confidence) / 2
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def proportion(successes: int, trials: int, confidence: float) -> Estimate:
    """A share of independent trials in percent, with its exact interval."""
    if not trials:
        return estimate(None, None, None, 0)
    low, high = clopper_pearson(successes, trials, confidence)
    return estimate(100 * successes / trials, 100 * low, 100 * high, trials)


def paired(minuend: Values, subtrahend: Values, confidence: float) -> Estimate:
    """Mean difference of clips with the same prompt and seed, with its interval over prompts. Raises UserError for clips without a partner."""
    odd = sorted(set(minuend) ^ set(subtrahend))
    if odd:
        raise UserError(f"two sets of demos do not hold the same ones: '{odd[0][1]}' with seed {odd[0][2]} is in one of them only")
    groups: dict[str, list[float]] = {}
    for key in sorted(minuend):
        first, second = minuend[key], subtrahend[key]
        if first is not None and second is not None:
            groups.setdefault(key[0], []).append(first - second)
    return cluster_mean(groups, confidence, None)


def estimate(value: float | None, low: float | None, high: float | None, n: int) -> Estimate:
    """One number with its interval, rounded so that the last bits of a sum do not change a file's hash."""
    low, value, high = (None if number is None else round(float(number), DIGITS) + 0.0 for number in (low, value, high))
    return {"value": value, "low": low, "high": high, "n": n}
