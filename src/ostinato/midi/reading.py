"""MIDI files in folders, and work on files that may end their process or never end: one file is set aside with a reason, and the others go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ostinato.files import UserError, refuse_full_disk
from ostinato.folders import Aside, hidden, search
from ostinato.midi.notes import EXTENSIONS
from ostinato.midi.smf import is_midi
from ostinato.pool import LEAST_SECONDS, resilient_map, seconds_for

#: So many bytes say whether a file is MIDI.
MAGIC_BYTES = 12


def find(folder: Path) -> tuple[list[Path], list[Aside]]:
    """MIDI files below a folder, sorted; what else looks like MIDI, or leads nowhere, as (path, reason, detail). Raises UserError where there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: " + ("not a folder" if folder.exists() else "no such folder"))
    found = search(folder)
    files = [Path(file.path) for file in found.files if not hidden(file.path, folder)]
    paths = [path for path in files if path.suffix.lower() in EXTENSIONS]
    return paths, found.aside + misnamed(path for path in files if path.suffix.lower() not in (*EXTENSIONS, ".csv"))


def misnamed(paths: Iterable[Path]) -> list[Aside]:
    """Rows for those of some files that are MIDI by their first bytes, though not by their names."""
    return [(str(path), "unknown_suffix", f"MIDI by its first bytes; give it one of the suffixes {', '.join(EXTENSIONS)} to have it used") for path in paths if _is_midi(path)]


def _is_midi(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return is_midi(stream.read(MAGIC_BYTES))
    except OSError:  # what is called like no MIDI file and cannot be opened is none of ours
        return False


def each(function: Callable[[Any], Any], paths: Sequence[Path | str], jobs: int) -> Iterator[Any]:
    """`function` of every path, in other processes, in order; in place of its result a line that names the file and says why there is none."""
    return resilient_map(partial(attempt, function), list(paths), jobs, dead, _seconds) if len(paths) else iter(())


def one(function: Callable[[Any], Any], path: Path | str) -> Any:
    """`function` of one path, in another process. Raises UserError with the line that `each` would give."""
    result = next(each(function, [path], 1))
    if isinstance(result, str):
        raise UserError(result)
    return result


def attempt(function: Callable[[Any], Any], path: Path | str) -> Any:
    """`function` of a path, or a line that names the file and says why there is none."""
    try:
        return function(path)
    except UserError as error:
        return str(error)
    except Exception as error:  # whatever a library throws at one file must not end the run
        refuse_full_disk(error)
        return f"{path}: cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:160]})"


def dead(path: Path | str, why: str) -> str:
    """The line for a file at which its process dies or hangs."""
    return f"{path}: the process that read it {why}"


def _seconds(path: Path | str) -> float:
    return seconds_for(path) if os.path.isfile(path) else LEAST_SECONDS
