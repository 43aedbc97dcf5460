"""The first stages of both tracks on a folder: what of it can be used."""

import argparse
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from music import PARAMS
from ostinato.cli import main
from ostinato.dataset.manifests import duplicated
from ostinato.files import read_jsonl, write_jsonl
from ostinato.params.midi import Tokens
from ostinato.sources import command_module
from ostinato.tables import read_table

TOKENS = PARAMS.midi.tokens
PIECES = {"folder": None, "per_collection": 2, "min_notes": 16, "split": {"valid": 0.3, "test": 0.3}, "shards": 2}


def check(folder: Path, out: Path, params: Any) -> tuple[int, list[dict], dict[str, str]]:
    """Recordings: exit status, songs, and reasons by file name."""
    status = main(["check", "--params", params.model_dump_json(), "--folder", str(folder), "--out", str(out)])
    aside, duplicates = out / "set_aside.tsv", out / "duplicates.jsonl"
    twice = duplicated(duplicates) if duplicates.exists() else set()
    songs = [row for table in sorted(out.glob("shards/*.jsonl")) for row in read_jsonl(table) if (table.stem, row["id"]) not in twice]
    rows = read_table(aside, {"path", "reason"}) if aside.exists() else []
    return status, songs, {Path(row["path"]).name: row["reason"] for row in rows}


def check_midi(folder: Path, out: Path, tokens: Tokens, pieces: dict[str, Any] = PIECES) -> list[Path]:
    """MIDI files: the tables of all shards."""
    shards = [f"midi-{number:02d}" for number in range(pieces["shards"])]
    files, tables = [[out / place / f"{shard}.jsonl" for shard in shards] for place in ("lists", "shards")]
    done(["list-midi", "--folder", folder, "--out", *files, out / "lists/tables.jsonl"])
    for listed, table in zip(files, tables):
        done(["check-midi", "--params", json.dumps(pieces), "--words", tokens.model_dump_json(), "--files", listed, "--jobs", 1, "--out", table])
    return tables


def pieces_of(folder: Path, out: Path, tokens: Tokens, pieces: dict[str, Any] = PIECES) -> list[dict[str, Any]]:
    """MIDI files: the table of pieces."""
    done(["pieces", "--params", json.dumps(pieces), "--words", tokens.model_dump_json(), "--folder", folder, "--jobs", 1, "--out", out])
    return read_jsonl(out / "pieces.jsonl")


def words_of(folder: Path, out: Path, tokens: Tokens, about: Callable[[Path], dict[str, Any]]) -> Path:
    """MIDI files as words, and what tells of a file its row in the table of pieces beyond what is in it; the folder with the index."""
    tables = check_midi(folder, out, tokens)
    rows = [row | {"shard": table.stem, "id": Path(row["path"]).stem, "genre": None} | about(Path(row["path"])) for table in tables for row in read_jsonl(table)]
    write_jsonl(out / "pieces.jsonl", rows)
    done(["tokenizer", "--params", tokens.model_dump_json(), "--pieces", out / "pieces.jsonl", "--files", *tables, "--out", out / "tokens"])
    return out / "tokens"


def done(words: list[Any]) -> None:
    """A command that ends well, or raises what it says."""
    command, parser = importlib.import_module(command_module(words[0])), argparse.ArgumentParser()
    command.arguments(parser)
    command.run(parser.parse_args(list(map(str, words[1:]))))
