"""Bits per note: what a model needs to say a piece, the same measure for every tokenizer.

All of a piece's tokens are charged, its end token too, over the notes that these tokens carry (a piece is quantised by the tokenizer first). What stands in
front of a piece (composer, genre, instrumentation) is given and not charged. A piece longer than the model's context is read through windows that overlap by
half: each token is charged once, with at least half a context before it, where there is so much.

A coarse tokenizer has less to say. `residual_bits` is what it leaves out against a common grid (onsets and durations in steps of 10 ms, velocities 1-127),
charged as if all that a cell holds were equally likely; with it, tokenizers of different grids compare. Its limits: what is finer than the common grid counts
as the tokenizer's own cost, and a duration beyond the longest as the longest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import UserError
from ostinato.midi.metadata import name_key
from ostinato.midi.notes import BEAT_SECONDS, Piece

#: Labels of at most so many other composers are tried on a piece.
WRONG = 4
#: The common grid, s.
COMMON_SECONDS = 0.01
#: Tokens and logits computed at a time: 128 MB of logits; more tokens than these leave the cache of a CPU and take a third longer.
TOKENS, LOGITS = 2**12, 2**25


@dataclass(frozen=True)
class Encoded:
    """A piece as a tokenizer has it: `tokens`, as a model sees them, with the end token; `words`, unmerged, without; `piece`, the notes that they carry."""

    tokens: np.ndarray
    words: np.ndarray
    piece: Piece


@dataclass(frozen=True)
class Asked:
    """Tokens to be charged, and what is given in front of their beginning and of a window from their midst (as long)."""

    begins: list[int]
    goes_on: list[int]
    tokens: np.ndarray


@dataclass(frozen=True)
class PieceBits:
    """Total bits of a piece with its own composer's label (`model`; with none where it has none), without, and the mean with others' (None: it has none)."""

    notes: int
    tokens: int
    model: float
    no_composer: float
    wrong_composer: float | None
    residual: float


def encode_file(tokenizer: Any, path: Path | str) -> Encoded:
    """Raises UserError for what is no MIDI file with notes, and when no note survives."""
    words = tokenizer.encode_file(path)
    piece = tokenizer.decode(words)
    if not len(piece.notes):
        raise UserError(f"{path}: none of its notes is among those the tokenizer has words for")
    return Encoded(np.append(tokenizer.merged(words), tokenizer.end), words, piece)


def evaluate(model: Any, pieces: Sequence[Encoded], composers: Sequence[str | None], genres: Sequence[str | None]) -> list[PieceBits]:
    """Bits of each piece. Genre and instrumentation are given throughout; only the composer's label differs."""
    tokenizer, asked, counts = model.tokenizer, [], []
    for piece, composer, genre in zip(pieces, composers, genres):
        labels = [None] if composer is None else [None, composer, *wrong_labels(tokenizer.composers, composer)]
        programs = [program for program in piece.piece.programs if program in tokenizer.programs] or None
        asked += [Asked(tokenizer.prefix(label, genre, programs, True), tokenizer.prefix(label, genre, programs, False), piece.tokens) for label in labels]
        counts.append(len(labels))
    totals = np.split([bits.sum() for bits in token_bits(model, asked)], np.cumsum(counts)[:-1])
    return [
        PieceBits(
            len(piece.piece.notes),
            len(piece.tokens),
            float(total[:2][-1]),
            float(total[0]),
            float(total[2:].mean()) if len(total) > 2 else None,
            residual_bits(tokenizer, piece.words),
        )
        for piece, total in zip(pieces, totals)
    ]


def named(names: Sequence[str], name: str | None) -> str | None:
    """A tokenizer's spelling of a name, or None where it has none."""
    wanted = "" if name is None else name_key(name.replace("_", "-"))
    return next((known for known in names if name_key(known) == wanted), None)


def wrong_labels(composers: Sequence[str], right: str) -> list[str]:
    """At most WRONG others, spread over the list and beginning at a different place for each composer, so that none is everyone's wrong one."""
    place = list(composers).index(right)
    others = [*composers[place + 1 :], *composers[:place]]
    return [others[math.floor(i * len(others) / WRONG)] for i in range(WRONG)] if len(others) > WRONG else others


