"""`ostinato check`: probe and decode every recording; set aside what cannot be used."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from ostinato.corpus.check import dead, drop_duplicates, examine, warn_of_empty_splits, write_shard
from ostinato.corpus.recordings import probe, survey
from ostinato.files import UserError, write_set_aside, write_sidecar
from ostinato.params import Corpus, section
from ostinato.pool import resilient_map, seconds_for


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `corpus` as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--out", type=Path, required=True, help="folder for shards/ and set_aside.tsv")


def run(args: argparse.Namespace) -> None:
    """Write the tables of songs and of what was set aside."""
    params: Corpus = section("corpus", args.params)
    paths, others, aside = survey(args.folder)
    jobs = len(os.sched_getaffinity(0))
    results = list(resilient_map(partial(examine, params=params), paths, jobs, dead, seconds_for))
    songs = [song for song, _ in results if song]
    aside += [row for _, rows in results for row in rows]
    aside += [row for row in resilient_map(probe, others, jobs, lambda path, why: None, seconds_for) if row] if others else []
    songs, duplicates = drop_duplicates(songs)
    write_set_aside(args.out / "set_aside.tsv", sorted({*aside, *duplicates}))  # songs may share a side file
    if not paths:
        raise UserError(f"corpus.folder: {args.folder}: no recording in it; what else lies there is in {args.out / 'set_aside.tsv'}")
    if not songs:
        raise UserError(f"{args.folder}: none of {len(paths)} recordings can be used; the reasons are in {args.out / 'set_aside.tsv'}")
    write_sidecar(args.out / "set_aside.tsv", "check", [], params.model_dump())
    for shard in range(params.shards):
        write_shard(args.out / "shards" / f"shard-{shard:02d}.jsonl", [song for song in songs if song["shard"] == shard])
    warn_of_empty_splits(songs, params.split)
    minutes, labelled = sum(song["duration"] for song in songs) / 60, sum("side_files" in song for song in songs)
    print(
        f"{len(songs)} songs, {minutes:.1f} min{f', {labelled} with labels of their own' * bool(labelled)}; "
        f"{len(paths) - len(songs)} recordings set aside, see {args.out / 'set_aside.tsv'}"
    )
