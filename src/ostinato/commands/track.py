"""`ostinato track`: import runs, scores and demos into MLflow."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.files import UserError, read_json, write_json
from ostinato.params import Track, section
from ostinato.sidecars import write_sidecar
from ostinato.tracking.imports import Revision, guarded, import_revision, score_metrics, training_runs

#: Before the names of the MIDI track's runs.
MIDI_RUN = "midi-"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `track` as JSON")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of models, with events.jsonl and summary.json")
    parser.add_argument("--scores", type=Path, required=True, help="results/scores.json")
    parser.add_argument("--demos", type=Path, nargs="+", default=[], help="folders of demos, named by their sets: before, after, reference, ...")
    parser.add_argument("--midi-models", type=Path, nargs="+", default=[], help="folders of MIDI models, with events.jsonl and summary.json")
    parser.add_argument("--midi-scores", type=Path, help="results/midi/scores.json")
    parser.add_argument("--midi-demos", type=Path, help="folder of compositions")
    parser.add_argument("--evidence-scores", type=Path, help="results/evidence/scores.json: more trainings, a control, more seeds")
    parser.add_argument("--evidence-midi-scores", type=Path, help="results/evidence/midi/scores.json")
    parser.add_argument("--stamp", type=Path, required=True, help="file to write when all is in: the ids of the runs")


def run(args: argparse.Namespace) -> None:
    """Import everything, then write the stamp. Raises UserError when the store fails; only MLflow's copy is missing then."""
    params: Track = section("track", args.params)
    revision = given(args)
    stamp = guarded(params.uri, lambda: import_revision(params, revision))
    write_json(args.stamp, stamp)
    write_sidecar(args.stamp, "track", [*revision.tables.values(), *args.models, *args.midi_models, *revision.demos.values()], params.model_dump())
    print(f"{params.uri}: revision {revision.key[:12]}, {len(revision.runs)} training runs")


def given(args: argparse.Namespace) -> Revision:
    """The revision that the options name. Raises UserError when a file is missing, before anything is sent."""
    demos = {f"demos/{folder.name}": folder for folder in args.demos} | ({"demos/midi": args.midi_demos} if args.midi_demos else {})
    missing = [str(folder) for folder in demos.values() if not folder.is_dir()]
    if missing:
        raise UserError(f"--demos or --midi-demos {missing[0]}: no such folder")
    optional = {"midi": args.midi_scores, "evidence": args.evidence_scores, "evidence/midi": args.evidence_midi_scores}
    tables = {"": args.scores} | {place: path for place, path in optional.items() if path}
    scores = {f"{place.replace('/', '.')}.{name}".lstrip("."): value for place, path in tables.items() for name, value in score_metrics(read_json(path))}
    return Revision(training_runs(args.models) | training_runs(args.midi_models, MIDI_RUN), tables, demos, scores)
