"""Scratch folders, in which files and folders are made before they take their names, and what makes these outlast a power cut.

A scratch folder lies beside what is made in it, since a rename is whole only within a file system. A process that is killed leaves its own behind, so its name says
whose it is: `.ostinato.NAME.MARK.xxxxxxxx` (see ostinato.processes). What a dead process left is removed by whoever writes into that folder next, and below
results/ when the pipeline starts. Whether a process of another host or container lives cannot be told: its folder goes when nothing in it has changed for a
day, as do, below results/, those of earlier versions, `.NAME.xxxxxxxx`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ostinato import processes

#: Characters of a name that its scratch folder repeats: with all of them it might be longer than names can be.
STEM = 40
OURS = re.compile(rf"\.ostinato\..+\.(?P<mark>{processes.MARK})\.[a-z0-9_]{{8}}", re.DOTALL)
EARLIER = re.compile(r"\.(?P<stem>.+)\.[a-z0-9_]{8}", re.DOTALL)
#: Seconds without a change after which a folder is nobody's.
LONGEST_REST = 86400.0


@contextlib.contextmanager
def atomic(path: Path | str, lasting: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there when the block ends well, remove it when it does not.

    What is moved is on the disk by then: after a power cut a file is the old or the new, a folder the old, the new or none, and all are whole. What is made
    within a scratch folder waits for that one's end. Not so where it need not be `lasting`.
    The suffix is kept, because soundfile and numpy choose the format by it. Works for files and for folders.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch, last = _beside(path), lasting and not _is_scratch(path.parent)
    try:
        temporary = scratch / path.name
        yield temporary
        if last:
            _settle(temporary)
        if temporary.is_dir() and path.is_dir():
            os.replace(path, tempfile.mkdtemp(dir=scratch))  # and removed with it: a folder must not stand there by half
        os.replace(temporary, path)
        if last:
            _settle_name(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write that fails does not know its file
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Make a scratch folder beside `path`, after removing what dead processes left there."""
    folder = path.parent.absolute()
    _tidy_once(folder, os.getpid())
    return Path(tempfile.mkdtemp(prefix=f".ostinato.{path.name[:STEM]}.{processes.mark(os.getpid())}.", dir=path.parent))


def _is_scratch(folder: Path) -> bool:
    """Whether a folder is a scratch folder, or lies in one."""
    return any(OURS.fullmatch(part) for part in folder.absolute().parts)


def _settle(path: Path) -> None:
    """Have the disk take a file, or a folder with all that is in it. Raises OSError where it does not."""
    if path.is_symlink():
        return
    if path.is_dir():
        for item in path.iterdir():
            _settle(item)
    if path.is_dir() or path.is_file():
        _settle_one(path)


def _settle_name(path: Path) -> None:
    """Have the disk take the name of a file or folder."""
    with contextlib.suppress(PermissionError):  # in a folder that may be written but not read names are as safe as its file system makes them
        _settle_one(path.parent)


def _settle_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)


def tidy(folder: Path | str) -> None:
    """Remove, in a folder that is the pipeline's own and below, the scratch folders of processes that are no more."""
    for entry in _folders(folder):
        if OURS.fullmatch(entry.name) or _is_earlier(entry):
            _remove_if_nobodys(entry)
        else:
            tidy(entry.path)


@cache
def _tidy_once(folder: Path, process: int) -> None:
    """Tidy any folder, not what is below; once in a process, since listing a large folder for each of its files would take as long as the work."""
    for entry in _folders(folder):
        if OURS.fullmatch(entry.name):
            _remove_if_nobodys(entry)


def _folders(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:  # not there, or closed to us: then it is not ours to tidy
        return []


def _remove_if_nobodys(entry: os.DirEntry[str]) -> None:
    found = OURS.fullmatch(entry.name)
    if not processes.lives(found["mark"]) if found and processes.is_here(found["mark"]) else _rests(entry.path):
        shutil.rmtree(entry.path, ignore_errors=True)  # another process may be removing it as well


def _is_earlier(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is a scratch folder of an earlier version: it holds what it is named after, and nothing else."""
    found = EARLIER.fullmatch(entry.name)
    return found is not None and [name[:STEM] for name in _names(entry.path)] == [found["stem"]]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _rests(folder: str) -> bool:
    """Whether nothing in a folder has changed for a day."""
    places = [folder, *(os.path.join(parent, name) for parent, folders, files in os.walk(folder) for name in (*folders, *files))]
    return max(map(_changed, places)) < time.time() - LONGEST_REST


def _changed(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:  # gone since, and so somebody's
        return time.time()
