"""`ostinato bits-per-note`: measure how well a model predicts a folder of MIDI."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ostinato.files import UserError
from ostinato.judge.midi.bits import Encoded, evaluate, grid, named
from ostinato.judge.midi.likelihood import encode_files, figures, load, name_by_folder, readable, table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("folder", type=Path, help="folder of MIDI files, searched recursively, or one file")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--composer", help="composer of all files; default: as the folders are called")
    parser.add_argument("--genre", help="genre of all files, told beside the composer; default: as the folders are called")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="files encoded at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Encode, ask the model, print."""
    paths, aside = readable(args.folder, args.jobs)
    model = load(args.model)
    if args.composer:
        model.tokenizer.prefix(args.composer)  # raises for one it does not know
    if args.genre:
        model.tokenizer.prefix(None, args.genre)
    encoded = encode_files(model.tokenizer, paths, args.jobs)
    usable = [(path, piece) for path, piece in zip(paths, encoded) if isinstance(piece, Encoded)]
    aside = sorted(aside + [(str(path), piece) for path, piece in zip(paths, encoded) if isinstance(piece, str)])
    if not usable:
        raise UserError(f"{args.folder}: none of {len(aside)} MIDI files can be used; the first: {aside[0][1]}")
    composers, genres = (
        [named(known, given) if given else name_by_folder(path, known) for path, _ in usable]
        for given, known in ((args.composer, model.tokenizer.composers), (args.genre, model.tokenizer.genres))
    )
    results = evaluate(model, [piece for _, piece in usable], composers, genres)
    rows = [{"path": str(path), "composer": composer} | figures([one]) for (path, _), composer, one in zip(usable, composers, results)]
    report = {
        "model": str(args.model),
        "grid": grid(model.tokenizer),
        "pieces": rows,
        "total": figures(results),
        "named": figures([one for one in results if one.wrong_names]),
        "set_aside": [{"path": path, "reason": reason} for path, reason in aside],
    }
    print(json.dumps(report, indent=1, ensure_ascii=False) if args.json else table(report))
