"""Drafts that are held to what is given: `MelodyConstraint` keeps a melody, `InfillConstraint` a gap's two sides (see compose.draft).

Times are ticks of the tokenizer, from the piece's start; words are ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ostinato.compose.draft import FREE, NAMED, NOTE, Draft, Words
from ostinato.midi.notes import DRUMS, Piece


@dataclass(frozen=True)
class Line:
    """A melody in ticks, each array [notes]: when a note starts and ends, its pitch, the word of its duration."""

    starts: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray
    durations: np.ndarray

    @property
    def end(self) -> int:
        """When its last note ends."""
        return int(self.ends.max())


class MelodyConstraint(Draft):
    """Music around a melody that is played by `lead`: every note of it at its time and for its length, nothing above it while it sounds, nothing after it.

    A milestone is a note of the melody said.
    """

    def __init__(self, words: Words, line: Line, lead: int, programs: set[int] | None = None) -> None:
        super().__init__(words, programs)
        self.line, self.lead, self.said = line, lead, 0
        self.leading = False
        self.melody_notes: list[tuple[int, int, int, int, int]] = []

    def copy(self) -> Self:
        """One that goes its own way."""
        other = super().copy()
        other.melody_notes = self.melody_notes[:]
        return other

    @property
    def due(self) -> bool:
        """Whether a note of the melody is to be said at this onset."""
        return self.said < len(self.line.starts) and self.line.starts[self.said] == self.now

    def ceiling(self) -> int:
        """The lowest note of the melody that sounds: what is not the melody stays below."""
        sounding = (self.line.starts <= self.now) & (self.line.ends > self.now)
        return int(self.line.pitches[sounding].min()) if sounding.any() else 999

    def moves(self) -> np.ndarray:
        """Shifts that do not pass the melody's next note, or its end."""
        if self.due:
            return np.zeros(len(self.of.kind), bool)
        limit = self.line.starts[self.said] if self.said < len(self.line.starts) else self.line.end - 1
        return self.of.shift & (self.of.ticks <= limit - self.now)

    def sounds(self) -> np.ndarray:
        """Below the melody; before its note while that is due."""
        mask, of = super().sounds(), self.of
        if self.ceiling() <= of.lowest:
            mask &= ~of.program | (of.value == DRUMS) | ((of.value == self.lead) & self.due)
        if self.due:
            mask &= ~(of.program | of.pedal_on | of.pedal_off) | (of.value <= self.lead)
            if (self.program or 0) > self.lead:
                mask &= ~of.pitched
            if of.names_programs and self.place[:2] < (self.lead, NOTE) and self.program != self.lead:
                mask |= of.program & (of.value == self.lead)
        return mask

    def pitches(self, program: int | None) -> np.ndarray:
        """Those below the melody, and its own note where that is due."""
        mask = super().pitches(program)
        if program == DRUMS:
            return mask
        mask &= self.of.value < self.ceiling()
        if self.due and program == self.lead:
            mask |= self.of.pitched & (self.of.value == self.line.pitches[self.said])
        return mask

    def lengths(self) -> np.ndarray:
        """The melody's own, or those that end before the melody comes as low."""
        if self.leading:
            return np.arange(len(self.of.kind)) == self.line.durations[self.said]
        if self.program == DRUMS:
            return self.of.duration
        coming = self.line.starts[(self.line.starts > self.now) & (self.line.pitches <= self.pitch)]
        return self.of.duration & (self.of.ticks <= coming[0] - self.now) if len(coming) else self.of.duration

    def may_end(self) -> bool:
        """After the melody."""
        return self.said == len(self.line.starts) and not self.moved

    def say(self, word: int) -> None:
        """Go on by a word; see which note is the melody's."""
        if self.phase in (FREE, NAMED) and self.due and self.program == self.lead and self.of.pitched[word]:
            self.leading = self.of.value[word] == self.line.pitches[self.said]
        super().say(word)
        if self.phase == FREE and self.leading:
            self.melody_notes.append(self.notes.pop())
            self.said, self.milestone, self.leading = self.said + 1, self.milestone + 1, False


