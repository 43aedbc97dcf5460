"""`ostinato pieces`: bring the MIDI files of all shards together, set aside what is there twice, split by composition."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ostinato import lists
from ostinato.commands.check_midi import check
from ostinato.files import UserError, read_lines, write_jsonl
from ostinato.midi.listing import midi_in
from ostinato.midi.metadata import known
from ostinato.midi.notes import EXTENSIONS
from ostinato.midi.pieces import drop_duplicates, drop_wordless, name_and_place, summary
from ostinato.midi.vocabulary import Said
from ostinato.params import load, part
from ostinato.params.midi import Pieces, Tokens
from ostinato.sidecars import write_sidecar
from ostinato.tables import read_set_aside, write_set_aside


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", required=True, help="section `midi.pieces`, as JSON")
    parser.add_argument("--words", default="params.yaml", help="section `midi.tokens`, as JSON; default: that of params.yaml here")
    parser.add_argument("--folder", type=Path, required=True, help="folder of MIDI files")
    parser.add_argument("--tables", type=Path, help="list of the tables of metadata in it")
    parser.add_argument("--files", type=Path, nargs="+", help="tables of all shards' files, with those of what was set aside beside them; default: all are checked first")
    parser.add_argument("--out", type=Path, required=True, help="folder for pieces.jsonl and set_aside.tsv, and for shards/ where these are checked first")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="files read at once, where they are; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Write the table of pieces and that of what was set aside. Raises UserError when no piece is left."""
    params, listed = part(Pieces, "midi.pieces", args.params), args.out / "set_aside.tsv"
    words: Tokens = load("params.yaml").midi.tokens if args.words == "params.yaml" else part(Tokens, "midi.tokens", args.words)
    if args.files:
        tables, metadata = args.files, lists.read(args.tables).files if args.tables else []
    else:
        tables, metadata = check_folder(args, params, words)
    rows = [row | {"shard": table.stem} for table in tables for row in read_lines(table)]
    shards_aside = [table.with_suffix(".tsv") for table in tables]
    aside = [row for table in shards_aside for row in read_set_aside(table)]
    facts = known(args.folder, [*(Path(row["path"]) for row in rows)], metadata)
    files = len(rows) + len([row for row in aside if Path(row[0]).suffix.lower() in EXTENSIONS])
    rows, duplicates = drop_duplicates(rows)
    pieces, silent = drop_wordless(name_and_place(rows, facts, args.folder, params), {row["path"]: Said(*row["said"]) for row in rows}, words)
    write_set_aside(listed, sorted(aside + duplicates + silent), tell=False)
    if not files:
        raise UserError(f"midi.pieces.folder: {args.folder}: no MIDI file in it; expected files ending in {', '.join(EXTENSIONS)}")
    if not pieces:
        raise UserError(f"{args.folder}: none of {files} MIDI files can be used; the reasons are in {listed}")
    table = args.out / "pieces.jsonl"
    write_jsonl(table, pieces)
    write_sidecar(table, "pieces", [*tables, *shards_aside], params.model_dump(), beside=[listed])
    print(summary(pieces, files))


def check_folder(args: argparse.Namespace, params: Pieces, words: Tokens) -> tuple[list[Path], list[Path]]:
    """Check all shards of a folder; their tables, and the tables of metadata in the folder."""
    *shards, metadata = midi_in(str(args.folder), params.shards)
    tables = [args.out / "shards" / f"midi-{number:02d}.jsonl" for number in range(params.shards)]
    for lines, table in zip(shards, tables):
        check(lists.listed_in(lines), table, params, words, args.jobs)
    return tables, lists.listed_in(metadata).files
