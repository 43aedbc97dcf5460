"""Melodies: the top line of a piece, and a line on a tokenizer's grid that music can be written around."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.compose.draft import Words
from ostinato.compose.given import Line
from ostinato.files import UserError
from ostinato.midi.notes import DRUMS, Piece

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
#: A note is under another if so much of it lies under a higher one.
UNDER_SHARE = 0.5
#: Notes that begin so near to one another begin together; seconds.
TOGETHER = 0.03
SLACK = 1e-6


def name(pitch: int) -> str:
    """A pitch as musicians write it, C4 being 60."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def skyline(piece: Piece) -> tuple[Piece, int, int]:
    """The top line of a piece without drums, one note at a time; how many notes were left out for it, and how many were shortened.

    Raises:
        UserError: there are only drums.
    """
    notes = piece.notes[piece.notes["program"] != DRUMS].copy()
    if not len(notes):
        raise UserError("melody: expected notes with pitches, found only drums")
    kept: list[Any] = []  # np.void, which numpy's stubs take for something that cannot be iterated
    shortened = 0
    for note in notes[np.lexsort((-notes["pitch"], notes["start"]))]:
        last = kept[-1] if kept else None
        if last is not None and last["end"] > note["start"] + SLACK:
            if note["start"] - last["start"] < TOGETHER and note["pitch"] > last["pitch"]:
                kept.pop()
            elif note["pitch"] <= last["pitch"] and (note["start"] - last["start"] < TOGETHER or last["end"] - note["start"] >= UNDER_SHARE * (note["end"] - note["start"])):
                continue
            else:
                last["end"], shortened = note["start"], shortened + 1
        kept.append(note.copy())
    return Piece.of(np.array([tuple(note) for note in kept], piece.notes.dtype)), len(notes) - len(kept), shortened


def line_of(words: Words, melody: Piece) -> Line:
    """A melody of one voice on the tokenizer's grid, as `Tokenizer.quantised` has it; a note that would run into the next of its pitch by rounding ends there.

    Raises:
        UserError: more than one voice, no note, a pitch the tokenizer has no word for (says how to transpose), or notes on one step of the grid.
    """
    if len(melody.notes) == 0 or (melody.notes["program"] == DRUMS).any():
        raise UserError("melody: expected notes with pitches, found " + ("drums" if len(melody.notes) else "none"))
    _check_range(words, melody.notes["pitch"])
    if (melody.notes["end"][:-1] > melody.notes["start"][1:] + SLACK).any():
        raise UserError("melody: expected one note at a time, found some at once; take its top line")
    ids, tick = words.tokenizer.encode(Piece.of(melody.notes)), words.tokenizer.tick_seconds
    starts, durations = words.onsets(ids)[words.pitched[ids]], ids[words.duration[ids]]
    if (np.diff(starts) <= 0).any():
        place = float(starts[1:][np.diff(starts) <= 0][0] * tick)
        raise UserError(f"melody: two notes at {place:.3f} s, nearer than the {1000 * tick:.1f} ms this model can tell apart")
    pitches = melody.notes["pitch"].astype(np.int64)
    for first, second in zip(range(len(starts)), range(1, len(starts))):
        if pitches[first] == pitches[second] and starts[first] + words.ticks[durations[first]] > starts[second]:
            durations[first] = words.longest_duration(int(starts[second] - starts[first]))
    return Line(starts, starts + words.ticks[durations], pitches, durations)


def _check_range(words: Words, pitches: np.ndarray) -> None:
    outside = pitches[(pitches < words.lowest) | (pitches > words.highest)]
    if not len(outside):
        return
    pitch = int(outside[0])
    up, down = words.lowest - int(pitches.min()), words.highest - int(pitches.max())
    move = up if 0 < up <= down else down if up <= down < 0 else None
    fits = "its range is wider than the model's" if move is None else f"transpose it by {move:+d} semitones"
    raise UserError(
        f"melody: {name(pitch)} ({pitch}) is outside of what this model plays, {name(words.lowest)} to {name(words.highest)} ({words.lowest} to {words.highest}); {fits}"
    )
