"""`ostinato songs`: bring the tables of all shards together: which songs are there twice, and what was set aside."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory

from ostinato.corpus.check import Survey, warn_of_empty_splits
from ostinato.files import UserError, write_jsonl
from ostinato.folders import Aside
from ostinato.params import Corpus, section
from ostinato.sidecars import write_sidecar
from ostinato.tables import read_set_aside, write_set_aside

#: Tables read at a time: each is an open file, of which a process may often have no more than 1,024, or 256.
AT_ONCE = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `corpus` as JSON")
    parser.add_argument("--songs", type=Path, nargs="+", required=True, help="tables of all shards' songs, each with that of what was set aside beside it")
    parser.add_argument("--duplicates", type=Path, required=True, help="table of songs that are not used, since another shard has them (.jsonl), to write")
    parser.add_argument("--set-aside", type=Path, required=True, help="table of all that was set aside (.tsv), to write")


def run(args: argparse.Namespace) -> None:
    """Write both tables."""
    bring_together(args.songs, args.duplicates, args.set_aside, section("corpus", args.params))


def bring_together(tables: Sequence[Path], duplicates_to: Path, set_aside_to: Path, params: Corpus) -> None:
    """Write the tables of duplicates and of all that was set aside. Raises UserError when no song can be used."""
    survey = Survey(tables)
    duplicates = survey.duplicates()
    listed = [table.with_suffix(".tsv") for table in tables]
    # what each shard set aside was told when it was checked
    with _merged(listed) as rows:
        write_set_aside(set_aside_to, merge(rows, sorted(row for _, row in duplicates)), tell=False)
    write_jsonl(duplicates_to, ({"id": song["id"], "path": song["path"], "shard": song["shard"]} for song, _ in duplicates))
    if not survey.songs:
        raise UserError(f"no recording can be used; the reasons are in {set_aside_to}")
    write_sidecar([set_aside_to, duplicates_to], "songs", [*tables, *listed])
    for song, _ in duplicates:
        survey.splits[song["split"]] -= 1
    warn_of_empty_splits(survey.splits, params.split)
    songs = survey.songs - len(duplicates)
    minutes = (survey.seconds - sum(song["duration"] for song, _ in duplicates)) / 60
    print(f"{songs} songs, {minutes:.1f} min{f', {survey.labelled} with labels of their own' * bool(survey.labelled)}; what is set aside is in {set_aside_to}")


@contextmanager
def _merged(tables: Sequence[Path]) -> Iterator[Iterator[Aside]]:
    """Rows of sorted tables as one sorted table's; of many tables some at a time are merged into others first."""
    with ExitStack() as stack:
        while len(tables) > AT_ONCE:
            scratch = Path(stack.enter_context(TemporaryDirectory()))
            parts = [tables[first : first + AT_ONCE] for first in range(0, len(tables), AT_ONCE)]
            tables = [scratch / f"{number}.tsv" for number in range(len(parts))]
            for table, part in zip(tables, parts):
                write_set_aside(table, merge(*map(read_set_aside, part)), tell=False)
        yield merge(*map(read_set_aside, tables))
