"""Check recordings: decode each whole, set aside what cannot be used, and give the rest a shard and a split.

A song's identity is the hash of its sound: renaming or moving it moves nothing. Shard and split come from two independent parts of that hash, so that
adding a song moves no other and touches the table of one shard. Set aside, with a reason: `empty`, `unreadable`, `no_sound`, `truncated`, `damaged`,
`not_finite`, `silent`, `too_short`, `duplicate`, `hidden`, `link`, `unknown_suffix`; a side file that cannot be believed, or a line of it (`side_file`), is set
aside alone and its song kept.
Reasons that begin with `used_` say what is odd about a song that is used: `used_damaged`, `used_truncated`, `used_scaled`, `used_offset`,
`used_out_of_phase`, `used_changes`, `used_one_stream`, `used_name`.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from ostinato.corpus.recordings import RecordingError, decode
from ostinato.corpus.side_files import side_files
from ostinato.files import refuse_full_disk, sha256, sidecar_path, write_sidecar, write_text
from ostinato.params import Corpus
from ostinato.params.blocks import Split

log = logging.getLogger(__name__)


def examine(path: Path, params: Corpus) -> tuple[dict[str, Any] | None, list[tuple[str, str, str]]]:
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
    shard, split = place(decoded.content, params.shards, params.split)
    song = (
        {
            "id": decoded.content[:16],
            "path": str(path),
            "sha256": sha256(path),
            "duration": duration,
            "sample_rate": decoded.sample_rate,
            "channels": decoded.channels,
            "shard": shard,
            "split": split,
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


def dead(path: Path, why: str) -> tuple[None, list[tuple[str, str, str]]]:
    """For a recording at which the process that decodes it dies or hangs."""
    return None, [(str(path), "unreadable", f"the process that decoded it {why}")]


def _odd_name(path: Path) -> list[tuple[str, str]]:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return [("used_name", "its name is no UTF-8, which other programs may not like")]
    return []


def place(content: str, shards: int, split: Split) -> tuple[int, str]:
    """Shard and split of a content hash, from two independent parts of it."""
    shard = int(content[16:32], 16) % shards
    point = int(content[32:48], 16) / 16**16
    if point < split.test:
        return shard, "test"
    return shard, "valid" if point < split.test + split.valid else "train"


def drop_duplicates(songs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[tuple[str, str, str]]]:
    """Keep the first song of each identity that somebody wrote something of, else the first; rows for the others name the one that was kept."""
    kept: dict[str, dict[str, Any]] = {}
    aside = []
    for song in sorted(songs, key=lambda song: not _described(song)):
        first = kept.setdefault(song["id"], song)
        if first is not song:
            unused = "; what lies beside it is not used" if _described(song) else ""
            aside.append((song["path"], "duplicate", f"same sound as {first['path']}{unused}"))
    return list(kept.values()), aside


def _described(song: dict[str, Any]) -> bool:
    return bool(song["tags"] or song.get("side_files"))


def write_shard(path: Path, songs: list[dict[str, Any]]) -> None:
    """Write a shard's table and sidecar; a table that would not change is left untouched, so that nothing after it runs again."""
    rows = [{key: value for key, value in song.items() if key != "shard"} for song in sorted(songs, key=lambda song: song["id"])]
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    if path.is_file() and sidecar_path(path).is_file() and path.read_bytes() == text.encode(errors="backslashreplace"):
        return
    write_text(path, text)
    write_sidecar(path, "check", [Path(row["path"]) for row in rows])


def warn_of_empty_splits(songs: list[dict[str, Any]], split: Split) -> None:
    """Say which splits have a share and no song."""
    # Moving songs so that no split is empty would break "adding one song moves no other"; `manifests` stops with an error if it matters.
    held_out = {name: f"corpus.split.{name} ({share:g})" for name, share in (("valid", split.valid), ("test", split.test)) if share}
    mend = {"train": "lower " + " or ".join(held_out.values()), **{name: f"raise {key}" for name, key in held_out.items()}}
    for name, share in (("train", 1 - split.valid - split.test), ("valid", split.valid), ("test", split.test)):
        if share > 1e-9 and not any(song["split"] == name for song in songs):
            log.warning("no song of %d fell into split '%s' (share %g): bring more songs, or %s", len(songs), name, share, mend[name])
