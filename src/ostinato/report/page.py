"""Everything that came out, on one page that needs no network.

What was asked, players for before, after and the ceiling, the chords asked and heard, the scores with their references, the training
curves, what it cost, what was set aside, where each clip comes from, and how to rebuild it all. Sound, style and script are inside the file,
so that it can be sent by mail. It shows the first seeds of each prompt, not the best ones. Everything read from files is escaped.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ostinato.escapes import shown
from ostinato.files import UserError, read_json
from ostinato.harmony.colours import COMMON_NAMES, colours, pitch_colour, short
from ostinato.harmony.prompts.prompt import PromptError, parse
from ostinato.params import Report
from ostinato.provenance import lineage, remake
from ostinato.report import costs, figures, midi, players
from ostinato.report.midi import MidiSources
from ostinato.sidecars import commit
from ostinato.tables import SET_ASIDE, read_table_rows

WHICH = ("before", "after", "ceiling")
#: More set-aside files than this are counted, not listed.
SET_ASIDE_ROWS = 200
#: The table in a folder of segments of what was left out of its songs (commands.segments).
LEFT_OUT = "left_out.tsv"
#: A clip comes from all songs: of more inputs of an artifact, or files in a folder, than so many, no more are looked at. `ostinato verify` looks at all.
SAMPLE = 64
#: What the reasons of files that were used begin with (corpus.check).
USED = "used_"
#: The reason of what merely lies between segments (dataset.segments); counted, not listed.
BESIDE = "beside the segments"
TO_REBUILD = (
    ("From the raw audio to this page", "make demo"),
    ("The same, step by step, on this machine", "snakemake --profile cluster/local"),
    ("On a Slurm cluster", "snakemake --profile cluster/slurm"),
    ("Only what changed, and keep the ledger", "dvc repro"),
    ("Compare runs side by side", "mlflow ui --backend-store-uri sqlite:///mlflow.db"),
)


@dataclass(frozen=True)
class Sources:
    """What the page is made from: folders of demos named before, after and ceiling, of models with events.jsonl, of segments with left_out.tsv; else files."""

    scores: Path
    judgements: Path
    set_aside: Path
    demos: Sequence[Path]
    models: Sequence[Path]
    segments: Sequence[Path] = ()
    #: Without it, there is no section of the MIDI track.
    midi: MidiSources | None = None
    #: Without it, MIDI files are not spoken of.
    midi_set_aside: Path | None = None
    #: Without it, the page does not say what the run cost.
    cost: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        optional = [path for path in (self.midi_set_aside, self.cost) if path]
        left_out = [folder / LEFT_OUT for folder in self.segments]  # not the folders, which hold a dataset's sound
        return [self.scores, self.judgements, self.set_aside, *self.demos, *self.models, *left_out, *(self.midi.paths if self.midi else []), *optional]


def content(params: Report, sources: Sources) -> dict[str, Any]:
    """Everything the template shows."""
    scores, walker = read_json(sources.scores), lineage.Walker(sample=SAMPLE)
    entries = _entries(sources.judgements)
    cards = [card(prompt, entries, params, sources.demos, walker) for prompt in prompts(entries)]
    return {
        "title": params.title,
        "sentence": figures.sentence(scores),
        "permuted": figures.permuted(scores),
        "scores": scores,
        "rows": figures.score_rows(scores),
        "seed_rows": figures.score_rows(scores.get("seed_prompts") or {}),
        "columns": figures.COLUMNS,
        "cards": cards,
        "runs": figures.training(sources.models),
        "midi": sources.midi and midi.content(params, sources.midi, walker),
        "set_aside": _set_aside(sources.set_aside),
        "midi_set_aside": sources.midi_set_aside and _set_aside(sources.midi_set_aside),
        "cost": sources.cost and costs.content(sources.cost),
        "left_out": _left_out(sources.segments),
        "steps": _steps(sources, walker),
        "commit": brief(commit() or ""),
        "commands": _commands(),
        "pitches": [(name, pitch_colour(pitch)) for pitch, name in enumerate(COMMON_NAMES)],
        "chroma_rows": players.ROWS,
    }


def _commands() -> list[tuple[str, str]]:
    """What rebuilds the page, as (what, command); with a configuration of one's own the demo's commands would build the demo."""
    options = remake.options(Path())
    if not {"--configfile", "--config"} & set(options):
        return list(TO_REBUILD)
    return [("From the raw files to this page", remake.typed(["snakemake", *options])), TO_REBUILD[-1]]


def render(values: Mapping[str, Any]) -> str:
    """Fill the template, with everything escaped."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
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


