"""scores.json for the page in sentences: the result, and what it is to be held against. Whole points; what has no interval is said to have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ostinato.report.figures import estimate, number
from ostinato.report.scores import cell, headline, name_of, sets

#: What the metric of the headline asks of the model.
ASKED = {"triads": "the chord asked (its root, third and fifth, for as long and at the place it is asked)"}


def sentence(scores: Mapping[str, Any]) -> str:
    """The result in one sentence, with the gain and its interval."""
    before, after = (cell(scores, which, headline(scores))["value"] for which in ("before", "after"))
    if before is None or after is None:
        return "There are no scores to compare before and after yet."
    gain = estimate(scores.get("gain"))
    gain["value"] = after - before if gain["value"] is None else gain["value"]
    asked = ASKED.get(headline(scores), f"what was asked ({name_of(headline(scores)).lower()})")
    gained = _gain(gain, number(scores.get("confidence")))
    return f"Asked for chords by name, the model plays {asked} {after:.0f} % of the time after fine-tuning and {before:.0f} % before: {gained}."


def _gain(gain: Mapping[str, float | None], confidence: float | None) -> str:
    value, low, high = gain["value"] or 0.0, gain["low"], gain["high"]
    word = "a gain" if value >= 0 else "a loss"
    if low is None or high is None:
        return f"{word} of {abs(value):.0f} points, of unknown certainty"
    doubt = ", which may be none at all" if low <= 0 <= high else ""
    kind = f"{100 * confidence:g} % interval" if confidence else "interval"
    return f"{word} of {abs(value):.0f} points ({kind} {signed(low)} to {signed(high)}){doubt}"


def signed(value: float) -> str:
    """`+12`, `−3`, `0`: whole points with a real minus sign."""
    return f"{value:+.0f}".replace("-", "−") if round(value) else "0"


def difference(entry: Any) -> str | None:
    """`−32 points (−40 to −24)`; None where it was not measured."""
    found = estimate(entry)
    if found["value"] is None:
        return None
    interval = " (interval unknown)" if found["low"] is None or found["high"] is None else f" ({signed(found['low'])} to {signed(found['high'])})"
    return f"{signed(found['value'])} points{interval}"


def facts(scores: Mapping[str, Any]) -> list[str]:
    """What the gain is to be held against, a sentence each: luck, a true rendering, the control, other trainings."""
    value = {which: cell(scores, which, headline(scores))["value"] for which in sets(scores)}
    said = []
    if over := difference(scores.get("gain_over_chance")):
        said.append(f"Gain less chance, each model's from its own clips: {over}.")
    if (short := difference(scores.get("after_minus_reference"))) and value.get("reference") is not None:
        second = "" if value.get("reference-2") is None else f", a second one {value['reference-2']:.0f} %"
        said.append(f"A true rendering scores {value['reference']:.0f} %{second}; after less the first: {short}. It is no bound: a model may score above it.")
    if (above := difference(scores.get("after_minus_control"))) and value.get("control") is not None:
        said.append(f"A control, fine-tuned as long on shuffled prompts, scores {value['control']:.0f} %; after less control: {above}.")
    return said + _trainings(scores.get("trainings"), bool(said))


def _trainings(entry: Any, scored: bool) -> list[str]:
    several = isinstance(entry, Mapping) and isinstance(entry.get("values"), Mapping)
    if several:
        values = ", ".join(f"{number(value) or 0:.1f}" for value in entry["values"].values())
        spread = f"mean {number(entry.get('mean')) or 0:.1f} %, standard deviation {number(entry.get('deviation')) or 0:.1f} points"
        return [f"{len(entry['values'])} trainings from the same base with other seeds score {values} %: {spread}. The intervals are over prompts, of the first of them alone."]
    return ["One training stands behind this: how much another would differ is in no interval here."] if scored else []


def known(scores: Mapping[str, Any]) -> str | None:
    """How far the held-out prompts are from what was trained on."""
    heldout, transposed, part = (scores.get(key) for key in ("heldout", "transposed", "in_part"))
    if not heldout or transposed is None or part is None:
        return None
    return f"Of the {len(heldout)} held-out prompts none occurs in the training labels as it is, {len(transposed)} in another key, and three chords in a row of {len(part)}."
