"""`ostinato list-midi`: say which MIDI files each shard is made from."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato import lists
from ostinato.midi.listing import midi_in


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--folder", required=True, help="folder of MIDI files")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="a list a shard, and one more for the tables (.csv) in the folder")


def run(args: argparse.Namespace) -> None:
    """Write the lists that are not there as they should be."""
    found = midi_in(args.folder, len(args.out) - 1)
    print(f"{sum(map(len, found))} files in {len(found)} lists, of which {lists.write(args.out, found)} are new or changed")
