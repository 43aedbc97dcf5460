"""Check recordings: decode each whole, set aside what cannot be used, and give the rest a split.

A song's identity is the hash of its sound, and its split comes from that hash: renaming or moving it, or adding another, moves it to no other side. Set aside,
with a reason: `empty`, `unreadable`, `no_sound`, `truncated`, `damaged`, `not_finite`, `silent`, `too_short`, `duplicate`, `hidden`, `link`, `unknown_suffix`; a
side file that cannot be believed, or a line of it (`side_file`), is set aside alone and its song kept.
Reasons that begin with `used_` say what is odd about a song that is used: `used_damaged`, `used_truncated`, `used_scaled`, `used_offset`,
`used_out_of_phase`, `used_changes`, `used_one_stream`, `used_name`.
"""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.corpus.recordings import RecordingError, decode
from ostinato.corpus.side_files import side_files
from ostinato.files import read_lines, refuse_full_disk, sha256
from ostinato.folders import Aside
from ostinato.params import Corpus
from ostinato.params.blocks import Split

log = logging.getLogger(__name__)
#: A row of the table of songs.
Song = dict[str, Any]


def examine(path: Path, params: Corpus) -> tuple[Song | None, list[Aside]]:
    """A recording's row of the song table, or None; and rows (path, reason, detail) of what is set aside."""
    try:
        decoded = decode(path, params.max_damage)
        if decoded.duration < params.min_seconds:
            raise RecordingError("too_short", f"{decoded.duration:.1f} s, corpus.min_seconds is {params.min_seconds:g}")
        if decoded.loudest_db < params.silence_db:
            raise RecordingError("silent", f"loudest second {decoded.loudest_db:.0f} dBFS, corpus.silence_db is {params.silence_db:g}")
    except RecordingError as error:
        return None, [(str(path), error.reason, error.detail)]
    except Exception as error:  # whatever is thrown at one file must not end the run
        refuse_full_disk(error)
        return None, [(str(path), "unreadable", f"{type(error).__name__}: {error}")]
    duration = round(decoded.duration, 4)
    sides, problems = _sides(path, duration)
    song = (
        {
            "id": decoded.content[:16],
            "path": str(path),
            "sha256": sha256(path),
            "duration": duration,
            "sample_rate": decoded.sample_rate,
            "channels": decoded.channels,
            "split": split_of(decoded.content, params.split),
        }
        | sides
        | decoded.levels.row
    )
    remarks = [*decoded.remarks, *_odd_name(path)]
    return song, [(str(path), reason, detail) for reason, detail in remarks] + [(str(side), "side_file", detail) for side, detail in problems]


def _sides(path: Path, duration: float) -> tuple[dict[str, Any], list[tuple[Path, str]]]:
    try:
        return side_files(path, duration)
    except Exception as error:  # whatever a library throws at what somebody wrote costs the labels, not the song
        return {"lab": None, "tags": {}}, [(path, f"what lies beside it cannot be read ({type(error).__name__}: {error})")]


def dead(path: Path, why: str) -> tuple[None, list[Aside]]:
    """For a recording at which the process that decodes it dies or hangs."""
    return None, [(str(path), "unreadable", f"the process that decoded it {why}")]


def _odd_name(path: Path) -> list[tuple[str, str]]:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return [("used_name", "its name is no UTF-8, which other programs may not like")]
    return []


def split_of(content: str, split: Split) -> str:
    """The split of a content hash, from a part of it that no other choice is made by."""
    point = int(content[32:48], 16) / 16**16
    if point < split.test:
        return "test"
    return "valid" if point < split.test + split.valid else "train"


def drop_duplicates(songs: Iterable[Song]) -> tuple[list[Song], list[tuple[Song, Aside]]]:
    """Of the songs of each identity, keep the first by path that somebody wrote something of, else the first; the others with rows that name the one that was kept."""
    kept: dict[str, Song] = {}
    dropped = []
    for song in sorted(songs, key=lambda song: (not _described(song), song["path"])):
        first = kept.setdefault(song["id"], song)
        if first is not song:
            unused = "; what lies beside it is not used" if _described(song) else ""
            dropped.append((song, (song["path"], "duplicate", f"same sound as {first['path']}{unused}")))
    return sorted(kept.values(), key=lambda song: song["id"]), dropped


def _described(song: Song) -> bool:
    return bool(song["tags"] or song.get("side_files"))


class Survey:
    """What the tables of all shards say together. They are read one after another, and of a song only its identity is kept: 8 bytes."""

    def __init__(self, tables: Sequence[Path]) -> None:
        self.tables, ids = tables, []
        self.seconds, self.labelled, self.splits = 0.0, 0, Counter[str]()
        for table in tables:
            of_shard = array("Q")
            for song in read_lines(table):
                of_shard.append(int(song["id"], 16))
                self.seconds += song["duration"]
                self.labelled += "side_files" in song
                self.splits[song["split"]] += 1
            ids.append(np.frombuffer(of_shard, np.uint64))
        found, counts = np.unique(np.concatenate([*ids, np.zeros(0, np.uint64)]), return_counts=True)
        self.songs, self._twice = int(counts.sum()), found[counts > 1]

    def duplicates(self) -> list[tuple[Song, Aside]]:
        """Songs that another shard has as well and that are not to be used, with the name of their `shard`, and their rows for the table of what is set aside."""
        twice = set(self._twice.tolist())
        songs = (song | {"shard": table.stem} for table in self.tables for song in read_lines(table) if int(song["id"], 16) in twice) if twice else ()
        return drop_duplicates(songs)[1]


def warn_of_empty_splits(counts: Mapping[str, int], split: Split) -> None:
    """Say which splits have a share and no song."""
    # Moving songs so that no split is empty would break "adding one song moves no other"; `manifests` stops with an error if it matters.
    held_out = {name: f"corpus.split.{name} ({share:g})" for name, share in (("valid", split.valid), ("test", split.test)) if share}
    mend = {"train": "lower " + " or ".join(held_out.values()), **{name: f"raise {key}" for name, key in held_out.items()}}
    for name, share in (("train", 1 - split.valid - split.test), ("valid", split.valid), ("test", split.test)):
        if share > 1e-9 and not counts.get(name):
            log.warning("no song of %d fell into split '%s' (share %g): bring more songs, or %s", sum(counts.values()), name, share, mend[name])
