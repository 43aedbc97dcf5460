"""`ostinato report`: everything that came out, on one page that needs no network.

What was asked, players for before, after and the ceiling, the chords asked and heard, the scores with their references, the training
curves, what it cost, what was set aside, where each clip comes from, and how to rebuild it all. Sound, style and script are inside the file,
so that it can be sent by mail. It shows the first seeds of each prompt, not the best ones. Everything read from files is escaped.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ostinato.dataset.prompts import PromptError, parse
from ostinato.files import UserError, commit, read_json, read_table, require_space, shown, write_sidecar, write_text
from ostinato.params import Report, section
from ostinato.report import clips, cost_section, figures, lineage, midi_section, remake

WHICH = ("before", "after", "ceiling")
#: More set-aside files than this are counted, not listed.
SET_ASIDE_ROWS = 200
#: What the reasons of files that were used begin with (corpus.check).
USED = "used_"
#: The reason of what merely lies between segments (dataset.segments); counted, not listed.
BESIDE = "beside the segments"
COMMANDS = (
    ("From the raw audio to this page", "make demo"),
    ("The same, step by step, on this machine", "snakemake --profile cluster/local"),
    ("On a Slurm cluster", "snakemake --profile cluster/slurm"),
    ("Only what changed, and keep the ledger", "dvc repro"),
    ("Compare runs side by side", "mlflow ui --backend-store-uri sqlite:///mlflow.db"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `report` as JSON")
    parser.add_argument("--scores", type=Path, required=True, help="results/scores.json")
    parser.add_argument("--judgements", type=Path, required=True, help="results/judgements.json")
    parser.add_argument("--demos", type=Path, nargs="+", required=True, help="folders of demos, named before, after, ceiling")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of models, with events.jsonl")
    parser.add_argument("--set-aside", type=Path, required=True, help="results/corpus/set_aside.tsv")
    parser.add_argument("--segments", type=Path, nargs="+", default=[], help="folders of segments, with left_out.tsv")
    midi_section.arguments(parser)
    parser.add_argument("--midi-set-aside", type=Path, help="results/midi/set_aside.tsv; without it, MIDI files are not spoken of")
    parser.add_argument("--cost", type=Path, help="results/cluster.csv; without it, the page does not say what the run cost")
    parser.add_argument("--out", type=Path, required=True, help="the page to write")


def run(args: argparse.Namespace) -> None:
    """Write the page and its sidecar."""
    params: Report = section("report", args.params)
    require_space(args.out.parent, 20_000_000)
    page = render(content(params, args))
    write_text(args.out, page)
    inputs = [args.scores, args.judgements, args.set_aside, *args.demos, *args.models, *args.segments, *midi_section.inputs(args)]
    inputs += [path for path in (args.midi_set_aside, args.cost) if path]
    write_sidecar(args.out, "report", inputs, params.model_dump())
    print(f"{args.out}: {len(page) / 1e6:.1f} MB")


def content(params: Report, args: argparse.Namespace) -> dict[str, Any]:
    """Everything the template shows."""
    scores, walker = read_json(args.scores), lineage.Walker()
    entries = _entries(args.judgements)
    cards = [_card(prompt, entries, params, args.demos, walker) for prompt in _prompts(entries)]
    return {
        "title": params.title, "sentence": figures.sentence(scores), "permuted": figures.permuted(scores), "scores": scores,
        "rows": figures.score_rows(scores), "seed_rows": figures.score_rows(scores.get("seed_prompts") or {}), "columns": figures.COLUMNS,
        "cards": cards, "runs": figures.training(args.models), "midi": midi_section.content(params, args, walker),
        "set_aside": _set_aside(args.set_aside), "midi_set_aside": args.midi_set_aside and _set_aside(args.midi_set_aside),
        "cost": args.cost and cost_section.content(args.cost), "left_out": _left_out(args.segments), "steps": _steps(args, walker),
        "commit": _brief(commit() or ""), "commands": _commands(),
        "pitches": [(name, clips.pitch_colour(pitch)) for pitch, name in enumerate(clips.COMMON_NAMES)], "chroma_rows": clips.ROWS,
    }


def _commands() -> list[tuple[str, str]]:
    """What rebuilds the page, as (what, command); with a configuration of one's own the demo's commands would build the demo."""
    options = remake.options(Path())
    if not {"--configfile", "--config"} & set(options):
        return list(COMMANDS)
    return [("From the raw files to this page", remake.typed(["snakemake", *options])), COMMANDS[-1]]


def render(values: Mapping[str, Any]) -> str:
    """Fill the template, with everything escaped."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["shown"] = shown
    return environment.get_template("page.html.j2").render(values)


def _entries(path: Path) -> list[dict[str, Any]]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise UserError(f"{path}: expected a list of judgements, got {type(entries).__name__}")
    for number, entry in enumerate(entries):
        missing = [key for key in ("which", "prompt", "path") if not isinstance(entry, Mapping) or key not in entry]
        if missing:
            raise UserError(f"{path}: entry {number}: lacks {', '.join(missing)}")
    return entries


