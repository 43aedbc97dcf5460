"""Files that other steps read: written whole or not at all, and hashed.

Conventions: a hash is sha256 in hex. The hash of a folder is the hash of its sorted (relative path, file hash) pairs, with
sidecars (see `sidecars`) left out.

Names of files are whatever a file system holds: they need not be UTF-8 (Python then has surrogates in them) and may hold line ends and tabs.
JSON has them as `\\udc80`, which JSON readers give back; tables and lines that are printed as `escapes` says.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ostinato.escapes import shown
from ostinato.scratch import atomic

SIDECAR = ".made.json"


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
