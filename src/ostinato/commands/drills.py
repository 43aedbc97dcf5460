"""`ostinato drills`: render the music that ears are trained on."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any

from ostinato.ears import beat_spectra, instrument_spectra, spectra
from ostinato.ears.labels import EARS
from ostinato.etudes.rendering import soundfont
from ostinato.files import atomic, require_space
from ostinato.folders import Aside
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


#: Where each ear's music is made; the others learn chords.
MUSIC: dict[str, ModuleType] = {"instruments": instrument_spectra, "beats": beat_spectra}


def run(args: argparse.Namespace) -> None:
    """Render, compute, write."""
    music, about, more = MUSIC.get(args.ear, spectra), {"ear": args.ear}, {}
    aside: list[Aside] | None = None
    params: Any = part(BeatDrills if args.ear == "beats" else Drills, "drills", args.params)
    if args.ear == "beats":
        pieces, aside = playable(params.folder, params.held_out)
        about |= {"pieces": len(pieces), "compositions": len({piece.about.composition for piece in pieces})}
        more = {"performed": Performances.of(pieces).draw}
    elif music is spectra:
        more = {"ear": args.ear}
    fonts = [soundfont(path) for path in params.soundfonts]
    require_space(args.out, music.size(params))
    with atomic(args.out) as folder:
        folder.mkdir(parents=True)
        music.write(folder, params, fonts, **more)
        if aside is not None:
            write_set_aside(folder / "set_aside.tsv", aside)
    write_sidecar(args.out, "drills", fonts, params.model_dump(), params.seed, about)
    of = f"{about['pieces']} pieces ({about['compositions']} compositions), {len(aside)} set aside" if aside is not None else f"{len(fonts)} SoundFonts"
    print(f"{params.clips} clips, {params.clips * music.SECONDS / 3600:.1f} h, of {of}, in {args.out}")
