"""Generate by hand: one clip from a prompt, or a demo made again from its side file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import soundfile

from ostinato.dataset.prompts import parse
from ostinato.files import UserError, atomic, read_json, sha256, write_sidecar
from ostinato.lm.codec import FILE as CODEC_FILE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("prompt", nargs="?", help='such as "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj"')
    parser.add_argument("--model", type=Path, default=Path("results/models/tuned"), help="folder of the model")
    parser.add_argument("--like", type=Path, metavar="SIDECAR", help="make a demo again from its .made.json, in place of a prompt")
    parser.add_argument("--out", type=Path, default=Path("generated.wav"), help="WAV to write")
    parser.add_argument("--seconds", type=float, default=10.0, help="length, seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-k", type=int, default=40, help="0: no limit")
    parser.add_argument("--guidance", type=float, default=3.0, help="classifier-free guidance coefficient; 1: none")


def run(args: argparse.Namespace) -> None:
    """Generate and write the clip and its sidecar."""
    request = recall(args) if args.like else ask(args)
    from ostinato.lm.sampling import Generator

    import torch

    torch.set_num_threads(1)  # as in `demos`, so that a clip made again is the same
    generator = Generator(args.model)
    clips = generator.generate(request["batch"], request["seconds"], request["seed"], **request["sampling"])
    with atomic(args.out) as path:
        soundfile.write(path, clips[request["row"]], generator.codec.sample_rate, subtype="PCM_16")
    about = {"prompt": request["batch"][request["row"]], "seconds": request["seconds"], "model": str(args.model)}
    inputs = [args.model / "state_dict.bin", args.model / CODEC_FILE]
    write_sidecar(args.out, "generate", inputs, request["sampling"], request["seed"], about)
    print(f"{args.out}: {about['prompt']}, {request['seconds']:g} s")


def ask(args: argparse.Namespace) -> dict[str, Any]:
    """The request of a command line."""
    if args.prompt is None:
        raise UserError("a prompt is missing; say for example: ostinato generate \"piano CMajor\" (or --like SIDECAR)")
    parse(args.prompt)
    for name, value in (("seconds", args.seconds), ("temperature", args.temperature)):
        if value <= 0:
            raise UserError(f"--{name}: expected a number above 0, got {value:g}")
    return {"batch": [args.prompt], "row": 0, "seconds": args.seconds, "seed": args.seed,
            "sampling": {"temperature": args.temperature, "top_k": args.top_k, "guidance": args.guidance}}


def recall(args: argparse.Namespace) -> dict[str, Any]:
    """The request of a demo's sidecar. Raises UserError when the model is another one than the sidecar's."""
    made = read_json(args.like)
    about = made.get("about", {})
    if "batch" not in about:
        raise UserError(f"{args.like}: not the side file of a demo (no `batch` in it)")
    found = sha256(args.model / "state_dict.bin")
    if found != about["model_sha256"]:
        raise UserError(f"{args.model}: its weights are {found[:12]}, those of the demo were {about['model_sha256'][:12]}; give the right --model")
    return {"batch": about["batch"], "row": about["row"], "seconds": about["seconds"], "seed": made["seed"], "sampling": made["params"]}
