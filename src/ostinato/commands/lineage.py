"""`ostinato lineage`: walk an artifact back to the raw files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ostinato.files import SIDECAR
from ostinato.provenance.lineage import walk
from ostinato.provenance.summary import as_json, text


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("file", type=Path, help="an artifact, such as results/demos/after/<demo>-s1.wav")
    parser.add_argument("--json", action="store_true", help="print every file with its hashes, for machines")


def run(args: argparse.Namespace) -> None:
    """Print where a file comes from."""
    root = walk(str(args.file).removesuffix(SIDECAR))
    print(json.dumps(as_json(root), indent=1) if args.json else text(root))
