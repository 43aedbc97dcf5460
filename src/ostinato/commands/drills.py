"""`ostinato drills`: render the music that ears are trained on."""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from ostinato.ears.labels import SPECTRA
from ostinato.ears.spectra import FRAMES, SECONDS, chunk, chunks, clip
from ostinato.etudes.rendering import Player, soundfont
from ostinato.files import atomic, require_space
from ostinato.params import part
from ostinato.params.ears import Drills
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--ear", choices=list(SPECTRA), required=True, help="for whom: decides which spectrum is taken")
    parser.add_argument("--params", required=True, help="what to render, as JSON: `drills` of the ear")
    parser.add_argument("--out", type=Path, required=True, help="folder for the arrays")


def run(args: argparse.Namespace) -> None:
    """Render, compute, write."""
    params: Drills = part(Drills, "drills", args.params)
    fonts = [soundfont(path) for path in params.soundfonts]
    shape = clip(0, params, Player(fonts[0]), args.ear)[0].shape
    require_space(args.out, 2 * params.clips * int(np.prod(shape)))
    with atomic(args.out) as folder:
        folder.mkdir(parents=True)
        spectra = np.lib.format.open_memmap(folder / "spectra.npy", "w+", np.float16, (params.clips, *shape))
        labels, instruments = np.zeros((params.clips, FRAMES, 3), np.int8), np.zeros(params.clips, np.int8)
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for numbers, rendered in pool.map(partial(chunk, params=params, ear=args.ear), chunks(params.clips, fonts)):
                for k, (spectrum, truth, instrument) in zip(numbers, rendered):
                    spectra[k], labels[k], instruments[k] = spectrum, truth, instrument
        np.save(folder / "labels.npy", labels)
        np.save(folder / "instruments.npy", instruments)
    write_sidecar(args.out, "drills", fonts, params.model_dump(), params.seed, {"ear": args.ear})
    print(f"{params.clips} clips, {params.clips * SECONDS / 3600:.1f} h, of {len(fonts)} SoundFonts, in {args.out}")
