"""scores.json as tables for the page.

Percent, higher is better, but for errors of a tempo. No number stands alone: a set of clips has its interval over prompts and its own chance, from its own clips. The
`low` and `high` of a chance are another thing, the band in which most permutations fall, and are called so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ostinato.judge.table import LENIENT, LISTENERS, SOUND, STRICT, TEMPO, WITHOUT_CHANCE
from ostinato.report.figures import estimate, number

#: Set of clips -> (name, what it is). Other trainings (`after-4`) stand in a table of their own.
SETS: dict[str, tuple[str, str]] = {
    "before": ("Before", "the base model, which never saw a chord name"),
    "after": ("After", "the same model, fine-tuned on chord prompts"),
    "control": ("Control", "fine-tuned as long, on the same music under shuffled prompts"),
    "reference": ("Reference", "a true rendering by the etudes' arranger, whose music the model learnt from; no bound: a model may score above it"),
    "reference-2": ("Reference 2", "a true rendering by a player that no model has heard: even chords on drawn instruments"),
}
#: Those with a bar at the head of the page, where they are there.
BARS = ("before", "after", "control", "reference")
#: Metric -> (name, plain explanation).
METRICS: dict[str, tuple[str, str]] = {
    "triads": ("Triad", "root, third and fifth are the ones asked"),
    "root": ("Root", "the chord stands on the root asked"),
    "thirds": ("Root and third", "the root asked, and major or minor as asked, whatever else sounds"),
    "majmin": ("Major/minor", "root, third and fifth, where the chord asked is major or minor at heart; others are left out"),
    "sevenths": ("Sevenths", "the whole chord with its seventh, or its absence, where mir_eval compares it"),
    "triads_inv": ("Triad and bass", "the triad, and the bass asked"),
    "seg": ("Borders", "how well the changes of chords fit those asked, whatever the chords are"),
    "order": ("Order", "whether the chords come in the order asked; 100 means none missing, added or swapped"),
    "bass": ("Bass", "share of the bass energy on the root asked"),
    "last_chord": ("Last chord", "how often the clip ends on the last chord asked"),
    "cadence": ("Cadence", "how often the ending closes as the one asked does, where that closes"),
    "instrument": ("Instrument", "how many of the instruments asked are those heard"),
    "triads_aligned": ("Triad, aligned", "root, third and fifth are the ones asked, with borders where they fit best"),
    "sevenths_aligned": ("Sevenths, aligned", "the whole chord, with borders where they fit best"),
    "majmin_labeller": ("Major/minor, labeller", "as the labeller's ear hears it, which also labelled the training music"),
    "majmin_templates": ("Major/minor, templates", "as 24 chord templates on the chroma have it: no weights, nothing learnt, a worse listener"),
    "majmin_chordino": ("Major/minor, Chordino", "as Chordino hears it, an algorithm that nobody here made"),
    "agreement": ("Ears agree", "share of the time in which judge and labeller hear the same root and third"),
    "sounding": ("Sounding", "share of the clip that is not silent"),
    "repetition": ("Repetition", "percent of the clip that repeats 2 s of itself"),
    "longest_copy": ("Longest copy", "seconds of the first codebook that the training set has as well, in one run"),
    "clap": ("CLAP", "how well a clip fits its prompt, as CLAP hears it, which knows no chords: 100 times a cosine"),
    "kad_timbre": ("Distance from music, timbre", "kernel audio distance from held-out music, by our ear for instruments; 0 is none; comparable within Ostinato alone"),
    "kad_harmony": ("Distance from music, harmony", "the same in what the judge's ear makes of it, which knows the chords played as well"),
    "kad_timbre_reference": ("Distance from the reference, timbre", "the same from the true renderings of the prompts"),
    "kad_harmony_reference": ("Distance from the reference, harmony", ""),
    "kad_timbre_before": ("Distance from the base, timbre", "the same from what the base model makes of the prompts"),
    "kad_harmony_before": ("Distance from the base, harmony", ""),
    "kad_timbre_no_chords": ("Distance from music, timbre, no chords asked", "of prompts that name an instrument alone: what a model forgets"),
    "kad_harmony_no_chords": ("Distance from music, harmony, no chords asked", ""),
    "diversity": ("Diversity", "how far apart two seeds of a prompt are, percent; 0: the same"),
    "judged": ("Judged", "share of the time in which `majmin` can be compared at all"),
    "beat_f1": ("Beats", "F-measure of the beats heard against those of the tempo asked"),
    "tempo_error": ("Tempo error", "distance from the tempo asked, percent of it; lower is better"),
    "tempo_error_octaves": ("Tempo error, octaves forgiven", "the same where half and twice the tempo count as right; lower is better"),
}
HEADLINE = "triads"
#: What the strata are by, in the order of the page.
STRATA = {"kind": "By kind of harmony", "chords": "By number of chords", "instrument": "By instrument", "phrasing": "By phrasing"}
ORDERS = {
    "mean": ("Own chords, other orders", "the same clips against the chords they were asked for, in every other order: right chords, wrong places"),
    "best": ("The best of these", "the order that fits each clip best, chosen after listening; what does not beat it may have the chords and not their places"),
}


def headline(scores: Mapping[str, Any]) -> str:
    """The metric that the page is about."""
    return str(scores.get("headline") or HEADLINE)


def name_of(metric: str) -> str:
    """A metric in words."""
    return METRICS.get(metric, (metric, ""))[0]


def sets(scores: Mapping[str, Any], part: str = "sets") -> dict[str, Any]:
    """The sets of clips that some part of the scores has."""
    return dict(scores.get(part) or {})


def columns(present: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The sets that tables have a column for."""
    there = list(present)
    others = [which for which in there if which not in SETS and not is_training(which)]
    return {which: SETS[which] for which in SETS if which in there} | {which: (which, "") for which in others}


