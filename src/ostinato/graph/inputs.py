"""What rules read: source files, weights, and what lies in folders of recordings and of MIDI, listed while Snakemake plans."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ostinato.corpus.recordings import nothing_in, survey
from ostinato.corpus.side_files import beside
from ostinato.files import UNPRINTABLE, UserError, hash_value
from ostinato.folders import hidden, search
from ostinato.midi.notes import EXTENSIONS
from ostinato.sources import command_module, modules, source_file

#: Snakemake takes {} in a name for a wildcard and <> for a variable, and knows no way to say otherwise; it wants UTF-8, and warns of line ends, of blanks
#: at either end and of `//`, each time.
STRANGE = re.compile(rf"[{UNPRINTABLE}{{}}<>]|^\s|\s$|//")


def sources(command: str) -> list[str]:
    """The source files behind a command: its own and all of the project's it imports, since Snakemake sees no imports."""
    home = Path("src")
    return [str(source_file(name, home)) for name in modules([command_module(command)], home)]


def weights(folder: str | None, *ears: str) -> list[str]:
    """The files of the networks that listen: those of `listen.ears`, or those that come with Ostinato."""
    return [f"{(folder or 'src/ostinato/ears/shipped').rstrip('/')}/{ear}.safetensors" for ear in ears]


def pretrained(source: str | None) -> list[str]:
    """The weights of `model.pretrained` where that is a folder here."""
    path = Path(source or "", "state_dict.bin")
    return [str(path)] if source and path.is_file() else []


def recordings(folder: str | None) -> list[str]:
    """What lies below `corpus.folder` and may be sound, and side files, listed now, so that a new one reruns `check`; empty for the embedded corpus."""
    if folder is None:
        return []
    found, unnamed, _ = survey(folder)
    if not found:
        raise nothing_in(folder)
    files = [file for path in found for file in (path, *beside(path))]
    return sorted({str(path) for path in [*files, *unnamed]})


def midi_files(folder: str | None) -> list[str]:
    """MIDI files and tables below `midi.pieces.folder`, listed now as recordings are; empty for the scores that pip brings."""
    if folder is None:
        return []
    if not os.path.isdir(folder):
        raise UserError(f"midi.pieces.folder: {folder}: no such folder")
    return [str(path) for path in search(folder).files if path.suffix.lower() in (*EXTENSIONS, ".csv") and not hidden(path, folder)]


def watched(files: Sequence[str]) -> list[str]:
    """The files whose names Snakemake can have, for `input:`."""
    return [path for path in files if not STRANGE.search(path)]


def state_of_others(files: Sequence[str]) -> str:
    """What tells whether any of the other files has changed: a hash of their names, sizes (bytes) and times (ns); empty where there are none."""
    states = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files if STRANGE.search(path)]
    return hash_value(states) if states else ""
