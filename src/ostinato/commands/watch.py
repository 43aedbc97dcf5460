"""`ostinato watch`: bring training runs into MLflow while they train."""

from __future__ import annotations

import argparse
from pathlib import Path

from filelock import FileLock, Timeout

from ostinato.params import Track, section
from ostinato.tracking.imports import lock_file
from ostinato.tracking.watch import Watcher, follow, is_alive, told_to_stop


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `track` as JSON")
    parser.add_argument("--runs", type=Path, required=True, help="folder of all runs: results/runs")
    parser.add_argument("--while", type=int, dest="pid", metavar="PID", help="end when this process has ended; without: when told to (SIGTERM)")
    parser.add_argument("--once", action="store_true", help="look once and end")


def run(args: argparse.Namespace) -> None:
    """Watch until the end, with a last look then."""
    params: Track = section("track", args.params)
    if not params.live_seconds and not args.once:
        print("track.live_seconds is 0: nothing is watched")
        return
    try:
        with FileLock(lock_file(params.uri, "watch"), blocking=False):
            watcher = Watcher(params, args.runs)
            watcher.look() if args.once else follow(watcher, params.live_seconds, told_to_stop(), is_alive(args.pid))
    except Timeout:
        print(f"{params.uri}: another process watches for this store already")
