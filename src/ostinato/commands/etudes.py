"""`ostinato etudes`: render the embedded corpus."""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from ostinato.etudes import rendering
from ostinato.etudes.songs import FLAC_SHARE, write_song
from ostinato.files import atomic, require_space
from ostinato.params import Corpus, section
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `corpus` as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder for audio/ and truth/")


def run(args: argparse.Namespace) -> None:
    """Render the corpus."""
    corpus: Corpus = section("corpus", args.params)
    params = corpus.etudes
    font = rendering.soundfont(params.soundfont)
    require_space(args.out, int(params.songs * params.max_seconds * rendering.SAMPLE_RATE * 2 * FLAC_SHARE))
    with atomic(args.out) as folder:
        (folder / "audio").mkdir(parents=True)
        (folder / "truth").mkdir()
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            seconds = sum(pool.map(partial(write_song, params=params, folder=folder, font=font), range(params.songs)))
    write_sidecar(args.out, "etudes", [font], params.model_dump(), params.seed)
    print(f"{params.songs} songs, {seconds / 60:.1f} min, in {args.out / 'audio'}")
