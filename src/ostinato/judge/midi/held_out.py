"""How well the model says music it never saw, beside what is told less, or wrongly, and beside what only counts.

All columns of a table are of the same pieces. `bits_per_note` is of all that are held out, with all told that is known of them; `named` of those whose composer has
a label, with a name told and nothing else. A difference is paired, piece by piece, since pieces differ more from each other than sayers do; of bits, so that above
0 the model, or the right name, is better. Performances of one composition count together as one, in means and in shares.

`composer_wins` is how often the right name suits best of all, the test of a classifier by likelihood; "always the commonest composer" is what it has to beat. Told alone,
as compositions are asked for, a name is worth more than beside genre and instruments, which often give the composer away (`composer_wins_beside`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ostinato.judge.intervals import Estimate, Scale, cluster_mean, not_negative, proportion
from ostinato.judge.midi.bits import Encoded, PieceBits, evaluate, named
from ostinato.judge.midi.ngrams import Baselines, chosen
from ostinato.params.midi import Augmentation

Row = Mapping[str, Any]
#: Rows of the table of pieces, and the pieces, by split.
Splits = Mapping[str, tuple[Sequence[Row], Sequence[Encoded]]]
#: By sayer, each piece's bits per note; None: it has none of that kind.
Bits = dict[str, list[float | None]]
SAYERS = ("model", "no_composer", "ngram", "unigram")
NAMED_SAYERS = ("right_name", "no_name", "wrong_name", "best_wrong_name", "model", "best_wrong_beside", "ngram", "unigram")
ASKED = ("model", "no_composer", *NAMED_SAYERS[:4], "best_wrong_beside")


class Pieces:
    """Held-out pieces: their rows, and estimates over their compositions."""

    def __init__(self, rows: Sequence[Row], confidence: float) -> None:
        self.rows, self.confidence = rows, confidence

    def mean(self, values: Sequence[float | None], scale: Scale | None = None) -> Estimate:
        """Of a value a piece, None: left out; see `mean`."""
        return mean(zip((row["composition"] for row in self.rows), values), self.confidence, scale)

    def gain(self, ours: Sequence[float | None], theirs: Sequence[float | None]) -> Estimate:
        """The mean of theirs - ours."""
        differences = [None if a is None or b is None else b - a for a, b in zip(ours, theirs)]
        return cluster_mean(_groups(zip((row["composition"] for row in self.rows), differences)), self.confidence, None)

    def share(self, right: Sequence[bool | None]) -> Estimate:
        """Percent of compositions of which more than half the pieces are right, with its exact interval; None: left out."""
        return share(zip((row["composition"] for row in self.rows), right), self.confidence)

    def means(self, bits: Bits) -> dict[str, Estimate]:
        """Of each sayer."""
        return {name: self.mean(values) for name, values in bits.items()}


def mean(values: Iterable[tuple[str, float | None]], confidence: float, scale: Scale | None = None) -> Estimate:
    """Over groups, from (group, value) with values of at least 0; None: left out."""
    return not_negative(cluster_mean(_groups(values), confidence, scale))


def share(values: Iterable[tuple[str, bool | None]], confidence: float) -> Estimate:
    """Percent of groups, from (group, value), of which more than half are true, with its exact interval; None: left out."""
    groups = _groups(values)
    return proportion(sum(2 * sum(group) > len(group) for group in groups.values()), len(groups), confidence)


def _groups(values: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for name, value in values:
        if value is not None:
            groups.setdefault(name, []).append(value)
    return groups


def likelihood(model: Any, splits: Splits, variation: Augmentation, confidence: float) -> dict[str, Any]:
    """Bits per note of split `test` by the model and by baselines, in all, by collection, and by name; how often the right name suits best.

    Args:
        variation: what the model was trained on, the n-gram may learn from.
    """
    (trained_rows, trained), (_, valid), (rows, heldout) = (splits[name] for name in ("train", "valid", "test"))
    composers = [named(model.tokenizer.composers, row["composer"]) for row in rows]
    said = evaluate(model, heldout, composers, [named(model.tokenizer.genres, row["genre"]) for row in rows])
    counts = chosen(model.tokenizer, trained, valid, heldout, variation)
    plain, common = (per_note(said, counts, on_common) for on_common in (False, True))
    everywhere = Pieces(rows, confidence)
    return {
        "bits_per_note": everywhere.means({name: plain[name] for name in SAYERS}),
        "bits_per_note_common": everywhere.means({name: common[name] for name in SAYERS}),
        "ngram_gain": everywhere.gain(plain["model"], plain["ngram"]),
        "ngram": {"order": counts.order, "transposed": counts.transposed, "pieces": counts.pieces, "of": len(trained), "chosen_on": len(valid)},
        "unsaid": {"notes": sum(piece.unsaid for piece in heldout), "of": sum(piece.notes for piece in heldout)},
        "collections": collections(rows, common, confidence),
        **by_name(rows, common, composers, [named(model.tokenizer.composers, row["composer"]) for row in trained_rows], confidence),
        "names": 1 + max((len(one.wrong_names) for one in said), default=0),
    }


def per_note(said: Sequence[PieceBits], counts: Baselines, common: bool) -> Bits:
    """Each piece's bits per note by all sayers, on the common grid or on the tokenizer's."""
    totals: dict[str, Sequence[float | None]] = {name: [getattr(one, name) for one in said] for name in ASKED}
    return {name: [one.per_note(bits, common) for one, bits in zip(said, values)] for name, values in (totals | {"ngram": counts.ngram, "unigram": counts.unigram}).items()}


def collections(rows: Sequence[Row], bits: Bits, confidence: float) -> dict[str, dict[str, Estimate]]:
    """Model and n-gram by genre (of pieces without one: by composer), the largest first, and the paired difference."""
    names = [row["genre"] or row["composer"] or "others" for row in rows]
    found = {}
    for name, _ in sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])):
        chosen_ones = [number for number, other in enumerate(names) if other == name]
        pieces, part = Pieces([rows[i] for i in chosen_ones], confidence), {sayer: [bits[sayer][i] for i in chosen_ones] for sayer in ("model", "ngram")}
        found[name] = pieces.means(part) | {"gain": pieces.gain(part["model"], part["ngram"])}
    return found


def by_name(rows: Sequence[Row], bits: Bits, composers: Sequence[str | None], trained: Sequence[str | None], confidence: float) -> dict[str, Any]:
    """What a name is worth on pieces whose composer has a label and is not the only one; how often the right one suits best, and the commonest is right."""
    known = [number for number, wrong in enumerate(bits["best_wrong_name"]) if wrong is not None]
    pieces, part = Pieces([rows[i] for i in known], confidence), {sayer: [bits[sayer][i] for i in known] for sayer in NAMED_SAYERS}
    commonest = min(counts, key=lambda name: (-counts[name], name)) if (counts := Counter(name for name in trained if name)) else None
    return {
        "named": pieces.means(part),
        "name_gain": {other: pieces.gain(part["right_name"], part[other]) for other in ("no_name", "wrong_name", "best_wrong_name")}
        | {"best_wrong_beside": pieces.gain(part["model"], part["best_wrong_beside"])},
        "composer_wins": pieces.share(_less(part["right_name"], part["best_wrong_name"])),
        "composer_wins_beside": pieces.share(_less(part["model"], part["best_wrong_beside"])),
        "commonest_composer": {"name": commonest, "share": pieces.share([composers[i] == commonest for i in known])},
    }


def _less(ones: Sequence[float | None], others: Sequence[float | None]) -> list[bool]:
    return [one is not None and other is not None and one < other for one, other in zip(ones, others)]
