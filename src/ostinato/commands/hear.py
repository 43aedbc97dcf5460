"""`ostinato hear`: listen to recordings; print, save and draw what is heard."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from ostinato.ears.weights import load_ear
from ostinato.listen.batch import SAVED, attempt, find_songs, hear_many, hear_one, parameters, refuse_places


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="recordings, and folders that are searched for them")
    for kind, text in SAVED.items():
        parser.add_argument(f"--{kind}", nargs="?", const=Path("."), type=Path, metavar="FOLDER", help=f"save {text[1]}; without FOLDER: in this one")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there already")
    parser.add_argument("--vocabulary", choices=("majmin", "sevenths", "full"), help="chords to tell apart, instead of listen.vocabulary")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="songs at a time (default: as many as there are cores)")
    parser.add_argument("--params", help="parameter file, or the section `listen` as JSON (default: params.yaml here, else Ostinato's own)")


def run(args: argparse.Namespace) -> None:
    """Listen to all that was asked for."""
    params = parameters(args.params, args.vocabulary)
    outputs = {kind: folder for kind in SAVED if (folder := getattr(args, kind)) is not None}
    songs = find_songs(args.paths)
    refuse_places(outputs, songs)
    for ear in ("labeller", "instruments", "beats"):
        load_ear(ear, params.ears)  # what is wrong with the weights is wrong for all songs
    try:
        if len(songs) == 1 and args.paths[0].is_file():
            hear_one(songs[0], params, outputs, args.force)
        else:
            hear_many(songs, partial(attempt, params=params, outputs=outputs, force=args.force), args.jobs)
    except KeyboardInterrupt:
        print("ostinato hear: interrupted; what is saved is whole", file=sys.stderr)
        raise SystemExit(130) from None
