"""The scores as a table, no number without its references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ostinato.files import UserError

#: Sets in the table, each with its own chance where that says something; and in the short one.
SETS = ("before", "after", "reference", "reference-2")
SHORT_SETS = ("before", "after", "control", "reference")
#: What the short one shows of metrics.
SHORT = ("triads", "sevenths", "triads_inv", "cadence", "instrument")
#: Metrics that do not depend on the prompt have no chance.
WITHOUT_CHANCE = ("agreement", "sounding", "repetition", "longest_copy", "clap", "beat_f1", "tempo_error", "tempo_error_octaves")
STRICT = ("triads", "root", "thirds", "majmin", "sevenths", "triads_inv", "seg", "order", "bass", "last_chord", "cadence", "instrument")
LENIENT = ("triads_aligned", "sevenths_aligned")
LISTENERS = ("majmin_labeller", "majmin_templates", "majmin_chordino", "agreement")
SOUND = ("sounding", "repetition", "longest_copy", "clap")
TEMPO = ("beat_f1", "tempo_error", "tempo_error_octaves")
NAME, WIDTH = 23, 20
#: Kinds of prompts that have a name of their own in the table.
BRIEF = {"suspended, diminished, augmented": "sus, dim, aug", "triads": "plain triads"}
KEYS = ("sets", "chance", "other_orders", "strata", "seed_prompts", "confidence", "headline", "heldout", "seen")


def validate(scores: Any, where: str) -> None:
    """Raise UserError when something is missing: a score without its references is not shown."""
    missing = [key for key in KEYS if key not in scores] if isinstance(scores, Mapping) else list(KEYS)
    if missing:
        raise UserError(f"{where}: lacks {', '.join(missing)}; expected what `ostinato judge` writes")


def short_table(scores: Mapping[str, Any], where: str = "scores") -> str:
    """What matters most of `table`, in a few lines."""
    validate(scores, where)
    shown = [which for which in SHORT_SETS if which in scores["sets"]] if is_of_demos(scores) else list(scores["sets"])
    lines = [*_heading(scores, shown), _row("", shown), *_metrics(scores, SHORT, shown), *_other_orders(scores, shown)[:1], *_metrics(scores, ("triads_aligned",), shown)]
    return "\n".join([*lines, *_metrics(scores, ("majmin", "majmin_templates"), shown), "by kind of harmony", *_strata(scores, shown, False), *sentences(scores)])


def table(scores: Mapping[str, Any], where: str = "scores", all_strata: bool = False) -> str:
    """The table as text: a row a metric, a column a set of clips with its chance beside it; then what luck may do, the strata, and what the gain means.

    Args:
        all_strata: also by number of chords, instrument and phrasing.
    """
    validate(scores, where)
    shown = [which for which in SETS if which in scores["sets"]] if is_of_demos(scores) else list(scores["sets"])
    lines = [*_heading(scores, shown), _row("", shown), "strict: each chord at its place, bars of one length", *_metrics(scores, STRICT, shown)]
    lines += _other_orders(scores, shown)
    lines += [f"lenient: borders where they fit best, each chord at least {100 * scores['min_share']:g} % as long as asked", *_metrics(scores, LENIENT, shown)]
    lines += ["other listeners", *_metrics(scores, LISTENERS, shown)]
    lines += [
        "what it sounds like" + " (longest_copy in s; kad: distance from held-out music, 0 is none)" * is_of_demos(scores),
        *_metrics(scores, SOUND, shown, digits=1),
        *_sound(scores, shown),
    ]
    if tempo := _metrics(scores, TEMPO, shown):
        lines += ["where a tempo is asked (errors in percent: lower is better)", *tempo]
    lines += ["by what is asked", *_strata(scores, shown, all_strata)]
    if any(scores["seed_prompts"].get(which, {}).get(scores["headline"], {}).get("n") for which in shown):
        lines += ["the seed prompts (not held out)", _row(scores["headline"], [_cell(scores["seed_prompts"][which][scores["headline"]]) for which in shown])]
    return "\n".join(lines + sentences(scores))


def _heading(scores: Mapping[str, Any], shown: Sequence[str]) -> list[str]:
    counts = {which: scores["sets"][which]["sounding"]["n"] for which in shown}
    clips = f"{counts[shown[0]]} clips a column" if len(set(counts.values())) == 1 else ", ".join(f"{count} clips of {which}" for which, count in counts.items())
    sort = f"{'held-out ' * is_of_demos(scores)}prompt{'s' * (len(scores['heldout']) != 1)}"
    return [
        f"{len(scores['heldout'])} {sort}, {clips}; percent, [{100 * scores['confidence']:g} % interval over prompts], (chance: the same clips against other prompts)",
        *_known(scores),
    ]


def is_of_demos(scores: Mapping[str, Any]) -> bool:
    """Whether scores are of a model's demos, whose training labels are known, or of clips that somebody else made."""
    return "transposed" in scores


def _row(name: str, cells: Sequence[str]) -> str:
    return (f"{name:<{NAME - 1}} " + "".join(f"{cell:<{WIDTH - 1}} " for cell in cells)).rstrip()


