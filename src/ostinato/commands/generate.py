"""`ostinato generate`: generate one clip from a prompt."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ostinato.commands import options
from ostinato.files import UserError
from ostinato.generate.clips import MODEL, SAMPLING, model_of, recall, refuse_rate, understood, write_clip, write_stream
from ostinato.lm.pretrained import CODEC_FILE, LM_FILE, locate
from ostinato.machine import difference
from ostinato.sidecars import sidecar_path, write_sidecar

#: What is written, chosen by the suffix; only the first while it comes.
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff")

#: What is taken where an option is left out.
DEFAULTS = {"seconds": 10.0, "seed": 1, **SAMPLING}

PROMPTS = """a prompt is an instrument in free words, then chords, a bar each:
  "piano CMajor"    "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj"    "C G Am F on a piano"    "FM synth: C G"
  several instruments: "piano and strings Cmaj, followed by Gmaj"    "piano, bass and drums C G"
  chords as in lead sheets or in Harte's syntax: Cadd9 F#m7b5 Bø CΔ7 B♭/D A:min7 N.C., or in words: B flat major 7
  Roman numerals in a key: "organ I V vi IV in G" (without one: in C)
  apart by blanks, commas, -, >, |, arrows or words; C,G without a blank shares a bar, as does all between two bar lines: "| C | G Am |"
  again: C x2, "C G twice", "2 bars of C", "||: C | G :||", %
what the model has no word for is reduced to the nearest chord that it knows; what is understood is said before the work.
free words without a chord are for pretrained models, which are given every prompt as it is."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
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
    _check(args)
    request = recall(args.like, args.model) if args.like else _asked(args)
    for line in understood(request["batch"][request["row"]], request["seconds"], args.model, args.free_text, again=bool(args.like)):
        print(line, flush=True)
    import torch

    from ostinato.generate.generator import Generator
    from ostinato.generate.sampling import Sampling

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


def _check(args: argparse.Namespace) -> None:
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


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    """The request of a command line."""
    if args.prompt is None or not args.prompt.strip():
        raise UserError('a prompt is missing; say for example: ostinato generate "piano CMajor" (or --like SIDECAR)')
    return {"batch": [args.prompt], "row": 0, "seconds": args.seconds, "seed": args.seed, "sampling": {name: getattr(args, name) for name in SAMPLING}}
