"""`ostinato compose`: from nothing, on from a file, into a gap, around a melody."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato.commands import options
from ostinato.compose.files import SAMPLING, named, read_melody, read_said, refuse_strangers, write_composition, write_wav
from ostinato.files import UserError
from ostinato.machine import machine
from ostinato.midi.reading import one
from ostinato.sidecars import write_sidecar

if TYPE_CHECKING:
    from ostinato.compose.compose import Composition
    from ostinato.midi.notes import Piece

SUFFIXES = (".mid", ".midi")

#: What is taken where an option is left out.
DEFAULTS = {"seconds": 20.0, "seed": 1, "particles": 8, **SAMPLING}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--model", type=Path, default=Path("results/midi/models/pretrained"), help="folder of the model")
    parser.add_argument("--composer", help="in whose style, as the model knows them; left out: anyone's")
    parser.add_argument("--genre", help="what kind of piece, as the model knows them; left out: any")
    parser.add_argument("--programs", help="who plays: General MIDI programs 0-127, -1 for drums, such as 0,40 or --programs=-1,0; left out: any")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--melody", help="MIDI file whose top line is kept note for note, or happy_birthday; the piece ends with it")
    what.add_argument("--continue", dest="go_on", type=Path, metavar="FILE", help="MIDI file to go on from")
    what.add_argument("--infill", type=Path, metavar="FILE", help="MIDI file with a gap to fill; give --gap")
    parser.add_argument("--gap", type=float, nargs=2, metavar=("START", "END"), help="with --infill: notes that begin in here are made anew, seconds")
    parser.add_argument("--seconds", type=float, help="length, or how much is added; a piece may end by itself from half of it on (20)")
    parser.add_argument("--seed", type=int, help="0 to 4294967295 (1)")
    parser.add_argument("--temperature", type=float, help="0: always the likeliest word (0.95)")
    parser.add_argument("--top-p", type=float, help="likeliest words of this mass; 0: all (0.97)")
    parser.add_argument("--top-k", type=int, help="so many of the likeliest words, in place of --top-p; 0: all (0)")
    parser.add_argument("--guidance", type=float, help="how much more of what was asked for than of anything; 1: as the model has it, and faster (1.5)")
    parser.add_argument("--particles", type=int, help="drafts weighed against each other with --melody and --infill (8)")
    parser.add_argument("-o", "--out", type=Path, default=Path("composed.mid"), help="MIDI file to write (composed.mid)")
    parser.add_argument("--wav", action="store_true", help="write how it sounds beside it")
    parser.add_argument("--soundfont", help="SoundFont for --wav; left out: TimGM6mb")


def run(args: argparse.Namespace) -> None:
    """Compose and write the piece and its sidecar."""
    remarks = _check(args)
    request, sampling = _read_request(args), {name: getattr(args, name) for name in SAMPLING}
    refuse_strangers(args.model, request)
    melody, remark = read_melody(args.melody) if args.melody else (None, None)
    import torch

    from ostinato.generate.sampling import Sampling
    from ostinato.lm.midi_model import TOKENIZER_FILE, load_midi
    from ostinato.lm.pretrained import LM_FILE, locate

    torch.set_num_threads(1)  # a piece must not depend on how many cores a machine has
    model, how = load_midi(args.model), Sampling(**sampling)
    composition = _compose(args, model, request, melody, how)
    if not len(composition.piece.notes):
        raise UserError(f"{args.out}: the model wrote no note in {args.seconds:g} s; try another --seed or a longer --seconds")
    write_composition(args.out, composition)
    read = [path for path in (args.go_on, args.infill, *([Path(args.melody)] if args.melody and not named(args.melody) else [])) if path]
    inputs = [locate(args.model, LM_FILE), args.model / TOKENIZER_FILE, *read]
    params = sampling | {"particles": args.particles, "seconds": args.seconds, "gap": args.gap}
    about = {
        "demo": args.out.stem,
        "kind": _kind(args),
        "composer": args.composer,
        "genre": args.genre,
        "programs": request.programs and list(request.programs),
        "model": str(args.model),
        "melody": args.melody,
        "given": composition.given,
        **machine("cpu", "fp32"),
    }
    artifacts = [args.out, *([write_wav(args.out, composition.piece, args.soundfont)] if args.wav else [])]
    for artifact in artifacts:
        write_sidecar(artifact, "compose", inputs, params, args.seed, about)
    print("; ".join([f"{', '.join(map(str, artifacts))}: {len(composition.piece.notes)} notes, {composition.piece.seconds:.1f} s", *remarks, *([remark] if remark else [])]))


def _check(args: argparse.Namespace) -> list[str]:
    """Refuse options that cannot be, or not together, and fill in those left out; returns which are not used. Raises UserError."""
    name, why = {"style": ("seconds", "the melody says how long"), "infilling": ("seconds", "the gap says how long")}.get(
        _kind(args), ("particles", "it belongs to --melody and --infill")
    )
    unused = [f"{option} is not used: {why}" for option in options.given(args, [name])]
    _check_together(args)
    options.numbers(args)
    if args.top_k and args.top_p is None:
        args.top_p = 0.0
    options.fill(args, DEFAULTS)
    options.writable(args.out, SUFFIXES, "-o")
    if args.wav:
        from ostinato.etudes.rendering import soundfont

        options.writable(args.out.with_suffix(".wav"), (".wav",), "--wav")
        soundfont(args.soundfont)
    return unused


def _check_together(args: argparse.Namespace) -> None:
    if (args.infill is None) != (args.gap is None):
        raise UserError("--infill and --gap belong together: --infill piece.mid --gap 4.0 8.0")
    if args.gap and not 0 <= args.gap[0] < args.gap[1] <= options.MOST_SECONDS:
        raise UserError(f"--gap: expected a beginning and an end in seconds, such as 4.0 8.0, got {args.gap[0]:g} {args.gap[1]:g}")
    if args.soundfont and not args.wav:
        raise UserError(f"--soundfont {args.soundfont}: is not used without --wav; give both or none")
    for option, path in (("--continue", args.go_on), ("--infill", args.infill)):
        if path and not path.is_file():
            raise UserError(f"{option} {path}: {'is a folder' if path.is_dir() else 'no such file'}; expected a MIDI file")
    for option, path in (("--continue", args.go_on), ("--infill", args.infill), ("--melody", args.melody and Path(args.melody))):
        if path and options.same_file(path, args.out):
            raise UserError(f"-o {args.out}: is the file that {option} reads; name another")


def _kind(args: argparse.Namespace) -> str:
    """What is asked for, in the words of the demos."""
    return "style" if args.melody else "continuation" if args.go_on else "infilling" if args.infill else "sample"


def _compose(args: argparse.Namespace, model: Any, request: Any, melody: Piece | None, how: Any) -> Composition:
    """What a command line asks for."""
    from ostinato.compose.compose import Composition, accompany, go_on, infill, sample
    from ostinato.lm.midi_model import TOKENIZER_FILE
    from ostinato.midi.encoding import encode

    if melody is not None:
        return accompany(model, request, melody, how, args.seed, args.particles)
    if args.go_on:
        words = one(partial(encode, args.model / TOKENIZER_FILE), args.go_on)
        return go_on(model, request, words.astype(np.int64), args.seconds, how, args.seed)
    if args.infill:
        return infill(model, request, read_said(args.infill, model.tokenizer), tuple(args.gap), how, args.seed, args.particles)
    return Composition(sample(model, [request], args.seconds, how, args.seed)[0])


def _read_request(args: argparse.Namespace) -> Any:
    """Composer, genre and programs of a command line. Raises UserError for programs that are none."""
    from ostinato.compose.batch import Request

    try:
        programs = tuple(dict.fromkeys(int(word) for word in args.programs.split(","))) if args.programs is not None else None
    except ValueError:
        programs = (-2,)
    if programs and not all(-1 <= program <= 127 for program in programs):
        raise UserError(f"--programs: expected General MIDI numbers from 0 to 127, or -1 for drums, with commas, such as 0,40 (piano and violin), got '{args.programs}'")
    return Request(args.composer, args.genre, programs)
