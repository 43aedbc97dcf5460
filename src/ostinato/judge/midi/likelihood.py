"""How many bits a model needs for each note of any MIDI files, and what the composer's name is worth to it.

Each file is said with its instruments and its own composer's label (`model`; `common` on the common grid); and with that name alone, with no name, and with other
composers' (their mean), with nothing else given. Composer and genre are what `--composer` and `--genre` say, or the nearest folder above the file that is called like one the
model knows; a file without composer has no names, right or wrong. Of several files the mean is told, as the judge does: of all, and of those with a composer, so that
all columns of a row are of the same files. What is no MIDI file with notes that have words is set aside and listed, and so is MIDI that is called otherwise.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.escapes import shown
from ostinato.files import UserError
from ostinato.judge.midi.bits import Encoded, PieceBits, encode_file, named
from ostinato.midi.metadata import printable
from ostinato.midi.notes import EXTENSIONS, read_midi
from ostinato.midi.reading import attempt, each, find

#: Less than so many bytes of MIDI, about a million notes, are encoded before other processes would have started.
FEW_BYTES = 10**7
COLUMNS = ("model", "common", "right_name", "no_name", "wrong_name")


def load(folder: Path) -> Any:
    """The model, on a GPU where there is one."""
    import torch

    from ostinato.lm.midi_model import load_midi

    return load_midi(folder).to("cuda" if torch.cuda.is_available() else "cpu")


def readable(folder: Path, jobs: int) -> tuple[list[Path], list[tuple[str, str]]]:
    """MIDI files under a folder that can be read, sorted, or the file itself; (path, reason) of the others. Raises UserError where there are none at all."""
    paths, listed = ([folder], []) if folder.is_file() else find(folder)
    aside = [(path, f"{path}: {reason}, {detail}") for path, reason, detail in listed]
    if not paths:
        raise UserError(f"{folder}: no MIDI file in it; expected files ending in {', '.join(EXTENSIONS)}" + (f"; there is {aside[0][1]}" if aside else ""))
    lines = [(path, line) for path, line in zip(paths, each(can_read, paths, jobs))]
    return [path for path, line in lines if not line], aside + [(str(path), line) for path, line in lines if line]


def can_read(path: Path) -> None:
    """Read a file and forget it. Raises UserError as `read_midi`."""
    read_midi(path)


def name_by_folder(path: Path, names: Sequence[str]) -> str | None:
    """The nearest folder above a file that is called like one of some composers, or genres."""
    return next((found for parent in path.parents if (found := named(names, printable(parent.name)))), None)


def encode_files(tokenizer: Any, paths: Sequence[Path | str], jobs: int) -> list[Encoded | str]:
    """Each file encoded, or the reason why not; in several processes where there is much to do."""
    if jobs <= 1 or sum(os.path.getsize(path) for path in paths if os.path.isfile(path)) < FEW_BYTES:
        return [attempt(partial(encode_file, tokenizer), path) for path in paths]
    with tempfile.TemporaryDirectory(prefix="ostinato-") as folder:
        saved = Path(folder) / "tokenizer.json"
        tokenizer.save(saved)
        return list(each(partial(_encoded_there, saved), paths, jobs))


def _encoded_there(tokenizer: Path, path: Path | str) -> Encoded:
    from ostinato.midi.tokens import Tokenizer

    if tokenizer not in _TOKENIZERS:
        _TOKENIZERS[tokenizer] = Tokenizer.load(tokenizer)
    return encode_file(_TOKENIZERS[tokenizer], path)


_TOKENIZERS: dict[Path, Any] = {}


def figures(results: Sequence[PieceBits]) -> dict[str, Any]:
    """Bits per note, the mean over pieces; by names, where all pieces have them."""
    columns = {name: [one.per_note(getattr(one, name), False) for one in results] for name in COLUMNS if name != "common"}
    columns["common"] = [one.per_note(one.model, True) for one in results]
    means = {name: None if None in (values := columns[name]) or not values else round(float(np.mean(np.array(values, float))), 4) for name in COLUMNS}
    return {"notes": sum(one.notes for one in results), "tokens": sum(one.tokens for one in results), "bits_per_note": means}


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    heading = f"{'notes':>8}{'tokens':>9}" + "".join(f"{name:>16}" for name in COLUMNS) + "  file"
    lines = [f"Bits per note of {report['model']}; {report['grid']}", heading, *(_line(row, shown(row["path"])) for row in report["pieces"])]
    lines += [_line(report["total"], f"mean of all {len(report['pieces'])} files")]
    named_files = sum(row["bits_per_note"]["wrong_name"] is not None for row in report["pieces"])
    if 0 < named_files < len(report["pieces"]):
        lines += [_line(report["named"], f"mean of the {named_files} files with a composer")]
    lines += [
        "model: told its instruments, and its composer and genre where they are known; common: and with what the tokenizer rounds away on a grid of 10 ms and 127 velocities",
        "right_name, no_name, wrong_name: told that and nothing else",
    ]
    return "\n".join(lines + [f"set aside: {shown(row['reason'])}" for row in report["set_aside"]])


def _line(row: dict[str, Any], name: str) -> str:
    cells = [row["bits_per_note"][column] for column in COLUMNS]
    composer = f" ({row['composer']})" if row.get("composer") else ""
    return f"{row['notes']:>8}{row['tokens']:>9}" + "".join(f"{'-' if cell is None else format(cell, '.3f'):>16}" for cell in cells) + f"  {name}{composer}"
