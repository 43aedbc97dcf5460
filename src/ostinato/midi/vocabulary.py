"""Which pieces no word can say, before there are words: `midi.tokens` fits the vocabulary on the training set, as `pieces` makes it.

A note with a pitch has a word where it lies in midi.tokens.pitches, and a program with pitches plays in the training set; a drum where it is one of General
MIDI's and the training set has drums. Without midi.tokens.programs all pitches are a piano's, and drums have no words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato.midi.notes import DRUM_PITCHES, DRUMS, Piece
from ostinato.params.midi import Words


class Said(NamedTuple):
    """What of a piece can have words: some of its notes with pitches, some of its drums."""

    pitches: bool
    drums: bool


def said(piece: Piece, words: Words) -> Said:
    """What can have words, whatever the training set is."""
    drums = piece.notes["program"] == DRUMS
    return Said(bool((~drums & _within(piece, words.pitches)).any()), words.programs and bool((drums & _within(piece, DRUM_PITCHES)).any()))


def why_wordless(piece: Piece, words: Words) -> str:
    """Why none of a piece's notes can have a word."""
    drums, reasons = piece.notes["program"] == DRUMS, []
    for found, what, known in ((piece.notes["pitch"][~drums], "pitches", words.pitches), (piece.notes["pitch"][drums], "drums", DRUM_PITCHES)):
        if len(found):
            outside = f"{what} {found.min()} to {found.max()}, where {known[0]} to {known[1]} have words"
            reasons.append(outside if words.programs or what == "pitches" else "drums, which have no words without midi.tokens.programs")
    return f"none of its {len(drums)} notes has a word: {', and '.join(reasons)}"


def _within(piece: Piece, pitches: tuple[int, int]) -> np.ndarray:
    return (piece.notes["pitch"] >= pitches[0]) & (piece.notes["pitch"] <= pitches[1])


def wordless(pieces: Sequence[Mapping[str, Any]], said_by: Mapping[str, Said], words: Words) -> list[Mapping[str, Any]]:
    """Rows of the table of pieces that the vocabulary of their training set has no word for. What leaves the training set may take words along."""
    left, dropped = list(pieces), []
    while programs := {program for row in left if row["split"] == "train" for program in row["programs"]}:
        has = Said(not words.programs or bool(programs - {DRUMS}), DRUMS in programs)
        silent = [not any(mine and theirs for mine, theirs in zip(said_by[row["path"]], has)) for row in left]
        if not any(silent):
            break
        dropped += [row for row, none in zip(left, silent) if none]
        left = [row for row, none in zip(left, silent) if not none]
    return dropped
