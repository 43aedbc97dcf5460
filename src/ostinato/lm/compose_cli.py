"""`ostinato compose`: music by hand from a MIDI model. From nothing, on from a file, into a gap of one, or around a melody in a composer's style."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato import options
from ostinato.corpus.midi_files import one
from ostinato.files import UserError, atomic, write_sidecar
from ostinato.machine import machine

if TYPE_CHECKING:
    from ostinato.lm.compose import Composition
    from ostinato.midi import Piece

SUFFIXES = (".mid", ".midi")
SAMPLING = {"temperature": 0.95, "top_k": 0, "top_p": 0.97, "guidance": 1.5}
#: What is taken where an option is left out.
DEFAULTS = {"seconds": 20.0, "seed": 1, "particles": 8, **SAMPLING}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
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
    remarks = check(args)
    wish, sampling = read_wish(args), {name: getattr(args, name) for name in SAMPLING}
    refuse_strangers(args.model, wish)
    melody, remark = read_melody(args.melody) if args.melody else (None, None)
    import torch

    from ostinato.lm.midi_model import TOKENIZER_FILE, load_midi
    from ostinato.lm.pretrained import LM_FILE, locate
    from ostinato.lm.sampling import Sampling

    torch.set_num_threads(1)  # a piece must not depend on how many cores a machine has
    model, how = load_midi(args.model), Sampling(**sampling)
    composition = compose(args, model, wish, melody, how)
    if not len(composition.piece.notes):
        raise UserError(f"{args.out}: the model wrote no note in {args.seconds:g} s; try another --seed or a longer --seconds")
    write_composition(args.out, composition)
    read = [path for path in (args.go_on, args.infill, *([Path(args.melody)] if args.melody and not named(args.melody) else [])) if path]
    inputs = [locate(args.model, LM_FILE), args.model / TOKENIZER_FILE, *read]
    params = sampling | {"particles": args.particles, "seconds": args.seconds, "gap": args.gap}
    about = {"demo": args.out.stem, "kind": kind(args), "composer": args.composer, "genre": args.genre, "programs": wish.programs and list(wish.programs),
             "model": str(args.model), "melody": args.melody, "given": composition.given, **machine("cpu", "fp32")}
    artifacts = [args.out, *([write_wav(args.out, composition.piece, args.soundfont)] if args.wav else [])]
    for artifact in artifacts:
        write_sidecar(artifact, "compose", inputs, params, args.seed, about)
    print("; ".join([f"{', '.join(map(str, artifacts))}: {len(composition.piece.notes)} notes, {composition.piece.seconds:.1f} s", *remarks,
                     *([remark] if remark else [])]))


def check(args: argparse.Namespace) -> list[str]:
    """Refuse options that cannot be, or not together, and fill in those left out; returns which are not used. Raises UserError."""
    name, why = {"style": ("seconds", "the melody says how long"), "infilling": ("seconds", "the gap says how long")}.get(
        kind(args), ("particles", "it belongs to --melody and --infill"))
    unused = [f"{option} is not used: {why}" for option in options.given(args, [name])]
    _check_together(args)
    options.numbers(args)
    if args.top_k and args.top_p is None:
        args.top_p = 0.0
    options.fill(args, DEFAULTS)
    options.writable(args.out, SUFFIXES, "-o")
    if args.wav:
        from ostinato.corpus.rendering import soundfont

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


def refuse_strangers(folder: Path, wish: Any) -> None:
    """Refuse a composer, genre or program that the model in a folder has no word for, before its weights are loaded. Raises UserError."""
    from ostinato.dataset.tokens import Tokenizer
    from ostinato.lm.midi_model import TOKENIZER_FILE

    if (wish.composer or wish.genre or wish.programs) and (folder / TOKENIZER_FILE).is_file():
        wish.prefix(Tokenizer.load(folder / TOKENIZER_FILE), True)


def kind(args: argparse.Namespace) -> str:
    """What is asked for, in the words of the demos."""
    return "style" if args.melody else "continuation" if args.go_on else "infilling" if args.infill else "sample"


def compose(args: argparse.Namespace, model: Any, wish: Any, melody: Piece | None, how: Any) -> Composition:
    """What a command line asks for."""
    from ostinato.dataset.tokens_stage import encode
    from ostinato.lm.compose import Composition, accompany, go_on, infill, sample
    from ostinato.lm.midi_model import TOKENIZER_FILE

    if melody is not None:
        return accompany(model, wish, melody, how, args.seed, args.particles)
    if args.go_on:
        words = one(partial(encode, args.model / TOKENIZER_FILE), args.go_on)
        return go_on(model, wish, words.astype(np.int64), args.seconds, how, args.seed)
    if args.infill:
        return infill(model, wish, read_said(args.infill, model.tokenizer), tuple(args.gap), how, args.seed, args.particles)
    return Composition(sample(model, [wish], args.seconds, how, args.seed)[0])


def read_said(path: Path, tokenizer: Any) -> Piece:
    """A MIDI file. Raises UserError where it cannot be read, or none of its notes has a word."""
    from ostinato.midi import read_midi

    piece = one(read_midi, path)
    if not tokenizer.says(piece):
        raise UserError(f"{path}: none of its notes has a word in the model's vocabulary")
    return piece


def read_wish(args: argparse.Namespace) -> Any:
    """Composer, genre and programs of a command line. Raises UserError for programs that are none."""
    from ostinato.lm.rows import Wish

    try:
        programs = tuple(dict.fromkeys(int(word) for word in args.programs.split(","))) if args.programs is not None else None
    except ValueError:
        programs = (-2,)
    if programs and not all(-1 <= program <= 127 for program in programs):
        raise UserError("--programs: expected General MIDI numbers from 0 to 127, or -1 for drums, with commas, such as 0,40 (piano and violin), "
                        f"got '{args.programs}'")
    return Wish(args.composer, args.genre, programs)


def named(melody: str) -> bool:
    """Whether a melody is said by name, not as a file."""
    from ostinato.corpus.melodies import MELODIES

    return melody in MELODIES and not Path(melody).exists()


def read_melody(source: str) -> tuple[Piece, str | None]:
    """A melody of one voice, from a MIDI file or by name, and what was done to it, where something was."""
    from ostinato.lm.melody import skyline
    from ostinato.midi import read_midi

    if not named(source) and not Path(source).exists():
        from ostinato.corpus.melodies import MELODIES

        raise UserError(f"--melody {source}: no such file, and no melody of that name; known: {', '.join(MELODIES)}")
    if named(source):
        from ostinato.corpus.melodies import melody

        piece = melody(source)
    else:
        piece = one(read_midi, source)
    try:
        top, left_out, shortened = skyline(piece)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    changes = ((left_out, "left out that lie under others"), (shortened, "shortened"))
    done = [f"{number} of {len(piece.notes)} notes {what}" for number, what in changes if number]
    return top, f"the melody is the top line of {source}: {', '.join(done)}" if done else None


def write_composition(path: Path, composition: Composition) -> None:
    """Write a composition as a MIDI file; a melody is a track of its own, the first."""
    from ostinato.midi import Piece, as_score

    piece = composition.piece
    if composition.melody is None:
        score = as_score(piece)
    else:
        sung = {note.item() for note in composition.melody.notes}
        rest = piece.notes[[note.item() not in sung for note in piece.notes]]
        score = as_score(composition.melody, {program: "melody" for program in composition.melody.programs})
        score.tracks.extend(as_score(Piece(rest, piece.pedals)).tracks)
    with atomic(path) as temporary:
        score.dump_midi(temporary)


def write_wav(path: Path, piece: Piece, font: str | None = None) -> Path:
    """Write how a piece sounds beside its MIDI file."""
    import soundfile

    from ostinato.corpus.rendering import SAMPLE_RATE, soundfont
    from ostinato.corpus.sounding import render_piece

    audio = render_piece(piece, soundfont(font))
    with atomic(path.with_suffix(".wav")) as temporary:
        soundfile.write(os.fsencode(temporary), audio, SAMPLE_RATE, subtype="PCM_16")
    return path.with_suffix(".wav")
