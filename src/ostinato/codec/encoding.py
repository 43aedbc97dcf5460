"""Encode every segment once: codes in one memory-mapped array per shard, and an index; and one table over all shards, which training reads.

`shard-00.npy` is int16 [K, total frames]; a line of `shard-00.jsonl` says which columns are a segment's (`start`, `frames`), a hash of them (`codes`), its `split`,
`song`, `instrument`, `bars` as [start frame, end frame, [chords]] relative to the segment, and its `prompt`.

`segments.npz` has a row for each segment that is used, in the order of their ids, whichever shard they lie in: split, shard, frames, and where in the shard's index its
line is; and of each shard the hash of that index, so that nobody reads lines which are not those that were counted. What the segments say, wherever they lie, is told by
the hash in `contents.json`: a song that was moved, or is there twice, changes nothing that is learnt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ostinato.files import UserError, atomic, hash_value, sha256, write_if_changed
from ostinato.params.blocks import SPLITS
from ostinato.sampling import evenly

#: The table over all shards, and what tells it from others, in the folder of codes.
TABLE, CONTENTS = "segments.npz", "contents.json"
#: A row of the table: number of the split in SPLITS and of the shard; frames; byte at which the segment's line begins in the shard's index, and its length.
ROW = np.dtype([("split", "u1"), ("shard", "u2"), ("frames", "i4"), ("at", "i8"), ("length", "i4")])


def index_row(info: dict[str, Any], start: int, codes: np.ndarray, frame_rate: float) -> dict[str, Any]:
    """The index line of a segment, from its row of the table of segments, and its codes [K, T]."""
    frames = codes.shape[1]
    bars = [[round(left * frame_rate), min(round(right * frame_rate), frames), chords] for left, right, chords in info["bars"]]
    return {
        "id": info["name"],
        "start": start,
        "frames": frames,
        "codes": hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest()[:16],
        "split": info["split"],
        "song": info["song"],
        "instrument": info["instrument"] or "",
        "bars": bars,
        "prompt": info["description"],
    }


@dataclass(frozen=True)
class Table:
    """Where every segment is: the shards' arrays of codes, the hashes of their indexes, and rows as ROW says."""

    codes: list[Path]
    hashes: list[str]
    rows: np.ndarray

    @classmethod
    def load(cls, path: Path | str) -> Table:
        """A table as `save` writes it. Raises UserError where there is none, or where an index is no longer the one that was counted."""
        path = Path(path)
        try:
            with np.load(path) as arrays:
                table = cls([path.parent / f"{name}.npy" for name in arrays["shards"].tolist()], arrays["hashes"].tolist(), arrays["rows"])
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise UserError(f"{path}: expected a table of segments, as `ostinato gather` writes it ({error}); make it anew: snakemake {path} --force") from None
        for codes, known in zip(table.codes, table.hashes):
            if not (index := codes.with_suffix(".jsonl")).is_file() or sha256(index) != known:
                raise UserError(f"{index}: is not what it was when {path} was written; run snakemake again, which gathers the codes anew")
        return table

    def save(self, path: Path) -> None:
        """Write it; its shards' files lie in the same folder."""
        with atomic(path) as temporary:
            np.savez(temporary, shards=np.array([codes.stem for codes in self.codes]), hashes=np.array(self.hashes), rows=self.rows)

    def line(self, row: np.void) -> dict[str, Any]:
        """The index line of a row."""
        with self.codes[row["shard"]].with_suffix(".jsonl").open("rb") as stream:
            stream.seek(row["at"])
            return json.loads(stream.read(row["length"]))

    def of(self, split: str, most: int) -> np.ndarray:
        """The rows of a split, at most so many, spread evenly over all."""
        rows = self.rows[self.rows["split"] == SPLITS.index(split)]
        return rows[list(evenly(range(len(rows)), most))] if len(rows) > most else rows

    def first_codes(self, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """(id, codes of the first codebook, int16 [T]) of some rows, shard by shard, so that one array is mapped at a time."""
        for shard in np.unique(rows["shard"]):
            codes = np.load(self.codes[shard], mmap_mode="r")
            for row in rows[rows["shard"] == shard]:
                line = self.line(row)
                yield line["id"], np.array(codes[0, line["start"] : line["start"] + line["frames"]])


def gather(codes: Sequence[Path], duplicates: set[tuple[str, str]]) -> tuple[Table, dict[str, Any]]:
    """The table over the codes of all shards, duplicates (shard, song) left out, and what tells it from others. Of a segment about 60 bytes are held."""
    ids, hashes, rows, whole = [], [], [], []
    for shard, path in enumerate(codes):
        names, contents, places = [], [], []
        digest, at = hashlib.sha256(), 0
        with path.with_suffix(".jsonl").open("rb") as stream:
            for line in stream:
                digest.update(line)
                row = json.loads(line)
                if (path.stem, row["song"]) not in duplicates:
                    names.append(row["id"].encode())
                    contents.append(bytes.fromhex(hash_value({key: value for key, value in row.items() if key != "start"})))
                    places.append((SPLITS.index(row["split"]), shard, row["frames"], at, len(line)))
                at += len(line)
        whole.append(digest.hexdigest())
        ids.append(np.array(names, bytes))
        hashes.append(np.frombuffer(b"".join(contents), np.uint8).reshape(-1, 32))
        rows.append(np.array(places, ROW))
    order = np.argsort(np.concatenate(ids), kind="stable")
    table = Table(list(codes), whole, np.concatenate(rows)[order])
    learnt = {split: table.rows["split"] == SPLITS.index(split) for split in ("train", "valid")}  # from what is held out for tests nothing is learnt
    return table, {
        "segments": {split: int(chosen.sum()) for split, chosen in learnt.items()},
        "frames": {split: int(table.rows["frames"][chosen].sum()) for split, chosen in learnt.items()},
        "sha256": hashlib.sha256(np.concatenate(hashes)[order][learnt["train"] | learnt["valid"]].tobytes()).hexdigest(),
    }


def write_gathered(codes: Sequence[Path], duplicates: set[tuple[str, str]]) -> tuple[dict[str, Any], bool]:
    """Write the table and what tells it from others beside the codes; the latter, and whether it changed: where nothing has that is learnt, it is left untouched."""
    table, contents = gather(codes, duplicates)
    folder = codes[0].parent
    changed = write_if_changed(folder / CONTENTS, json.dumps(contents, indent=1) + "\n")
    table.save(folder / TABLE)
    return contents, changed
