"""`ostinato report`: write the page."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.files import UserError, require_space, write_text
from ostinato.params import section
from ostinato.report.midi import MidiSources
from ostinato.report.page import Sources, content, render
from ostinato.sidecars import write_sidecar

MIDI_OPTIONS = ("midi_scores", "midi_judgements", "midi_demos", "midi_models")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `report` as JSON")
    parser.add_argument("--scores", type=Path, required=True, help="results/scores.json")
    parser.add_argument("--judgements", type=Path, required=True, help="results/judgements.json")
    parser.add_argument("--demos", type=Path, nargs="+", required=True, help="folders of demos, named by their sets: before, after, reference, ...")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of models, with events.jsonl")
    parser.add_argument("--set-aside", type=Path, required=True, help="results/corpus/set_aside.tsv")
    parser.add_argument("--segments", type=Path, nargs="+", default=[], help="folders of segments, with left_out.tsv")
    parser.add_argument("--midi-scores", type=Path, help="results/midi/scores.json; with the next three, the page shows the MIDI track")
    parser.add_argument("--midi-judgements", type=Path, help="results/midi/judgements.json")
    parser.add_argument("--midi-demos", type=Path, help="folder of compositions, <demo>.wav beside <demo>.mid")
    parser.add_argument("--midi-models", type=Path, nargs="+", default=[], help="folders of MIDI models, with events.jsonl")
    parser.add_argument("--midi-set-aside", type=Path, help="results/midi/set_aside.tsv; without it, MIDI files are not spoken of")
    parser.add_argument("--cost", type=Path, help="results/cluster.csv; without it, the page does not say what the run cost")
    parser.add_argument("--out", type=Path, required=True, help="the page to write")


def run(args: argparse.Namespace) -> None:
    """Write the page and its sidecar."""
    params, sources = section("report", args.params), _sources(args)
    require_space(args.out.parent, 20_000_000)
    page = render(content(params, sources))
    write_text(args.out, page)
    write_sidecar(args.out, "report", sources.paths, params.model_dump())
    print(f"{args.out}: {len(page) / 1e6:.1f} MB")


def _sources(args: argparse.Namespace) -> Sources:
    """What the options name. Raises UserError when only some of those of the MIDI track were given."""
    named = {option: getattr(args, option) for option in MIDI_OPTIONS}
    missing = ["--" + option.replace("_", "-") for option, value in named.items() if not value]
    if 0 < len(missing) < len(named):
        raise UserError(f"{', '.join(missing)}: missing; the page shows the MIDI track with all options that begin with --midi, or with none of them")
    midi = None if missing else MidiSources(args.midi_scores, args.midi_judgements, args.midi_demos, args.midi_models)
    return Sources(args.scores, args.judgements, args.set_aside, args.demos, args.models, args.segments, midi, args.midi_set_aside, args.cost)
