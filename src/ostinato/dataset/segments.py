"""Cut the songs of a shard, write each segment as audio, and describe it in the side file that audiocraft's MusicDataset reads.

A segment `<song>-<number>.flac` has `<song>-<number>.json` beside it: audiocraft's fields (`description` is the prompt; key, bpm, instrument ...)
and ours: `song`, `split`, `start`, `end` in the song, `chords` and `bars` relative to the segment, all in seconds. A song that cannot be cut is
listed in `uncut.tsv` with the reason, and the others go on.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ostinato.corpus.recordings import read
from ostinato.dataset.cuts import bars_between, cut
from ostinato.dataset.prompts import Prompt, draw_phrasing
from ostinato.files import atomic, hash_value, read_jsonl, write_json, write_sidecar, write_text
from ostinato.listen import jamsfile
from ostinato.params import Segments, section

log = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `segments` as JSON")
    parser.add_argument("--songs", type=Path, required=True, help="table of a shard's songs")
    parser.add_argument("--listened", type=Path, required=True, help="folder of JAMS files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the segments")


def run(args: argparse.Namespace) -> None:
    """Cut every song of the shard."""
    params: Segments = section("segments", args.params)
    songs = read_jsonl(args.songs)
    uncut, count = [], 0
    with atomic(args.out) as folder:
        folder.mkdir()
        for song in songs:
            jams = args.listened / f"{song['id']}.jams"
            if not jams.is_file():
                uncut.append((song, "could not be listened to"))
                continue
            written = write_segments(song, jams, folder, params)
            count += written
            if not written:
                uncut.append((song, f"no stretch of {params.min_seconds:g}-{params.max_seconds:g} s begins and ends with a chord change on a bar"))
        rows = "".join(f"{song['id']}\t{song['path']}\t{reason}\n" for song, reason in uncut)
        write_text(folder / "uncut.tsv", "id\tpath\treason\n" + rows)
    for song, reason in uncut:
        log.warning("%s: %s", song["path"], reason)
    write_sidecar(args.out, "segments", [args.songs, args.listened], params.model_dump())
    print(f"{count} segments of {len(songs) - len(uncut)} songs in {args.out}")


def write_segments(song: dict[str, Any], jams: Path, folder: Path, params: Segments) -> int:
    """Cut one song; returns the number of segments written to `folder`."""
    heard = jamsfile.read(jams)
    pieces = cut(heard.downbeats, heard.chords, heard.sections, song["duration"], params)
    if not pieces:
        return 0
    samples, rate = read(song["path"], sample_rate=params.sample_rate, mono=True)
    for number, (start, end) in enumerate(pieces):
        name = f"{song['id']}-{number:03d}"
        soundfile.write(folder / f"{name}.flac", samples[round(start * rate) : round(end * rate)], rate, subtype="PCM_16")
        write_json(folder / f"{name}.json", describe(name, song, heard, start, end))
    return len(pieces)


def describe(name: str, song: dict[str, Any], heard: Any, start: float, end: float) -> dict[str, Any]:
    """The side file of one segment: audiocraft's MusicInfo fields and ours."""
    bars = bars_between(start, end, heard.downbeats, heard.chords)
    instrument = str(song["tags"].get("instrument", ""))
    prompt = Prompt(instrument, tuple(tuple(chords) for _, _, chords in bars))
    rng = np.random.default_rng(int(hash_value(name)[:8], 16))
    tags = {key: song["tags"].get(key) for key in ("title", "artist", "genre", "moods", "keywords")}  # audiocraft wants every key there
    return tags | {
        "title": tags["title"] or Path(song["path"]).stem, "name": name,
        "description": draw_phrasing(prompt, rng), "instrument": instrument, "key": str(heard.key).replace(":", " "),
        "bpm": round(float(heard.tempo), 2), "song": song["id"], "split": song["split"], "start": round(start, 4), "end": round(end, 4),
        "bars": [[round(left, 4), round(right, 4), [chord.harte for chord in chords]] for left, right, chords in bars],
        "chords": _within(start, end, heard.chords),
    }


def _within(start: float, end: float, chords: Any) -> list[list[Any]]:
    """The chords that sound in a segment, clipped to it and relative to it."""
    clipped = [(max(left, start) - start, min(right, end) - start, chord.harte) for left, right, chord in chords]
    return [[round(left, 4), round(right, 4), name] for left, right, name in clipped if right - left > 1e-3]
