"""What rules read that Snakemake cannot know by itself: source files and weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ostinato.files import read_json, sha256
from ostinato.sidecars import sidecar_path
from ostinato.sources import command_module, modules, source_file


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


def require_company(table: str, beside: Sequence[str]) -> None:
    """Remove a table over all shards where one of the files beside it is lost, or not what its sidecar says, so that it is made anew, and they with it: no rule names them,
    since they are left untouched when they would not change.
    """
    if os.path.isfile(table) and not all(_whole(Path(table).with_name(name)) for name in beside):
        for name in beside:
            Path(table).with_name(name).unlink(missing_ok=True)
        os.remove(table)


def _whole(file: Path) -> bool:
    sidecar = sidecar_path(file)
    return file.is_file() and (not sidecar.is_file() or read_json(sidecar).get("sha256") == sha256(file))
