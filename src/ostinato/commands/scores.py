"""`ostinato scores`: print the table of scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.files import read_json
from ostinato.judge.midi.table import midi_table
from ostinato.judge.table import short_table, table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `ostinato scores`."""
    parser.add_argument("scores", type=Path, help="scores.json, as `ostinato judge` writes it")
    parser.add_argument("--short", action="store_true", help="what matters most, in a few lines")
    parser.add_argument("--strata", action="store_true", help="also by number of chords, instrument and phrasing")
    parser.add_argument("--midi", type=Path, help="scores.json of the MIDI track, as `ostinato judge-midi` writes it")


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    scores = read_json(args.scores)
    print(short_table(scores, str(args.scores)) if args.short else table(scores, str(args.scores), args.strata))
    if args.midi:
        print("\n" + midi_table(read_json(args.midi), str(args.midi), args.short))
