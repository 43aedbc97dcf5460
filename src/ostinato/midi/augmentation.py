"""Variations of music, on words: higher or lower, louder or softer, longer or shorter, faster or slower; all of one draw alike.

MidiTok augments files and has no tempo. Here nothing is written: words are replaced as they are drawn, by tables made once of the vocabulary.
"""

from __future__ import annotations

import numpy as np

from ostinato.midi.tokens import TIME, Tokenizer
from ostinato.params.midi import Augmentation


class Augment:
    """Varies ids of single words; see `__call__`."""

    def __init__(self, tokenizer: Tokenizer, params: Augmentation) -> None:
        self.tokenizer, self.params = tokenizer, params
        self.kinds, self.values = tokenizer.kinds, tokenizer.values
        self.ladders = {kind: self._ladder(kind) for kind in ("Pitch", "Velocity", "Duration", "Tempo", "TimeShift")}
        self.rank = np.zeros(len(self.kinds), np.int64)  # of a word among those of its kind
        for ladder in self.ladders.values():
            self.rank[ladder] = np.arange(len(ladder))
        self.ticks = np.where(np.isin(self.kinds, (*TIME, "Duration")), np.round(np.nan_to_num(self.values) / tokenizer.tick_seconds), 0).astype(np.int64)
        self.moves = np.isin(self.kinds, TIME)
        self.shifts: dict[int, np.ndarray] = {}

    def _ladder(self, kind: str) -> np.ndarray:
        """Ids of a kind by value."""
        ids = np.flatnonzero(self.kinds == kind)
        return ids[np.argsort(self.values[ids], kind="stable")]

    def __call__(self, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The same music varied: ids of single words [S] -> [S']; S' differs where a new tempo takes other shifts."""
        ids = self.stepped(ids, "Pitch", self._semitones(ids, rng))
        for kind, most in (("Velocity", self.params.velocity), ("Duration", self.params.duration)):
            ids = self.stepped(ids, kind, int(rng.integers(-most, most + 1)))
        if not self.params.tempo:
            return ids
        if len(self.ladders["Tempo"]):
            return self.stepped(ids, "Tempo", int(rng.integers(-1, 2)))
        return self.stretched(ids, float(np.exp(rng.uniform(-1, 1) * np.log1p(self.params.tempo))))

    def _semitones(self, ids: np.ndarray, rng: np.random.Generator) -> int:
        low, high = self.reach(ids)
        return int(rng.integers(low, high + 1)) if high > low else 0

    def reach(self, ids: np.ndarray) -> tuple[int, int]:
        """The transpositions, lowest and highest, that leave every pitch in range; drums have none."""
        ranks = self.rank[ids[self.kinds[ids] == "Pitch"]]
        if not len(ranks):
            return 0, 0
        return -min(self.params.semitones, int(ranks.min())), min(self.params.semitones, len(self.ladders["Pitch"]) - 1 - int(ranks.max()))

    def transpositions(self, ids: np.ndarray) -> list[np.ndarray]:
        """The same music in each transposition that is drawn from."""
        low, high = self.reach(ids)
        return [self.stepped(ids, "Pitch", steps) for steps in range(low, high + 1)]

    def stepped(self, ids: np.ndarray, kind: str, steps: int) -> np.ndarray:
        """Words of a kind replaced by those so many steps higher; beyond the last one stays the last."""
        if not steps:
            return ids
        ladder, chosen = self.ladders[kind], self.kinds[ids] == kind
        ids = ids.copy()
        ids[chosen] = ladder[np.clip(self.rank[ids[chosen]] + steps, 0, len(ladder) - 1)]
        return ids

    def stretched(self, ids: np.ndarray, factor: float) -> np.ndarray:
        """Time `factor` times as long: shifts are made anew from onsets rounded on their own, durations are the nearest there are."""
        still = np.flatnonzero(~self.moves[ids])
        onsets = np.round(np.cumsum(self.ticks[ids] * self.moves[ids])[still] * factor).astype(np.int64)
        gaps = np.diff(onsets, prepend=0)
        words, durations = ids[still].copy(), self.ladders["Duration"]
        held = self.kinds[words] == "Duration"
        words[held] = durations[_nearest(self.ticks[durations], self.ticks[words[held]] * factor)]
        parts = []
        last = 0
        for place in np.flatnonzero(gaps).tolist():
            parts += [words[last:place], self.shift(int(gaps[place]))]
            last = place
        return np.concatenate([*parts, words[last:]])

    def shift(self, ticks: int) -> np.ndarray:
        """The words that move time by `ticks`, the longest first, as MidiTok has them."""
        if ticks not in self.shifts:
            ladder, rest, words = self.ladders["TimeShift"], ticks, []
            sizes = self.ticks[ladder]
            while rest:
                words.append(ladder[np.searchsorted(sizes, rest, "right") - 1])
                rest -= self.ticks[words[-1]]
            self.shifts[ticks] = np.array(words)
        return self.shifts[ticks]


def _nearest(ladder: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places in an ascending ladder nearest to the wanted values."""
    above = np.clip(np.searchsorted(ladder, wanted), 1, len(ladder) - 1)
    return above - (wanted - ladder[above - 1] <= ladder[above] - wanted)
