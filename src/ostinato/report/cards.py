"""A card for a prompt: the chords asked, and a player for each set of clips. Of many prompts the first are shown, not the best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ostinato.harmony.colours import colours, short
from ostinato.harmony.prompts.kinds import kind_of
from ostinato.params import Report
from ostinato.provenance import lineage
from ostinato.provenance.summary import origin
from ostinato.report import players
from ostinato.report.dots import read
from ostinato.report.figures import number
from ostinato.report.scores import METRICS

#: Who has a player.
WHICH = ("before", "after", "reference", "control")
#: Held-out prompts shown of each kind.
OF_A_KIND = 2


def prompts(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The prompts that have a card: those of the seed experiment and of each kind the first of those held out. Without chords there is nothing to draw."""
    held_out = {entry["prompt"]: bool(entry.get("heldout")) for entry in entries}
    parsed = {text: read(text) for text in held_out}
    kinds, shown = Counter[str | None](), []
    for text in sorted(held_out, key=lambda text: held_out[text]):
        prompt = parsed[text]
        if prompt is not None and not prompt.chords:
            continue
        kind = kind_of(prompt) if prompt else None
        if held_out[text]:
            kinds[kind] += 1
        if not held_out[text] or kinds[kind] <= OF_A_KIND:
            shown.append(text)
    return shown


def card(prompt: str, entries: Sequence[dict[str, Any]], params: Report, demos: Sequence[Path], walker: lineage.Walker, metric: str) -> dict[str, Any]:
    """One prompt: the first seeds of it, each with the clips that there are. `metric`: what a player has for its score."""
    mine = [entry for entry in entries if entry["prompt"] == prompt]
    # a rendering may have seeds of its own, so the seeds are those of the models' clips where there are any
    seeds = sorted({entry.get("seed") for entry in mine if entry["which"] != "reference"} or {entry.get("seed") for entry in mine}, key=str)
    takes = [{"seed": seed, "players": _takes(mine, seed, demos, walker, metric)} for seed in seeds[: params.players_per_prompt]]
    parsed = read(prompt)
    return {
        "prompt": prompt,
        "kind": kind_of(parsed) if parsed else None,
        "heldout": bool(mine[0].get("heldout")),
        "seen": bool(mine[0].get("seen")),
        "takes": takes,
        "asked": [dict(zip(("label", "background", "ink"), (short(chord.harte), *colours(chord.harte)))) for chord in (parsed.chords if parsed else ())],
        "seeds": len(seeds),
    }


def _takes(mine: Sequence[dict[str, Any]], seed: Any, demos: Sequence[Path], walker: lineage.Walker, metric: str) -> list[dict[str, Any]]:
    shown_here = []
    for which in WHICH:
        takes = [entry for entry in mine if entry["which"] == which]
        entry = next((take for take in takes if take.get("seed") == seed), takes[0] if takes and which == "reference" else None)
        if entry is not None:
            path = players.find(Path(entry["path"]), [folder for folder in demos if folder.name == which], "judgements.json")
            measured = entry.get("metrics") or {}
            shown_here.append(players.player(entry, path, metric) | {"score": number(measured.get(metric)), "measures": measures(measured)} | origin(path, walker))
    return shown_here


def measures(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A clip's metrics as its player lists them, those that are defined: {"name", "text", "value"}."""
    shown = {key: number(values.get(key)) for key in METRICS}
    return [
        {"name": METRICS[key][0], "text": METRICS[key][1], "value": f"{value:.1f} s" if key == "longest_copy" else f"{value:.0f}{'' if key == 'clap' else ' %'}"}
        for key, value in shown.items()
        if value is not None
    ]
