"""Generate by hand: one clip from a prompt, as a whole or as it comes, or a demo made again from its side file."""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from ostinato import options
from ostinato.dataset.prompts import PromptError, parse, require_chords, spans
from ostinato.files import SIDECAR, UserError, atomic, read_json, sha256, sidecar_path, write_sidecar
from ostinato.lm.pretrained import CODEC_FILE, LM_FILE, is_ours, locate
from ostinato.machine import DECISIVE, difference
from ostinato.report.lineage import home

if TYPE_CHECKING:
    from ostinato.lm.generator import Generator

#: What is written, chosen by the suffix; only the first while it comes.
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff")
MODEL = "results/models/tuned"
SAMPLING = {"temperature": 0.8, "top_k": 40, "top_p": 0.0, "guidance": 3.0}
#: What is taken where an option is left out.
DEFAULTS = {"seconds": 10.0, "seed": 1, **SAMPLING}
PROMPTS = """a prompt is an instrument in free words, then chords, a bar each:
  "piano CMajor"    "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj"    "C G Am F on a piano"    "FM synth: C G"
  chords as in lead sheets or in Harte's syntax: Cadd9 F#m7b5 Bø CΔ7 B♭/D A:min7 N.C., or in words: B flat major 7
  Roman numerals in a key: "organ I V vi IV in G" (without one: in C)
  apart by blanks, commas, -, >, |, arrows or words; C,G without a blank shares a bar, as does all between two bar lines: "| C | G Am |"
  again: C x2, "C G twice", "2 bars of C", "||: C | G :||", %
what the model has no word for is reduced to the nearest chord that it knows; what is understood is said before the work.
free words without a chord are for pretrained models, which are given every prompt as it is."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, PROMPTS
    parser.add_argument("prompt", nargs="?", help='such as "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj"; see below')
    parser.add_argument("--model", help=f"folder of the model, or a hub's name such as facebook/musicgen-small ({MODEL}, with --like the demo's own)")
    parser.add_argument("--adapter", type=Path, help="folder of adapters (LoRA) that were trained on that model")
    parser.add_argument("--like", type=Path, metavar="SIDECAR", help="make a demo again from its .made.json, in place of a prompt")
    parser.add_argument("--out", type=Path, default=Path("generated.wav"), help=f"file to write: {', '.join(SUFFIXES)} (generated.wav)")
    parser.add_argument("--seconds", type=float, help="length, seconds; beyond what the model hears at once, a window slides (10)")
    parser.add_argument("--seed", type=int, help="0 to 4294967295 (1)")
    parser.add_argument("--temperature", type=float, help="0: always the likeliest code (0.8)")
    parser.add_argument("--top-k", type=int, help="so many of the likeliest codes; 0: no limit (40)")
    parser.add_argument("--top-p", type=float, help="likeliest codes of this mass, in place of --top-k; 0: --top-k counts (0)")
    parser.add_argument("--guidance", type=float, help="classifier-free guidance coefficient; 1: none (3)")
    parser.add_argument("--free-text", action="store_true", help="for a pretrained model: read no chord in the prompt, whatever it looks like")
    parser.add_argument("--stream", action="store_true", help="write the WAV as it comes, to be listened to while it grows")


def run(args: argparse.Namespace) -> None:
    """Generate and write the clip and its sidecar."""
    check(args)
    request = recall(args) if args.like else ask(args)
    for line in understood(args, request["batch"][request["row"]], request["seconds"]):
        print(line, flush=True)
    import torch

    from ostinato.lm.generator import Generator
    from ostinato.lm.sampling import Sampling

    how = Sampling(**request["sampling"])
    how.validate()
    torch.set_num_threads(1)  # as in `demos`, so that a clip made again is the same
    generator = Generator(args.model, args.adapter)
    refuse_rate(args.out, generator.codec.sample_rate)
    about = {"prompt": request["batch"][request["row"]], "seconds": request["seconds"], "model": str(args.model), **generator.machine}
    if args.like and (differs := difference(request["machine"], generator.machine)):
        print(f"the demo was made elsewhere ({differs}): this clip need not be the same bit for bit", flush=True)
    if args.stream:
        write_stream(args.out, generator, request, how)
    else:
        clips = generator.generate(request["batch"], request["seconds"], request["seed"], how)
        write_clip(args.out, clips[request["row"]], generator.codec.sample_rate)
    inputs = [locate(args.model, LM_FILE), locate(args.model, CODEC_FILE), *([args.adapter] if args.adapter else [])]
    write_sidecar(args.out, "generate", inputs, request["sampling"], request["seed"], about)
    print(f"{args.out}: {about['prompt']}, {request['seconds']:g} s")


def check(args: argparse.Namespace) -> None:
    """Refuse options that cannot be, or not together, and fill in those left out. Raises UserError."""
    if args.like:
        if sidecar_path(args.like).is_file():  # the demo itself was named
            args.like = sidecar_path(args.like)
        extra = (["a prompt"] if args.prompt is not None else []) + options.given(args, [*DEFAULTS, "adapter", "free_text"])
        if extra:
            raise UserError(f"--like makes a demo as it was made: leave {' and '.join(extra)} out, or leave --like out")
        if options.same_file(sidecar_path(args.out), args.like):
            raise UserError(f"--out {args.out}: is the demo that --like {args.like} describes; name another file")
    options.numbers(args)
    options.fill(args, DEFAULTS | {"model": model_of(args.like) if args.like else MODEL})
    options.writable(args.out, SUFFIXES)
    if args.stream and args.out.suffix.lower() != SUFFIXES[0]:
        raise UserError(f"--out {args.out}: with --stream a {SUFFIXES[0]} is written, for only that is whole at any time")
    if args.adapter and not args.adapter.is_dir():
        raise UserError(f"--adapter {args.adapter}: no such folder; expected one with adapters, as training with train.method.lora writes it")


def model_of(sidecar: Path) -> str:
    """The model that a demo's side file names, in the project that the demo lies in; what is no folder there stays, as names of a hub."""
    made = read_json(sidecar)
    about = made.get("about") if isinstance(made, Mapping) else None
    name = str(about.get("model") or MODEL) if isinstance(about, Mapping) else MODEL
    place = home(str(sidecar).removesuffix(SIDECAR)) / name
    return str(place) if place.is_dir() else name


