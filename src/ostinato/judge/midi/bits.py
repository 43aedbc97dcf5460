"""Bits per note: what a model needs to say a piece, the same measure for every tokenizer.

All of a piece's tokens are charged, its end token too (the tokens say the piece as the tokenizer quantised it), over all notes of the file. What stands in
front of a piece (composer, genre, instrumentation) is given and not charged. What the composer's name is worth is asked apart, with nothing given but a name, as
compositions are asked for: where all masses are one composer's, who is told of a mass has been told the name. A piece longer than the model's context is read
through windows that overlap by half: each token is charged once, with at least half a context before it, where there is so much. Of several pieces the mean over
pieces is told, each its own bits over its own notes: long pieces count no more than short ones.

What a tokenizer does not say it must not save, or the one that drops most would win. Three things are charged beside the tokens, each as if all that is possible
were equally likely, which no model could undercut by knowing less:

- notes without a word (out of range, drums where there are none, doubled on one step of the grid): `unsaid_bits`, always charged;
- what rounding leaves out, against a common grid (onsets and durations in steps of 10 ms, velocities 1-127): `residual_bits`, on the common grid alone;
- which program plays, where words tell fewer programs than the file has: `program_bits`, on the common grid alone.

With them, tokenizers of different grids and ranges compare. Their limits: what is finer than the common grid counts as the tokenizer's own cost, a duration
beyond the longest as the longest; and an unsaid note is dear (some 40 bits), since a real code would know that music has keys and metres.
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
from ostinato.midi.notes import BEAT_SECONDS, Piece, read_midi
from ostinato.midi.tokens import NOBODY

#: Labels of at most so many other composers are tried on a piece: each costs another reading of it.
WRONG = 15
#: The common grid, s.
COMMON_SECONDS = 0.01
#: Tokens and logits computed at a time: 128 MB of logits; more tokens than these leave the cache of a CPU and take a third longer.
TOKENS, LOGITS = 2**12, 2**25


@dataclass(frozen=True)
class Encoded:
    """A piece as a tokenizer has it: `tokens`, as a model sees them, with the end token; `words`, unmerged, without; `piece`, the notes that they carry.

    Of the file: how many notes are `unsaid`, and the bits of these and of programs that words do not tell apart.
    """

    tokens: np.ndarray
    words: np.ndarray
    piece: Piece
    unsaid: int = 0
    unsaid_bits: float = 0.0
    program_bits: float = 0.0

    @property
    def notes(self) -> int:
        """Notes of the file."""
        return len(self.piece.notes) + self.unsaid


@dataclass(frozen=True)
class Asked:
    """Tokens to be charged, and what is given in front of their beginning and of a window from their midst (as long)."""

    begins: list[int]
    goes_on: list[int]
    tokens: np.ndarray


@dataclass(frozen=True)
class PieceBits:
    """Total bits of a piece's tokens, and what is charged beside them: `unsaid` always, `residual` on the common grid.

    `model` is given all that is known of the piece, `no_composer` all but the composer; `right_name` the composer's name alone, `no_name` nothing at all,
    `wrong_names` another's name alone; `wrong_beside` another's beside all else that is known (None, None, none, none: its composer has no label).
    """

    notes: int
    tokens: int
    model: float
    no_composer: float
    right_name: float | None
    no_name: float | None
    wrong_names: tuple[float, ...]
    wrong_beside: tuple[float, ...]
    unsaid: float
    residual: float

    @property
    def wrong_name(self) -> float | None:
        """The mean over wrong names."""
        return sum(self.wrong_names) / len(self.wrong_names) if self.wrong_names else None

    @property
    def best_wrong_name(self) -> float | None:
        """With the wrong name that suits best."""
        return min(self.wrong_names, default=None)

    @property
    def best_wrong_beside(self) -> float | None:
        """With the wrong name that suits best, beside all else that is known."""
        return min(self.wrong_beside, default=None)

    def per_note(self, bits: float | None, common: bool) -> float | None:
        """Some sayer's total bits of the tokens, with what is charged beside them, over all notes; None for None."""
        return None if bits is None else (bits + self.unsaid + common * self.residual) / self.notes


def encode_file(tokenizer: Any, path: Path | str) -> Encoded:
    """Raises UserError for what is no MIDI file with notes, and when no note survives."""
    words = tokenizer.encode_file(path)
    piece, file = tokenizer.decode(words), read_midi(path)
    if not len(piece.notes):
        raise UserError(f"{path}: none of its notes is among those the tokenizer has words for")
    unsaid = max(0, len(file.notes) - len(piece.notes))
    return Encoded(np.append(tokenizer.merged(words), tokenizer.end), words, piece, unsaid, unsaid * unsaid_bits(file), program_bits(tokenizer, file))


def evaluate(model: Any, pieces: Sequence[Encoded], composers: Sequence[str | None], genres: Sequence[str | None]) -> list[PieceBits]:
    """Bits of each piece; composers and genres as the tokenizer spells them, None: unknown to it."""
    asked = [_ways_to_ask(model.tokenizer, *one) for one in zip(pieces, composers, genres)]
    totals = np.split([bits.sum() for bits in token_bits(model, [way for ways in asked for way in ways])], np.cumsum([len(ways) for ways in asked])[:-1])
    return [_piece_bits(model.tokenizer, piece, composer, list(map(float, total))) for piece, composer, total in zip(pieces, composers, totals)]


def _ways_to_ask(tokenizer: Any, piece: Encoded, composer: str | None, genre: str | None) -> list[Asked]:
    """With all that is known but the composer; and where there is one, with all, with no name, with the right one and with wrong ones alone, with wrong ones beside all else."""
    programs = [program for program in piece.piece.programs if program in tokenizer.programs] or None
    given: list[tuple[Any, ...]] = [(None, genre, programs)]
    if composer is not None:
        others = wrong_labels(tokenizer.composers, composer)
        given += [(composer, genre, programs), (), (composer,), *((wrong,) for wrong in others), *((wrong, genre, programs) for wrong in others)]
    return [Asked(tokenizer.prefix(*what, begins=True), tokenizer.prefix(*what, begins=False), piece.tokens) for what in given]


def _piece_bits(tokenizer: Any, piece: Encoded, composer: str | None, total: list[float]) -> PieceBits:
    right, no, wrong = (None, None, ()) if composer is None else (total[3], total[2], tuple(total[4:]))
    alone, beside = wrong[: len(wrong) // 2], wrong[len(wrong) // 2 :]
    residual = residual_bits(tokenizer, piece.words) + piece.program_bits
    return PieceBits(piece.notes, len(piece.tokens), total[:2][-1], total[0], right, no, alone, beside, piece.unsaid_bits, residual)


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


def unsaid_bits(file: Piece) -> float:
    """Bits of a note without a word, drawn evenly: one of 128 pitches, of 127 velocities, of the file's programs (which are given), its onset and its duration
    any steps of the common grid up to the file's length."""
    steps = max(1.0, file.seconds / COMMON_SECONDS)
    return math.log2(128) + math.log2(127) + 2 * math.log2(steps) + math.log2(len(file.programs))


def program_bits(tokenizer: Any, file: Piece) -> float:
    """Bits of which program plays each note that is said, of those of the file that are said as one."""
    said = {program: tokenizer.said_as(program) for program in file.programs}
    alike = {program: sum(other == one for other in said.values()) for program, one in said.items() if one != NOBODY}
    return float(sum(math.log2(count) * (file.notes["program"] == program).sum() for program, count in alike.items()))


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
