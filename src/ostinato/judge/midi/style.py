"""Whether what was written under a composer's name sounds like them, asked of a classifier that learnt from real pieces.

A piece is described by what stays as it is in any key: intervals of its top and bottom line and how they move together, what sounds above the bass, how many sound
at once; and by its times: those between onsets, note lengths, notes a second. Instruments and loudness are left out: they tell the corpora apart, not the styles.
Times do so too, in part, as corpora are notated in different values and tempos: what is recognised by `pitches` alone is told as well. The classifier is a
logistic regression (scikit-learn), every composer counting alike; it learns from training pieces cut into excerpts as long as the samples, and how strongly it
is held back is decided by validation pieces. Composers of fewer than ENOUGH training compositions are left out.

It is first asked of held-out pieces, cut to the same length: what it gets right of these is as much as can be expected, always the commonest name is chance. Then it is asked of
samples, where chance is what it gets with the names permuted among them: of as many for each name, one over the number of names; of one name alone, all that it
gets. A share of samples near the real pieces' says that what tells these composers apart for the classifier is there, and no more: it hears notes of some seconds,
and knows only these names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ostinato.judge.intervals import Estimate, proportion
from ostinato.judge.midi.held_out import Row, share
from ostinato.judge.midi.overlap import TOGETHER
from ostinato.midi.metadata import ENOUGH
from ostinato.midi.notes import DRUMS, Piece
from ostinato.sampling import evenly

#: Pieces a composer, and excerpts a piece, that are learnt from at most.
PIECES, EXCERPTS = 200, 8
#: Inverse strengths of the penalty that are tried, and the one taken where there are no validation pieces.
STRENGTHS, USUAL = (0.001, 0.01, 0.1, 1.0, 10.0), 0.1
#: Intervals beyond these are one, semitones.
OCTAVE = 12
#: Borders between times, s: half an octave wide.
TIMES = 2.0 ** np.arange(-4, 2.5, 0.5)
#: Borders between falling far, by steps, staying, and rising so, semitones.
MOVES = (-2.5, -0.5, 0.5, 2.5)
#: Borders between getting slower and faster: the next time between onsets over the last, octaves.
PACES = (-1.25, -0.25, 0.25, 1.25)
#: More voices than these are as many.
VOICES = 8


@dataclass(frozen=True)
class Asked:
    """Pieces with the composer each is by, or was asked to be like, and what counts as one observation."""

    pieces: Sequence[Piece]
    composers: Sequence[str | None]
    groups: Sequence[str]


def learners(composers: Sequence[str | None], rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Composers with enough training compositions, and those with too few."""
    compositions = {(name, row["composition"]) for name, row in zip(composers, rows) if name}
    counts = Counter(name for name, _ in compositions)
    return sorted(name for name in counts if counts[name] >= ENOUGH), sorted(name for name in counts if counts[name] < ENOUGH)


def style(train: Asked, valid: Asked, heldout: Asked, samples: Asked, rows: Sequence[Row], seconds: float, confidence: float) -> dict[str, Any]:
    """Percent recognised of held-out pieces and of samples, in all and by composer, with exact intervals.

    Args:
        heldout: pieces already cut to the length of the samples, as `seconds` says.
        rows: of the training pieces.
    """
    names, left_out = learners(train.composers, rows)
    told = {}
    for times in (True, False):
        classifier = Classifier.learnt(names, train, valid, seconds, times) if len(names) > 1 else None
        told[times] = {"heldout": _told(classifier, heldout, names), "generated": _told(classifier, samples, names)}
    real = Counter({one.group: one.composer for one in told[True]["heldout"]}.values())
    return {
        **_shares_of(told[True], confidence),
        "pitches": _shares_of(told[False], confidence),
        "commonest": proportion(max(real.values(), default=0), sum(real.values()), confidence),
        "by_composer": {name: {side: _share([one for one in found if one.composer == name], confidence) for side, found in told[True].items()} for name in names},
        "left_out": left_out,
        "seconds": None if np.isinf(seconds) else round(seconds, 3),
    }


class Told(NamedTuple):
    """A piece's group, whose it is, and whose the classifier takes it for."""

    group: str
    composer: str
    guess: str


def _told(classifier: Classifier | None, asked: Asked, names: Sequence[str]) -> list[Told]:
    """Of each piece by one of the names that has a pitch."""
    known = [number for number, name in enumerate(asked.composers) if name in names and len(pitched(asked.pieces[number]))] if classifier else []
    if not classifier or not known:
        return []
    return [Told(asked.groups[i], str(asked.composers[i]), guess) for i, guess in zip(known, classifier.names_of([asked.pieces[i] for i in known]))]


def _shares_of(told: dict[str, list[Told]], confidence: float) -> dict[str, Any]:
    return {**{side: _share(found, confidence) for side, found in told.items()}, "permuted": _permuted(told["generated"])}


def _share(found: Sequence[Told], confidence: float) -> Estimate:
    return share(((one.group, one.guess == one.composer) for one in found), confidence)


def _permuted(found: Sequence[Told]) -> float | None:
    """Percent recognised where each piece is held against all pieces' names, in the mean: what is left where what was asked for made no difference."""
    asked, guessed = Counter(one.composer for one in found), Counter(one.guess for one in found)
    return round(100 * sum(asked[name] * guessed[name] for name in asked) / len(found) ** 2, 4) if found else None


