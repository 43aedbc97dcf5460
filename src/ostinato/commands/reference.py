"""`ostinato reference`: play the demo prompts truly and pass them through the codec."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ostinato.codec.codec import load_codec
from ostinato.etudes import rendering
from ostinato.files import atomic
from ostinato.generate.demos import requests
from ostinato.generate.reference import perform, perform_plainly
from ostinato.harmony.prompts.prompt import parse
from ostinato.lm.pretrained import CODEC_FILE
from ostinato.params import Corpus, Demos, section
from ostinato.sidecars import write_sidecar

#: What the renderings of each player are called.
PLAYERS = {"etudes": "reference", "plain": "reference-2"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `demos` as JSON")
    parser.add_argument("--etudes", default="params.yaml", help="parameter file, or the section `corpus` as JSON")
    parser.add_argument("--player", choices=PLAYERS, default="etudes", help="who plays: the etudes' arranger with its SoundFont, or even chords on drawn instruments")
    parser.add_argument("--codec", type=Path, required=True, help="folder of the codec")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")


def run(args: argparse.Namespace) -> None:
    """Render every prompt that names chords with every seed, encode, decode and write."""
    import torch

    torch.set_num_threads(1)  # the clips must not depend on how many cores a machine has
    params: Demos = section("demos", args.params)
    corpus: Corpus = section("corpus", args.etudes)
    font, codec = rendering.soundfont(corpus.etudes.soundfont), load_codec(args.codec)
    asked = [(number, request, seed) for seed in params.seeds for number, request in enumerate(requests(params)) if parse(request.prompt).chords]
    with atomic(args.out) as folder:
        folder.mkdir()
        for number, request, seed in asked:
            prompt, rng = parse(request.prompt), np.random.default_rng([seed, number])
            samples = perform(prompt, params.seconds, font, rng) if args.player == "etudes" else perform_plainly(prompt, params.seconds, rng)
            audio = torch.from_numpy(soxr.resample(samples, rendering.SAMPLE_RATE, codec.sample_rate))[None, None]
            with torch.no_grad():
                decoded = codec.decode(*codec.encode(audio.expand(1, codec.channels, -1)))
            soundfile.write(folder / f"{request.name}-s{seed}.wav", decoded[0].mean(dim=0).numpy().clip(-1, 1), codec.sample_rate, subtype="PCM_16")
    inputs = [args.codec / CODEC_FILE, *([font] if args.player == "etudes" else [])]
    for _, request, seed in asked:
        about = {"demo": request.name, "prompt": request.prompt, "heldout": request.heldout, "which": PLAYERS[args.player], "seconds": params.seconds}
        write_sidecar(args.out / f"{request.name}-s{seed}.wav", "reference", inputs, {"seconds": params.seconds}, seed, about)
    print(f"{len(asked)} clips in {args.out}")
