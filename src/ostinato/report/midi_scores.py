"""The scores of the MIDI track as the page says and draws them, each beside what it is held against.

Shares in scores.json are 0-1 and shown as percent, but for those that are percent there: `composer_wins`, `commonest_composer`, `style`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ostinato.escapes import shown
from ostinato.report import figures


class Metric(NamedTuple):
    """A metric: its name and explanation, how a number is written (`%` in it: of a share), and the end of its scale (None: the highest value)."""

    name: str
    text: str
    form: str
    top: float | None

    @property
    def factor(self) -> int:
        """What a value is multiplied by to be shown."""
        return 100 if self.form.endswith("%%") else 1


#: Column -> its name, and what it stands for.
SAYERS = {
    "model": ("Model", "told all that is known of a piece, or the right composer's name alone"),
    "no_name": ("No name", "the same model, not told the composer"),
    "wrong_name": ("Wrong name", "the same model, told another composer; the mean over them"),
    "ngram": ("n-gram", "counts of the last words, from the training set in all its transpositions; its order chosen on validation pieces"),
    "unigram": ("Unigram", "counts of single words, from the training set"),
}
#: Column -> its place in scores.json, where it is another.
PLACES = {"bits_per_note_common": {"no_name": "no_composer"}, "bits_per_note": {"no_name": "no_composer"}, "named": {"model": "right_name"}}
BITS = {
    "bits_per_note_common": ("All, on a common grid", "mean over pieces, with what this tokenizer leaves out of a piece added, so that tokenizers compare"),
    "named": ("Name alone, on a common grid", "the pieces whose composer has a label; nothing is told but a name, for genre and instruments give it away"),
    "bits_per_note": ("All, on its own grid", "what its words cost, and notes that it has no word for"),
}
COUNTED = {"model": SAYERS["model"], "ngram": SAYERS["ngram"]}
#: More collections than these are not drawn, the largest first.
COLLECTIONS = 12
SIDES = {"generated": ("Generated", "compositions from nothing"), "heldout": ("Held-out", "held-out pieces, cut to the same length")}
METRICS = {
    "notes_per_second": Metric("Notes a second", "", "%.1f", None),
    "pitch_class_entropy": Metric("Pitch-class entropy", "bits; 3.58 is all twelve alike", "%.2f", 3.585),
    "scale_consistency": Metric("Scale consistency", "share of the notes in the scale that fits best", "%.0f %%", 1),
    "groove_consistency": Metric("Groove consistency", "how alike neighbouring spans of two seconds are in where notes begin", "%.0f %%", 1),
    "longest_silence_s": Metric("Longest silence", "no note sounds", "%.1f s", None),
    "copied_notes": Metric("Copied notes", "the longest run of notes that is in the training set", "%.0f", None),
    "copied_share": Metric("Copied share", "that run's share of what was composed", "%.0f %%", 1),
    "melody_recall": Metric("Melody kept", "share of the melody's notes that are there, pitch, onset and end", "%.0f %%", 1),
}
OVERLAPS = {
    "pitch_count": "Number of pitches",
    "pitch_class_histogram": "Pitch classes",
    "pitch_range": "Range",
    "inter_onset_s": "Time between onsets",
    "note_length_histogram": "Note lengths",
    "notes_per_second": "Notes a second",
}


def content_of(scores: Mapping[str, Any]) -> dict[str, Any]:
    """What the section shows of scores.json."""
    told = {key: (name, text, {column: scores[key].get(PLACES[key].get(column, column)) for column in SAYERS}) for key, (name, text) in BITS.items() if scores.get(key)}
    rows, top = bits_rows(told, SAYERS)
    collections, most = bits_rows(collection_rows(scores.get("collections") or {}), COUNTED)
    return {
        "sentence": sentence(scores),
        "bits": rows,
        "bits_scale": ("0", f"{top / 2:g}", f"{top:g}"),
        "sayers": SAYERS,
        "collections": [row | {"key": "collections"} for row in collections],
        "collections_scale": ("0", f"{most / 2:g}", f"{most:g}"),
        "counted": COUNTED,
        "styles": style_rows(scores.get("style") or {}),
        "style": style_sentence(scores.get("style") or {}),
        "metrics": metric_rows(scores.get("metrics") or {}),
        "sides": SIDES,
        "overlaps": overlaps(scores),
        "overlap_pieces": scores.get("overlap_pieces") or {},
    }


def sentence(scores: Mapping[str, Any]) -> str:
    """The result in some sentences, each number with its interval and what it is held against."""
    costs = {column: figures.estimate((scores.get("bits_per_note_common") or {}).get(column)) for column in SAYERS}
    if costs["model"]["value"] is None:
        return "There are no scores of the MIDI track yet."
    confidence, about = figures.number(scores.get("confidence")), scores.get("ngram") or {}
    kind = f"{100 * confidence:g} % interval " if confidence else "interval "
    gain = with_interval(figures.estimate(scores.get("ngram_gain")), "%+.2f")
    order = f"an n-gram (order {about['order']})" if about.get("order") else "an n-gram"
    return (
        f"A note of a held-out piece costs the model {with_interval(costs['model'], '%.1f', kind)} bits, {order} {with_interval(costs['ngram'], '%.1f')} "
        f"and a unigram {with_interval(costs['unigram'], '%.1f')}; lower is better ({costs['model']['n'] or 0:.0f} pieces). "
        f"Piece by piece, the model saves {gain} bits over the n-gram{counted_better(scores)}.{name_sentence(scores)}"
    )


def counted_better(scores: Mapping[str, Any]) -> str:
    """On which collections it does not, as the end of a sentence."""
    gains = {name: figures.estimate(entry.get("gain"))["value"] for name, entry in (scores.get("collections") or {}).items()}
    names = [shown(name) for name, gain in gains.items() if gain is not None and gain <= 0]
    return f", and none on {', '.join(names)}" if names else ""


def name_sentence(scores: Mapping[str, Any]) -> str:
    """What the composer's name is worth, or nothing where no piece has one."""
    wins, gains = figures.estimate(scores.get("composer_wins")), scores.get("name_gain") or {}
    if wins["value"] is None:
        return ""
    commonest, beside = scores.get("commonest_composer") or {}, figures.estimate(scores.get("composer_wins_beside"))
    return (
        f" Told nothing else, the right composer's name saves {with_interval(figures.estimate(gains.get('wrong_name')), '%+.3f')} bits a note over a wrong one, and suits best of "
        f"all names for {with_interval(wins, '%.0f %%')} of {wins['n'] or 0:.0f} compositions (beside genre and instruments for "
        f"{with_interval(beside, '%.0f %%')}); always {commonest.get('name') or 'the commonest'} would be right for "
        f"{with_interval(figures.estimate(commonest.get('share')), '%.0f %%')}."
    )


