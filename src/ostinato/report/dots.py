"""Every prompt by itself: one dot for each in rows of sorts, so that it is seen what a mean hides.

A dot is the mean over the seeds of a held-out prompt that was scored. Across, dots lie in percent of the axis of 0 to 100; down, in pixels, where those that would
hide each other are stacked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ostinato.harmony.prompts.kinds import KINDS, kind_of
from ostinato.harmony.prompts.prompt import Prompt, PromptError, parse
from ostinato.report.figures import number

SETS = ("before", "after", "reference")
#: Dots nearer to each other than this, percent of the axis, are stacked by this many pixels.
NEAR, STEP = 1.1, 5
#: Height of a lane of dots that are not stacked, pixels.
LANE = 13
SORTS: dict[str, Callable[[Prompt], str]] = {"By kind of harmony": kind_of, "By instrument": lambda prompt: prompt.instrument or "no instrument"}


def read(text: str) -> Prompt | None:
    """A prompt; None where this version cannot read it."""
    try:
        return parse(text)
    except PromptError:
        return None


def content(entries: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any] | None:
    """What the template draws: {"strips": [{"title", "rows"}], "table": [{"prompt", "kind", "values"}]}; None where no prompt was scored."""
    values = by_prompt(entries, metric)
    parsed = {text: prompt for text in values if (prompt := read(text)) and prompt.chords}
    if not parsed:
        return None
    strips = []
    for title, sort_of in SORTS.items():
        sorts = {text: sort_of(prompt) for text, prompt in parsed.items()}
        names = [kind for kind in KINDS[::-1] if kind in sorts.values()] or sorted(set(sorts.values()))
        strips.append({"title": title, "rows": [_row(name, {text: values[text] for text, sort in sorts.items() if sort == name}) for name in names]})
    return {"strips": strips, "table": [{"prompt": text, "kind": kind_of(prompt), "values": {which: values[text].get(which) for which in SETS}} for text, prompt in parsed.items()]}


def by_prompt(entries: Sequence[Mapping[str, Any]], metric: str) -> dict[str, dict[str, float]]:
    """Held-out prompt -> set -> mean over its seeds, in the order of the entries; prompts that occur in training are not scored."""
    found: dict[str, dict[str, list[float]]] = {}
    for entry in entries:
        value = number((entry.get("metrics") or {}).get(metric))
        if entry.get("heldout") and not entry.get("seen") and entry["which"] in SETS and value is not None:
            found.setdefault(entry["prompt"], {}).setdefault(entry["which"], []).append(value)
    return {text: {which: sum(some) / len(some) for which, some in sets.items()} for text, sets in found.items()}


def _row(name: str, values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """One sort of prompts: a lane for each set, one below the other."""
    lanes: list[dict[str, Any]] = []
    top = 0.0
    for which in SETS:
        mine = {text: sets[which] for text, sets in values.items() if which in sets}
        if mine:
            offsets = stacked(list(mine.values()))
            height = LANE + STEP * (max(offsets) - min(offsets))
            middle = top + LANE / 2 - STEP * min(offsets)
            dots = [{"x": round(value, 1), "y": middle + STEP * offset, "prompt": text, "value": value} for (text, value), offset in zip(mine.items(), offsets)]
            lanes.append({"which": which, "dots": dots, "mean": round(sum(mine.values()) / len(mine), 1), "top": top, "bottom": top + height})
            top += height
    spoken = "; ".join(f"{lane['which']} {_range([dot['value'] for dot in lane['dots']])}" for lane in lanes)
    return {"name": name, "prompts": len(values), "lanes": lanes, "height": top, "spoken": f"{name}, percent of {len(values)} prompts: {spoken}"}


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.0f} to {max(values):.0f}, mean {sum(values) / len(values):.0f}"


def stacked(values: Sequence[float]) -> list[int]:
    """For each value how many steps it stands off the middle, alternately below and above, so that none hides another."""
    offsets, taken = [0] * len(values), dict[int, float]()
    for place in sorted(range(len(values)), key=lambda place: values[place]):
        step = 0
        while step in taken and values[place] - taken[step] < NEAR:
            step = 1 - step if step <= 0 else -step  # 0, 1, -1, 2, -2, ...
        offsets[place], taken[step] = step, values[place]
    return offsets