def token_bits(model: Any, asked: Sequence[Asked]) -> list[np.ndarray]:
    """Bits of each token to be charged, one array a sequence."""
    result = [np.zeros(len(one.tokens)) for one in asked]
    windows = [(one, bits, *window) for one, bits in zip(asked, result) for window in cut(len(one.tokens), _room(model, one))]
    windows.sort(key=_length)  # alike in length: little padding
    while windows:
        batch = windows[-max(1, min(TOKENS, LOGITS // model.tokenizer.size) // _length(windows[-1])) :]
        del windows[-len(batch) :]
        rows = [[*(one.goes_on if begin else one.begins), *one.tokens[begin:end]] for one, _, begin, end, _ in batch]
        for (_, total, _, end, first), bits in zip(batch, _bits_of_rows(model, rows)):
            total[first:end] = bits[len(bits) - (end - first) :]
    return result


def _length(window: tuple[Asked, np.ndarray, int, int, int]) -> int:
    return len(window[0].begins) + window[3] - window[2]


def _room(model: Any, asked: Asked) -> int:
    room = model.context - len(asked.begins)
    if room < 2:
        raise UserError(f"the model's context of {model.context} tokens leaves no room behind the {len(asked.begins)} that are given")
    return room


def cut(length: int, room: int) -> list[tuple[int, int, int]]:
    """Windows [begin, end) of at most `room` tokens, and from which token on each is charged: every token once."""
    windows = [(0, min(length, room), 0)]
    while (done := windows[-1][1]) < length:
        end = min(done + room // 2, length)
        windows.append((end - room, end, done))
    return windows


def _bits_of_rows(model: Any, rows: list[list[int]]) -> list[np.ndarray]:
    """Bits of all tokens but the first of each row, in one pass."""
    import torch

    from ostinato.products import fast_products

    tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)  # padded behind, where nothing before can see it
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = torch.tensor(row)
    tokens = tokens.to(next(model.parameters()).device)
    with torch.no_grad(), fast_products(tokens.device):
        logits = model(tokens[:, :-1]).float()
        chosen = logits.gather(-1, tokens[:, 1:, None])[..., 0]
        bits = ((logits.logsumexp(-1) - chosen) / math.log(2)).cpu().numpy()
    return [line[: len(row) - 1].astype(float) for line, row in zip(bits, rows)]


def residual_bits(tokenizer: Any, words: np.ndarray) -> float:
    """Bits that a piece's notes lack on the common grid, from its unmerged tokens."""
    kinds, values = tokenizer.kinds[words], tokenizer.values[words]
    slower = _slower(kinds, values)  # where tempos are words, shifts and durations are seconds at 120 beats a minute
    is_note, is_length, is_velocity = np.isin(kinds, ("Pitch", "PitchDrum")), kinds == "Duration", kinds == "Velocity"
    onsets = np.log2(np.maximum(1, _values(tokenizer, "TimeShift")[:1] * slower[is_note] / COMMON_SECONDS)).sum()
    lengths = _values(tokenizer, "Duration")
    borders = np.concatenate([[0.0], (lengths[1:] + lengths[:-1]) / 2, lengths[-1:]])
    place = np.searchsorted(lengths, values[is_length])
    # the shortest of the common grid is one step, which all from half a step on is rounded to
    low, high = (np.maximum(edges[place] * slower[is_length], COMMON_SECONDS / 2) for edges in (borders[:-1], borders[1:]))
    durations = np.log2(np.maximum(1, (high - low) / COMMON_SECONDS)).sum()
    return float(onsets + durations + _velocity_bits(_values(tokenizer, "Velocity"), values[is_velocity], int(is_note.sum())))


def _slower(kinds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How much longer a beat lasts at each word than at 120 beats a minute, as the last word of tempo says."""
    said = np.maximum.accumulate(np.where(kinds == "Tempo", np.arange(len(kinds)), -1))
    return np.where(said >= 0, 60 / BEAT_SECONDS / np.where(said >= 0, values[said], 1), 1.0) if len(kinds) else np.zeros(0)


def _velocity_bits(levels: np.ndarray, found: np.ndarray, notes: int) -> float:
    """Logarithms of how many velocities are nearest to each of those found; of two levels as near the lesser is, as MidiTok has it."""
    if not len(levels):
        return notes * math.log2(127)
    nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, np.arange(1, 128))
    return float(np.log2(np.maximum(1, np.bincount(nearest, minlength=len(levels))))[np.searchsorted(levels, found)].sum())


def _values(tokenizer: Any, kind: str) -> np.ndarray:
    return np.unique(tokenizer.values[tokenizer.kinds == kind])


def grid(tokenizer: Any) -> str:
    """What a tokenizer can tell apart, in words."""
    shifts, durations, velocities = (_values(tokenizer, kind) for kind in ("TimeShift", "Duration", "Velocity"))
    tempo = " at 120 beats a minute" if "Tempo" in tokenizer.kinds else ""
    return (
        f"onsets in steps of {1000 * shifts[0]:.4g} ms, {len(durations)} durations of {durations[0]:.3g} to {durations[-1]:.3g} s{tempo}, "
        f"{len(velocities)} velocities; {tokenizer.size} tokens"
    )
