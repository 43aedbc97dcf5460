"""How much the features of generated music overlap with those of held-out music, after Yang & Lerch, *On the evaluation of generative models in music* (2020).

Each piece is described by features of its own. The distances (Euclidean) between all pairs of held-out pieces, and those between each generated and each
held-out piece, become two densities by kernel estimation (Gaussian, Scott's bandwidth, as in the authors' mgeval); the overlap area is the integral of the
lesser of the two. 1: generated pieces differ from held-out ones as these do from each other; 0: always more, or always less.

The features are theirs: number of pitches, pitch-class histogram, pitch range, mean time between onsets, histogram of note lengths, and notes a second in
place of the number of notes. Lengths fall into octaves of a second, as pieces in seconds have no note values. Drums are left out of all but the times between
onsets and the notes a second. The area is None where a set has less than three pieces with that feature, or where all distances of a kind are the same and
have no density. With few pieces it is a rough figure, and no interval is given for it: say how many pieces there were.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.judge.midi.notes import notes_per_second
from ostinato.midi.notes import DRUMS, Piece

FEATURES = ("pitch_count", "pitch_class_histogram", "pitch_range", "inter_onset_s", "note_length_histogram", "notes_per_second")
#: Borders between note lengths, s.
LENGTHS = 2.0 ** np.arange(-4, 3)
MIN_PIECES = 3
#: Notes closer than this begin together, s.
TOGETHER = 0.03
#: The densities are integrated up to so many standard deviations of the distances beyond them, in so many steps.
MARGIN, STEPS = 3.0, 2000


def features(piece: Piece) -> dict[str, np.ndarray | None]:
    """The FEATURES of a piece, each a vector, or None where the piece has none."""
    pitched = piece.notes[piece.notes["program"] != DRUMS]
    pitches, onsets = pitched["pitch"], np.unique(piece.notes["start"])
    onsets = onsets[np.diff(onsets, prepend=-np.inf) > TOGETHER]
    return {
        "pitch_count": _vector(len(np.unique(pitches)) if len(pitches) else None),
        "pitch_class_histogram": _shares(np.bincount(pitches % 12, minlength=12)),
        "pitch_range": _vector(int(np.ptp(pitches)) if len(pitches) else None),
        "inter_onset_s": _vector(float(np.diff(onsets).mean()) if len(onsets) > 1 else None),
        "note_length_histogram": _shares(np.bincount(np.digitize(pitched["end"] - pitched["start"], LENGTHS), minlength=len(LENGTHS) + 1)),
        "notes_per_second": _vector(notes_per_second(piece)),
    }


def _vector(value: float | None) -> np.ndarray | None:
    return None if value is None else np.array([value], dtype=float)


def _shares(counts: np.ndarray) -> np.ndarray | None:
    return counts / counts.sum() if counts.sum() else None


def overlap_areas(generated: Sequence[Piece], heldout: Sequence[Piece]) -> dict[str, float | None]:
    """The overlap area of each of FEATURES, 0-1 or None."""
    described, references = [features(piece) for piece in generated], [features(piece) for piece in heldout]
    return {name: _area_of([row[name] for row in described], [row[name] for row in references]) for name in FEATURES}


def _area_of(generated: Sequence[np.ndarray | None], heldout: Sequence[np.ndarray | None]) -> float | None:
    from scipy.spatial.distance import cdist, pdist

    ours, theirs = ([vector for vector in vectors if vector is not None] for vectors in (generated, heldout))
    if min(len(ours), len(theirs)) < MIN_PIECES:
        return None
    return overlap_area(pdist(np.stack(theirs)), cdist(np.stack(ours), np.stack(theirs)).ravel())


def overlap_area(first: np.ndarray, second: np.ndarray) -> float | None:
    """The area under both of two samples' densities, 0-1; None where a sample's values are all the same."""
    from scipy.stats import gaussian_kde

    if min(np.ptp(first), np.ptp(second)) < 1e-9:
        return None
    margin = MARGIN * max(first.std(), second.std())
    at = np.linspace(min(first.min(), second.min()) - margin, max(first.max(), second.max()) + margin, STEPS)
    lesser = np.minimum(gaussian_kde(first)(at), gaussian_kde(second)(at))
    return float(min(1.0, lesser.sum() * (at[1] - at[0])))
