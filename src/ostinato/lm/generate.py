"""Generate by hand: one clip from a prompt, as a whole or as it comes, or a demo made again from its side file."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from ostinato.dataset.prompts import parse
from ostinato.files import UserError, atomic, read_json, sha256, write_sidecar
from ostinato.lm.pretrained import CODEC_FILE, LM_FILE, locate

if TYPE_CHECKING:
    from ostinato.lm.generator import Generator


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("prompt", nargs="?", help='such as "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj"')
    parser.add_argument("--model", default="results/models/tuned", help="folder of the model, or a hub's name such as facebook/musicgen-small")
    parser.add_argument("--adapter", type=Path, help="folder of adapters (LoRA) that were trained on that model")
    parser.add_argument("--like", type=Path, metavar="SIDECAR", help="make a demo again from its .made.json, in place of a prompt")
    parser.add_argument("--out", type=Path, default=Path("generated.wav"), help="WAV to write")
    parser.add_argument("--seconds", type=float, default=10.0, help="length, seconds; beyond what the model hears at once, a window slides")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=0.8, help="0: always the likeliest code")
    parser.add_argument("--top-k", type=int, default=40, help="0: no limit")
    parser.add_argument("--top-p", type=float, default=0.0, help="likeliest codes of this mass; 0: --top-k counts")
    parser.add_argument("--guidance", type=float, default=3.0, help="classifier-free guidance coefficient; 1: none")
    parser.add_argument("--stream", action="store_true", help="write the WAV as it comes, to be listened to while it grows")


def run(args: argparse.Namespace) -> None:
    """Generate and write the clip and its sidecar."""
    request = recall(args) if args.like else ask(args)
    import torch

    from ostinato.lm.generator import Generator
    from ostinato.lm.sampling import Sampling

    how = Sampling(**request["sampling"])
    how.validate()
    torch.set_num_threads(1)  # as in `demos`, so that a clip made again is the same
    generator = Generator(args.model, args.adapter)
    about = {"prompt": request["batch"][request["row"]], "seconds": request["seconds"], "model": str(args.model)}
    if args.stream:
        write_stream(args.out, generator, request, how)
    else:
        clips = generator.generate(request["batch"], request["seconds"], request["seed"], how)
        with atomic(args.out) as path:
            soundfile.write(path, clips[request["row"]], generator.codec.sample_rate, subtype="PCM_16")
    inputs = [locate(args.model, LM_FILE), locate(args.model, CODEC_FILE), *([args.adapter] if args.adapter else [])]
    write_sidecar(args.out, "generate", inputs, request["sampling"], request["seed"], about)
    print(f"{args.out}: {about['prompt']}, {request['seconds']:g} s")


def write_stream(out: Path, generator: Generator, request: dict[str, Any], how: Any) -> None:
    """Write the clip in pieces, each on disk before the next is made. Interrupted, what is there is a whole WAV."""
    with soundfile.SoundFile(out, "w", generator.codec.sample_rate, 1, "PCM_16") as stream:
        for piece in generator.stream(request["batch"], request["seconds"], request["seed"], how):
            stream.write(np.ascontiguousarray(piece[request["row"]]))
            stream.flush()


def ask(args: argparse.Namespace) -> dict[str, Any]:
    """The request of a command line."""
    if args.prompt is None or not args.prompt.strip():
        raise UserError("a prompt is missing; say for example: ostinato generate \"piano CMajor\" (or --like SIDECAR)")
    parse(args.prompt)
    if not 0 < args.seconds < math.inf:
        raise UserError(f"--seconds: expected a number above 0, got {args.seconds:g}")
    return {"batch": [args.prompt], "row": 0, "seconds": args.seconds, "seed": args.seed,
            "sampling": {"temperature": args.temperature, "top_k": args.top_k, "top_p": args.top_p, "guidance": args.guidance}}


def recall(args: argparse.Namespace) -> dict[str, Any]:
    """The request of a demo's sidecar. Raises UserError when the model is another one than the sidecar's."""
    made = read_json(args.like)
    about = made.get("about", {})
    if "batch" not in about:
        raise UserError(f"{args.like}: not the side file of a demo (no `batch` in it)")
    found = sha256(locate(args.model, LM_FILE))
    if found != about["model_sha256"]:
        raise UserError(f"{args.model}: its weights are {found[:12]}, those of the demo were {about['model_sha256'][:12]}; give the right --model")
    return {"batch": about["batch"], "row": about["row"], "seconds": about["seconds"], "seed": made["seed"], "sampling": made["params"]}