def is_training(which: str) -> bool:
    """Whether a set comes from another training than the one that is called `after`."""
    return which.startswith("after-")


def cell(scores: Mapping[str, Any], which: str, metric: str) -> dict[str, Any]:
    """A set's estimate of a metric, and its `chance` where that says something."""
    luck = {} if metric in WITHOUT_CHANCE else (sets(scores, "chance").get(which) or {})
    return estimate((sets(scores).get(which) or {}).get(metric)) | {"chance": estimate(luck.get(metric))}


def row(metric: str, cells: Mapping[str, Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """A row of a table; a metric that is no score has no chart, for it lies on no scale of 0 to 100."""
    name, text = METRICS.get(metric, (metric, ""))
    return {"key": metric, "name": name, "text": text, "cells": dict(cells), "main": False} | ({"marks": {}} if metric.startswith("tempo_error") else {}) | more


def defined(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that have a value for any set."""
    return [one for one in rows if any(cell["value"] is not None for cell in one["cells"].values())]


def metric_rows(scores: Mapping[str, Any], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each of some metrics that is defined for any set; one that is not defined for all clips has their number."""
    shown = columns(sets(scores))
    rows = defined(row(metric, {which: cell(scores, which, metric) for which in shown}, main=metric == headline(scores)) for metric in metrics)
    most = max((one["cells"][which]["n"] or 0 for one in rows for which in shown), default=0)
    return [one | {"count": any(0 < (entry["n"] or 0) < most for entry in one["cells"].values())} for one in rows]


def groups(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tables of the scores, the strictest first: {"title", "text", "rows"}; those without a row are left out."""
    share = number(scores.get("min_share"))
    least = "" if share is None else f", each chord at least {100 * share:g} % as long as its even share"
    shown = columns(sets(scores))
    orders = defined(
        row(key, {which: estimate((sets(scores, "other_orders").get(which) or {}).get(key)) for which in shown}, name=name, text=text) for key, (name, text) in ORDERS.items()
    )
    found = [
        ("Strict", "Each chord at its place: bars of one length over the clip, and nothing is moved to fit.", metric_rows(scores, STRICT)),
        ("A harder null", f"{name_of(headline(scores))}, strict. Chance swaps whole prompts; here each clip keeps its own chords, in other orders.", orders),
        ("Lenient", f"Borders are moved to where they fit best{least} (judge.min_share). Chance is given the same freedom, and is higher.", metric_rows(scores, LENIENT)),
        (
            "Other listeners",
            "The same clips on the same grid, heard by others. That the two ears agree is weaker evidence than it looks: both learnt from renders by the same composer, "
            "partly with the same SoundFonts. The templates learnt nothing.",
            metric_rows(scores, LISTENERS),
        ),
        ("Tempo", "Where a prompt asks for one.", metric_rows(scores, TEMPO)),
    ]
    return [{"title": title, "text": text, "rows": rows} for title, text, rows in found if rows]


def bars(scores: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Set -> the headline's cell, for the head of the page; empty where nothing was scored."""
    cells = {which: cell(scores, which, headline(scores)) for which in BARS if which in sets(scores)}
    return cells if any(one["value"] is not None for one in cells.values()) else {}


def strata(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tables of strata: {"by", "title", "rows"}. A row's `key` is what it is scored by: sorts of prompts are about different things."""
    tables = []
    for by, title in STRATA.items():
        mine = [stratum for stratum in scores.get("strata") or [] if stratum.get("by") == by]
        if mine:
            tables.append({"by": by, "title": title, "rows": [_stratum(stratum) for stratum in mine]})
    return tables


def _stratum(stratum: Mapping[str, Any]) -> dict[str, Any]:
    luck, count = stratum.get("chance") or {}, stratum.get("prompts")
    cells = {which: estimate(entry) | {"chance": estimate({"value": luck.get(which)})} for which, entry in sets(stratum).items()}
    measure = str(stratum.get("measure"))
    return row(measure, cells, name=str(stratum.get("name")), text=f"{count} prompt{'s' * (count != 1)}, by {name_of(measure).lower()}")


def trainings(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each training, where there are several."""
    found = [which for which in sets(scores) if which == "after" or is_training(which)]
    rows = [row(headline(scores), {"after": cell(scores, which, headline(scores))}, name=_training(which), text="") for which in found]
    return rows if len(rows) > 1 else []


def _training(which: str) -> str:
    return f"Training with seed {which.removeprefix('after-')}" if is_training(which) else "After, the training of the demo"


def seed_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The strict table of the prompts that are not held out."""
    part = {"sets": sets(scores, "seed_prompts"), "headline": headline(scores)}
    return metric_rows(part, STRICT)


def text_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is left of what the model could play, by prompts that name no chord."""
    part = {"sets": {which: values for which, values in sets(scores, "text_only").items() if any(estimate(entry)["n"] for entry in values.values())}}
    return metric_rows(part, ("instrument", "sounding", "repetition"))


def sound_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the clips sound like, whatever their chords: estimates of any unit, which have no common chart."""
    of_sets: dict[str, Mapping[str, Any]] = scores.get("sound") or {}
    names = {name: {which: cell(scores, which, name) for which in columns(sets(scores))} for name in SOUND}
    names |= {name: {which: estimate(entry) for which, entry in of_sets[name].items()} for name in sorted(of_sets, key=_place)}
    return defined(row(name, cells, form="%.3g", marks={}) for name, cells in names.items())


def _place(name: str) -> tuple[int, str]:
    """Where a measure stands among METRICS; others behind."""
    return list(METRICS).index(name) if name in METRICS else len(METRICS), name


def with_all_columns(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """The columns that some rows have a cell for; a row that lacks one gets an empty cell."""
    shown = columns(dict.fromkeys(which for one in rows for which in one["cells"]))
    for one in rows:
        one["cells"] = {which: one["cells"].get(which) or estimate(None) for which in shown}
    return shown
