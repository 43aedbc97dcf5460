"""Clips that somebody else made, by any model, and the table that says what was asked for in each.

The table has a heading and a line a clip: `clip` (a file, seen from the folder), `prompt` (as in README), and where they are known `model` (a set of scores for each; `clips`
without), `seed`, and `seconds` and `tempo` (beats a minute) where they were asked for. What cannot be used is set aside, with the reason; the rest is judged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from ostinato.files import UserError
from ostinato.harmony.prompts.prompt import Prompt, PromptError, require_chords
from ostinato.judge.demos import Demo
from ostinato.judge.intervals import cluster_mean, grouped
from ostinato.judge.scoring import HEADLINE, Row
from ostinato.tables import read_table_rows

log = logging.getLogger(__name__)

COLUMNS = {"clip", "prompt"}
OPTIONAL = {"model", "seed", "seconds", "tempo"}
#: The headline with borders where they fit best: for models that are not told how long a bar lasts.
LENIENT = f"{HEADLINE}_aligned"
#: What the clips are called where the table names no model.
UNNAMED = "clips"
#: What anybody asks for: beats a minute, seconds.
RANGES = {"tempo": (10.0, 400.0), "seconds": (0.5, 3600.0)}


def find_clips(folder: Path, table: Path) -> tuple[list[Demo], list[tuple[str, str]]]:
    """The clips of a table, ordered by model and as they stand there, and those that cannot be used, as (clip, reason).

    Raises:
        UserError: no such folder or table, a column is missing, or no line can be used.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the one with the clips that {table} names")
    found: dict[tuple[str, ...], Demo] = {}
    aside: list[tuple[str, str]] = []
    spelled: dict[Any, str] = {}
    odd: list[str] = []
    rows = list(read_table_rows(table, COLUMNS, odd))
    aside += [("", reason) for reason in odd]
    if unknown := sorted({column for row in rows for column in row} - COLUMNS - OPTIONAL):
        log.warning("%s: not used: column %s; known are %s", table, ", ".join(unknown), ", ".join(sorted(COLUMNS | OPTIONAL)))
    for number, row in enumerate(rows, 2):
        try:
            clip = _clip(folder, row, spelled)
            if (key := (clip.path, clip.which, clip.prompt, str(clip.seed))) in found:
                raise UserError("is there twice, with the same prompt, model and seed")
            found[key] = clip
        except UserError as error:
            aside.append((row["clip"], f"{table}: line {number}: {error}"))
    if not found:
        raise UserError(f"{table}: none of its {len(aside)} lines can be used" + (f"; the first: {aside[0][1]}" if aside else ""))
    return sorted(found.values(), key=lambda demo: demo.which), aside


def _clip(folder: Path, row: Mapping[str, str], spelled: dict[Any, str]) -> Demo:
    """One line; `spelled`: how each prompt was written first, since another spelling is no other prompt."""
    name = row["clip"].strip()
    if not name or not (folder / name).is_file():
        raise UserError(f"clip: no file '{name}' in {folder}")
    try:
        prompt = require_chords(row["prompt"])
    except PromptError as error:
        raise UserError(f"prompt: {error}") from None
    seed = _number(row, "seed")
    return Demo(
        path=str(folder / name),
        which=(row.get("model") or "").strip() or UNNAMED,
        name=name,
        prompt=spelled.setdefault(_asked(prompt), row["prompt"].strip()),
        seed=0 if seed is None else int(seed),
        heldout=True,
        tempo=_number(row, "tempo"),
        seconds=_number(row, "seconds"),
    )


def _asked(prompt: Prompt) -> Any:
    return prompt.instrument.lower(), tuple(tuple(chord.harte for chord in bar) for bar in prompt.bars)


def _number(row: Mapping[str, str], column: str) -> float | None:
    text = (row.get(column) or "").strip()
    try:
        value = float(text) if text else None
    except ValueError:
        value = float("nan")
    low, high = RANGES.get(column, (-1e15, 1e15))
    if value is not None and not low <= value <= high:  # NaN is not
        raise UserError(f"{column}: expected a number from {low:g} to {high:g}, got '{text}'")
    return value


def between(rows: Sequence[Row], confidence: float) -> list[dict[str, Any]]:
    """Differences of the headline between models, prompt by prompt, where two were asked for the same."""
    models = dict.fromkeys(demo.which for demo, _, _ in rows)
    means = {(which, metric): _means((row for row in rows if row[0].which == which), metric) for which in models for metric in (HEADLINE, LENIENT)}
    found = []
    for one, other in combinations(models, 2):
        shared = means[one, HEADLINE].keys() & means[other, HEADLINE].keys()
        if shared:
            strict, lenient = ({prompt: [means[one, metric][prompt] - means[other, metric][prompt]] for prompt in sorted(shared)} for metric in (HEADLINE, LENIENT))
            differences = {"difference": cluster_mean(strict, confidence, None), "lenient": cluster_mean(lenient, confidence, None)}
            found.append({"of": one, "from": other, "prompts": len(shared), **differences})
    return found


def _means(rows: Iterable[Row], metric: str) -> dict[str, float]:
    """A metric by prompt."""
    return {prompt: sum(values) / len(values) for prompt, values in grouped((demo.prompt, metrics[metric]) for demo, _, metrics in rows).items()}
