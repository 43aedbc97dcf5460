"""`ostinato demos`: generate the demos of one model."""

from __future__ import annotations

import argparse
import logging
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ostinato.files import atomic, sha256
from ostinato.generate.demos import CODES, batches
from ostinato.harmony.prompts.prompt import parse
from ostinato.lm.pretrained import CODEC_FILE, LM_FILE
from ostinato.params import Demos, section
from ostinato.sidecars import write_sidecar

log = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `demos` as JSON")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--which", required=True, help="what the demos are called: before, after, after-4 (of the training with that seed), control")
    parser.add_argument("--out", type=Path, required=True, help="folder for the demos")


def run(args: argparse.Namespace) -> None:
    """Generate, write and describe every demo, and what the model said, before the codec made it sound."""
    import torch

    from ostinato.generate.generator import Generator
    from ostinato.generate.sampling import Sampling

    params: Demos = section("demos", args.params)
    torch.set_num_threads(1)  # the clips must not depend on how many cores a machine has
    generator = Generator(args.model)
    asked = list(batches(params))
    sampling: dict[str, Any] = {"temperature": params.temperature, "top_k": params.top_k, "top_p": params.top_p, "guidance": params.guidance}
    for request in (request for batch in asked for request in batch):
        for remark in parse(request.prompt).remarks:
            log.info("%s: %s", request.prompt, remark)
    model_hash = sha256(args.model / LM_FILE)
    with atomic(args.out) as folder:
        folder.mkdir()
        said = {}
        for seed, batch in product(params.seeds, asked):
            codes = generator.codes([request.prompt for request in batch], params.seconds, seed, Sampling(**sampling))
            for request, clip, of_clip in zip(batch, generator.clips(codes), codes):
                name = f"{request.name}-s{seed}"
                soundfile.write(folder / f"{name}.wav", clip, generator.codec.sample_rate, subtype="PCM_16")
                said[name] = of_clip.cpu().numpy().astype(np.int16)
        np.savez_compressed(folder / CODES, **said)
    inputs = [args.model / LM_FILE, args.model / CODEC_FILE]
    whole = {"which": args.which, "model": str(args.model), "model_sha256": model_hash, "seeds": params.seeds, "frame_rate": generator.codec.frame_rate, **generator.machine}
    write_sidecar(args.out / CODES, "demos", inputs, sampling, about=whole)
    for seed, batch in product(params.seeds, asked):
        for row, request in enumerate(batch):
            about = {
                "demo": request.name,
                "prompt": request.prompt,
                "heldout": request.heldout,
                "which": args.which,
                "model": str(args.model),
                "model_sha256": model_hash,
                "batch": [one.prompt for one in batch],
                "row": row,
                "seconds": params.seconds,
                **generator.machine,
            }
            write_sidecar(args.out / f"{request.name}-s{seed}.wav", "demos", inputs, sampling, seed, about)
    print(f"{sum(map(len, asked)) * len(params.seeds)} clips in {args.out}")