class InfillConstraint(Draft):
    """What fills the ticks from `start` to `stop` between what is given; then says what comes `after` it, the first of it at tick `arrives`, to be weighed by.

    Say `given` first. No key is struck that a note of the given holds, and none is held that the given needs: `kept` are the given notes' programs, pitches,
    starts and ends, int64 [notes, 4].
    """

    def __init__(self, words: Words, gap: tuple[int, int], after: np.ndarray, arrives: int, kept: np.ndarray, programs: set[int] | None = None) -> None:
        super().__init__(words, programs)
        (self.start, self.leaves), self.after, self.arrives, self.kept = gap, after, arrives, kept
        self.old = 0
        self.forced: list[int] | None = None

    def given(self, words: np.ndarray) -> None:
        """What is before the gap."""
        super().given(words)
        self.old = len(self.notes)
        self.pedals, self.down = [], dict.fromkeys(self.down, self.start)

    def allowed(self) -> np.ndarray:
        """The words after the gap, once there; as a draft before."""
        return np.arange(len(self.of.kind)) == self.forced[0] if self.forced else super().allowed()

    def moves(self) -> np.ndarray:
        """Shifts into the gap and in it; out of it only to where the given goes on, and not before there is a note."""
        of, landing = self.of, self.now + self.of.ticks
        mask = of.shift & (landing >= self.start) & (landing < self.leaves)
        ids = np.arange(len(of.kind))
        if self.now < self.start:
            mask |= ids == of.shift_towards(self.start - self.now)
        elif len(self.after) and len(self.notes) > self.old:
            mask |= ids == of.shift_towards(self.arrives - self.now)
        return mask

    def sounds(self) -> np.ndarray:
        """Nothing outside of the gap."""
        return super().sounds() if self.start <= self.now < self.leaves else np.zeros(len(self.of.kind), bool)

    def pitches(self, program: int | None) -> np.ndarray:
        """All but keys that are held."""
        held = (self.kept[:, 0] == program) & (self.kept[:, 2] <= self.now) & (self.kept[:, 3] > self.now)
        mask = super().pitches(program)
        free = mask & ~np.isin(self.of.value, self.kept[held, 1])
        return free if free.any() else mask

    def lengths(self) -> np.ndarray:
        """Those that end before the given needs the key."""
        mine = (self.kept[:, 0] == self.program) & (self.kept[:, 1] == self.pitch) & (self.kept[:, 2] > self.now)
        return self.of.duration & (self.of.ticks <= self.kept[mine, 2].min() - self.now) if mine.any() else self.of.duration

    def may_end(self) -> bool:
        """Where nothing follows and something was said."""
        return not len(self.after) and len(self.notes) > self.old and not self.moved

    def say(self, word: int) -> None:
        """Go on by a word."""
        if self.forced:
            self.words.append(self.forced.pop(0))
            self.done = not self.forced
            return
        super().say(word)
        if len(self.after) and self.now == self.arrives:
            self.forced = self._following()

    def _following(self) -> list[int]:
        """The words after the gap with the program named where it is another than the one that plays, and not where it is the same."""
        of, after = self.of, [int(word) for word in self.after]
        first = next((i for i, word in enumerate(after) if of.program[word]), None)
        if first is not None and of.value[after[first]] == self.program:
            del after[first]
        return after

    def filling(self) -> Piece:
        """What was made, in seconds; pedals that are still down end with the gap."""
        tick = self.of.tokenizer.tick_seconds
        held = [(start, self.leaves, program) for program, start in self.down.items()]
        return Piece.of(self.piece(self.old).notes, [(start * tick, end * tick, program) for start, end, program in (*self.pedals, *held) if end > start])
