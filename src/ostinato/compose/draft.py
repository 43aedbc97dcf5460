"""Pieces that are being written, a word at a time: where each is, and which words may come next.

A `Draft` knows the order in which MidiTok says what falls on one onset: by program, its pedals before its notes, notes by pitch. So what it allows is what a
tokenizer of plain words could have said, nothing twice, and every onset ends. Drafts that are held to a melody or to a gap's two sides are in compose.given,
those of other tokenizers (byte pairs, chords, rests, tempos) in compose.grammar.

Times are ticks of the tokenizer, from the piece's start; words are ids.
"""

from __future__ import annotations

import copy
from typing import Self

import numpy as np

from ostinato.files import UserError
from ostinato.midi.notes import DRUMS, Piece
from ostinato.midi.tokens import NO_MUSIC, TIME, Tokenizer

PLAIN = ("TimeShift", "Pitch", "PitchDrum", "Velocity", "Duration", "Program", "Pedal", "PedalOff")
#: What the next word belongs to: an onset; a program that was just named; a pitch; a pitch and its velocity.
FREE, NAMED, PITCHED, STRUCK = range(4)
#: Places in an onset: (program, what, pitch).
OFF, ON, NOTE = range(3)
FIRST, LAST = (-2, OFF, -1), (999, NOTE, 999)
NEVER = 2**40


def is_plain(tokenizer: Tokenizer) -> bool:
    """Whether its words are those that a `Draft` knows."""
    return not tokenizer.merges and set(tokenizer.kinds) <= {*PLAIN, *NO_MUSIC} and tokenizer.clock == "seconds"


def require_plain(tokenizer: Tokenizer, what: str) -> None:
    """Raise UserError where words cannot be held to constraints."""
    if not is_plain(tokenizer):
        has = sorted({*tokenizer.kinds} - {*PLAIN, *NO_MUSIC}) + ["byte pairs"] * tokenizer.merges + [f"clock '{tokenizer.clock}'"]
        raise UserError(
            f"{what} needs a model of single words with clock 'seconds' and without BPE, chords, rests, metres and tempos; "
            f"this one has {', '.join(has)}; train one with midi.tokens as params.yaml has it"
        )


class Words:
    """What single words do, by id, and sets of them as masks."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.kinds = tokenizer, tokenizer.kinds
        self.kind = self.kinds.tolist()
        sets = {kind: self.kinds == kind for kind in PLAIN}
        self.shift, self.velocity, self.duration = (sets[kind] for kind in ("TimeShift", "Velocity", "Duration"))
        self.program, self.pedal_on, self.pedal_off = (sets[kind] for kind in ("Program", "Pedal", "PedalOff"))
        self.pitched, self.drums = sets["Pitch"], sets["PitchDrum"]
        self.end = np.arange(len(self.kinds)) == tokenizer.end
        timed = np.isin(self.kinds, (*TIME, "Duration"))
        self.ticks = np.where(timed, np.round(np.nan_to_num(tokenizer.values) / tokenizer.tick_seconds), 0).astype(np.int64)
        self.value = np.where(timed | np.isnan(tokenizer.values), -9, tokenizer.values).astype(np.int64)
        self.names_programs = bool(self.program.any())
        self.shifts, self.durations = (ids[np.argsort(self.ticks[ids], kind="stable")] for ids in map(np.flatnonzero, (self.shift, self.duration)))
        steps = self.ticks[self.shifts]
        #: After a shift, MidiTok says another one only if together they are less than the next longer shift.
        self.chained = np.full(len(self.kinds), NEVER)
        self.chained[self.shifts[:-1]] = np.diff(steps)
        self.lowest = int(self.value[self.pitched].min()) if self.pitched.any() else 0
        self.highest = int(self.value[self.pitched].max()) if self.pitched.any() else 0

    def shift_towards(self, ticks: int) -> int:
        """The first of the words that move time by `ticks`: the longest that does not pass."""
        return int(self.shifts[np.searchsorted(self.ticks[self.shifts], ticks, "right") - 1])

    def longest_duration(self, ticks: int) -> int:
        """The longest duration of at most so many ticks, or the shortest there is."""
        return int(self.durations[max(0, int(np.searchsorted(self.ticks[self.durations], ticks, "right")) - 1)])

    def onsets(self, ids: np.ndarray) -> np.ndarray:
        """When each word falls, ticks; a shift's is where it arrives."""
        return np.cumsum(self.ticks[ids] * self.shift[ids])


