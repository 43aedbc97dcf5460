"""Search a folder: every file is found once, links to folders are followed, and what cannot be looked at is said.

A folder may hold a million files: each is a path, a size and a time, no more, and nothing of it is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: Path, reason, detail.
Aside = tuple[str, str, str]


class File(NamedTuple):
    """A regular file; `size` in bytes, `mtime_ns` when it was last changed (ns)."""

    path: str
    size: int
    mtime_ns: int


@dataclass
class Found:
    """Files, sorted by path, and what is no file that can be read: dangling links, links to what is searched already, folders that are closed, devices."""

    files: list[File] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)


def search(folder: Path | str) -> Found:
    """All files below `folder`, hidden ones too."""
    found = Found()
    waiting = [str(folder)]
    seen: dict[tuple[int, int], str] = {}
    while waiting:  # real folders before links to folders: what can be reached both ways goes by its real name
        links: list[str] = []
        for start in waiting:
            for path in _below(start, seen, links, found.aside):
                _sort(path, found)
        waiting = sorted(links)
    found.files.sort()
    return found


def hidden(path: Path | str, folder: Path | str) -> bool:
    """Whether a file, or a folder between it and `folder`, has a name that begins with a dot."""
    return dotted(relative(path, folder))


def dotted(path: str) -> bool:
    """Whether a part of a relative path begins with a dot."""
    return f"{os.sep}." in f"{os.sep}{path}"


def relative(path: Path | str, folder: Path | str) -> str:
    """The path of a file below `folder` as seen from there."""
    path, home = str(path), _home(str(folder))
    return path.removeprefix(home) if path.startswith(home) else os.path.relpath(path, home)


@cache
def _home(folder: str) -> str:
    """What the paths of files in a folder begin with; asked for each of a million."""
    return os.path.join(folder, "")


def _below(start: str, seen: dict[tuple[int, int], str], links: list[str], aside: list[Aside]) -> Iterator[str]:
    """What is no folder below `start`, without going through links to folders, which are added to `links`."""
    try:
        about = os.stat(start)
        first = seen.setdefault((about.st_dev, about.st_ino), start)
        if first is not start:
            aside.append((start, "link", f"leads to {first}, which is searched already"))
            return
        entries = sorted(os.scandir(start), key=lambda entry: entry.name)
    except OSError as error:
        aside.append((start, "unreadable", f"a folder that cannot be read ({error.strerror})"))
        return
    for entry in entries:
        if not _is_folder(entry):
            yield entry.path
        elif entry.is_symlink():
            links.append(entry.path)
        else:
            yield from _below(entry.path, seen, links, aside)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: `_sort` says so
        return False


def _sort(path: str, found: Found) -> None:
    try:
        about = os.stat(path)
    except OSError as error:
        linked = os.path.islink(path)
        target = f"a link to {os.readlink(path)}, which is not there" if linked else "cannot be looked at"
        found.aside.append((path, "link" if linked else "unreadable", f"{target} ({error.strerror})"))
        return
    if stat.S_ISREG(about.st_mode):
        found.files.append(File(path, about.st_size, about.st_mtime_ns))
    else:  # to open a pipe would be to wait for ever
        found.aside.append((path, "unreadable", "no file but a pipe, socket or device"))