def style_sentence(style: Mapping[str, Any]) -> str:
    """How many samples a classifier of composers recognises, beside real pieces and chance; nothing where there is no classifier."""
    generated, real, permuted = (figures.estimate(style.get("generated")), figures.estimate(style.get("heldout")), figures.number(style.get("permuted")))
    if real["value"] is None:
        return ""
    left_out = f" Left out, for want of training pieces: {', '.join(style['left_out'])}." if style.get("left_out") else ""
    alone = {side: figures.estimate((style.get("pitches") or {}).get(side)) for side in SIDES}
    pitches = (
        f" By pitches alone: {with_interval(alone['heldout'], '%.0f %%')} and {with_interval(alone['generated'], '%.0f %%')}." if alone["heldout"]["value"] is not None else ""
    )
    chance = "" if permuted is None else f" ({permuted:.0f} % with the names permuted)"
    return (
        f"A classifier that learnt from real pieces names the composer of {with_interval(real, '%.0f %%')} of {real['n'] or 0:.0f} held-out compositions, as long as "
        f"samples; always the commonest would be right for {with_interval(figures.estimate(style.get('commonest')), '%.0f %%')}. Of {generated['n'] or 0:.0f} samples it "
        f"recognises {with_interval(generated, '%.0f %%')} as the composer they were asked for{chance}.{pitches}{left_out}"
    )


