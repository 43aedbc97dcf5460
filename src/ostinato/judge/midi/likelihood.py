"""How many bits a model needs for each note of any MIDI files, and what the composer's name is worth to it.

Each file is said with its own composer's label (`model`), with none, and with other composers' (their mean). The composer is what `--composer` says, or the
nearest folder above the file that is called like one the model knows; a file without has no label, right or wrong. What is no MIDI file with notes that
have words is set aside and listed, and so is MIDI that is called otherwise.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ostinato.escapes import shown
from ostinato.files import UserError
from ostinato.judge.midi.bits import Encoded, PieceBits, encode_file, named
from ostinato.midi.metadata import printable
from ostinato.midi.notes import EXTENSIONS, read_midi
from ostinato.midi.reading import attempt, each, find

#: Less than so many bytes of MIDI, about a million notes, are encoded before other processes would have started.
FEW_BYTES = 10**7
COLUMNS = ("model", "no_composer", "wrong_composer", "common")


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


def composer_by_folder(path: Path, composers: Sequence[str]) -> str | None:
    """The nearest folder above a file that is called like a composer."""
    return next((found for parent in path.parents if (found := named(composers, printable(parent.name)))), None)


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
    """Bits per note of pieces taken together, total bits over total notes; with wrong labels, of the pieces that have any."""
    notes, labelled = sum(one.notes for one in results), [(one.wrong_composer, one.notes) for one in results if one.wrong_composer is not None]
    wrong = sum(bits for bits, _ in labelled) / sum(count for _, count in labelled) if labelled else None
    values = {
        "model": sum(one.model for one in results) / notes,
        "no_composer": sum(one.no_composer for one in results) / notes,
        "wrong_composer": wrong,
        "common": sum(one.model + one.residual for one in results) / notes,
    }
    return {"notes": notes, "tokens": sum(one.tokens for one in results)} | {"bits_per_note": {name: None if value is None else round(value, 4) for name, value in values.items()}}


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    heading = f"{'notes':>8}{'tokens':>9}" + "".join(f"{name:>16}" for name in COLUMNS) + "  file"
    lines = [f"Bits per note of {report['model']}; {report['grid']}", heading, *(_line(row, shown(row["path"])) for row in report["pieces"])]
    lines += [_line(report["total"], f"all {len(report['pieces'])} files, total bits over total notes")]
    lines += ["model: with its composer's label where it has one; common: and with what the tokenizer rounds away on a grid of 10 ms and 127 velocities"]
    return "\n".join(lines + [f"set aside: {shown(row['reason'])}" for row in report["set_aside"]])


def _line(row: dict[str, Any], name: str) -> str:
    cells = [row["bits_per_note"][column] for column in COLUMNS]
    composer = f" ({row['composer']})" if row.get("composer") else ""
    return f"{row['notes']:>8}{row['tokens']:>9}" + "".join(f"{'-' if cell is None else format(cell, '.3f'):>16}" for cell in cells) + f"  {name}{composer}"
