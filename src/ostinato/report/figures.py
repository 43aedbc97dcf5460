"""Numbers out of files, and the models' events as curves, laid out for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ostinato.files import read_json, read_jsonl

#: Panel of a training curve in SVG units, with room for the labels.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 200, 34, 10, 10, 24
#: A curve has at most this many points; the eye sees no more.
POINTS = 240


def number(value: Any) -> float | None:
    """`value` as a finite number, or None."""
    real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if real else None


def estimate(entry: Any) -> dict[str, float | None]:
    """{"value", "low", "high", "n"} of one entry of scores.json; None for what is not there."""
    entry = entry if isinstance(entry, Mapping) else {}
    return {key: number(entry.get(key)) for key in ("value", "low", "high", "n")}


def training(models: Sequence[Path]) -> list[dict[str, Any]]:
    """A panel for each training run with events; a run given twice (the best one of a sweep is copied) stands once, and is marked best."""
    runs: dict[str, dict[str, Any]] = {}
    for folder in models:
        summary = read_json(folder / "summary.json") if (folder / "summary.json").is_file() else {}
        events = read_jsonl(folder / "events.jsonl") if (folder / "events.jsonl").is_file() else []
        name = str(summary.get("name") or folder.name)
        key = str(summary.get("signature") or folder)
        curves = {split: curve(events, split) for split in ("train", "valid")}
        run = runs.setdefault(key, {"name": name, "best": False, "about": about(summary), **curves})
        run["best"] = run["best"] or folder.name == "tuned"
        run["name"] = name if run["name"] == "tuned" else run["name"]
    return _panels([run for run in runs.values() if run["train"] or run["valid"]])


def about(summary: Mapping[str, Any]) -> str:
    """What made the run what it is, as far as its summary says: learning rate, batch, minutes, size."""
    plan = summary["plan"] if isinstance(summary.get("plan"), Mapping) else {}
    shown = [name for name in ("lr", "batch_size", "segment_seconds", "epochs") if plan.get(name) is not None]
    words = [f"{name.replace('_', ' ')} {plan[name]}" for name in shown]
    seconds, size = number(summary.get("seconds")), number(summary.get("parameters"))
    words += [] if seconds is None else [f"{seconds / 60:.1f} min"]
    words += [] if size is None else [f"{size / 1e6:.1f}M parameters"]
    return " · ".join(words)


def curve(events: Sequence[Mapping[str, Any]], split: str) -> list[tuple[int, float]]:
    """(step, loss) of a split, rising; a step repeated after a resume counts once."""
    points = {int(event["step"]): number(event.get("loss")) for event in events if event.get("split") == split and "step" in event}
    return sorted((step, loss) for step, loss in points.items() if loss is not None)


def _panels(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the SVG geometry; all panels share the loss axis, so that they can be compared."""
    losses = [loss for run in runs for split in ("train", "valid") for _, loss in run[split]]
    low, high = (min(losses), max(losses)) if losses else (0.0, 1.0)
    ticks = axis(low, high)
    for run in runs:
        last = max(step for split in ("train", "valid") for step, _ in run[split]) or 1
        run["steps"] = last
        run["ticks"] = [{"y": _y(value, ticks), "label": f"{value:g}"} for value in ticks]
        for split in ("train", "valid"):
            run[f"{split}_points"] = [(_x(step, last), _y(loss, ticks)) for step, loss in thin(run[split])]
            run[f"{split}_last"] = run[split][-1][1] if run[split] else None
    return list(runs)


def thin(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most POINTS of the points, evenly taken, the last one always."""
    stride = max(1, math.ceil(len(points) / POINTS))
    kept = list(points[::stride])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def axis(low: float, high: float) -> list[float]:
    """Three to seven round numbers that span low..high."""
    span = max(high - low, 1e-6)
    magnitude = 10.0 ** math.floor(math.log10(span))
    step = next(factor * magnitude for factor in (0.2, 0.5, 1, 2) if span / (factor * magnitude) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def _x(step: int, last: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * step / last, 1)


def _y(loss: float, ticks: Sequence[float]) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (ticks[-1] - loss) / (ticks[-1] - ticks[0]), 1)
