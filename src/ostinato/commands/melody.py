"""`ostinato melody`: write a melody that comes with Ostinato as MIDI."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.midi.melodies import MELODIES, PROGRAM, melody
from ostinato.midi.notes import write_midi
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--name", required=True, help=", ".join(MELODIES))
    parser.add_argument("-o", "--out", type=Path, required=True, help="MIDI file to write")


def run(args: argparse.Namespace) -> None:
    """Write a melody. Raises UserError for a name that is not known."""
    piece = melody(args.name)
    write_midi(args.out, piece, {PROGRAM: MELODIES[args.name].title})
    write_sidecar(args.out, "melody", [], {"name": args.name})
    print(f"{args.out}: {MELODIES[args.name].title}, {len(piece.notes)} notes, {piece.seconds:.1f} s")
