"""`ostinato drills`: render the music that ears are trained on."""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from ostinato.ears import beat_spectra, instrument_spectra
from ostinato.ears.features import FINE_BANDS
from ostinato.ears.labels import EARS
from ostinato.ears.spectra import FRAMES, SECONDS, chunk, chunks, clip
from ostinato.etudes.rendering import Player, soundfont
from ostinato.files import atomic, require_space
from ostinato.midi.performances import Performances, playable
from ostinato.params import part
from ostinato.params.ears import BeatDrills, Drills
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_set_aside


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--ear", choices=EARS, required=True, help="for whom: decides which spectrum is taken")
    parser.add_argument("--params", required=True, help="what to render, as JSON: `drills` of the ear")
    parser.add_argument("--out", type=Path, required=True, help="folder for the arrays")


def run(args: argparse.Namespace) -> None:
    """Render, compute, write."""
    if args.ear == "beats":
        return of_beats(args)
    params: Drills = part(Drills, "drills", args.params)
    fonts = [soundfont(path) for path in params.soundfonts]
    of_parts = args.ear == "instruments"
    shape = (instrument_spectra.FRAMES, FINE_BANDS) if of_parts else clip(0, params, Player(fonts[0]), args.ear)[0].shape
    require_space(args.out, 2 * params.clips * int(np.prod(shape)))
    with atomic(args.out) as folder:
        folder.mkdir(parents=True)
        instrument_spectra.write(folder, params, fonts) if of_parts else write(folder, params, fonts, args.ear, shape)
    write_sidecar(args.out, "drills", fonts, params.model_dump(), params.seed, {"ear": args.ear})
    print(f"{params.clips} clips, {params.clips * (instrument_spectra.SECONDS if of_parts else SECONDS) / 3600:.1f} h, of {len(fonts)} SoundFonts, in {args.out}")


def of_beats(args: argparse.Namespace) -> None:
    """The same for the ear that hears beats: excerpts of pieces, and music in every metre."""
    params: BeatDrills = part(BeatDrills, "drills", args.params)
    fonts = [soundfont(path) for path in params.soundfonts]
    pieces, aside = playable(params.folder, params.held_out)
    require_space(args.out, beat_spectra.size(params))
    with atomic(args.out) as folder:
        folder.mkdir(parents=True)
        beat_spectra.write(folder, params, fonts, Performances.of(pieces).draw)
        write_set_aside(folder / "set_aside.tsv", aside)
    compositions = len({piece.about.composition for piece in pieces})
    write_sidecar(args.out, "drills", fonts, params.model_dump(), params.seed, {"ear": args.ear, "pieces": len(pieces), "compositions": compositions})
    hours = params.clips * beat_spectra.SECONDS / 3600
    print(f"{params.clips} clips, {hours:.1f} h, of {len(pieces)} pieces ({compositions} compositions), {len(aside)} set aside, in {args.out}")


def write(folder: Path, params: Drills, fonts: list[Path], ear: str, shape: tuple[int, ...]) -> None:
    """The drills of an ear for chords: see ears.spectra."""
    spectra = np.lib.format.open_memmap(folder / "spectra.npy", "w+", np.float16, (params.clips, *shape))
    labels = np.zeros((params.clips, FRAMES, 3), np.int8)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for numbers, rendered in pool.map(partial(chunk, params=params, ear=ear), chunks(params.clips, fonts)):
            for k, (spectrum, truth) in zip(numbers, rendered):
                spectra[k], labels[k] = spectrum, truth
    np.save(folder / "labels.npy", labels)
