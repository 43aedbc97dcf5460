"""`ostinato pieces`: read every MIDI file, set aside what cannot be used, split by composition."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ostinato.files import UserError, sidecar_path, write_jsonl, write_set_aside, write_sidecar
from ostinato.midi.metadata import known
from ostinato.midi.notes import EXTENSIONS
from ostinato.midi.pieces import drop_duplicates, drop_wordless, examine_all, name_and_place, summary
from ostinato.midi.reading import find
from ostinato.params import part
from ostinato.params.midi import Pieces, Words

#: As params.yaml has it.
WORDS = '{"pitches": [21, 109], "programs": true}'


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", required=True, help="section `midi.pieces`, as JSON")
    parser.add_argument("--words", default=WORDS, help="`pitches` and `programs` of section `midi.tokens`, as JSON; default: %(default)s")
    parser.add_argument("--folder", type=Path, required=True, help="folder of MIDI files, with tables of metadata where there are any")
    parser.add_argument("--out", type=Path, required=True, help="folder for pieces.jsonl and set_aside.tsv")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="files read at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Write the table of pieces and that of what was set aside. Raises UserError when no piece is left."""
    params, words, listed = part(Pieces, "midi.pieces", args.params), part(Words, "midi.tokens", args.words), args.out / "set_aside.tsv"
    paths, tables, aside = find(args.folder, "midi.pieces.folder: ")
    facts = known(args.folder, paths, tables)
    rows, unusable = examine_all(paths, params.min_notes, words, args.jobs)
    rows, duplicates = drop_duplicates(rows)
    pieces, silent = drop_wordless(name_and_place(rows, facts, args.folder, params), {row["path"].as_posix(): row["said"] for row in rows}, words)
    write_set_aside(listed, sorted(aside + unusable + duplicates + silent))
    if not paths:
        raise UserError(f"midi.pieces.folder: {args.folder}: no MIDI file in it; expected files ending in {', '.join(EXTENSIONS)}")
    if not pieces:
        raise UserError(f"{args.folder}: none of {len(paths)} MIDI files can be used; the reasons are in {listed}")
    table = args.out / "pieces.jsonl"
    write_jsonl(table, pieces)
    # A folder that we made has a sidecar, through which lineage goes on; a folder of the user's may hold gigabytes of other files.
    made = sidecar_path(args.folder).is_file()
    write_sidecar(table, "pieces", [args.folder] if made else [row["path"] for row in pieces], params.model_dump() | words.model_dump(), beside=[args.out / "set_aside.tsv"])
    print(summary(pieces, len(paths)))
