"""`ostinato check`: probe and decode the recordings of a shard, or of a folder; set aside what cannot be used."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from ostinato import lists
from ostinato.commands import songs
from ostinato.corpus.check import dead, drop_duplicates, examine
from ostinato.corpus.listing import recordings_in
from ostinato.corpus.recordings import probe
from ostinato.files import write_jsonl
from ostinato.params import Corpus, section
from ostinato.pool import resilient_map, seconds_for
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_set_aside


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `corpus` as JSON")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--files", type=Path, help="list of a shard's files, as `ostinato list` writes it")
    what.add_argument("--folder", help="folder of recordings, all shards of which are checked")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="the shard's table of songs (.jsonl) to write, what is set aside goes beside it (.tsv); of a folder, the folder for shards/, duplicates.jsonl and set_aside.tsv",
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="recordings decoded at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Write the tables of songs and those of what was set aside."""
    params: Corpus = section("corpus", args.params)
    if args.files:
        check(lists.read(args.files), args.out, params, args.jobs)
        return
    tables = [args.out / "shards" / f"shard-{number:02d}.jsonl" for number in range(params.shards)]
    for lines, table in zip(recordings_in(args.folder, params.shards), tables):
        check(lists.listed_in(lines), table, params, args.jobs)
    songs.bring_together(tables, args.out / "duplicates.jsonl", args.out / "set_aside.tsv", params)


def check(listed: lists.Listed, out: Path, params: Corpus, jobs: int) -> None:
    """Write a shard's table of songs, and beside it that of what was set aside."""
    results = list(resilient_map(partial(examine, params=params), listed.files, jobs, dead, seconds_for)) if listed.files else []
    probed = resilient_map(probe, listed.others, jobs, lambda path, why: None, seconds_for) if listed.others else ()
    found, duplicates = drop_duplicates(song for song, _ in results if song)
    aside = [*listed.aside, *(row for _, rows in results for row in rows), *(row for row in probed if row), *(row for _, row in duplicates)]
    beside = out.with_suffix(".tsv")
    write_set_aside(beside, sorted({*aside}))  # songs may share a side file
    write_jsonl(out, found)
    write_sidecar(out, "check", [song["path"] for song in found if Path(song["path"]).exists()], params.model_dump(), beside=[beside])
    print(f"{len(found)} of {len(listed.files)} recordings can be used, {sum(song['duration'] for song in found) / 60:.1f} min; what is set aside is in {beside}")