@dataclass(frozen=True)
class Classifier:
    """Names a piece's composer, by its times as well or by its pitches alone."""

    model: Any
    times: bool

    @classmethod
    def learnt(cls, names: Sequence[str], train: Asked, valid: Asked, seconds: float, times: bool) -> Classifier:
        """From excerpts of training pieces; the strength of its penalty from those of validation pieces, by what the right name costs, every composer alike."""
        x, y = _excerpts(names, train, seconds, times)
        held, right = _excerpts(names, valid, seconds, times)
        models = [_fit(x, y, strength) for strength in (STRENGTHS if len(right) else (USUAL,))]
        return cls(min(models, key=lambda model: _cost(model, held, right)) if len(right) else models[0], times)

    def names_of(self, pieces: Sequence[Piece]) -> list[str]:
        """The likeliest composer of each."""
        return [str(name) for name in self.model.predict(np.stack([describe(piece, self.times) for piece in pieces]))]


def _fit(x: np.ndarray, y: np.ndarray, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)).fit(x, y)


def _cost(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    costs = -model.predict_log_proba(x)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return float(np.mean([costs[y == name].mean() for name in np.unique(y)]))


def _excerpts(names: Sequence[str], asked: Asked, seconds: float, times: bool) -> tuple[np.ndarray, np.ndarray]:
    """Descriptions [excerpts, features] and composers [excerpts] of an even sample of each composer's pieces, cut one excerpt after another."""
    rows, labels = [], []
    for name in names:
        for piece in evenly([piece for piece, composer in zip(asked.pieces, asked.composers) if composer == name], PIECES):
            parts = [part for part in evenly(excerpts(piece, seconds), EXCERPTS) if len(pitched(part))]
            rows += [describe(part, times) for part in parts]
            labels += [name] * len(parts)
    return np.array(rows), np.array(labels)


def excerpts(piece: Piece, seconds: float) -> list[Piece]:
    """A piece in parts of a length, each from 0 s, what sounds at an end ended there; the last, if shorter than half of it, is left out unless it is the first."""
    if not piece.seconds > seconds:
        return [piece]
    parts = []
    for number in range(max(1, int(piece.seconds / seconds + 0.5))):
        part = Piece(piece.notes[(piece.notes["start"] >= number * seconds) & (piece.notes["start"] < (number + 1) * seconds)].copy(), piece.pedals[:0])
        part.notes["end"] = np.minimum(part.notes["end"], (number + 1) * seconds)
        parts.append(part.moved(-number * seconds))
    return parts


def pitched(piece: Piece) -> np.ndarray:
    """Its notes without drums."""
    return piece.notes[piece.notes["program"] != DRUMS]


def describe(piece: Piece, times: bool = True) -> np.ndarray:
    """What of a piece with pitches stays as it is in any key, and without `times` in any rhythm: a vector of shares and a few other numbers."""
    notes = pitched(piece)
    starts = np.unique(notes["start"])
    onsets = starts[np.diff(starts, prepend=-np.inf) > TOGETHER]
    pitch = notes["pitch"].astype(int)
    begun = [pitch[(notes["start"] >= onset) & (notes["start"] <= onset + TOGETHER)] for onset in onsets]
    sounding = [pitch[(notes["start"] <= onset + TOGETHER) & (notes["end"] > onset + TOGETHER)] for onset in onsets]
    lines = [np.diff([edge(group) for group in begun]) for edge in (np.max, np.min)]
    moves, waits = [np.digitize(line, MOVES) for line in lines], np.diff(onsets)
    paces = np.digitize(np.log2(waits[1:] / waits[:-1]), PACES)
    classes = np.bincount(pitch % OCTAVE, minlength=OCTAVE) / len(pitch)
    above = np.concatenate([np.unique(group - group.min())[1:] for group in sounding if len(group)] or [np.zeros(0, int)])
    voices = np.array([len(group) for group in sounding], int)
    of_pitches = [
        *(_shares(np.clip(line, -OCTAVE, OCTAVE) + OCTAVE, 2 * OCTAVE + 1) for line in lines),
        *(_shares(move[1:] * 5 + move[:-1], 25) for move in moves),
        _shares(moves[0] * 5 + moves[1], 25),
        _shares(above % OCTAVE, OCTAVE),
        _shares(np.minimum(voices, VOICES), VOICES + 1),
        np.array([classes @ np.roll(classes, shift) for shift in range(1, OCTAVE // 2 + 1)]),
        np.array([np.ptp(pitch), pitch.std()]),
    ]
    of_times = [
        _shares(paces[1:] * 5 + paces[:-1], 25),
        _shares(np.digitize(waits, TIMES), len(TIMES) + 1),
        _shares(np.digitize(notes["end"] - notes["start"], TIMES), len(TIMES) + 1),
        np.array([len(pitch), len(onsets)]) / max(piece.seconds, 1.0),
    ]
    return np.concatenate(of_pitches + of_times * times)


def _shares(places: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(np.asarray(places, int), minlength=size) / max(1, len(places))
