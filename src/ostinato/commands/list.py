"""`ostinato list`: say which recordings each shard is made from."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato import lists
from ostinato.corpus.listing import recordings_in


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--folder", required=True, help="folder of recordings")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="a list a shard")


def run(args: argparse.Namespace) -> None:
    """Write the lists that are not there as they should be."""
    found = recordings_in(args.folder, len(args.out))
    print(f"{sum(map(len, found))} files in {len(found)} lists, of which {lists.write(args.out, found)} are new or changed")
