"""Listen to the songs of a shard: one JAMS file a song; a song that cannot be listened to is listed in `failed.tsv`, and the others go on.

Chords given in a `.lab` beside a recording are believed before those heard.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.corpus.recordings import read_lab
from ostinato.files import UserError, atomic, read_jsonl, write_sidecar, write_table
from ostinato.listen import jamsfile
from ostinato.listen.chords import Interval
from ostinato.listen.hear import Heard, hear_file
from ostinato.params import Listen, section
from ostinato.theory import Chord

log = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `listen` as JSON")
    parser.add_argument("--songs", type=Path, required=True, help="table of a shard's songs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JAMS files")


def run(args: argparse.Namespace) -> None:
    """Listen to every song of the shard."""
    params: Listen = section("listen", args.params)
    songs, failed = read_jsonl(args.songs), []
    with atomic(args.out) as folder:
        folder.mkdir()
        for song in songs:
            try:
                listen(song, folder / f"{song['id']}.jams", params)
            except (UserError, ValueError, ArithmeticError, RuntimeError) as error:  # one song must not stop a thousand
                failed.append((song, " ".join(f"{type(error).__name__}: {error}".split())))
        write_table(folder / "failed.tsv", ("id", "path", "reason"), [(song["id"], song["path"], reason) for song, reason in failed])
    for song, reason in failed:
        log.warning("%s: %s", song["path"], reason)
    write_sidecar(args.out, "listen", [args.songs, *(Path(song["path"]) for song in songs)], params.model_dump())
    print(f"{len(songs) - len(failed)} of {len(songs)} songs listened to, in {args.out}")


def listen(song: dict[str, Any], path: Path, params: Listen) -> Heard:
    """Listen to one song and write its JAMS file."""
    heard = hear_file(song["path"], params)
    if song["lab"]:
        chords = within(read_lab(song["lab"]), heard.duration)
        heard = replace(heard, chords=chords, confidences=[1.0] * len(chords))
    jamsfile.write(path, heard, Path(song["path"]).stem, chords_from=song["lab"] or "ostinato listen")
    return heard


def within(chords: list[Interval], duration: float) -> list[Interval]:
    """Chords that cover 0..duration (s): clipped to it, with "N" in the gaps."""
    covered: list[Interval] = []
    time = 0.0
    for start, end, chord in [*chords, (duration, duration, Chord("N", ""))]:
        start, end = min(start, duration), min(end, duration)
        if start - time > 1e-3:
            covered.append((time, start, Chord("N", "")))
        if end > start:
            covered.append((max(start, time), end, chord))
        time = max(time, end)
    return covered
