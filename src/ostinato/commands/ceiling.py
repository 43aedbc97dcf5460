"""`ostinato ceiling`: render the demo prompts truly and pass them through the codec."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ostinato.codec.codec import load_codec
from ostinato.etudes import rendering
from ostinato.files import atomic
from ostinato.generate.ceiling import perform
from ostinato.generate.demos import slug
from ostinato.harmony.prompts.prompt import parse
from ostinato.lm.pretrained import CODEC_FILE
from ostinato.params import Corpus, Demos, section
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `demos` as JSON")
    parser.add_argument("--etudes", default="params.yaml", help="parameter file, or the section `corpus` as JSON")
    parser.add_argument("--codec", type=Path, required=True, help="folder of the codec")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")


def run(args: argparse.Namespace) -> None:
    """Render every prompt with every seed, encode, decode and write."""
    import torch

    torch.set_num_threads(1)  # the clips must not depend on how many cores a machine has
    params: Demos = section("demos", args.params)
    corpus: Corpus = section("corpus", args.etudes)
    font, codec = rendering.soundfont(corpus.etudes.soundfont), load_codec(args.codec)
    prompts = params.prompts + params.heldout
    names = [(f"{slug(number, prompt)}-s{seed}.wav", number, prompt, seed) for seed in params.seeds for number, prompt in enumerate(prompts)]
    with atomic(args.out) as folder:
        folder.mkdir()
        for name, number, prompt, seed in names:
            samples = perform(parse(prompt), params.seconds, font, np.random.default_rng([seed, number]))
            audio = torch.from_numpy(soxr.resample(samples, rendering.SAMPLE_RATE, codec.sample_rate))[None, None]
            with torch.no_grad():
                decoded = codec.decode(*codec.encode(audio.expand(1, codec.channels, -1)))
            soundfile.write(folder / name, decoded[0].mean(dim=0).numpy().clip(-1, 1), codec.sample_rate, subtype="PCM_16")
    for name, number, prompt, seed in names:
        about = {"demo": slug(number, prompt), "prompt": prompt, "heldout": prompt in params.heldout, "which": "ceiling"}
        write_sidecar(args.out / name, "ceiling", [args.codec / CODEC_FILE, font], {"seconds": params.seconds}, seed, about)
    print(f"{len(names)} clips in {args.out}")
