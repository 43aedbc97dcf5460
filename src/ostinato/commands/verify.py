"""`ostinato verify`: say which artifacts are not what their sidecars say, and how to make them anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ostinato.provenance.lineage import home, within
from ostinato.provenance.remake import RESULTS
from ostinato.provenance.verify import all_whole, chosen


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("paths", type=Path, nargs="*", default=[Path(RESULTS)], help="artifacts, or folders of them; left out: results")


def run(args: argparse.Namespace) -> None:
    """Say what is not whole, and end with status 1 then."""
    projects: dict[Path, dict[str, None]] = {}
    for artifact in dict.fromkeys(artifact for path in args.paths for artifact in chosen(path)):
        projects.setdefault(home(artifact), {})[within(artifact, home(artifact))] = None
    whole = [all_whole(project, list(names)) for project, names in projects.items()]  # all are told of
    if not all(whole):
        sys.exit(1)
