"""Tables of segments, and audiocraft's manifests made of them: `data.jsonl.gz` per split, the lines that its AudioDataset and MusicDataset read.

The fields are those of audiocraft.data.audio_dataset.AudioMeta (a test loads them with audiocraft itself). The gzip header carries no clock
time, so that the same segments give the same bytes. Paths are as given on the command line; audiocraft resolves them from where it is started.
All of it is read and written a line at a time: there may be a million segments.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from ostinato.files import UserError, atomic, read_lines
from ostinato.params.blocks import SPLITS

#: The table in a shard's folder of segments.
SEGMENTS = "segments.jsonl"
#: Where a split's manifest lies among the manifests.
MANIFEST = "data.jsonl.gz"
Row = dict[str, Any]


def duplicated(table: Path) -> set[tuple[str, str]]:
    """Shard and id of the songs that are not used since another shard has them too, from the table that `ostinato songs` writes."""
    return {(row["shard"], row["id"]) for row in read_lines(table)}


def segments_of(folder: Path) -> Iterator[Row]:
    """Rows of a shard's table of segments, with the paths of their audio."""
    return (row | {"path": str(folder / row["path"])} for row in read_lines(folder / SEGMENTS))


def audio_meta(row: Mapping[str, Any]) -> Row:
    """One line of a manifest: audiocraft's AudioMeta as a dict. `row`: of a table of segments."""
    return {"path": row["path"], "duration": row["frames"] / row["sample_rate"], "sample_rate": row["sample_rate"], "amplitude": None, "weight": None, "info_path": None}


def write_manifests(folders: Sequence[Path], duplicates: set[tuple[str, str]], out: Path) -> dict[str, int]:
    """Write the manifests of all splits; how many segments each has."""
    counts = dict.fromkeys(SPLITS, 0)
    with ExitStack() as stack:
        streams = {}
        for split in SPLITS:
            temporary = stack.enter_context(atomic(out / split / MANIFEST))
            raw = stack.enter_context(temporary.open("wb"))
            streams[split] = stack.enter_context(gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0))
        for folder in folders:
            for row in (row for row in segments_of(folder) if (folder.name, row["song"]) not in duplicates):
                counts[row["split"]] += 1
                streams[row["split"]].write((json.dumps(audio_meta(row)) + "\n").encode())
        empty = [split for split in ("train", "valid") if not counts[split]]
        if empty:
            raise UserError(
                f"{out}: no segments for {' and '.join(empty)} (found {', '.join(f'{counts[split]} {split}' for split in SPLITS)}); bring more songs, or change the shares in "
                "corpus.split, or widen segments.min_seconds and max_seconds; left_out.tsv in the segment folders names the songs that were not cut"
            )
    return counts


def read_manifest(path: Path | str) -> Iterator[Row]:
    """The lines of a manifest, one after another."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
            yield from map(json.loads, stream)
    except (OSError, EOFError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: no readable manifest ({error})") from None


def described(manifest: Path) -> Iterator[Row]:
    """Rows of the tables of segments for the lines of a manifest, in its order, a shard's at a time."""
    for folder, lines in groupby(read_manifest(manifest), key=lambda line: Path(line["path"]).parent):
        wanted = {line["path"] for line in lines}
        found = [row for row in segments_of(folder) if row["path"] in wanted]
        if len(found) < len(wanted):
            raise UserError(f"{folder / SEGMENTS}: has {len(found)} of the {len(wanted)} segments that {manifest} names; they were cut anew since: run snakemake again")
        yield from found
