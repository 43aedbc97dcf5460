"""What lies beside an artifact and says what made it, from what: the sidecar of `a/b.pt` is `a/b.pt.made.json`.

It holds no clock time, so that the same inputs, parameters and seed give the same bytes. `provenance` walks the sidecars back to the raw files.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ostinato.files import SIDECAR, contents, hash_contents, sha256, write_json


def write_sidecar(
    artifact: Path | str | Sequence[Path | str],
    step: str,
    inputs: Sequence[Path | str],
    params: Any = None,
    seed: int | None = None,
    about: Mapping[str, Any] | None = None,
    beside: Sequence[Path | str] = (),
) -> None:
    """Write `<artifact>.made.json`: what this is, what made it, from what.

    Args:
        artifact: the file or folder just written, or several of one step, whose inputs are hashed once; of a folder each file is recorded as well.
        step: the `ostinato` subcommand that made it.
        inputs: files or folders it was made from; each is recorded by path and hash, and a folder that has no sidecar of its own file by file.
        params: the parameters of the step, as JSON-able values.
        seed: the seed it was made with, where there is one.
        about: anything else worth knowing (a demo's prompt, the hash of a model).
        beside: what else the step wrote in the artifact's folder or below, and what has no sidecar of its own.
    """
    used = [{"path": str(path), **recorded(path, listed=not sidecar_path(path).is_file())} for path in inputs]
    for one in map(Path, [artifact] if isinstance(artifact, Path | str) else artifact):
        record = {
            "artifact": str(one),
            **recorded(one),
            "step": step,
            "params": params,
            "seed": seed,
            "inputs": used,
            "commit": commit(),
            "command": _command(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "about": dict(about or {}),
        }
        if others := [Path(path) for path in beside if Path(path) != one]:
            record["beside"] = {os.path.relpath(path, one.parent): sha256(path) for path in others}
        if one.is_absolute() or ".." in one.parts:
            record["folder"] = os.getcwd()  # what other paths in here are relative to cannot be told from the artifact's place
        write_json(sidecar_path(one), record)


def recorded(path: Path | str, listed: bool = True) -> dict[str, Any]:
    """What a sidecar keeps of a file or folder: its hash, and those of a folder's files."""
    if not Path(path).is_dir():
        return {"sha256": sha256(path)}
    files = contents(path)
    return {"sha256": hash_contents(files)} | ({"files": files} if listed else {})


def _command() -> list[str] | None:
    """The words of the `ostinato` that this process is; None in others, as in a notebook."""
    return ["ostinato", *sys.argv[1:]] if Path(sys.argv[0]).name in ("ostinato", "cli.py") else None


def sidecar_path(artifact: Path | str) -> Path:
    """The sidecar's place for an artifact."""
    artifact = Path(artifact)
    return artifact.with_name(artifact.name + SIDECAR)


@cache
def commit() -> str | None:
    """The git commit of the code, with `+dirty` when tracked files differ from it; None outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
