"""From pieces to words: `tokenizer` makes the vocabulary, of the training set alone; `tokens` writes each shard's words for memory-mapping.

A shard is `<shard>.npy`, all pieces one after another (uint16, single words), and `<shard>.jsonl`, a row for each: where it starts, how long it is, whose it is.
A piece that can no longer be read, or of which no note has a word, is said and has no words there.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import UserError, atomic, write_jsonl
from ostinato.midi.reading import each

log = logging.getLogger(__name__)

#: So many single words at most, which uint16 must hold.
MOST = 2**16


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
    from ostinato.midi.tokens import Tokenizer

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


def shards(folder: Path) -> list[Path]:
    """The arrays of words. Raises UserError where there are none."""
    found = sorted(folder.glob("*.npy"))
    if not found:
        raise UserError(f"{folder}: no words (*.npy) there; expected what `ostinato tokens` writes")
    return found
