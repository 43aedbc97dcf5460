"""`ostinato tokenizer`: make the model's vocabulary of the training set, and one index of the words of all shards, which training reads."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ostinato.files import UserError, atomic, read_jsonl, sha256, write_if_changed, write_json, write_jsonl
from ostinato.midi import encoding
from ostinato.params import part
from ostinato.params.midi import Tokens
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", required=True, help="section `midi.tokens`, as JSON")
    parser.add_argument("--pieces", type=Path, required=True, help="table of pieces")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="tables of all shards' files, their words beside them")
    parser.add_argument("--out", type=Path, required=True, help="folder for tokenizer.json, the index, and what tells it from others")


def run(args: argparse.Namespace) -> None:
    """Write all of it; what has not changed for whoever learns from it is left untouched."""
    params, out = part(Tokens, "midi.tokens", args.params), args.out
    rows = encoding.place(read_jsonl(args.pieces), args.files)
    try:
        tokenizer = encoding.fitted(params, rows)
    except UserError as error:
        raise UserError(f"{args.pieces}: {error}") from None
    table = encoding.translation(encoding.every_word(params).words, tokenizer)
    shards = {path.stem: sha256(path) for path in args.files}
    if params.bpe:
        arrays, train = encoding.Arrays(args.files[0].parent, shards), [row for row in rows if row["split"] == "train"]
        encoding.learn(tokenizer, params.bpe, (encoding.translated(arrays.of(row), table) for row in train), sum(row["length"] for row in train))
    with TemporaryDirectory() as scratch:  # MidiTok writes to files alone
        tokenizer.save(Path(scratch) / "tokenizer.json")
        changed = write_if_changed(out / "tokenizer.json", (Path(scratch) / "tokenizer.json").read_text(encoding="utf-8"))
    changed |= write_if_changed(out / encoding.CONTENTS, json.dumps(encoding.contents(rows), indent=1) + "\n")
    with atomic(out / encoding.TRANSLATION) as path:
        np.save(path, table)
    write_json(out / encoding.SHARDS, shards)
    kept = ("id", "path", "composer", "genre", "composition", "programs", "split", "notes", "shard", "start", "length", "words")
    write_jsonl(out / encoding.INDEX, ({key: row[key] for key in kept} for row in rows))
    made = [out / name for name in ("tokenizer.json", encoding.CONTENTS, encoding.INDEX, encoding.TRANSLATION, encoding.SHARDS)]
    write_sidecar(made, "tokenizer", [args.pieces, *args.files], params.model_dump())
    words = sum(row["length"] for row in rows)
    said = f"{len(rows)} pieces, {words} words of {tokenizer.size}, {words / sum(row['notes'] for row in rows):.2f} a note"
    print(f"{said}; {'other ones than' if changed else 'the same as'} before")