def _prompts(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each prompt once, those of the seed experiment first."""
    held_out = {entry["prompt"]: bool(entry.get("heldout")) for entry in entries}
    return sorted(held_out, key=lambda prompt: held_out[prompt])


def _card(prompt: str, entries: Sequence[dict[str, Any]], params: Report, demos: Sequence[Path], walker: lineage.Walker) -> dict[str, Any]:
    """One prompt: the first seeds of it, each with the clips of before, after and ceiling that there are."""
    mine = [entry for entry in entries if entry["prompt"] == prompt]
    # the ceiling may have seeds of its own, so the seeds are those of the models' clips where there are any
    seeds = sorted({entry.get("seed") for entry in mine if entry["which"] != "ceiling"} or {entry.get("seed") for entry in mine}, key=str)
    takes = [{"seed": seed, "players": _players(mine, seed, demos, walker)} for seed in seeds[: params.players_per_prompt]]
    return {"prompt": prompt, "heldout": bool(mine[0].get("heldout")), "seen": bool(mine[0].get("seen")), "takes": takes,
            "asked": _asked(prompt), "seeds": len(seeds)}


def _players(mine: Sequence[dict[str, Any]], seed: Any, demos: Sequence[Path], walker: lineage.Walker) -> list[dict[str, Any]]:
    players = []
    for which in WHICH:
        takes = [entry for entry in mine if entry["which"] == which]
        entry = next((take for take in takes if take.get("seed") == seed), takes[0] if takes and which == "ceiling" else None)
        if entry is not None:
            path = clips.find(Path(entry["path"]), [folder for folder in demos if folder.name == which], "judgements.json")
            players.append(clips.player(entry, path) | {"measures": figures.measures(entry.get("metrics") or {})} | lineage.origin(path, walker))
    return players


def _asked(prompt: str) -> list[dict[str, str]]:
    """The chords of a prompt as coloured pills; none when this version cannot read it."""
    try:
        names = [chord.harte for chord in parse(prompt).chords]
    except PromptError:
        return []
    return [dict(zip(("label", "background", "ink"), (clips.short(name), *clips.colours(name)))) for name in names]


def _set_aside(path: Path) -> dict[str, Any]:
    """The table of files not taken, and of what is to be said of some that were: {"path", "count", "reasons": [(reason, count)], "rows", "used"}."""
    rows = read_table(path, {"path", "reason", "detail"})
    used = [row for row in rows if row["reason"].startswith(USED)]
    aside = [row for row in rows if row not in used]
    reasons = Counter(row["reason"] for row in aside).most_common()
    return {"path": str(path), "count": len(aside), "reasons": reasons, "rows": aside[:SET_ASIDE_ROWS], "used": used[:SET_ASIDE_ROWS], "used_count": len(used)}


def _left_out(folders: Sequence[Path]) -> dict[str, Any]:
    """Music of the songs that became no segment: {"minutes", "reasons": [(reason, minutes, places)], "rows": the doubtful and whole songs}."""
    rows = [row for folder in folders for row in read_table(folder / "left_out.tsv", {"path", "start", "end", "reason"})]
    minutes: Counter[str] = Counter()
    for row in rows:
        minutes[_sort_of(row["reason"])] += (float(row["end"]) - float(row["start"])) / 60
    counts = Counter(_sort_of(row["reason"]) for row in rows)
    told = [row for row in rows if row["reason"] != BESIDE]
    return {"minutes": sum(minutes.values()), "reasons": [(reason, value, counts[reason]) for reason, value in minutes.most_common()],
            "count": len(told), "rows": told[:SET_ASIDE_ROWS]}


def _sort_of(reason: str) -> str:
    """A reason without its numbers: `chords are doubtful: confidence 0.41, wanted 0.5` -> `chords are doubtful`."""
    return reason.partition(":")[0]


def _steps(args: argparse.Namespace, walker: lineage.Walker) -> list[dict[str, Any]]:
    """Each step behind this page with its commits and, where all its artifacts agree, its parameters."""
    made: dict[str, dict[str, list[Any]]] = {}
    for path in [*args.demos, *args.models, args.scores, *midi_section.inputs(args)]:
        for node in lineage.reachable(walker.walk(path)):
            if node.record:
                step = made.setdefault(node.step, {"commits": [], "params": []})
                _once(step["commits"], node.record.get("commit"))
                _once(step["params"], node.record.get("params"))
    return [{"step": name, "commits": [_brief(commit) for commit in step["commits"]],
             "params": [json.dumps(params, indent=1, sort_keys=True) for params in step["params"]]}
            for name, step in made.items()]


def _brief(commit: str) -> str:
    """`4f1c0a2b91d3+dirty`: enough of a commit to find it."""
    name, mark, _ = commit.partition("+")
    return name[:12] + (mark and "+dirty")


def _once(values: list[Any], value: Any) -> None:
    if value is not None and value not in values:
        values.append(value)
