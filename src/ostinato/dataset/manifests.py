"""audiocraft's manifests: `data.jsonl.gz` per split, the lines that its AudioDataset and MusicDataset read.

The fields are those of audiocraft.data.audio_dataset.AudioMeta (a test loads them with audiocraft itself). The gzip header carries no clock
time, so that the same segments give the same bytes. Paths are as given on the command line; audiocraft resolves them from where it is started.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import soundfile

from ostinato.files import UserError, atomic, read_json, write_sidecar

SPLITS = ("train", "valid", "test")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
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
        raise UserError(f"{args.out}: no segments for {' and '.join(empty)} (found {found}); bring more songs, or change the shares in corpus.split, "
                        "or widen segments.min_seconds and max_seconds; left_out.tsv in the segment folders names the songs that were not cut")
    for split in SPLITS:
        path = args.out / split / "data.jsonl.gz"
        with atomic(path) as temporary, temporary.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as stream:
            stream.write("".join(json.dumps(row) + "\n" for row in rows[split]).encode())
        write_sidecar(path, "manifests", args.segments)
    print(", ".join(f"{len(rows[split])} {split}" for split in SPLITS) + " segments")


def audio_meta(audio: Path) -> dict[str, Any]:
    """One line of a manifest: audiocraft's AudioMeta as a dict."""
    info = soundfile.info(audio)
    return {"path": str(audio), "duration": info.frames / info.samplerate, "sample_rate": info.samplerate, "amplitude": None, "weight": None,
            "info_path": None}


def read_manifest(path: Path | str) -> list[dict[str, Any]]:
    """The lines of a manifest."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    except (OSError, EOFError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: no readable manifest ({error})") from None