def style_rows(style: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a composer: share recognised of samples and of held-out pieces, percent."""
    return [
        {"key": "style", "name": name, "text": "", "form": "%.0f %%", "cells": {side: figures.estimate(shares.get(side)) for side in SIDES}}
        for name, shares in (style.get("by_composer") or {}).items()
    ]


def collection_rows(collections: Mapping[str, Any]) -> dict[str, tuple[str, str, Mapping[str, Any]]]:
    """The largest collections, each with its name and the paired difference in words, as it is told below the name."""
    largest = sorted(collections, key=lambda name: (-(figures.estimate(collections[name].get("model"))["n"] or 0), name))[:COLLECTIONS]
    return {name: (shown(name), f"n-gram - model: {with_interval(figures.estimate(collections[name].get('gain')), '%+.2f')}", collections[name]) for name in largest}


def with_interval(cell: Mapping[str, float | None], form: str, kind: str = "") -> str:
    """`8.2 (7.9 to 8.5)`; a dash for no value."""
    if cell["value"] is None:
        return "–"
    low, high = cell["low"], cell["high"]
    return form % cell["value"] + ("" if low is None or high is None else f" ({kind}{form % low} to {form % high})")


def bits_rows(rows: Mapping[str, tuple[str, str, Mapping[str, Any]]], columns: Mapping[str, Any]) -> tuple[list[dict[str, Any]], float]:
    """Rows of bits per note, from a name, a text and estimates, as page_parts' score_table takes them, and the end of their scale, bits.

    The scale ends a little above the highest value: an interval of two pieces may be wider than all others together, and is cut off there.
    """
    cells = {key: {column: figures.estimate(estimates.get(column)) for column in columns} for key, (_, _, estimates) in rows.items()}
    top = figures.axis(0, 1.2 * max((cell["value"] or 0 for row in cells.values() for cell in row.values()), default=0) or 1.0)[-1]
    marks = {
        key: {column: {part: value if value is None or part == "n" else min(value, 100) for part, value in cell.items()} for column, cell in scaled(row, 100 / top).items()}
        for key, row in cells.items()
    }
    return [{"key": key, "name": name, "text": text, "form": "%.2f", "cells": cells[key], "marks": marks[key]} for key, (name, text, _) in rows.items()], top


def metric_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of music metrics, each on a scale of its own."""
    rows = []
    for key, metric in METRICS.items():
        if key in metrics:
            cells = scaled({side: figures.estimate((metrics[key] or {}).get(side)) for side in SIDES}, metric.factor)
            top = metric.factor * metric.top if metric.top else highest(cells)
            rows.append({"key": key, "name": metric.name, "text": metric.text, "form": metric.form, "cells": cells, "marks": scaled(cells, 100 / top)})
    return rows


def highest(cells: Mapping[str, Mapping[str, float | None]]) -> float:
    """The highest number in a row of estimates; 1 where there is none above 0."""
    return max((cell[key] or 0 for cell in cells.values() for key in ("value", "high")), default=0) or 1.0


def scaled(cells: Mapping[str, Mapping[str, float | None]], factor: float) -> dict[str, dict[str, float | None]]:
    """Estimates times `factor`, their n as it was."""
    return {column: {key: value if value is None or key == "n" else round(factor * value, 4) for key, value in cell.items()} for column, cell in cells.items()}


def overlaps(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(feature, area) as text."""
    areas = {key: figures.number(value) for key, value in (scores.get("overlap_area") or {}).items()}
    return [(OVERLAPS.get(key, key), "–" if area is None else f"{area:.2f}") for key, area in areas.items()]
