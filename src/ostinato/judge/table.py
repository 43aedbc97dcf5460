"""The scores as a short table, no number without its references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ostinato.files import UserError

COLUMNS = ("before", "after", "ceiling", "chance")
ROWS = ("root", "thirds", "majmin", "triads", "sevenths", "judged", "order", "bass", "last_chord", "cadence", "sounding", "agreement")
WIDTH = 17
#: Place in the MIDI track's bits_per_note -> its name in the table.
SAYERS = {"model": "model", "no_composer": "told none", "wrong_composer": "told wrong", "5gram": "5-gram", "unigram": "unigram"}


def validate(scores: Any, where: str) -> None:
    """Raise UserError when a column or a gain is missing: a score without ceiling and chance is not shown."""
    needed = (*COLUMNS, "gain", "permuted_gain", "confidence", "heldout", "seen", "seed_prompts")
    missing = [key for key in needed if key not in scores] if isinstance(scores, Mapping) else list(needed)
    if missing:
        raise UserError(f"{where}: lacks {', '.join(missing)}; expected what `ostinato judge` writes")


def table(scores: Mapping[str, Any], where: str = "scores") -> str:
    """The table as text: a row a metric, a column each for before, after, ceiling and chance, and what the gain means."""
    validate(scores, where)
    clips = scores["after"]["sounding"]["n"]
    lines = [f"{len(scores['heldout'])} held-out prompts, {clips} clips; percent, [{100 * scores['confidence']:g} % interval]", _heading()]
    lines += [_row(name, scores) for name in ROWS]
    lines += ["the seed prompts (not held out):", _row("majmin", scores["seed_prompts"]), gain(scores)]
    if scores["seen"]:
        lines.append(f"Not scored, because their chords occur in the training labels: {'; '.join(scores['seen'])}")
    return "\n".join(lines)


def _heading() -> str:
    return " " * 11 + "".join(f"{column:<{WIDTH}}" for column in COLUMNS).rstrip()


def _row(name: str, columns: Mapping[str, Any]) -> str:
    return f"{name:<11}" + "".join(f"{_cell(columns[column][name]):<{WIDTH}}" for column in COLUMNS).rstrip()


def _cell(estimate: Mapping[str, Any], digits: int = 0) -> str:
    if estimate["value"] is None:
        return "-"
    return f"{estimate['value']:.{max(1, digits)}f} [{estimate['low']:.{digits}f}, {estimate['high']:.{digits}f}]"


def gain(scores: Mapping[str, Any]) -> str:
    """One line: what fine-tuning gained in majmin, and what is left of it when the prompts are permuted."""
    won, left = scores["gain"], scores["permuted_gain"]
    if won["value"] is None or left["value"] is None:
        return "Gain: none to report, because no held-out prompt could be scored."
    return f"Gain (majmin, after - before): {_signed(won)} points; with permuted prompts (chance - before): {_signed(left)}."


def _signed(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['value']:+.1f} [{estimate['low']:+.1f}, {estimate['high']:+.1f}]"


def midi_table(scores: Any, where: str) -> str:
    """The MIDI track in a few lines: bits per note beside their references, composers told apart, what was copied and what was kept."""
    needed = ("bits_per_note", "composer_wins", "longest_copy", "melody_recall", "confidence")
    missing = [key for key in needed if key not in scores] if isinstance(scores, Mapping) else list(needed)
    if missing:
        raise UserError(f"{where}: lacks {', '.join(missing)}; expected what `ostinato judge-midi` writes")
    costs = scores["bits_per_note"]
    return "\n".join(
        [
            f"MIDI: {costs['model']['n']} held-out pieces; bits per note, lower is better, [{100 * scores['confidence']:g} % interval]",
            "".join(f"{name:<{WIDTH}}" for name in SAYERS.values()).rstrip(),
            "".join(f"{_cell(costs[place], 1):<{WIDTH}}" for place in SAYERS).rstrip(),
            f"The right composer is likelier than wrong ones on {_cell(scores['composer_wins'])} % of the pieces.",
            f"Longest copy from the training set: {scores['longest_copy']['notes']} notes. Melody kept (share): {_cell(scores['melody_recall'], 2)}",
        ]
    )
