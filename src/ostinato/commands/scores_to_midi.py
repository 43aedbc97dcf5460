"""`ostinato scores-to-midi`: convert scores of the music21 wheel to MIDI."""

from __future__ import annotations

import argparse
import gc
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from ostinato.files import UserError, atomic
from ostinato.midi.scores import COLLECTIONS, COLUMNS, convert, corpus, sources
from ostinato.params import part
from ostinato.params.midi import Pieces
from ostinato.sampling import evenly
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_set_aside, write_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", required=True, help="section `midi.pieces`, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder for the MIDI files and metadata.csv")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="scores converted at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Convert, and list what was converted. Raises UserError when nothing could be."""
    params, home = part(Pieces, "midi.pieces", args.params), corpus()
    chosen = [source for collection in COLLECTIONS for source in evenly(list(sources(home, collection)), params.per_collection)]
    chosen.sort(key=lambda source: -source.size)  # long ones first, so that all processes end together
    with atomic(args.out) as folder:
        folder.mkdir()
        # music21 makes hundreds of thousands of objects, among which Python looks for circles again and again: an eighth of the time; seldom, it takes a tenth more memory
        with ProcessPoolExecutor(args.jobs, initializer=gc.set_threshold, initargs=(100_000, 20, 20)) as pool:
            results = sorted(pool.map(partial(convert, home=home, folder=folder), chosen))
        rows, aside = [result for result in results if len(result) == len(COLUMNS)], [result for result in results if len(result) == 3]
        if not rows:
            raise UserError(f"music21: none of {len(chosen)} of its scores could be read; the first: {' '.join(aside[0])}")
        write_table(folder / "metadata.csv", COLUMNS, rows)
        write_set_aside(folder / "set_aside.tsv", aside)
    write_sidecar(args.out, "scores-to-midi", [], {"per_collection": params.per_collection})
    print(f"{len(rows)} scores in {args.out}; {len(aside)} left out")
