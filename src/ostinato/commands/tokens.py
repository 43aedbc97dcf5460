"""`ostinato tokens`: turn pieces into words."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.files import UserError, read_jsonl, write_sidecar
from ostinato.midi.encoding import MOST, encode_all, write_shard
from ostinato.params import part
from ostinato.params.midi import Tokens


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", required=True, help="section `midi.tokens`, as JSON")
    parser.add_argument("--pieces", type=Path, required=True, help="table of pieces")
    parser.add_argument("--shards", type=int, required=True, help="number of shards; one that no piece goes to is written empty")
    parser.add_argument("--out", type=Path, required=True, help="folder for tokenizer.json and the shards")


def run(args: argparse.Namespace) -> None:
    """Make the tokenizer and encode every piece, on all cores."""
    from ostinato.midi.tokens import Tokenizer

    params, rows = part(Tokens, "midi.tokens", args.params), read_jsonl(args.pieces)
    train = [row for row in rows if row["split"] == "train"]
    if not train:
        raise UserError(f"{args.pieces}: no piece of split 'train'")
    programs, composers, genres = (
        {value for row in train for value in values(row)}
        for values in (lambda row: row["programs"], lambda row: [row["composer"]] if row["composer"] else [], lambda row: [row["genre"]] if row["genre"] else [])
    )
    tokenizer = Tokenizer.fit(params, programs if params.programs else [0], composers, genres)
    if len(tokenizer.words) > MOST:
        raise UserError(f"{args.pieces}: {len(tokenizer.words)} words, at most {MOST} can be kept; merge composers")
    folder, path = args.out, args.out / "tokenizer.json"
    tokenizer.save(path)
    encoded = encode_all(path, rows)
    if params.bpe:
        tokenizer.learn((encoded[row["id"]] for row in train), params.bpe)
        tokenizer.save(path)
    shards = [f"midi-{number:02d}" for number in range(args.shards)]
    for shard in shards:
        write_shard(folder, shard, [row for row in rows if row["shard"] == shard], encoded)
    for artifact in (path, *(folder / f"{shard}.{suffix}" for shard in shards for suffix in ("npy", "jsonl"))):
        write_sidecar(artifact, "tokens", [args.pieces], params.model_dump())
    words, silent = sum(map(len, encoded.values())), sum(not len(said) for said in encoded.values())
    print(f"{len(rows)} pieces, {words} words of {tokenizer.size}, {words / sum(row['notes'] for row in rows):.2f} a note" + (f"; {silent} without words" if silent else ""))
