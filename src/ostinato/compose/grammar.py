"""Pieces of words that a `draft.Draft` does not know: byte pairs, chords, rests, metres, tempos. A pitch is followed by its velocity and its
duration, drums are for drums, and no word of control comes up. Ids are those the model says, merged ones included; `words` are single ones.
"""

from __future__ import annotations

import numpy as np

from ostinato.compose.draft import FREE, NAMED, PITCHED, STRUCK
from ostinato.midi.notes import DRUMS
from ostinato.midi.tokens import NO_MUSIC, TIME, Tokenizer

DEAD = -1
#: Programs: one with pitches, drums, none named yet.
PITCHES, KIT, UNKNOWN = range(3)
#: So many words without a shift of time, then one must come.
STUCK = 256
USUAL_TEMPO = 120


class Grammar:
    """Which ids may follow in each state, `allowed` bool [states, ids]; the single words of each id; which ids begin with a shift of time."""

    def __init__(self, tokenizer: Tokenizer, programs: set[int] | None = None) -> None:
        self.tokenizer = tokenizer
        self.kinds, self.values = tokenizer.kinds, tokenizer.values
        self.table = self._table(programs)
        singles = [tokenizer.split([i]) for i in range(tokenizer.size)] if tokenizer.merges else [np.array([i]) for i in range(tokenizer.size)]
        self.singles = [[int(word) for word in words] for words in singles]
        self.allowed = np.array([[bool(words) and self.after(state, words) != DEAD for words in self.singles] for state in range(len(self.table))])
        self.moves = np.array([bool(words) and self.kinds[words[0]] in TIME for words in self.singles])
        self.ends = np.array([words == [tokenizer.end] for words in self.singles])
        self.start = FREE * 3 + (UNKNOWN if "Program" in self.kinds else PITCHES)

    def _table(self, programs: set[int] | None) -> np.ndarray:
        """The state after each single word [states, words]; state = 3 * phase + program."""
        table = np.full((4 * 3, len(self.kinds)), DEAD)
        for word, (kind, value) in enumerate(zip(self.kinds, self.values)):
            for playing in (PITCHES, KIT, UNKNOWN):
                if kind == "Program" and (not programs or value in programs):
                    table[FREE * 3 + playing, word] = NAMED * 3 + (KIT if value == DRUMS else PITCHES)
                elif (kind, playing) in (("Pitch", PITCHES), ("PitchDrum", KIT)):
                    table[[FREE * 3 + playing, NAMED * 3 + playing], word] = PITCHED * 3 + playing
                elif kind == "Velocity":
                    table[PITCHED * 3 + playing, word] = STRUCK * 3 + playing
                elif kind == "Duration":
                    table[STRUCK * 3 + playing, word] = FREE * 3 + playing
                elif kind == "Chord":
                    table[NAMED * 3 + playing, word] = NAMED * 3 + playing
                if kind not in ("Program", "Pitch", "PitchDrum", "Velocity", "Duration", *NO_MUSIC):
                    table[FREE * 3 + playing, word] = FREE * 3 + playing
        return table

    def after(self, state: int, words: list[int]) -> int:
        """The state after single words; DEAD where they cannot come."""
        for word in words:
            state = int(self.table[state, word]) if state != DEAD else DEAD
        return state


class GrammarDraft:
    """A piece of any words; as `draft.Draft`, in seconds where that is in ticks. `stop` is when it must be over, `least` when it may be."""

    def __init__(self, grammar: Grammar, least: float, stop: float) -> None:
        self.grammar, self.least, self.stop = grammar, least, stop
        self.words: list[int] = []
        self.state, self.seconds, self.pace = grammar.start, 0.0, 1.0
        self.done, self.milestone, self.still, self.pitches = False, 0, 0, 0

    def given(self, words: np.ndarray) -> None:
        """Begin with single words; what is new comes at a later onset."""
        for word in words:
            self._single(int(word))
        self.least, self.stop, self.done = self.least + self.seconds, self.stop + self.seconds, False
        self.still = STUCK if len(words) else 0

    def allowed(self) -> np.ndarray:
        """Which ids may come next, bool [ids]."""
        mask, free = self.grammar.allowed[self.state], self.state // 3 == FREE
        if free and self.still >= STUCK:
            return mask & self.grammar.moves
        ended = free and self.seconds >= self.least and self.still > 0 and self.pitches > 0
        return mask | self.grammar.ends if ended else mask

    def say(self, word: int) -> None:
        """Go on by an id."""
        for single in self.grammar.singles[word]:
            self._single(single)

    def _single(self, word: int) -> None:
        kind, value = self.grammar.kinds[word], float(self.grammar.values[word])
        self.words.append(word)
        self.done |= word == self.grammar.tokenizer.end
        self.state = self.grammar.after(self.state, [word])
        self.pitches += kind in ("Pitch", "PitchDrum")
        self.still += 1
        if kind == "Tempo":
            self.pace = USUAL_TEMPO / value
        if kind in TIME:
            self.seconds, self.still = self.seconds + value * self.pace, 0
            self.done |= self.seconds >= self.stop
