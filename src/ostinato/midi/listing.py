"""Folders of MIDI files as lists, one a shard, and one of the tables that say something of files of all shards."""

from __future__ import annotations

import os

from ostinato.files import UserError
from ostinato.folders import hidden, search
from ostinato.lists import OTHER, WANTED, Line, sorted_out
from ostinato.midi.notes import EXTENSIONS

TABLE = ".csv"


def midi_in(folder: str, shards: int) -> list[list[Line]]:
    """The lists of a folder of MIDI files, and after them that of the tables (.csv) in it. Raises UserError where it is missing, or has none."""
    if not os.path.isdir(folder):
        raise UserError(f"midi.pieces.folder: {folder}: " + ("not a folder" if os.path.exists(folder) else "no such folder"))
    found = search(folder)
    tables: list[Line] = [(WANTED, *file) for file in found.files if file.path.lower().endswith(TABLE) and not hidden(file.path, folder)]
    lists = sorted_out(found, folder, shards, _kind)
    if not any(kind == WANTED for lines in lists for kind, *_ in lines):
        raise UserError(f"midi.pieces.folder: {folder}: no MIDI file in it; expected files ending in {', '.join(EXTENSIONS)}")
    return [*lists, tables]


def _kind(suffix: str) -> str | None:
    return WANTED if suffix in EXTENSIONS else None if suffix == TABLE else OTHER
