"""The ceiling of the judge: the demo prompts played truly by the etudes' own players and passed through the codec.

No model that speaks through this codec and is heard by this judge can be expected to score higher.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ostinato.corpus import rendering
from ostinato.corpus.arrangement import arrange
from ostinato.corpus.composition import BEATS_PER_BAR, INSTRUMENTS, PATTERNS, Section, Song
from ostinato.dataset.prompts import Prompt, parse
from ostinato.files import atomic, write_sidecar
from ostinato.lm.pretrained import CODEC_FILE
from ostinato.lm.codec import load_codec
from ostinato.lm.demos import slug
from ostinato.params import Corpus, Demos, section
from ostinato.theory import Key


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
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


def perform(prompt: Prompt, seconds: float, font: Path, rng: np.random.Generator) -> np.ndarray:
    """Play a prompt's bars evenly over `seconds`: float32 [T] at the etudes' rate. An unknown instrument is played on the piano."""
    instrument = next((word for word in prompt.instrument.lower().split() if word in INSTRUMENTS), "piano")
    # one chord for the whole clip would be one endless bar: play it in bars of about 2.5 s
    repeats = max(1, round(seconds / 2.5 / len(prompt.bars))) if len(prompt.bars) == 1 else 1
    bars = prompt.bars * repeats
    tempo = BEATS_PER_BAR * 60 * len(bars) / seconds
    tonic = next((chord.pitch_class for chord in prompt.chords if chord.is_chord), 0)
    song = Song(Key(tonic), tempo, instrument, (Section("demo", bars, str(rng.choice(PATTERNS[instrument]))),))
    return rendering.render(arrange(song, rng), int(rng.choice(rendering.PROGRAMS[instrument])), font, seconds)