def prompts(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each prompt once, those of the seed experiment first."""
    held_out = {entry["prompt"]: bool(entry.get("heldout")) for entry in entries}
    return sorted(held_out, key=lambda prompt: held_out[prompt])


def card(prompt: str, entries: Sequence[dict[str, Any]], params: Report, demos: Sequence[Path], walker: lineage.Walker) -> dict[str, Any]:
    """One prompt: the first seeds of it, each with the clips of before, after and ceiling that there are."""
    mine = [entry for entry in entries if entry["prompt"] == prompt]
    # the ceiling may have seeds of its own, so the seeds are those of the models' clips where there are any
    seeds = sorted({entry.get("seed") for entry in mine if entry["which"] != "ceiling"} or {entry.get("seed") for entry in mine}, key=str)
    takes = [{"seed": seed, "players": _takes(mine, seed, demos, walker)} for seed in seeds[: params.players_per_prompt]]
    return {"prompt": prompt, "heldout": bool(mine[0].get("heldout")), "seen": bool(mine[0].get("seen")), "takes": takes, "asked": _asked(prompt), "seeds": len(seeds)}


def _takes(mine: Sequence[dict[str, Any]], seed: Any, demos: Sequence[Path], walker: lineage.Walker) -> list[dict[str, Any]]:
    shown_here = []
    for which in WHICH:
        takes = [entry for entry in mine if entry["which"] == which]
        entry = next((take for take in takes if take.get("seed") == seed), takes[0] if takes and which == "ceiling" else None)
        if entry is not None:
            path = players.find(Path(entry["path"]), [folder for folder in demos if folder.name == which], "judgements.json")
            shown_here.append(players.player(entry, path) | {"measures": figures.measures(entry.get("metrics") or {})} | lineage.origin(path, walker))
    return shown_here


def _asked(prompt: str) -> list[dict[str, str]]:
    """The chords of a prompt as coloured pills; none when this version cannot read it."""
    try:
        names = [chord.harte for chord in parse(prompt).chords]
    except PromptError:
        return []
    return [dict(zip(("label", "background", "ink"), (short(name), *colours(name)))) for name in names]


def _set_aside(path: Path) -> dict[str, Any]:
    """The table of files not taken, and of what is to be said of some that were: {"path", "count", "reasons": [(reason, count)], "rows", "used"}; of either the first rows."""
    reasons, rows = Counter[str](), dict[bool, list[dict[str, str]]]({True: [], False: []})
    for row in read_table_rows(path, SET_ASIDE):
        reasons[row["reason"]] += 1
        _first_of(rows[row["reason"].startswith(USED)], row)
    aside = {reason: count for reason, count in reasons.most_common() if not reason.startswith(USED)}
    count = sum(aside.values())
    return {"path": str(path), "count": count, "reasons": list(aside.items()), "rows": rows[False], "used": rows[True], "used_count": reasons.total() - count}


def _left_out(folders: Sequence[Path]) -> dict[str, Any]:
    """Music of the songs that became no segment: {"minutes", "reasons": [(reason, minutes, places)], "rows": the first of the doubtful and whole songs}. Of a row in each
    of the tables no more is kept than its sum.
    """
    minutes, counts, rows, told = defaultdict[str, float](float), Counter[str](), list[dict[str, str]](), 0
    for row in (row for folder in folders for row in read_table_rows(folder / LEFT_OUT, {"path", "start", "end", "reason"})):
        sort = _sort_of(row["reason"])
        minutes[sort] += (float(row["end"]) - float(row["start"])) / 60
        counts[sort] += 1
        if row["reason"] != BESIDE:
            told += 1
            _first_of(rows, row)
    return {
        "minutes": sum(minutes.values()),
        "reasons": [(reason, value, counts[reason]) for reason, value in sorted(minutes.items(), key=lambda item: item[1], reverse=True)],
        "count": told,
        "rows": rows,
    }


def _first_of(rows: list[dict[str, str]], row: dict[str, str]) -> None:
    """Keep a row for a list on the page unless that is full."""
    if len(rows) < SET_ASIDE_ROWS:
        rows.append(row)


def _sort_of(reason: str) -> str:
    """A reason without its numbers: `chords are doubtful: confidence 0.41, wanted 0.5` -> `chords are doubtful`."""
    return reason.partition(":")[0]


def _steps(sources: Sources, walker: lineage.Walker) -> list[dict[str, Any]]:
    """Each step behind this page with its commits and, where all its artifacts agree, its parameters."""
    made: dict[str, dict[str, list[Any]]] = {}
    for path in [*sources.demos, *sources.models, sources.scores, *(sources.midi.paths if sources.midi else [])]:
        for node in lineage.reachable(walker.walk(path)):
            if node.record:
                step = made.setdefault(node.step, {"commits": [], "params": []})
                _once(step["commits"], node.record.get("commit"))
                _once(step["params"], node.record.get("params"))
    return [
        {"step": name, "commits": [brief(commit) for commit in step["commits"]], "params": [json.dumps(params, indent=1, sort_keys=True) for params in step["params"]]}
        for name, step in made.items()
    ]


def brief(commit: str) -> str:
    """`4f1c0a2b91d3+dirty`: enough of a commit to find it."""
    name, mark, _ = commit.partition("+")
    return name[:12] + (mark and "+dirty")


def _once(values: list[Any], value: Any) -> None:
    if value is not None and value not in values:
        values.append(value)
