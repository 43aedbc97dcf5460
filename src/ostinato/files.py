"""Files that other steps read: written whole or not at all, hashed, and accompanied by a sidecar that says what made them.

Conventions: a hash is sha256 in hex. The hash of a folder is the hash of its sorted (relative path, file hash) pairs, with
sidecars left out. The sidecar of `a/b.pt` is `a/b.pt.made.json`; it holds no clock time, so that the same inputs, parameters and
seed give the same bytes. `lineage` (report room) walks the sidecars back to the raw files.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

SIDECAR = ".made.json"


class UserError(Exception):
    """Something the user can mend: the message is one line and names the file or key, what was found, what was expected."""


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there when the block ends well, remove it when it does not.

    The suffix is kept, because soundfile and numpy choose the format by it. Works for files and for folders.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        temporary = scratch / path.name
        yield temporary
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file; a UserError names the file when it is missing or no JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON ({error})") from None


def write_jsonl(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_text(path, "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows))


def read_jsonl(path: Path | str) -> list[dict[str, Any]]:
    """Read one JSON object a line."""
    return _read_lines(path, lambda line: bool(line.strip()))


def read_whole_lines(path: Path | str) -> list[dict[str, Any]]:
    """Read one JSON object a line of a file that still grows, or whose writer was killed: a last line without its end is left out."""
    return _read_lines(path, lambda line: line.endswith("\n"))


def _read_lines(path: Path | str, wanted: Callable[[str], bool]) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines(keepends=True) if wanted(line)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: a line is not JSON ({error})") from None


def write_set_aside(path: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write the table of what was not taken."""
    lines = ["\t".join(" ".join(field.split()) for field in row) for row in [("path", "reason", "detail"), *rows]]
    write_text(path, "\n".join(lines) + "\n")
    for row in rows:
        log.warning("set aside: %s: %s (%s)", *row)


def read_table(path: Path | str, columns: set[str]) -> list[dict[str, str]]:
    """Rows of a tab-separated table with a heading, as `write_set_aside` writes it. Raises UserError when it is missing or lacks a column."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            # QUOTE_NONE: a quote in a file name is part of the name
            rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a table with the columns {', '.join(sorted(columns))}") from None
    if rows and not columns <= rows[0].keys():
        raise UserError(f"{path}: expected the columns {', '.join(sorted(columns))}; got {', '.join(map(str, rows[0]))}")
    return rows


def refuse_full_disk(error: BaseException) -> None:
    """Raise UserError where `error` says that the disk is full: that is no fault of the file in hand, and the next will fare no better."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise UserError(f"disk full: {error.filename or 'a file'} could not be written ({error.strerror}); make room and start again") from error


def sha256(path: Path | str) -> str:
    """Hash a file's bytes, or a folder's contents (sidecars and hidden files left out)."""
    path = Path(path)
    if path.is_dir():
        listing = [(item.relative_to(path).as_posix(), sha256(item)) for item in sorted(path.rglob("*")) if _counts(item, path)]
        return hash_value(listing)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _counts(item: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in item.relative_to(folder).parts)
    return item.is_file() and not hidden and not item.name.endswith(SIDECAR)


def hash_value(value: Any) -> str:
    """Hash a JSON-able value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def write_sidecar(artifact: Path | str, step: str, inputs: Sequence[Path | str], params: Any = None,
                  seed: int | None = None, about: Mapping[str, Any] | None = None) -> Path:
    """Write `<artifact>.made.json`: what this is, what made it, from what.

    Args:
        artifact: the file or folder just written.
        step: the `ostinato` subcommand that made it.
        inputs: files or folders it was made from; each is recorded by path and hash.
        params: the parameters of the step, as JSON-able values.
        seed: the seed it was made with, where there is one.
        about: anything else worth knowing (a demo's prompt, the hash of a model).
    """
    record = {
        "artifact": str(artifact), "sha256": sha256(artifact), "step": step, "params": params, "seed": seed,
        "inputs": [{"path": str(path), "sha256": sha256(path)} for path in inputs],
        "commit": commit(), "job": os.environ.get("SLURM_JOB_ID"), "about": dict(about or {}),
    }
    sidecar = sidecar_path(artifact)
    write_json(sidecar, record)
    return sidecar


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


def require_space(folder: Path | str, needed_bytes: int) -> None:
    """Raise UserError when the disk that holds `folder` has less than `needed_bytes` free."""
    existing = Path(folder).absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise UserError(f"{folder}: {free / 1e9:.2f} GB free on this disk, about {needed_bytes / 1e9:.2f} GB are needed")
