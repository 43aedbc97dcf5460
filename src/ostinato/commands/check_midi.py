"""`ostinato check-midi`: read the MIDI files of a shard and turn them into words; set aside what cannot be used."""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path

from ostinato import lists
from ostinato.files import write_jsonl
from ostinato.midi.encoding import write_words
from ostinato.midi.pieces import examine_all
from ostinato.midi.reading import misnamed
from ostinato.params import part
from ostinato.params.midi import Pieces, Tokens
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_set_aside


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", required=True, help="section `midi.pieces`, as JSON")
    parser.add_argument("--words", required=True, help="section `midi.tokens`, as JSON")
    parser.add_argument("--files", type=Path, required=True, help="list of the shard's files, as `ostinato list-midi` writes it")
    parser.add_argument("--out", type=Path, required=True, help="the shard's table of files (.jsonl) to write; words (.npy) and what is set aside (.tsv) go beside it")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="files read at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Write the shard's tables and words."""
    check(lists.read(args.files), args.out, part(Pieces, "midi.pieces", args.params), part(Tokens, "midi.tokens", args.words), args.jobs)


def check(listed: lists.Listed, out: Path, params: Pieces, words: Tokens, jobs: int) -> None:
    """Write a shard's table of files, their words, and what was set aside."""
    rows, unusable = examine_all(listed.files, params.min_notes, words, jobs) if listed.files else ([], [])
    array, aside = out.with_suffix(".npy"), out.with_suffix(".tsv")
    write_set_aside(aside, sorted([*listed.aside, *unusable, *misnamed(listed.others)]))
    said = [row.pop("ids") for row in rows]
    places = zip(rows, said, write_words(array, said))
    write_jsonl(out, (row | {"start": start, "length": len(ids), "words": hashlib.sha256(ids.tobytes()).hexdigest()[:32]} for row, ids, start in places))
    write_sidecar(out, "check-midi", [row["path"] for row in rows if Path(row["path"]).exists()], params.model_dump() | words.model_dump(), beside=[array, aside])
    print(f"{len(rows)} of {len(listed.files)} MIDI files can be used, {sum(map(len, said))} words; what is set aside is in {aside}")
