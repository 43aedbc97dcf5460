"""scores.json: sets of clips, each number beside its references: true renderings, what luck alone would score, a control.

Means and intervals are over the held-out prompts that do not occur in the training labels; the seed prompts and those without chords stand apart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.harmony.prompts.kinds import KINDS, kind_of, phrasing_of
from ostinato.harmony.prompts.prompt import PHRASINGS, parse
from ostinato.judge.intervals import PERCENT, Estimate, Values, cluster_mean, grouped, not_negative, paired
from ostinato.judge.nulls import chance, chance_by_clip, derangements, other_orders, partners
from ostinato.judge.occurrences import Occurrences
from ostinato.judge.scoring import HEADLINE, MEASURES, METRICS, Metrics, Row, asked_instruments, length, score
from ostinato.params import Judge

#: Metrics that are not below 0 and have no other end.
WITHOUT_END = ("longest_copy", "tempo_error", "tempo_error_octaves")
#: What is subtracted from what: what fine-tuning gained, and how far that is from a true rendering and from the control.
PAIRS = {
    "gain": ("after", "before"),
    "gain_over_chance": ("after", "before"),
    "after_minus_reference": ("after", "reference"),
    "after_minus_control": ("after", "control"),
}


def summarise(rows: Sequence[Row], occurrences: Occurrences | None, judge: Judge, pairs: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """scores.json (docs/layout.md): every set over the unseen held-out prompts, with its chance; the strata; what differs from what, and how surely.

    Args:
        occurrences: of the prompts in the training labels; None where nobody knows what was trained on.
        pairs: differences that are asked for, by name: of which set from which.
    """
    seen = occurrences.as_they_are if occurrences else set()
    headline = [row for row in rows if row[0].heldout and row[0].prompt not in seen]
    unseen = sorted({demo.prompt for demo, _, _ in headline})
    if not unseen and seen:
        logging.warning("no held-out prompt is left to score: all occur in the training labels; name others in demos.heldout_set or demos.heldout")
    with_chords = [row for row in rows if not row[0].heldout and parse(row[0].prompt).chords]
    without = [row for row in rows if not parse(row[0].prompt).chords]
    sets = list(dict.fromkeys(demo.which for demo, _, _ in rows))
    instruments = asked_instruments(demo for demo, _, _ in rows)
    by_luck = {which: Luck(_of(headline, which), judge, instruments) for which in sets}
    return (
        {
            "headline": HEADLINE,
            "unit": "percent",
            "confidence": judge.confidence,
            "min_share": judge.min_share,
            "heldout": unseen,
            "seen": sorted(seen),
            "sets": {which: _means(_of(headline, which), judge) for which in sets},
            "chance": {which: luck.estimates for which, luck in by_luck.items()},
            "other_orders": {which: luck.other_orders for which, luck in by_luck.items()},
            "strata": strata(headline, by_luck, judge),
            "seed_prompts": {which: _means(_of(with_chords, which), judge) for which in sets},
            "text_only": {which: _means(_of(without, which), judge, ("instrument", "sounding", "repetition", "clap")) for which in sets},
        }
        | _known(occurrences, unseen)
        | (differences(headline, by_luck, judge, pairs) if pairs else {})
    )


def _known(occurrences: Occurrences | None, prompts: Sequence[str]) -> dict[str, Any]:
    """Which of the prompts that are scored occur in the training labels in another key, or in part."""
    return {} if occurrences is None else {"transposed": sorted(occurrences.transposed & set(prompts)), "in_part": sorted(occurrences.in_part & set(prompts))}


class Luck:
    """What luck alone would score with the clips of a set: `estimates` by metric against other prompts, of each measure `by_clip`, and the headline against the chords of a clip in
    `other_orders`.
    """

    def __init__(self, rows: Sequence[Row], judge: Judge, instruments: Sequence[str]) -> None:
        own = sorted({demo.prompt for demo, _, _ in rows})
        asked = [parse(prompt) for prompt in own]
        owners = np.array([own.index(demo.prompt) for demo, _, _ in rows], dtype=int)
        allowed = partners(asked, asked)
        choices = derangements(allowed, judge.permutations, judge.seed)
        used = [np.unique(choices[:, owner]) for owner in owners]
        table: list[list[Metrics]] = [
            [score(demo, clip, prompt, judge, instruments) if number in partner else {} for number, prompt in enumerate(asked)] for (demo, clip, _), partner in zip(rows, used)
        ]
        shape = len(rows), len(own)
        matrices = {name: np.array([[metrics.get(name) for metrics in row] for row in table], dtype=float).reshape(shape) for name in METRICS}
        self.estimates = {name: chance(matrix, owners, choices, judge.confidence) for name, matrix in matrices.items()}
        self.by_clip: dict[str, Values] = {name: dict(zip((demo.key for demo, _, _ in rows), chance_by_clip(matrices[name], owners, choices))) for name in set(MEASURES.values())}
        orders = [(demo.prompt, found) for demo, clip, _ in rows if (found := other_orders(parse(demo.prompt), clip.heard, length(demo, clip), judge.seed))]
        self.other_orders = {name: cluster_mean(grouped((prompt, found[place]) for prompt, found in orders), judge.confidence) for place, name in enumerate(("mean", "best"))}


def strata(rows: Sequence[Row], by_luck: Mapping[str, Luck], judge: Judge) -> list[dict[str, Any]]:
    """Every sort of prompt by itself, by what it is about: kinds of harmony, numbers of chords, instruments, phrasings."""
    parsed = {demo.prompt: parse(demo.prompt) for demo, _, _ in rows}
    sorts: list[tuple[str, Callable[[str], Any], Sequence[Any], Callable[[Any], str]]] = [
        ("kind", lambda text: kind_of(parsed[text]), KINDS[::-1], str),
        ("chords", lambda text: len(parsed[text].chords), sorted({len(prompt.chords) for prompt in parsed.values()}), lambda count: f"{count} chord{'s' * (count > 1)}"),
        ("instrument", lambda text: parsed[text].instrument, sorted({prompt.instrument for prompt in parsed.values()}), lambda name: name or "no instrument"),
        ("phrasing", lambda text: phrasing_of(text, parsed[text]), (*PHRASINGS, "free"), str),
    ]
    found = []
    for by, sort_of, names, spelled in sorts:
        for name in names:
            inside = [row for row in rows if sort_of(row[0].prompt) == name]
            if not inside:
                continue
            measure = MEASURES[name] if by == "kind" else HEADLINE
            keys = {demo.key for demo, _, _ in inside}
            found.append(
                {
                    "by": by,
                    "name": spelled(name),
                    "measure": measure,
                    "prompts": len({demo.prompt for demo, _, _ in inside}),
                    "sets": {which: _means(_of(inside, which), judge, (measure,))[measure] for which in by_luck},
                    "chance": {
                        which: cluster_mean(grouped((key[0], value) for key, value in luck.by_clip[measure].items() if key in keys), judge.confidence)["value"]
                        for which, luck in by_luck.items()
                    },
                }
            )
    return found


def differences(rows: Sequence[Row], by_luck: Mapping[str, Luck], judge: Judge, pairs: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Differences of the headline between sets, where both are there (`over_chance`: with what luck gives to either taken off); and what all trainings score."""
    own = {which: {demo.key: metrics[HEADLINE] for demo, _, metrics in _of(rows, which)} for which in by_luck}
    above = {which: _minus(own[which], luck.by_clip[HEADLINE]) for which, luck in by_luck.items()}
    result: dict[str, Any] = {}
    for name, (minuend, subtrahend) in pairs.items():
        values = above if name.endswith("over_chance") else own
        if minuend in values and subtrahend in values:
            result[name] = paired(values[minuend], values[subtrahend], judge.confidence)
    trained = {which: _means(_of(rows, which), judge, (HEADLINE,))[HEADLINE]["value"] for which in by_luck if which.startswith("after")}
    if len(trained) > 1 and None not in trained.values():
        result["trainings"] = {"values": trained, "mean": float(np.mean(list(trained.values()))), "deviation": float(np.std(list(trained.values()), ddof=1))}
    return result


def _minus(minuend: Values, subtrahend: Values) -> Values:
    pairs = {key: (value, subtrahend[key]) for key, value in minuend.items()}
    return {key: None if value is None or other is None else value - other for key, (value, other) in pairs.items()}


def _of(rows: Sequence[Row], which: str) -> list[Row]:
    return [row for row in rows if row[0].which == which]


def _means(rows: Sequence[Row], judge: Judge, names: Sequence[str] = METRICS) -> dict[str, Estimate]:
    """Of each metric its mean over prompts."""
    found = {}
    for name in names:
        values = grouped((demo.prompt, metrics.get(name)) for demo, _, metrics in rows)
        mean = cluster_mean(values, judge.confidence, None if name in (*WITHOUT_END, "clap") else PERCENT)
        found[name] = not_negative(mean) if name in WITHOUT_END else mean
    return found
