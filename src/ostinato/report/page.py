"""Everything that came out, on one page that needs no network.

What was asked, players for before, after and a true rendering, the chords asked and heard, the scores with what they are to be held against, every prompt as a dot,
the training curves, what it cost, what was set aside, where each clip comes from, and how to rebuild it all. Sound, style and script are inside the file,
so that it can be sent by mail. It shows the first prompts and seeds, not the best ones. Everything read from files is escaped.
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
from ostinato.harmony.colours import COMMON_NAMES, pitch_colour
from ostinato.params import Report
from ostinato.provenance import lineage, remake
from ostinato.report import cards, costs, dots, figures, midi, players, scores, sentences
from ostinato.report.midi import MidiSources
from ostinato.sidecars import commit
from ostinato.tables import SET_ASIDE, read_table_rows

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
#: What a page of evidence (more trainings, a control) says instead.
TO_REBUILD_EVIDENCE = (
    ("From the raw audio to this page", "make evidence"),
    ("The same, step by step, on this machine", "snakemake evidence --profile cluster/local"),
    ("On a Slurm cluster", "snakemake evidence --profile cluster/slurm"),
    TO_REBUILD[-1],
)


@dataclass(frozen=True)
class Sources:
    """What the page is made from: folders of demos named by their sets (before, after, reference, ...), of models with events.jsonl, of segments with left_out.tsv; else files."""

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
    walker, entries = lineage.Walker(sample=SAMPLE), _entries(sources.judgements)
    shown_here = cards.prompts(entries)
    measured = _measured(sources.scores, entries)
    return {
        "title": params.title,
        **measured,
        "cards": [cards.card(prompt, entries, params, sources.demos, walker, measured["headline"]) for prompt in shown_here],
        "of_a_kind": cards.OF_A_KIND,
        "more": len({entry["prompt"] for entry in entries if entry.get("heldout")} - set(shown_here)),
        "folders": sorted({str(folder.parent) for folder in sources.demos}),
        "runs": figures.training(sources.models),
        "midi": sources.midi and midi.content(params, sources.midi, walker),
        "set_aside": _set_aside(sources.set_aside),
        "midi_set_aside": sources.midi_set_aside and _set_aside(sources.midi_set_aside),
        "cost": sources.cost and costs.content(sources.cost),
        "left_out": _left_out(sources.segments),
        "steps": _steps(sources, walker),
        "commit": brief(commit() or ""),
        "commands": _commands(bool(measured["trainings"]) or "control" in measured["bars"]),
        "pitches": [(name, pitch_colour(pitch)) for pitch, name in enumerate(COMMON_NAMES)],
        "chroma_rows": players.ROWS,
    }


def _measured(path: Path, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the head of the page and the section of the scores show."""
    values = read_json(path)
    tables = [*scores.groups(values), {"title": "Sound", "text": "What the clips sound like, whatever their chords.", "rows": scores.sound_rows(values)}]
    return {
        "scores": values,
        "headline": scores.headline(values),
        "headline_name": scores.name_of(scores.headline(values)),
        "sentence": sentences.sentence(values),
        "facts": sentences.facts(values),
        "known": sentences.known(values),
        "bars": scores.bars(values),
        "sets": scores.SETS,
        "tables": [table | {"columns": scores.with_all_columns(table["rows"])} for table in tables if table["rows"]],
        "strata": [table | {"columns": scores.with_all_columns(table["rows"])} for table in scores.strata(values)],
        "dots": dots.content(entries, scores.headline(values)),
        **{name: {"rows": rows, "columns": scores.with_all_columns(rows)} for name, rows in (("seed_prompts", scores.seed_rows(values)), ("text_only", scores.text_rows(values)))},
        "trainings": scores.trainings(values),
    }


def _commands(evidence: bool) -> list[tuple[str, str]]:
    """What rebuilds the page, as (what, command); with a configuration of one's own the demo's commands would build the demo."""
    options = remake.options(Path())
    if not {"--configfile", "--config"} & set(options):
        return list(TO_REBUILD_EVIDENCE if evidence else TO_REBUILD)
    return [("From the raw files to this page", remake.typed(["snakemake", *(["evidence"] if evidence else []), *options])), TO_REBUILD[-1]]


def render(values: Mapping[str, Any]) -> str:
    """Fill the template, with everything escaped."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["shown"] = shown
    return environment.get_template("page.html.j2").render(values)


def _entries(path: Path) -> list[dict[str, Any]]:
    """The judgements of all clips."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise UserError(f"{path}: expected a list of judgements, got {type(entries).__name__}")
    for number, entry in enumerate(entries):
        missing = [key for key in ("which", "prompt", "path") if not isinstance(entry, Mapping) or key not in entry]
        if missing:
            raise UserError(f"{path}: entry {number}: lacks {', '.join(missing)}")
    return entries


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
