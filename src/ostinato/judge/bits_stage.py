"""`ostinato bits-per-note --model DIR FOLDER`: how many bits a model needs for each note of any MIDI files, and what the composer's name is worth to it.

Each file is said with its own composer's label (`model`), with none, and with other composers' (their mean). The composer is what `--composer` says, or the
nearest folder above the file that is called like one the model knows; a file without has no label, right or wrong. What is no MIDI file with notes is set
aside and listed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ostinato.files import UserError
from ostinato.judge.bits import Encoded, PieceBits, encode_file, evaluate, grid, named
from ostinato.midi import EXTENSIONS

#: Less than so many bytes of MIDI, about a million notes, are encoded before other processes would have started.
FEW_BYTES = 10**7
COLUMNS = ("model", "no_composer", "wrong_composer", "common")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("folder", type=Path, help="folder of MIDI files, searched recursively, or one file")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--composer", help="composer of all files; default: as the folders are called")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="files encoded at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Encode, ask the model, print."""
    paths = find(args.folder)
    model = load(args.model)
    if args.composer:
        model.tokenizer.prefix(args.composer)  # raises for one it does not know
    encoded = encode_files(model.tokenizer, paths, args.jobs)
    usable = [(path, piece) for path, piece in zip(paths, encoded) if isinstance(piece, Encoded)]
    aside = [{"path": str(path), "reason": piece} for path, piece in zip(paths, encoded) if isinstance(piece, str)]
    if not usable:
        raise UserError(f"{args.folder}: none of {len(paths)} MIDI files can be used; the first: {aside[0]['reason']}")
    known = model.tokenizer.composers
    composers = [named(known, args.composer) if args.composer else composer_by_folder(path, known) for path, _ in usable]
    results = evaluate(model, [piece for _, piece in usable], composers, [None] * len(usable))
    rows = [{"path": str(path), "composer": composer} | figures([one]) for (path, _), composer, one in zip(usable, composers, results)]
    report = {"model": str(args.model), "grid": grid(model.tokenizer), "pieces": rows, "total": figures(results), "set_aside": aside}
    print(json.dumps(report, indent=1, ensure_ascii=False) if args.json else table(report))


def load(folder: Path) -> Any:
    """The model, on a GPU where there is one."""
    import torch

    from ostinato.lm.midi_model import load_midi

    return load_midi(folder).to("cuda" if torch.cuda.is_available() else "cpu")


def find(folder: Path) -> list[Path]:
    """All MIDI files under a folder, sorted, or the file itself. Raises UserError where there are none."""
    if folder.is_file():
        return [folder]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not paths:
        raise UserError(f"{folder}: {'no MIDI files (.mid, .midi) in this folder' if folder.is_dir() else 'no such folder'}")
    return paths


def composer_by_folder(path: Path, composers: Sequence[str]) -> str | None:
    """The nearest folder above a file that is called like a composer."""
    return next((found for parent in path.parents if (found := named(composers, parent.name))), None)


def encode_files(tokenizer: Any, paths: Sequence[Path | str], jobs: int) -> list[Encoded | str]:
    """Each file encoded, or the reason why not; in several processes where there is much to do."""
    if jobs <= 1 or sum(os.path.getsize(path) for path in paths if os.path.isfile(path)) < FEW_BYTES:
        return [_encoded(tokenizer, path) for path in paths]
    with tempfile.TemporaryDirectory(prefix="ostinato-") as folder:
        saved = Path(folder) / "tokenizer.json"
        tokenizer.save(saved)
        # spawn: forking a process that already runs torch's threads can deadlock
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_load, initargs=(saved,)) as pool:
            return list(pool.map(_encoded_there, paths, chunksize=4))


def _encoded(tokenizer: Any, path: Path | str) -> Encoded | str:
    try:
        return encode_file(tokenizer, path)
    except UserError as error:
        return str(error)


_TOKENIZER: list[Any] = []


def _load(path: Path) -> None:
    from ostinato.dataset.tokens import Tokenizer

    _TOKENIZER[:] = [Tokenizer.load(path)]


def _encoded_there(path: Path | str) -> Encoded | str:
    return _encoded(_TOKENIZER[0], path)


def figures(results: Sequence[PieceBits]) -> dict[str, Any]:
    """Bits per note of pieces taken together, total bits over total notes; with wrong labels, of the pieces that have any."""
    notes, labelled = sum(one.notes for one in results), [one for one in results if one.wrong_composer is not None]
    wrong = sum(one.wrong_composer for one in labelled) / sum(one.notes for one in labelled) if labelled else None
    values = {"model": sum(one.model for one in results) / notes, "no_composer": sum(one.no_composer for one in results) / notes, "wrong_composer": wrong,
              "common": sum(one.model + one.residual for one in results) / notes}
    return {"notes": notes, "tokens": sum(one.tokens for one in results)} | {
        "bits_per_note": {name: None if value is None else round(value, 4) for name, value in values.items()}}


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    heading = f"{'notes':>8}{'tokens':>9}" + "".join(f"{name:>16}" for name in COLUMNS) + "  file"
    lines = [f"Bits per note of {report['model']}; {report['grid']}", heading, *(_line(row, row["path"]) for row in report["pieces"])]
    lines += [_line(report["total"], f"all {len(report['pieces'])} files, total bits over total notes")]
    lines += ["model: with its composer's label where it has one; common: and with what the tokenizer rounds away on a grid of 10 ms and 127 velocities"]
    return "\n".join(lines + [f"set aside: {row['reason']}" for row in report["set_aside"]])


def _line(row: dict[str, Any], name: str) -> str:
    cells = [row["bits_per_note"][column] for column in COLUMNS]
    composer = f" ({row['composer']})" if row.get("composer") else ""
    return f"{row['notes']:>8}{row['tokens']:>9}" + "".join(f"{'-' if cell is None else format(cell, '.3f'):>16}" for cell in cells) + f"  {name}{composer}"
