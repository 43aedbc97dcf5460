"""`ostinato listen`: hear beats, chords, key and sections; save them as JAMS."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from ostinato.files import atomic, read_jsonl, refuse_full_disk
from ostinato.listen.songs import give_back_memory, listen
from ostinato.params import Listen, section
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_table

log = logging.getLogger(__name__)
#: Memory is given back after so many songs.
BETWEEN = 25


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `listen` as JSON")
    parser.add_argument("--songs", type=Path, required=True, help="table of a shard's songs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JAMS files")


def run(args: argparse.Namespace) -> None:
    """Listen to every song of the shard."""
    params: Listen = section("listen", args.params)
    songs, failed = read_jsonl(args.songs), []
    with atomic(args.out) as folder:
        folder.mkdir()
        for number, song in enumerate(songs, start=1):
            if number % BETWEEN == 0:
                give_back_memory()
            try:
                listen(song, folder / f"{song['id']}.jams", params)
            except Exception as error:  # one song must not stop a thousand, whatever it makes a library raise
                refuse_full_disk(error)
                failed.append((song, " ".join(f"{type(error).__name__}: {error}".split())))
        write_table(folder / "failed.tsv", ("id", "path", "reason"), [(song["id"], song["path"], reason) for song, reason in failed])
    for song, reason in failed:
        log.warning("%s: %s", song["path"], reason)
    heard = [Path(path) for song in songs for path in (song["path"], *song.get("side_files", {}))]
    write_sidecar(args.out, "listen", [args.songs, *(path for path in heard if path.exists())], params.model_dump())  # one that is gone is listed as failed
    print(f"{len(songs) - len(failed)} of {len(songs)} songs listened to, in {args.out}")
