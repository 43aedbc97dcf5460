"""How often an interval over prompts holds the truth where 95 % is said: the percentile bootstrap, BCa, Student's t, and Student's t with an observation at each end.

Prompts are drawn from a population of per-prompt scores whose mean is known, and the interval of each method is made from what was drawn. Populations: what a judged set of
demos scored (--judgements, results/judgements.json by default, `after` and `reference`), and three made-up ones, where there is none.
python benchmarks/intervals.py [--trials 1000]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

from ostinato.judge.intervals import cluster_mean

CONFIDENCE, RESAMPLES = 0.95, 1000


def bootstrap(method: str) -> Callable[[np.ndarray, np.random.Generator], tuple[float, float]]:
    """The interval of scipy's bootstrap by a method; where all drawn are alike it has no width."""

    def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
        if np.ptp(values) == 0:
            return float(values[0]), float(values[0])
        found = stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method=method, rng=rng).confidence_interval
        return float(found.low), float(found.high)

    return interval


def ours(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """`cluster_mean`, each prompt a cluster of one."""
    found = cluster_mean({str(number): [value] for number, value in enumerate(values)}, CONFIDENCE)
    return found["low"], found["high"]


def students(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Student's t by itself."""
    found = cluster_mean({str(number): [value] for number, value in enumerate(values)}, CONFIDENCE, None)
    return found["low"], found["high"]


METHODS = {"percentile": bootstrap("percentile"), "BCa": bootstrap("BCa"), "Student's t": students, "ours": ours}


def populations(judgements: Path) -> dict[str, np.ndarray]:
    """Scores of many prompts, percent, by what they are like."""
    rng = np.random.default_rng(0)
    made = {
        "mostly right (beta 5, 1)": 100 * rng.beta(5, 1, 20000),
        "right or wrong (beta .6, .4)": 100 * rng.beta(0.6, 0.4, 20000),
        "nine in ten exactly 100": np.where(rng.random(20000) < 0.9, 100, 100 * rng.random(20000)),
    }
    if judgements.is_file():
        found: dict[str, dict[str, list[float]]] = {}
        for entry in json.loads(judgements.read_text()):
            if entry["heldout"] and (value := entry["metrics"].get("triads")) is not None:
                found.setdefault(entry["which"], {}).setdefault(entry["prompt"], []).append(value)
        made = {f"{which}, {len(found[which])} prompts": np.array([np.mean(values) for values in found[which].values()]) for which in ("after", "reference")} | made
    return made


def main() -> None:
    """Print a table, and one line of JSON last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--judgements", type=Path, default=Path("results/judgements.json"))
    parser.add_argument("--trials", type=int, default=1000)
    args = parser.parse_args()
    found: dict[str, float] = {}
    print(f"{'population':<46}{'prompts':>8}" + "".join(f"{name:>14}" for name in METHODS))
    for name, population in populations(args.judgements).items():
        for count in (5, 10, 40):
            rng, held = np.random.default_rng(1), dict.fromkeys(METHODS, 0)
            for _ in range(args.trials):
                drawn = rng.choice(population, count)
                for method, interval in METHODS.items():
                    low, high = interval(drawn, rng)
                    held[method] += low - 1e-3 <= population.mean() <= high + 1e-3
            shares = {method: 100 * times / args.trials for method, times in held.items()}
            found |= {f"{name}, {count}, {method}": share for method, share in shares.items()}
            print(f"{name:<46}{count:>8}" + "".join(f"{share:>13.1f}%" for share in shares.values()))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
