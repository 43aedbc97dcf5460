"""Files that other steps read: written whole or not at all, hashed, and accompanied by a sidecar that says what made them.

Conventions: a hash is sha256 in hex. The hash of a folder is the hash of its sorted (relative path, file hash) pairs, with
sidecars left out. The sidecar of `a/b.pt` is `a/b.pt.made.json`; it holds no clock time, so that the same inputs, parameters and
seed give the same bytes. `lineage` (report room) walks the sidecars back to the raw files.

Names of files are whatever a file system holds: they need not be UTF-8 (Python then has surrogates in them) and may hold line ends and tabs.
All that is written here takes them: JSON as `\\udc80`, which JSON readers give back; tables and lines that are printed as `escaped` and `shown` say.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from ostinato.scratch import atomic

log = logging.getLogger(__name__)

SIDECAR = ".made.json"
#: What no line can hold as it is: control characters, separators of lines, and surrogates, which are the bytes of names that are no UTF-8.
UNPRINTABLE = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
SHORT_ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\\": r"\\", '"': r"\""}


class UserError(Exception):
    """Something the user can mend: each argument is one line and names the file or key, what was found, what was expected."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


def write_text(path: Path | str, text: str, lasting: bool = True) -> None:
    """Write `text` (UTF-8; surrogates as `\\udc80`) to `path` atomically; `lasting`: so that it outlasts a power cut."""
    with atomic(path, lasting) as temporary:
        temporary.write_bytes(_encoded(text))


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _read_text(path: Path | str) -> str:
    """The text of a UTF-8 file, its line ends as they are. Raises UserError when it is missing or something else."""
    try:
        return Path(path).read_bytes().decode()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file; a UserError names the file when it is missing or no JSON."""
    try:
        return json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON ({error})") from None


def write_jsonl(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically; rows are taken one after another."""
    with atomic(path) as temporary, temporary.open("wb") as stream:
        stream.writelines(_encoded(json_line(row)) for row in rows)


def json_line(row: Mapping[str, Any]) -> str:
    """A row as a line of JSON, keys sorted."""
    return json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n"


def write_if_changed(path: Path | str, text: str, lasting: bool = True) -> bool:
    """Write `text` to `path` unless that is what it holds: then its time stays as well, and nothing that is made from it is made anew. Whether it was written."""
    path = Path(path)
    if path.is_file() and path.read_bytes() == _encoded(text):
        return False
    write_text(path, text, lasting)
    return True


def read_jsonl(path: Path | str) -> list[dict[str, Any]]:
    """Read one JSON object a line."""
    return list(read_lines(path))


def read_whole_lines(path: Path | str) -> list[dict[str, Any]]:
    """Read one JSON object a line of a file that still grows, or whose writer was killed: a last line without its end is left out."""
    return list(read_lines(path, lambda line: line.endswith(b"\n")))


def read_lines(path: Path | str, wanted: Callable[[bytes], Any] = bytes.strip) -> Iterator[Any]:
    """The JSON value of each line, one after another: a table may be larger than memory. Raises UserError as `read_json`."""
    try:
        with Path(path).open("rb") as stream:  # at \n alone: text is broken at U+2028 and others as well, which JSON holds as they are
            for line in filter(wanted, stream):
                yield json.loads(line.decode())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: a line is not JSON ({error})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start} of a line)") from None


def write_set_aside(path: Path, rows: Iterable[tuple[str, str, str]], tell: bool = True) -> None:
    """Write the table of what was not taken: path, reason and detail; `tell`: in the log as well. Line ends in a detail, such as a library's message, become blanks."""

    def cleaned() -> Iterator[tuple[str, ...]]:
        for name, *words in rows:
            row = (name, *(re.sub(r"\s*[\r\n]\s*", " ", text.strip()) for text in words))
            if tell:
                log.warning("set aside: %s: %s (%s)", *row)
            yield row

    write_table(path, ("path", "reason", "detail"), cleaned())


