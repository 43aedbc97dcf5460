"""Folders of recordings as lists, one a shard."""

from __future__ import annotations

import os

from ostinato.corpus import recordings
from ostinato.corpus.side_files import SUFFIXES as SIDE_FILES
from ostinato.lists import ASIDE, BESIDE, OTHER, WANTED, Line, sorted_out


def recordings_in(folder: str, shards: int) -> list[list[Line]]:
    """The lists of a folder of recordings. Raises UserError where it is missing, cannot be read, or holds nothing that is called like a recording."""
    lists = sorted_out(recordings.searched(folder), folder, shards, _kind)
    for lines in (lines for lines in lists if any(line[0] == BESIDE for line in lines)):
        songs = {os.path.splitext(path)[0] for kind, path, *_ in lines if kind == WANTED}
        lines[:] = [line for line in (_beside(line, songs) if line[0] == BESIDE else line for line in lines) if line]
    if not any(kind == WANTED for lines in lists for kind, *_ in lines):
        raise recordings.nothing_in(folder)
    return lists


def _kind(suffix: str) -> str | None:
    if suffix in recordings.EXTENSIONS:
        return WANTED
    return BESIDE if suffix in SIDE_FILES else None if suffix in recordings.SILENT else OTHER


def _beside(line: Line, songs: set[str]) -> Line | None:
    """A line for a side file that has its recording; of one that has none, only labels are worth one."""
    stem, suffix = os.path.splitext(line[1])
    if stem in songs:
        return line
    return (ASIDE, line[1], "side_file", "no recording of this name lies beside it") if suffix.lower() in recordings.LABELS else None