def understood(args: argparse.Namespace, text: str, seconds: float) -> list[str]:
    """What is understood of a prompt, line by line.

    Raises:
        UserError: it cannot be read, or names no chord for a model that is told by chords alone.
    """
    try:
        prompt = None if args.free_text else parse(text)
    except PromptError as error:
        if not args.like:  # what was made can be made again
            raise PromptError(f"{error} (--free-text: give it to a pretrained model as it is)") from None
        return [str(error)]
    if is_ours(args.model):
        if prompt is None:
            raise UserError(f"--free-text is for pretrained models; {args.model} is told by chords")
        prompt = prompt if args.like else require_chords(text)
        return [spans(prompt, seconds), *prompt.remarks]
    said = [spans(prompt, seconds), *prompt.remarks] if prompt and prompt.bars else ["no chord was read in the prompt"]
    return [*said, "the model is given the text as it is"]


def write_clip(out: Path, clip: np.ndarray, rate: int) -> None:
    """Write samples [T] in the format of the suffix, 16 bits where it has bits."""
    with atomic(out) as path, soundfile.SoundFile(os.fsencode(path), "w", rate, 1, _subtype(out)) as stream:
        for start in range(0, len(clip), rate):  # libsndfile 1.2.2 dies of two minutes of Vorbis at once
            stream.write(clip[start : start + rate])


def _subtype(out: Path) -> str | None:
    """16 bits, or what a lossy format has."""
    return "PCM_16" if out.suffix.lower() not in (".ogg", ".mp3") else None


def refuse_rate(out: Path, rate: int) -> None:
    """Raise UserError where the format of the suffix has no such rate (MP3 has nine)."""
    try:
        soundfile.SoundFile(io.BytesIO(), "w", rate, 1, _subtype(out), format=out.suffix[1:].upper()).close()
    except soundfile.LibsndfileError as error:
        raise UserError(f"--out {out}: no {out.suffix} has {rate} Hz, the rate of this model ({error.error_string}); write a .wav") from None


def write_stream(out: Path, generator: Generator, request: dict[str, Any], how: Any) -> None:
    """Write the clip in pieces, each on disk before the next is made. Interrupted, what is there is a whole WAV."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(os.fsencode(out), "w", generator.codec.sample_rate, 1, "PCM_16") as stream:
        for piece in generator.stream(request["batch"], request["seconds"], request["seed"], how):
            stream.write(np.ascontiguousarray(piece[request["row"]]))
            stream.flush()


def ask(args: argparse.Namespace) -> dict[str, Any]:
    """The request of a command line."""
    if args.prompt is None or not args.prompt.strip():
        raise UserError("a prompt is missing; say for example: ostinato generate \"piano CMajor\" (or --like SIDECAR)")
    return {"batch": [args.prompt], "row": 0, "seconds": args.seconds, "seed": args.seed, "sampling": {name: getattr(args, name) for name in SAMPLING}}


def recall(args: argparse.Namespace) -> dict[str, Any]:
    """The request of a demo's sidecar. Raises UserError when it is none, or the model is another one than the sidecar's."""
    made = read_json(args.like)
    about = made.get("about") if isinstance(made, Mapping) else None
    if not isinstance(about, Mapping) or "batch" not in about:
        raise UserError(f"{args.like}: not the side file of a demo (no `batch` in it)")
    try:
        sampling = {name: made["params"][name] for name in SAMPLING}
        request = {"batch": about["batch"], "row": about["row"], "seconds": about["seconds"], "seed": made["seed"], "sampling": sampling,
                   "machine": {name: about.get(name) for name in DECISIVE}}
        expected, _ = about["model_sha256"], about["batch"][about["row"]]
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{args.like}: lacks a key of a demo's side file ({type(error).__name__}: {error})") from None
    found = sha256(locate(args.model, LM_FILE))
    if found != expected:
        raise UserError(f"{args.model}: its weights are {found[:12]}, those of the demo were {str(expected)[:12]}; give the right --model")
    return request
