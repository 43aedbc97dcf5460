"""`ostinato draw-prompts`: draw a set of prompts, to be frozen."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.dataset.manifests import MANIFEST, described
from ostinato.etudes.composition import INSTRUMENTS
from ostinato.files import UserError
from ostinato.harmony.prompts.prompt import Prompt, is_instrument, parse
from ostinato.harmony.prompts.sets import draw, read_set, write_set
from ostinato.judge.adherence import triads_in_order
from ostinato.judge.occurrences import progressions_of
from ostinato.params.blocks import SEEDS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `ostinato draw-prompts`."""
    parser.add_argument("--count", type=int, required=True, help="how many prompts")
    parser.add_argument("--seed", type=int, required=True, help="of the drawing")
    parser.add_argument("--instruments", nargs="+", default=list(INSTRUMENTS), help="on which they are to be played")
    parser.add_argument("--manifests", type=Path, help="folder of manifests: chords that occur in the training labels are drawn anew")
    parser.add_argument("--not-in", nargs="*", type=Path, default=[], help="other sets, whose progressions are drawn anew")
    parser.add_argument("--out", type=Path, required=True, help="table to write, a prompt a line")


def run(args: argparse.Namespace) -> None:
    """Draw and write. Raises UserError for options that no set can be drawn by, and where nothing new is left to draw."""
    if args.count < 1 or not SEEDS[0] <= args.seed <= SEEDS[1]:
        raise UserError(f"--count {args.count} --seed {args.seed}: expected at least one prompt, and a seed from {SEEDS[0]} to {SEEDS[1]}")
    if args.out.exists():
        raise UserError(f"--out {args.out}: is there already; a set is drawn once and frozen: name another file, or remove it first")
    if odd := [name for name in args.instruments if not is_instrument(name)]:
        raise UserError(f"--instruments: '{odd[0]}' would not be read as an instrument before chords; name another, such as piano")
    labels = [tuple(progression) for progression in progressions_of(described(args.manifests / "train" / MANIFEST))] if args.manifests else []
    others = {tuple(triads_in_order(parse(text).chords)) for path in args.not_in for text in read_set(path)}
    known = {progression[start:end] for progression in labels for start in range(len(progression)) for end in range(start + 1, len(progression) + 1)}

    def is_new(prompt: Prompt) -> bool:
        triads = tuple(triads_in_order(prompt.chords))
        return triads not in known and triads not in others

    write_set(args.out, draw(args.count, args.seed, args.instruments, is_new))
    print(f"{args.count} prompts in {args.out}")