def write_table(path: Path | str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with a heading, a line a row, whatever the cells hold; None is an empty cell. Rows are taken one after another.

    Fields are separated by commas and quoted as in all CSV files where `path` ends with .csv, else by tabs and not quoted. What is not printable, and
    backslashes, are `escaped`, so that a plain reader (`cut`, `csv`, pandas) sees one line a row, and `read_table` gives back the very text.
    """
    lines = (["" if value is None else escaped(str(value)) for value in row] for row in chain([columns], rows))
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        if _is_csv(path):
            csv.writer(stream, lineterminator="\n").writerows(lines)
        else:
            # a quote that comes first would be taken for CSV's by many readers
            stream.writelines("\t".join(re.sub('^"', r'\\"', cell) for cell in line) + "\n" for line in lines)


def read_table(path: Path | str, columns: Collection[str]) -> list[dict[str, str]]:
    """Rows of a table as `write_table` writes it. Raises UserError when it is missing, lacks one of `columns`, or a row has too few or many fields."""
    return list(read_table_rows(path, columns))


def read_table_rows(path: Path | str, columns: Collection[str]) -> Iterator[dict[str, str]]:
    """The same, one after another."""
    expected = f"the columns {', '.join(sorted(columns))}"
    try:
        with Path(path).open(encoding="utf-8", newline="" if _is_csv(path) else "\n") as stream:
            lines = csv.reader(stream) if _is_csv(path) else (line.removesuffix("\n").removesuffix("\r").split("\t") for line in stream)
            rows = ([unescaped(field) for field in line] for line in lines)
            heading = next(rows, [])
            if missing := sorted(set(columns) - set(heading)):
                raise UserError(f"{path}: expected {expected}; {', '.join(missing)} missing")
            for number, row in enumerate(rows, 2):
                if len(row) != len(heading):
                    raise UserError(f"{path}: line {number}: {len(row)} fields; expected {len(heading)}: {', '.join(heading)}")
                yield dict(zip(heading, row))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a table with {expected}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None


def _is_csv(path: Path | str) -> bool:
    return Path(path).suffix == ".csv"


def escaped(text: str) -> str:
    """A table's cell for a text: what is not printable as `\\t`, `\\n`, `\\r` or `\\u2028`, a backslash as two."""
    return re.sub(rf"[\\{UNPRINTABLE}]", lambda found: _escape(found[0]), text)


def unescaped(cell: str) -> str:
    """The text of a table's cell."""
    known = {short: character for character, short in SHORT_ESCAPES.items()}
    return re.sub(r'\\(u[0-9a-f]{4}|[tnr"\\])', lambda found: known.get(found[0]) or chr(int(found[1][1:], 16)), cell)


def shown(text: Any) -> str:
    """A name or message as it can be printed on one line: what is not printable as in a table, all else as it is."""
    return re.sub(f"[{UNPRINTABLE}]", lambda found: _escape(found[0]), str(text))


def _escape(character: str) -> str:
    return SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def refuse_full_disk(error: BaseException) -> None:
    """Raise UserError where `error` says that the disk is full: that is no fault of the file in hand, and the next will fare no better."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise UserError(f"disk full: {shown(error.filename or 'a file')} could not be written ({error.strerror}); make room and start again") from error


def sha256(path: Path | str) -> str:
    """Hash a file's bytes, or a folder's contents (sidecars and hidden files left out)."""
    path = Path(path)
    if path.is_dir():
        return hash_contents(contents(path))
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def contents(folder: Path | str, hashed: Callable[[Path], str] = sha256) -> dict[str, str]:
    """The hash of each file in a folder, by its relative path; sidecars and hidden files left out."""
    return {item.relative_to(folder).as_posix(): hashed(item) for item in sorted(Path(folder).rglob("*")) if _counts(item, Path(folder))}


def hash_contents(files: Mapping[str, str]) -> str:
    """The hash of a folder with these `contents`."""
    return hash_value(list(files.items()))


def _counts(item: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in item.relative_to(folder).parts)
    return item.is_file() and not hidden and not item.name.endswith(SIDECAR)


def hash_value(value: Any) -> str:
    """Hash a JSON-able value, independent of the order of its keys."""
    return hashlib.sha256(_encoded(json.dumps(value, sort_keys=True, ensure_ascii=False))).hexdigest()


def write_sidecar(
    artifact: Path | str,
    step: str,
    inputs: Sequence[Path | str],
    params: Any = None,
    seed: int | None = None,
    about: Mapping[str, Any] | None = None,
    beside: Sequence[Path | str] = (),
) -> Path:
    """Write `<artifact>.made.json`: what this is, what made it, from what.

    Args:
        artifact: the file or folder just written; of a folder each file is recorded as well.
        step: the `ostinato` subcommand that made it.
        inputs: files or folders it was made from; each is recorded by path and hash, and a folder that has no sidecar of its own file by file.
        params: the parameters of the step, as JSON-able values.
        seed: the seed it was made with, where there is one.
        about: anything else worth knowing (a demo's prompt, the hash of a model).
        beside: what else the step wrote in the artifact's folder or below, and what has no sidecar of its own.
    """
    (sidecar,) = write_sidecars([artifact], step, inputs, params, seed, about, beside)
    return sidecar


def write_sidecars(
    artifacts: Sequence[Path | str],
    step: str,
    inputs: Sequence[Path | str],
    params: Any = None,
    seed: int | None = None,
    about: Mapping[str, Any] | None = None,
    beside: Sequence[Path | str] = (),
) -> list[Path]:
    """The same for several artifacts of a step, whose inputs are hashed once."""
    used = [{"path": str(path), **recorded(path, listed=not sidecar_path(path).is_file())} for path in inputs]
    sidecars = []
    for artifact in map(Path, artifacts):
        record = {
            "artifact": str(artifact),
            **recorded(artifact),
            "step": step,
            "params": params,
            "seed": seed,
            "inputs": used,
            "commit": commit(),
            "command": _command(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "about": dict(about or {}),
        }
        if others := [Path(path) for path in beside if Path(path) != artifact]:
            record["beside"] = {os.path.relpath(path, artifact.parent): sha256(path) for path in others}
        if artifact.is_absolute() or ".." in artifact.parts:
            record["folder"] = os.getcwd()  # what other paths in here are relative to cannot be told from the artifact's place
        sidecars.append(sidecar_path(artifact))
        write_json(sidecars[-1], record)
    return sidecars


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


def require_space(folder: Path | str, needed_bytes: int) -> None:
    """Raise UserError when the disk that holds `folder` has less than `needed_bytes` free."""
    if (free := free_bytes(folder)) < needed_bytes:
        raise UserError(f"{folder}: {free / 1e9:.2f} GB free on this disk, about {needed_bytes / 1e9:.2f} GB are needed")


def free_bytes(folder: Path | str) -> int:
    """What is free on the disk that holds `folder`, or will."""
    existing = Path(folder).absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free
