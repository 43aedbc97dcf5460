"""Baselines that a language model has to beat: a unigram, and a 5-gram with interpolated, modified Kneser-Ney smoothing (Chen & Goodman, 1998).

Orders below the highest count in how many contexts a word follows, not how often; what is discounted goes to the next lower order, and at last to all words
alike, so that no token is impossible. Before a piece stands nothing, not the piece before. Everything is counted by sorting: a history is numbered by the token
before it and the history without it, an event by its history and its token. Two million tokens take about two seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class _Order:
    """Sorted numbers of what was seen: `histories` [H] and what they leave to lower orders [H]; `events` [E] and their share of their history's count [E]."""

    histories: np.ndarray
    left: np.ndarray
    events: np.ndarray
    shares: np.ndarray


class NGrams:
    """An n-gram model of token sequences over `size` tokens."""

    def __init__(self, sequences: Sequence[np.ndarray], size: int, order: int = 5) -> None:
        self.size, self.order = size, order
        padded, at = self._padded(sequences)
        histories, numbers, events, seen = [np.zeros(1, np.int64)], [np.zeros(len(at), np.int64)], [], []
        for j in range(order):
            if j:
                table, number = np.unique(numbers[-1] * (size + 1) + padded[at - j], return_inverse=True)
                histories.append(table)
                numbers.append(number)
            table, first, number, counts = np.unique(numbers[j] * size + padded[at], return_index=True, return_inverse=True, return_counts=True)
            events.append(table)
            seen.append((first, number, counts))
        # in how many longer contexts an event is seen: each longer event counts once, for the event of this order at the same place
        counted = [np.bincount(number[longer[0]], minlength=len(table)) for table, (_, number, _), longer in zip(events, seen, seen[1:])] + [seen[-1][2]]
        self.orders = [self._smoothed(*parts) for parts in zip(histories, events, counted)]

    def _padded(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """All sequences in one, with `order` - 1 times the token `size`, "nothing", before each, and where their tokens are in it."""
        nothing = np.full(self.order - 1, self.size)
        parts = [part for sequence in sequences for part in (nothing, np.asarray(sequence, dtype=np.int64))]
        padded = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
        return padded, np.flatnonzero(padded < self.size)

    def _smoothed(self, histories: np.ndarray, events: np.ndarray, counts: np.ndarray) -> _Order:
        owners = events // self.size
        taken = discounts(counts)[np.minimum(counts, 3)]
        total = np.bincount(owners, counts, minlength=len(histories))
        left = np.divide(np.bincount(owners, taken, minlength=len(histories)), total, out=np.ones(len(histories)), where=total > 0)
        return _Order(histories, left, events, (counts - taken) / total[owners])

    def bits(self, sequence: np.ndarray) -> np.ndarray:
        """Bits of each token of a sequence, given those before it: float [len(sequence)]."""
        padded, at = self._padded([sequence])
        number, probability = np.zeros(len(at), np.int64), np.full(len(at), 1 / self.size)
        for j, order in enumerate(self.orders):
            if j:
                number = _find(order.histories, number * (self.size + 1) + padded[at - j], number >= 0)
            event = _find(order.events, number * self.size + padded[at], number >= 0)
            share = np.where(event >= 0, np.append(order.shares, 0)[event], 0.0)
            probability = np.where(number >= 0, share + order.left[number] * probability, probability)
        return -np.log2(probability)


def discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off a count of 0, 1, 2, 3 and more: Chen & Goodman's estimate; where too little was seen for it, half of one for all."""
    n1, n2, n3, n4 = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array([0, 0.5, 0.5, 0.5])
    share = n1 / (n1 + 2 * n2)
    estimates = np.array([0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3])
    # something must be left to lower orders, or a token that was never seen would be impossible
    return np.clip(estimates, [0, 0.01, 0.01, 0.01], [0, 0.99, 1.99, 2.99])


def _find(table: np.ndarray, keys: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Where keys are in a sorted table; -1 for those that are not, or not valid."""
    if not len(table):
        return np.full(len(keys), -1)
    place = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(valid & (table[place] == keys), place, -1)
