"""The MIDI track's scores as a short table, no number without its references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ostinato.escapes import shown
from ostinato.files import UserError

#: Columns, and whose figures stand in them where all is told, and where a name is told alone.
COLUMNS = ("model", "no name", "wrong name", "n-gram", "unigram")
ALL = ("model", "no_composer", None, "ngram", "unigram")
NAMED = ("right_name", "no_name", "wrong_name", "ngram", "unigram")
NEEDED = ("bits_per_note_common", "ngram_gain", "ngram", "named", "name_gain", "composer_wins", "composer_wins_beside", "commonest_composer", "collections", "style")
#: The largest collections that are told.
COLLECTIONS = 8
FIRST, WIDTH = 17, 18


def midi_table(scores: Any, where: str, short: bool = False) -> str:
    """Bits per note that compare between vocabularies, every column of a row on the same pieces; the n-gram by collection; names; copies and melodies. `short`: the most
    important of these.

    Raises UserError when a part is missing.
    """
    needed = (*NEEDED, "longest_copy", "melody_recall", "confidence")
    missing = [key for key in needed if key not in scores] if isinstance(scores, Mapping) else list(needed)
    if missing:
        raise UserError(f"{where}: lacks {', '.join(missing)}; expected what `ostinato judge-midi` writes")
    pieces, names, told = scores["bits_per_note_common"]["model"]["n"], scores["name_gain"], scores["style"]
    named = [_row(f"name alone ({scores['named']['right_name']['n']})", scores["named"], NAMED)]
    details = [
        *_collections(scores["collections"]),
        f"wrong - right name: {signed(names['wrong_name'], 3)} bits; best wrong - right: {signed(names['best_wrong_name'], 3)}",
        f"right name likeliest, told alone: {cell(scores['composer_wins'], 0)} %; beside genre and instruments: {cell(scores['composer_wins_beside'], 0)} %",
        f"always {scores['commonest_composer']['name']}: {cell(scores['commonest_composer']['share'], 0)} %",
    ]
    return "\n".join(
        [
            f"MIDI: {pieces} held-out pieces; bits per note on the common grid, lower is better, [{100 * scores['confidence']:g} % interval]",
            (" " * FIRST + "".join(f"{name:<{WIDTH}}" for name in COLUMNS)).rstrip(),
            _row(f"all ({pieces})", scores["bits_per_note_common"], ALL),
            *([] if short else named),
            f"n-gram - model: {signed(scores['ngram_gain'])} bits ({ngram(scores['ngram'])}); above 0 the model is better",
            *([] if short else details),
            f"recognised: {_recognised(told)}, always the commonest {percent(told['commonest']['value'])} %",
            f"by pitches alone: {_recognised(told['pitches'])}",
            f"longest copy of training notes: {scores['longest_copy']['notes']}; melody kept (share): {cell(scores['melody_recall'], 2)}",
        ]
    )


def _row(name: str, estimates: Mapping[str, Any], sayers: Sequence[str | None]) -> str:
    return (f"{name:<{FIRST}}" + "".join(f"{cell(estimates[sayer]) if sayer else '':<{WIDTH}}" for sayer in sayers)).rstrip()


def _recognised(shares: Mapping[str, Any]) -> str:
    return f"samples {cell(shares['generated'], 0)} %, names permuted {percent(shares['permuted'])} %; real pieces {cell(shares['heldout'], 0)} %"


def _collections(collections: Mapping[str, Any]) -> list[str]:
    """Lines of paired differences, two collections a line; of many, the largest."""
    largest = sorted(collections, key=lambda name: (-collections[name]["model"]["n"], name))[:COLLECTIONS]
    parts = [f"{shown(name)} ({collections[name]['model']['n']}) {signed(collections[name]['gain'])}" for name in largest]
    return [f"  {parts[number]:<44}{parts[number + 1] if number + 1 < len(parts) else ''}".rstrip() for number in range(0, len(parts), 2)]


def ngram(about: Mapping[str, Any]) -> str:
    """Which n-gram it was, in words."""
    some = "" if about["pieces"] == about["of"] else f", {about['pieces']} of {about['of']} pieces"
    return f"order {about['order']}{', transposed' if about['transposed'] else ''}{some}"


def cell(estimate: Mapping[str, Any], digits: int = 1) -> str:
    """`8.2 [7.9, 8.5]`; a dash for no value."""
    if estimate["value"] is None:
        return "-"
    return f"{estimate['value']:.{digits}f}" + ("" if estimate["low"] is None else f" [{estimate['low']:.{digits}f}, {estimate['high']:.{digits}f}]")


def signed(estimate: Mapping[str, Any], digits: int = 2) -> str:
    """`+0.70 [+0.37, +1.02]`; a dash for no value."""
    if estimate["value"] is None:
        return "-"
    return f"{estimate['value']:+.{digits}f}" + ("" if estimate["low"] is None else f" [{estimate['low']:+.{digits}f}, {estimate['high']:+.{digits}f}]")


def percent(value: float | None) -> str:
    """A number without digits behind its point, or a dash."""
    return "-" if value is None else f"{value:.0f}"
