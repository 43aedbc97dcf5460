"""`ostinato manifests`: write audiocraft's manifests."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from ostinato.dataset.manifests import SPLITS, audio_meta
from ostinato.files import UserError, atomic, read_json, write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--segments", type=Path, nargs="+", required=True, help="folders of segments")
    parser.add_argument("--out", type=Path, required=True, help="folder for <split>/data.jsonl.gz")


def run(args: argparse.Namespace) -> None:
    """Write the three manifests."""
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for folder in args.segments:
        for audio in sorted(folder.glob("*.flac")):
            rows[read_json(audio.with_suffix(".json"))["split"]].append(audio_meta(audio))
    empty = [split for split in ("train", "valid") if not rows[split]]
    if empty:
        found = ", ".join(f"{len(rows[split])} {split}" for split in SPLITS)
        raise UserError(
            f"{args.out}: no segments for {' and '.join(empty)} (found {found}); bring more songs, or change the shares in corpus.split, "
            "or widen segments.min_seconds and max_seconds; left_out.tsv in the segment folders names the songs that were not cut"
        )
    for split in SPLITS:
        path = args.out / split / "data.jsonl.gz"
        with atomic(path) as temporary, temporary.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as stream:
            stream.write("".join(json.dumps(row) + "\n" for row in rows[split]).encode())
        write_sidecar(path, "manifests", args.segments)
    print(", ".join(f"{len(rows[split])} {split}" for split in SPLITS) + " segments")
