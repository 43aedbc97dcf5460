"""Search a folder: every file is found once, links to folders are followed, and what cannot be looked at is said."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: Path, reason, detail.
Aside = tuple[str, str, str]


@dataclass
class Found:
    """Files, sorted, and what is no file that can be read: dangling links, links to what is searched already, folders that are closed, devices."""

    files: list[Path] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)


def search(folder: Path | str) -> Found:
    """All files below `folder`, hidden ones too."""
    found = Found()
    waiting = [Path(folder)]
    seen: dict[tuple[int, int], Path] = {}
    while waiting:  # real folders before links to folders: what can be reached both ways goes by its real name
        links: list[Path] = []
        for start in waiting:
            for path in _below(start, seen, links, found.aside):
                _sort(path, found)
        waiting = sorted(links)
    found.files.sort()
    return found


def hidden(path: Path, folder: Path | str) -> bool:
    """Whether a file, or a folder between it and `folder`, has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _below(start: Path, seen: dict[tuple[int, int], Path], links: list[Path], aside: list[Aside]) -> Iterator[Path]:
    """What is no folder below `start`, without going through links to folders, which are added to `links`."""
    try:
        about = start.stat()
        first = seen.setdefault((about.st_dev, about.st_ino), start)
        if first is not start:
            aside.append((str(start), "link", f"leads to {first}, which is searched already"))
            return
        entries = sorted(os.scandir(start), key=lambda entry: entry.name)
    except OSError as error:
        aside.append((str(start), "unreadable", f"a folder that cannot be read ({error.strerror})"))
        return
    for entry in entries:
        if not _is_folder(entry):
            yield Path(entry.path)
        elif entry.is_symlink():
            links.append(Path(entry.path))
        else:
            yield from _below(Path(entry.path), seen, links, aside)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: `_sort` says so
        return False


def _sort(path: Path, found: Found) -> None:
    try:
        about = path.stat()
    except OSError as error:
        target = f"a link to {os.readlink(path)}, which is not there" if path.is_symlink() else "cannot be looked at"
        found.aside.append((str(path), "link" if path.is_symlink() else "unreadable", f"{target} ({error.strerror})"))
        return
    if stat.S_ISREG(about.st_mode):
        found.files.append(path)
    else:  # to open a pipe would be to wait for ever
        found.aside.append((str(path), "unreadable", "no file but a pipe, socket or device"))
