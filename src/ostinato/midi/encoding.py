"""From pieces to words, in two steps, so that a piece more makes only its own shard's words anew.

`check-midi` writes each shard's words for memory-mapping: `<shard>.npy`, all pieces one after another (uint16), in a vocabulary that midi.tokens alone decides,
with every program of General MIDI, no composer and no merged words. What words the model has is decided by the training set: `tokenizer` brings all shards
together, makes its vocabulary, and says what each of the others' words is there. A program that it has no word for is played by the nearest that has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ostinato.files import UserError, atomic, hash_value, read_json, read_lines, sha256
from ostinato.midi.notes import DRUMS
from ostinato.midi.tokens import NOBODY, Tokenizer
from ostinato.params.blocks import SPLITS
from ostinato.params.midi import Tokens
from ostinato.sampling import share_of

#: So many single words at most, which uint16 must hold.
MOST = 2**16
#: Merged words are learnt from no more single ones than these, taken evenly over the pieces: more would take memory and change little.
LEARNT_FROM = 20_000_000
#: What a word of a shard is to a model that has none for it: left out; or left out with the note's loudness and length, which come after it.
OUT, OUT_WITH_NOTE = -1, -2
#: What `tokenizer` writes beside tokenizer.json: a row for each piece, what the shards' words are to the model, which tables the rows are of, what tells all this from others.
INDEX, TRANSLATION, SHARDS, CONTENTS = "words.jsonl", "translation.npy", "shards.json", "contents.json"
#: What of a row decides what is learnt: not where the piece lies, nor what its file is called.
DECISIVE = ("composer", "genre", "programs", "split", "notes", "length", "words")


def every_word(params: Tokens) -> Tokenizer:
    """The tokenizer of the shards' words."""
    return Tokenizer.fit(params, range(DRUMS, 128) if params.programs else [0], (), ())


def fitted(params: Tokens, rows: Sequence[dict[str, Any]]) -> Tokenizer:
    """The tokenizer of a training set, without merged words. Raises UserError where there is none, or more words than can be kept."""
    train = [row for row in rows if row["split"] == "train"]
    if not train:
        raise UserError("no piece of split 'train'; bring more pieces, or lower midi.pieces.split.valid or test")
    programs = {program for row in train for program in row["programs"]}
    composers, genres = ({row[key] for row in train if row[key]} for key in ("composer", "genre"))
    tokenizer = Tokenizer.fit(params, programs if params.programs else [0], composers, genres)
    if len(tokenizer.words) > MOST:
        raise UserError(f"{len(tokenizer.words)} words, at most {MOST} can be kept; merge composers")
    return tokenizer


def translation(spoken: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """What each of the shards' words, by id, is to a model: its id there, OUT or OUT_WITH_NOTE [words], int32."""
    ids = dict(zip(tokenizer.words, range(len(tokenizer.words))))
    has_drums = not tokenizer.programs or DRUMS in tokenizer.programs
    table = np.full(len(spoken), OUT, np.int32)
    for number, word in enumerate(spoken):
        kind, _, value = word.partition("_")
        if kind == "Program":
            program = tokenizer.nearest_program(int(value))
            word = word if program == NOBODY else f"Program_{program}"
        table[number] = OUT_WITH_NOTE if kind == "PitchDrum" and not has_drums else ids.get(word, OUT)
    return table


def translated(words: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A shard's words as a model's ids [S], int64."""
    ids = table[words].astype(np.int64)
    if (ids < 0).any():
        for after in (1, 2):
            ids[after:][ids[:-after] == OUT_WITH_NOTE] = OUT
        ids = ids[ids >= 0]
    return ids


def learn(tokenizer: Tokenizer, size: int, pieces: Iterable[np.ndarray], words: int) -> None:
    """Learn merged words from pieces [ids] that have so many single ones in all, or from an even share of the pieces."""
    tokenizer.learn(share_of(pieces, min(1.0, LEARNT_FROM / max(words, 1))), size)


def place(rows: Sequence[dict[str, Any]], shards: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows of the table of pieces with the place of their words in their shards (`start`, `length`) and the hash of these (`words`), sorted by what they say."""
    places = {(table.stem, row["path"]): {key: row[key] for key in ("start", "length", "words")} for table in shards for row in read_lines(table)}
    found = [row | places[row["shard"], row["path"]] for row in rows]
    return sorted(found, key=lambda row: (row["words"], hash_value({key: row[key] for key in DECISIVE}), row["id"]))


def contents(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What tells the pieces of an index from others: how many there are, their words, and a hash of all that decides what is learnt."""
    return {
        "pieces": {split: sum(row["split"] == split for row in rows) for split in SPLITS},
        "words": sum(row["length"] for row in rows),
        "sha256": hash_value([{key: row[key] for key in DECISIVE} for row in rows]),
    }


class Arrays:
    """The words of all shards, mapped.

    Args:
        shards: folder of the shards.
        tables: hashes of the shards' tables by their names, from when the index was written.

    Raises:
        UserError: a shard is not what it was then.
    """

    def __init__(self, shards: Path, tables: dict[str, str]) -> None:
        self.arrays = {}
        for name, known in tables.items():
            table = shards / f"{name}.jsonl"
            if not table.is_file() or sha256(table) != known:
                raise UserError(f"{table}: is not what it was when the words were gathered; run snakemake again, which gathers them anew")
            self.arrays[name] = np.load(shards / f"{name}.npy", mmap_mode="r")

    def of(self, row: dict[str, Any], first: int = 0, last: int | None = None) -> np.ndarray:
        """Words `first` to `last` of a piece [S], as the shard has them."""
        start = row["start"]
        return np.asarray(self.arrays[row["shard"]][start + first : start + (row["length"] if last is None else last)])


class Gathered(NamedTuple):
    """What `tokenizer` makes of all shards: rows of pieces, their words, and what these are to the model."""

    rows: list[dict[str, Any]]
    arrays: Arrays
    translation: np.ndarray


def gathered(folder: Path, shards: Path) -> Gathered:
    """Read what `tokenizer` wrote to a folder. Raises UserError where something is missing, or has changed since."""
    try:
        table = np.load(folder / TRANSLATION)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / TRANSLATION}: expected what `ostinato tokenizer` writes ({error})") from None
    return Gathered(list(read_lines(folder / INDEX)), Arrays(shards, read_json(folder / SHARDS)), table)


def encode(tokenizer: Path, piece: str) -> np.ndarray:
    """Single words of a MIDI file [S], uint16. Raises UserError for one that cannot be read, and when no note survives."""
    if tokenizer not in _LOADED:
        _LOADED[tokenizer] = Tokenizer.load(tokenizer)
    return _LOADED[tokenizer].encode_file(piece).astype(np.uint16)


_LOADED: dict[Path, Any] = {}


def write_words(path: Path, words: Sequence[np.ndarray]) -> list[int]:
    """Write the words of a shard's pieces one after another; where each begins."""
    starts = np.cumsum([0, *map(len, words)])
    with atomic(path) as temporary:
        np.save(temporary, np.concatenate([np.zeros(0, np.uint16), *words]))
    return starts[:-1].tolist()