class Draft:
    """A piece of plain words. It ends with the end word, said after `least` ticks, or once time comes to `stop`."""

    def __init__(self, words: Words, programs: set[int] | None = None, least: int = 0, stop: int = NEVER) -> None:
        self.of, self.least, self.stop = words, least, stop
        self.named = words.program & np.isin(words.value, sorted(programs)) if programs else words.program
        self.pedals_on = words.pedal_on & np.isin(words.value, sorted(programs)) if programs else words.pedal_on
        self.words: list[int] = []
        self.now, self.phase, self.place, self.chain, self.moved = 0, FREE, FIRST, NEVER, False
        self.program: int | None = None if words.names_programs else 0
        self.pitch = self.loudness = 0
        self.notes: list[tuple[int, int, int, int, int]] = []  # start, end, pitch, velocity, program
        self.down: dict[int, int] = {}
        self.pedals: list[tuple[int, int, int]] = []
        self.done, self.milestone = False, 0

    def copy(self) -> Self:
        """One that goes its own way."""
        other = copy.copy(self)
        other.words, other.notes, other.pedals, other.down = self.words[:], self.notes[:], self.pedals[:], dict(self.down)
        return other

    def given(self, words: np.ndarray) -> None:
        """Begin with these words; what is new comes at a later onset."""
        for word in words:
            Draft.say(self, int(word))
        if len(words):
            self.place = LAST

    # what may come

    def allowed(self) -> np.ndarray:
        """Which words may come next, bool [words]; never none."""
        if self.phase == PITCHED:
            return self.of.velocity
        if self.phase == STRUCK:
            return self.lengths()
        if self.phase == NAMED:
            mask = self.pitches(self.program)
        else:
            mask = self.moves() & (self.of.ticks < self.chain) | self.sounds()
            if self.may_end():
                mask |= self.of.end
        return mask if mask.any() else self.rescue()

    def sounds(self) -> np.ndarray:
        """Words that begin something at this onset."""
        of, (program, what, _) = self.of, self.place
        mask = self.pitches(self.program) if self.program is not None and (self.program, NOTE) >= (program, what) else np.zeros(len(of.kind), bool)
        mask |= self.named & ((of.value > program) | ((of.value == program) & (what < NOTE))) & (of.value != self.program)
        if len(self.down) or of.pedal_on.any():
            down = np.isin(of.value, list(self.down))
            mask |= of.pedal_off & down & (of.value > program)
            mask |= self.pedals_on & ~down & ((of.value > program) | ((of.value == program) & (what < ON)))
        return mask

    def pitches(self, program: int | None) -> np.ndarray:
        """Pitches that `program` may play at this onset."""
        mask = self.of.drums if program == DRUMS else self.of.pitched
        return mask & (self.of.value > self.place[2]) if self.place[:2] == (program, NOTE) else mask.copy()

    def lengths(self) -> np.ndarray:
        """Durations of the note that was begun."""
        return self.of.duration

    def moves(self) -> np.ndarray:
        """Shifts of time."""
        return self.of.shift

    def may_end(self) -> bool:
        """Whether the piece may be over: never right after a shift."""
        return self.now >= self.least and not self.moved and bool(self.notes)

    def rescue(self) -> np.ndarray:
        """What may come where nothing fits: time moves."""
        mask = self.moves()
        return mask if mask.any() else self.of.end

    # what came

    def say(self, word: int) -> None:
        """Go on by a word."""
        self.words.append(word)
        kind, value = self.of.kind[word], int(self.of.value[word])
        if kind == "TimeShift":
            ticks = int(self.of.ticks[word])
            self.now, self.place, self.moved = self.now + ticks, FIRST, True
            self.chain = min(self.chain - ticks, int(self.of.chained[word]))
            self.done |= self.now >= self.stop
            return
        self.chain, self.moved = NEVER, False
        if kind in ("Pitch", "PitchDrum"):
            assert self.program is not None  # a tokenizer names it first
            self.pitch, self.phase, self.place = value, PITCHED, (self.program, NOTE, value)
        elif kind == "Velocity":
            self.loudness, self.phase = value, STRUCK
        elif kind == "Duration":
            assert self.program is not None
            self.phase = FREE
            self.notes.append((self.now, self.now + int(self.of.ticks[word]), self.pitch, self.loudness, self.program))
        elif kind == "Program":
            self.program, self.phase = value, NAMED
        elif kind == "Pedal":
            self.place = (value, ON, -1)
            self.down.setdefault(value, self.now)
        elif kind == "PedalOff":
            self.place = (value, OFF, -1)
            if value in self.down:
                self.pedals.append((self.down.pop(value), self.now, value))
        else:
            self.done = True

    def piece(self, first: int = 0, end: float = np.inf) -> Piece:
        """The notes from the `first` on, and all pedals, in seconds; nothing sounds beyond `end` seconds. A key struck again ends the note it held."""
        tick = self.of.tokenizer.tick_seconds
        last = max((note[1] for note in self.notes), default=0)
        pedals = self.pedals + [(start, max(last, start + 1), program) for program, start in self.down.items()]
        notes = [(start * tick, min(stop * tick, end), *rest) for start, stop, *rest in released(self.notes)[first:] if start * tick < end]
        return Piece.of(notes, [(start * tick, min(stop * tick, end), program) for start, stop, program in pedals if start * tick < end])


def released(notes: list[tuple[int, int, int, int, int]]) -> list[tuple[int, int, int, int, int]]:
    """Notes in their order, each ended where its key is struck again: a MIDI file cannot hold one note twice."""
    result: list[tuple[int, int, int, int, int]] = []
    held: dict[tuple[int, int], int] = {}
    for number, (start, end, pitch, velocity, program) in enumerate(notes):
        before = held.get((program, pitch))
        if before is not None and result[before][0] < start < result[before][1]:
            result[before] = (result[before][0], start, *result[before][2:])
        result.append((start, end, pitch, velocity, program))
        held[program, pitch] = number
    return result
