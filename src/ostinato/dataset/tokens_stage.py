"""From pieces to words: `tokenizer` makes the vocabulary, of the training set alone; `tokens` writes each shard's words for memory-mapping.

A shard is `<shard>.npy`, all pieces one after another (uint16, single words), and `<shard>.jsonl`, a row for each: where it starts, how long it is, whose it is.
A piece that can no longer be read, or of which no note has a word, is said and has no words there.
"""

from __future__ import annotations

import argparse
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.corpus.midi_files import each
from ostinato.files import UserError, atomic, read_jsonl, write_jsonl, write_sidecar
from ostinato.params import part
from ostinato.params_midi import Tokens

log = logging.getLogger(__name__)

#: So many single words at most, which uint16 must hold.
MOST = 2**16


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("--params", required=True, help="section `midi.tokens`, as JSON")
    parser.add_argument("--pieces", type=Path, required=True, help="table of pieces")
    parser.add_argument("--shards", type=int, required=True, help="number of shards; one that no piece goes to is written empty")
    parser.add_argument("--out", type=Path, required=True, help="folder for tokenizer.json and the shards")


def run(args: argparse.Namespace) -> None:
    """Make the tokenizer and encode every piece, on all cores."""
    from ostinato.dataset.tokens import Tokenizer

    params, rows = part(Tokens, "midi.tokens", args.params), read_jsonl(args.pieces)
    train = [row for row in rows if row["split"] == "train"]
    if not train:
        raise UserError(f"{args.pieces}: no piece of split 'train'")
    programs, composers, genres = ({value for row in train for value in values(row)} for values in (
        lambda row: row["programs"], lambda row: [row["composer"]] if row["composer"] else [], lambda row: [row["genre"]] if row["genre"] else []))
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
    print(f"{len(rows)} pieces, {words} words of {tokenizer.size}, {words / sum(row['notes'] for row in rows):.2f} a note"
          + (f"; {silent} without words" if silent else ""))


def encode_all(tokenizer: Path, rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Single words of each piece, by id; none where there are none, which is logged."""
    encoded = {}
    for row, words in zip(rows, each(partial(encode, tokenizer), [row["path"] for row in rows], len(os.sched_getaffinity(0)))):
        if isinstance(words, str):
            log.warning("set aside: %s", words)
        encoded[row["id"]] = np.zeros(0, np.uint16) if isinstance(words, str) else words
    return encoded


def encode(tokenizer: Path, piece: str) -> np.ndarray:
    """Single words of a MIDI file [S], uint16. Raises UserError for one that cannot be read, and when no note survives."""
    from ostinato.dataset.tokens import Tokenizer

    if tokenizer not in _LOADED:
        _LOADED[tokenizer] = Tokenizer.load(tokenizer)
    return _LOADED[tokenizer].encode_file(piece).astype(np.uint16)


_LOADED: dict[Path, Any] = {}


def write_shard(folder: Path, shard: str, rows: list[dict[str, Any]], encoded: dict[str, np.ndarray]) -> None:
    """Write the words of a shard's pieces and their index."""
    index, start = [], 0
    for row in rows:
        length = len(encoded[row["id"]])
        index.append({key: row[key] for key in ("id", "composer", "genre", "composition", "programs", "split", "notes")} | {"start": start, "length": length})
        start += length
    with atomic(folder / f"{shard}.npy") as path:
        np.save(path, np.concatenate([np.zeros(0, np.uint16), *(encoded[row["id"]] for row in rows)]))
    write_jsonl(folder / f"{shard}.jsonl", index)
