"""`ostinato manifests`: write audiocraft's manifests."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.dataset.manifests import MANIFEST, SEGMENTS, duplicated, write_manifests
from ostinato.params.blocks import SPLITS
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--segments", type=Path, nargs="+", required=True, help="folders of segments, one a shard")
    parser.add_argument("--duplicates", type=Path, required=True, help="table of songs that are not used, since another shard has them")
    parser.add_argument("--out", type=Path, required=True, help="folder for <split>/data.jsonl.gz")


def run(args: argparse.Namespace) -> None:
    """Write the three manifests."""
    counts = write_manifests(args.segments, duplicated(args.duplicates), args.out)
    write_sidecar([args.out / split / MANIFEST for split in SPLITS], "manifests", [args.duplicates, *(folder / SEGMENTS for folder in args.segments)])
    print(", ".join(f"{counts[split]} {split}" for split in SPLITS) + " segments")
