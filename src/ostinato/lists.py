"""Which files each shard is made from: a list a shard, so that a file more, less or changed concerns the list, and so the shard, that it belongs to.

A file goes to a shard by a hash of its path below the folder, without its suffix: what lies beside a recording goes where the recording goes, and adding or
removing a file moves no other. Lists hold names, sizes and times; no file is opened. A list that would not change is left as it is, its time too.

A line of a list is `[kind, path, size (bytes), time (ns)]`, or `["aside", path, reason, detail]` for what is known not to be usable without a look into it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ostinato.files import read_lines, write_if_changed
from ostinato.folders import Aside, Found, dotted, relative

#: What is looked for; what lies beside it; what may be such, though its name does not say so; what is set aside by its name.
WANTED, BESIDE, OTHER, ASIDE = "wanted", "beside", "other", "aside"
HIDDEN = "its name, or its folder's, begins with a dot"
#: A line of a list.
Line = tuple[str, str, int | str, int | str]


@dataclass
class Listed:
    """What a list says: files of the kind that is looked for, files of other names that may be such, and rows of what is set aside."""

    files: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)


def sorted_out(found: Found, folder: str, shards: int, kind_of: Callable[[str], str | None]) -> list[list[Line]]:
    """The lists of what was found in a folder, by what `kind_of` takes a file for from its suffix in lower case; None: nobody's business."""
    lists: list[list[Line]] = [[] for _ in range(shards)]
    kinds = cache(lambda suffix: kind_of(suffix.lower()))
    for file in found.files:  # a million of them
        stem, suffix = os.path.splitext(file.path)
        kind, name = kinds(suffix), relative(stem, folder)
        if kind is None:
            continue
        if not dotted(name):
            lists[_shard(name, shards)].append((kind, *file))
        elif kind == WANTED:
            lists[_shard(name, shards)].append((ASIDE, file.path, "hidden", HIDDEN))
    for path, reason, detail in found.aside:
        lists[_shard(relative(os.path.splitext(path)[0], folder), shards)].append((ASIDE, path, reason, detail))
    return lists


def _shard(name: str, shards: int) -> int:
    """The number of the shard that a file goes to; `name`: its path as seen from the folder, without its suffix."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "big") % shards


def write(paths: Sequence[Path | str], lists: Iterable[Sequence[Line]]) -> int:
    """Write each list to its place unless it is there already; how many were written. They need not outlast a power cut, which the next plan mends: a thousand of them are
    two thousand waits for the disk.
    """
    written, encoded = 0, json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # json.dumps would make one for each line
    for path, lines in zip(paths, lists, strict=True):
        written += write_if_changed(path, "".join(f"{encoded(line)}\n" for line in lines), lasting=False)
    return written


def read(path: Path | str) -> Listed:
    """A list that was written."""
    return listed_in(read_lines(path))


def listed_in(lines: Iterable[Sequence[Any]]) -> Listed:
    """What the lines of a list say."""
    listed = Listed()
    for kind, file, *rest in lines:
        if kind == ASIDE:
            listed.aside.append((file, *rest))
        elif kind != BESIDE:
            (listed.files if kind == WANTED else listed.others).append(Path(file))
    return listed
