"""`ostinato demos`: generate the demos of one model."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import soundfile

from ostinato.files import atomic, sha256
from ostinato.generate.demos import slug
from ostinato.harmony.prompts.prompt import parse
from ostinato.lm.pretrained import CODEC_FILE, LM_FILE
from ostinato.params import Demos, section
from ostinato.sidecars import write_sidecar

log = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `demos` as JSON")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--which", required=True, help="what the demos are called: before, after")
    parser.add_argument("--out", type=Path, required=True, help="folder for the demos")


def run(args: argparse.Namespace) -> None:
    """Generate, write and describe every demo."""
    import torch

    from ostinato.generate.generator import Generator
    from ostinato.generate.sampling import Sampling

    params: Demos = section("demos", args.params)
    torch.set_num_threads(1)  # the clips must not depend on how many cores a machine has
    generator = Generator(args.model)
    prompts = params.prompts + params.heldout
    sampling: dict[str, Any] = {"temperature": params.temperature, "top_k": params.top_k, "top_p": params.top_p, "guidance": params.guidance}
    for prompt in prompts:
        for remark in parse(prompt).remarks:
            log.info("%s: %s", prompt, remark)
    model_hash = sha256(args.model / LM_FILE)
    with atomic(args.out) as folder:
        folder.mkdir()
        for seed in params.seeds:
            clips = generator.generate(prompts, params.seconds, seed, Sampling(**sampling))
            for number, (prompt, clip) in enumerate(zip(prompts, clips)):
                soundfile.write(folder / f"{slug(number, prompt)}-s{seed}.wav", clip, generator.codec.sample_rate, subtype="PCM_16")
    inputs = [args.model / LM_FILE, args.model / CODEC_FILE]
    for seed in params.seeds:
        for number, prompt in enumerate(prompts):
            demo = slug(number, prompt)
            about = {
                "demo": demo,
                "prompt": prompt,
                "heldout": prompt in params.heldout,
                "which": args.which,
                "model": str(args.model),
                "model_sha256": model_hash,
                "batch": prompts,
                "row": number,
                "seconds": params.seconds,
                **generator.machine,
            }
            write_sidecar(args.out / f"{demo}-s{seed}.wav", "demos", inputs, sampling, seed, about)
    print(f"{len(prompts) * len(params.seeds)} clips in {args.out}")
