"""Baselines that a language model has to beat: n-grams with interpolated, modified Kneser-Ney smoothing (Chen & Goodman, 1998), at their best.

Orders below the highest count in how many contexts a token follows, not how often; what is discounted goes to the next lower order, and at last to all tokens
alike, so that no token is impossible. Before a piece stands nothing, not the piece before.

A model that is trained on transpositions is held against n-grams that may learn from the same ones; which of these, and which order, is better is decided by
validation pieces (`chosen`). Louder, longer and faster variations, which change a step of a grid and no more, are not counted.

All orders come out of one pass: an n-gram is numbered by the one without its last token, at the token before, and that last token, by sorting. What is asked
is numbered with what is counted, so nothing is looked up and no table is kept: ten million tokens and ten orders take about 30 s and 1 GB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.judge.midi.bits import Encoded
from ostinato.midi.augmentation import Augment
from ostinato.params.midi import Augmentation
from ostinato.sampling import evenly

#: The highest order tried, and the one taken where there are no validation pieces.
MOST, USUAL = 24, 5
#: Of a larger training set an even sample of pieces is counted, of so many tokens with its transpositions.
TOKENS = 10**7


@dataclass(frozen=True)
class Baselines:
    """Bits of each held-out piece by a unigram and by the n-gram that was best on validation: its order, the pieces counted, and whether transposed as well."""

    unigram: list[float]
    ngram: list[float]
    order: int
    pieces: int
    transposed: bool


@dataclass(frozen=True)
class _Level:
    """n-grams of a length: `number` of the one that ends at each place [T], and by number its history and a place where it is [E]."""

    number: np.ndarray
    history: np.ndarray
    place: np.ndarray
    histories: int


def chosen(tokenizer: Any, trained: Sequence[Encoded], valid: Sequence[Encoded], heldout: Sequence[Encoded], params: Augmentation) -> Baselines:
    """The baselines of a training set, as validation pieces choose them by their bits per note, the mean over pieces."""
    asked, found = [piece.tokens for piece in (*valid, *heldout)], []
    for semitones in sorted({0, params.semitones}, reverse=True):
        pieces, sequences = counted(tokenizer, trained, params.model_copy(update={"semitones": semitones}))
        totals = np.array([[bits.sum() for bits in row] for row in ngram_bits(sequences, asked, tokenizer.size, MOST)])  # [orders, pieces]
        rates = (totals[:, : len(valid)] / [piece.notes for piece in valid]).mean(axis=1) if valid else abs(np.arange(1, MOST + 1) - USUAL)
        found.append((rates, totals[:, len(valid) :], pieces, semitones > 0))
    unigram = min(found, key=lambda one: one[0][0])
    rates, totals, pieces, transposed = min(found, key=lambda one: one[0][1:].min())
    order = 1 + int(rates[1:].argmin())
    return Baselines(unigram[1][0].tolist(), totals[order].tolist(), order + 1, pieces, transposed)


def counted(tokenizer: Any, trained: Sequence[Encoded], params: Augmentation) -> tuple[int, list[np.ndarray]]:
    """How many pieces are counted, and their tokens in each transposition that training draws from: all that leave every pitch in range."""
    augment = Augment(tokenizer, params)
    times = 2 * params.semitones + 1
    total = times * sum(len(piece.tokens) for piece in trained)
    pieces = evenly(trained, max(1, len(trained) * TOKENS // max(total, 1)))
    return len(pieces), [np.append(tokenizer.merged(words), tokenizer.end) for piece in pieces for words in augment.transpositions(piece.words)]


def ngram_bits(training: Sequence[np.ndarray], asked: Sequence[np.ndarray], size: int, most: int) -> list[list[np.ndarray]]:
    """Bits of each token of the sequences `asked`, given those before it, by n-grams of each order 1 to `most`, counted in `training`, over `size` tokens."""
    tokens = np.concatenate([part for sequence in (*training, *asked) for part in ([size], sequence)]).astype(np.int64)
    learnt = sum(map(len, training)) + len(training)
    places = np.flatnonzero(tokens[learnt:] < size) + learnt
    result, below, level, counts = [], np.full(len(places), 1 / size), None, None
    for _ in range(most):
        longer = _longer(tokens, size, level)
        counts = np.bincount(longer.number[:learnt][tokens[:learnt] < size], minlength=len(longer.place))
        if level:
            extensions = np.bincount(level.number[longer.place[counts > 0]], minlength=len(level.place))
            below = _probability(level, extensions, places, below)
        result.append(-np.log2(_probability(longer, counts, places, below)))
        level = longer
    return [np.split(bits, np.cumsum([len(sequence) for sequence in asked])[:-1]) for bits in result]


def _longer(tokens: np.ndarray, size: int, level: _Level | None) -> _Level:
    """n-grams longer by one token than those of a level (None: of no tokens). Before a piece, where the token is `size`, all are one."""
    history = np.zeros(len(tokens), np.int64)
    if level:
        history[1:] = level.number[:-1]
    keys = np.where(tokens < size, history * (size + 1) + tokens, -1)
    order = np.argsort(keys)
    first = np.diff(keys[order], prepend=-2) != 0
    number = np.empty(len(tokens), np.int32)
    number[order] = np.cumsum(first) - 1
    place = order[first]
    return _Level(number, history[place], place, len(level.place) if level else 1)


def _probability(level: _Level, counts: np.ndarray, places: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Of the tokens at `places` after their histories, by counts of n-grams [E] and the probability by the next lower order."""
    taken = discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(level.history, counts, minlength=level.histories)
    left = np.divide(np.bincount(level.history, taken, minlength=level.histories), total, out=np.ones(level.histories), where=total > 0)
    number = level.number[places]
    history = level.history[number]
    return (counts[number] - taken[number]) / np.maximum(total[history], 1) + left[history] * below


def discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off a count of 0, 1, 2, 3 and more: Chen & Goodman's estimate; where too little was seen for it, half of one for all."""
    n1, n2, n3, n4 = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array([0, 0.5, 0.5, 0.5])
    share = n1 / (n1 + 2 * n2)
    estimates = np.array([0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3])
    # something must be left to lower orders, or a token that was never seen would be impossible
    return np.clip(estimates, [0, 0.01, 0.01, 0.01], [0, 0.99, 1.99, 2.99])