def _metrics(scores: Mapping[str, Any], names: Sequence[str], shown: Sequence[str], digits: int = 0) -> list[str]:
    """Rows of those metrics that are defined for any clip."""
    rows = []
    for name in names:
        cells = [scores["sets"][which].get(name) or {"value": None} for which in shown]
        luck = [None if name in WITHOUT_CHANCE else (scores["chance"][which].get(name) or {}).get("value") for which in shown]
        if any(cell["value"] is not None for cell in cells):
            rows.append(_row(name, [_cell(cell, by_luck, digits) for cell, by_luck in zip(cells, luck)]))
    return rows


def _cell(estimate: Mapping[str, Any], by_luck: float | None = None, digits: int = 0) -> str:
    """`88.4 [81, 95] (3)`, the interval with so many digits behind its points; `-` where there is no value, `?` where one prompt says nothing of others."""
    if estimate["value"] is None:
        return "-"
    interval = f"[{_plain(estimate['low'], digits)}, {_plain(estimate['high'], digits)}]" if estimate["low"] is not None else "[?]"
    return f"{_plain(estimate['value'], 1)} {interval}" + ("" if by_luck is None else f" ({by_luck:.0f})")


def _plain(value: float, digits: int) -> str:
    """A number without a minus sign before nothing."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _known(scores: Mapping[str, Any]) -> list[str]:
    """How far the prompts are from what was trained on."""
    if not is_of_demos(scores):
        return []
    lines = [f"In the training labels occur: transposed {len(scores['transposed'])} of them, three chords in a row of {len(scores['in_part'])}."]
    if scores["seen"]:
        lines.append(f"Not scored, because their chords occur there as they are: {'; '.join(scores['seen'])}")
    return lines


def _other_orders(scores: Mapping[str, Any], shown: Sequence[str]) -> list[str]:
    names = {"mean": "triads, other orders", "best": "the best of these"}
    return [_row(text, [_cell(scores["other_orders"][which][key]) for which in shown]) for key, text in names.items()]


def _sound(scores: Mapping[str, Any], shown: Sequence[str]) -> list[str]:
    """Rows of what is said of whole sets, and what real music scores beside it."""
    rows = [
        _row(name, [_cell(values.get(which, {"value": None}), digits=1) for which in shown])
        for name, values in scores.get("sound", {}).items()
        if any(values.get(which, {}).get("value") is not None for which in shown)
    ]
    if chance := scores.get("copies", {}).get("chance", {}).get("mean"):
        copies = scores["copies"]
        searched = "" if copies["searched"] == copies["segments"] else f" (of {copies['searched']} of {copies['segments']} segments)"
        repeated = scores.get("music", {}).get("repetition", {}).get("value")
        repeats = "" if repeated is None else f" repeats {repeated:.0f} % of itself and"
        rows.append(f"Held-out music{repeats} shares runs of {chance:.1f} s on average with the training set{searched}, one in twenty more than {copies['chance']['p95']:.1f} s.")
    return rows


def _strata(scores: Mapping[str, Any], shown: Sequence[str], everything: bool) -> list[str]:
    rows = []
    for stratum in scores["strata"]:
        if everything or stratum["by"] == "kind":
            name = BRIEF.get(stratum["name"], stratum["name"])
            cells = [_cell(stratum["sets"][which], stratum["chance"][which]) for which in shown]
            rows.append(_row(name, cells) + f"  {stratum['prompts']} prompt{'s' * (stratum['prompts'] != 1)}, {stratum['measure']}")
    return rows


def sentences(scores: Mapping[str, Any]) -> list[str]:
    """What fine-tuning gained, and what that is to be held against, a line each."""
    lines = [
        f"{one['of']} - {one['from']}, on {one['prompts']} prompts that both were asked for: {_signed(one['difference'])} points of {scores['headline']}, "
        f"lenient {_signed(one['lenient'])}."
        for one in scores.get("between", [])
    ]
    if "gain" in scores and scores["gain"]["value"] is not None:
        lines.append(f"Gain ({scores['headline']}, after - before): {_signed(scores['gain'])} points; each less its own chance: {_signed(scores['gain_over_chance'])}.")
        lines.append(f"After - reference: {_signed(scores['after_minus_reference'])}.")
    if "after_minus_control" in scores:
        control = scores["sets"]["control"][scores["headline"]]
        lines.append(f"A control, tuned as long on shuffled prompts: {_cell(control)}. After - control: {_signed(scores['after_minus_control'])}.")
    if trainings := scores.get("trainings"):
        values = ", ".join(f"{value:.1f}" for value in trainings["values"].values())
        lines.append(f"{len(trainings['values'])} trainings: {values}; mean {trainings['mean']:.1f}, standard deviation {trainings['deviation']:.1f}.")
    elif "gain" in scores:
        lines.append("One training: how much the next would differ is not in the intervals (`make evidence` trains three and a control).")
    return lines


def _signed(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    interval = f"[{estimate['low']:+.1f}, {estimate['high']:+.1f}]" if estimate["low"] is not None else "[?]"
    return f"{estimate['value']:+.1f} {interval}"
