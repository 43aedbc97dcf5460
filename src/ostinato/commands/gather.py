"""`ostinato gather`: make one table of the codes of all shards, which training reads."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.codec.encoding import CONTENTS, TABLE, write_gathered
from ostinato.dataset.manifests import duplicated
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--codes", type=Path, nargs="+", required=True, help="arrays of codes, their indexes beside them; the table goes to the same folder")
    parser.add_argument("--duplicates", type=Path, required=True, help="table of songs that are not used, since another shard has them")


def run(args: argparse.Namespace) -> None:
    """Write the table, and what it holds."""
    folder = args.codes[0].parent
    contents, changed = write_gathered(args.codes, duplicated(args.duplicates))
    write_sidecar([folder / TABLE, folder / CONTENTS], "gather", [args.duplicates, *(path.with_suffix(".jsonl") for path in args.codes)])
    counts = ", ".join(f"{count} {split}" for split, count in contents["segments"].items())
    print(f"{counts} segments in {folder / TABLE}, " + ("other ones than before" if changed else "the same as before"))
