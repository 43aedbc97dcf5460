"""`ostinato segments`: cut songs where harmony and form break; describe each segment."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from ostinato.dataset.manifests import SEGMENTS
from ostinato.dataset.segments import LeftOut, write_segments
from ostinato.files import atomic, read_jsonl, write_jsonl
from ostinato.params import Segments, section
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_table

log = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `segments` as JSON")
    parser.add_argument("--songs", type=Path, required=True, help="table of a shard's songs")
    parser.add_argument("--listened", type=Path, required=True, help="folder of JAMS files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the segments")


def run(args: argparse.Namespace) -> None:
    """Cut every song of the shard."""
    params: Segments = section("segments", args.params)
    songs = read_jsonl(args.songs)
    left_out: list[tuple[dict[str, Any], LeftOut]] = []
    table: list[dict[str, Any]] = []
    with atomic(args.out) as folder:
        folder.mkdir()
        for song in songs:
            written, beside = write_segments(song, args.listened / f"{song['id']}.jams", folder, params)
            table += written
            left_out += [(song, row) for row in beside]
        write_jsonl(folder / SEGMENTS, table)
        rows = [(song["id"], song["path"], f"{start:.2f}", f"{end:.2f}", reason) for song, (start, end, reason) in left_out]
        write_table(folder / "left_out.tsv", ("id", "path", "start", "end", "reason"), rows)
    for song, (start, end, reason) in left_out:
        if (start, end) == (0.0, song["duration"]):
            log.warning("%s: %s", song["path"], reason)
    write_sidecar(args.out, "segments", [args.songs, args.listened], params.model_dump())
    print(f"{len(table)} segments of {len(songs)} songs in {args.out}; left out: {sum(end - start for _, (start, end, _) in left_out) / 60:.1f} min")
