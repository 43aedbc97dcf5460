"""Whether confidences can be believed: of what is said with confidence 0.8, four fifths should be right.

A `Said` is one stretch of time of one heard chord: what it was called, how sure the listener was, how long it lasts and for how much of that it was right (root
and quality; the bass is not asked). The expected calibration error (Naeini et al., AAAI 2015) sorts them into bins of confidence and averages, by duration, how
far a bin's confidence is from the share of it that is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.ears.labels import REDUCED
from ostinato.harmony.chords import Chord

BINS = 10
Timeline = Sequence[tuple[float, float, Chord]]


@dataclass(frozen=True)
class Said:
    """See the module; `quality` is "N" where no chord was heard, times in s."""

    quality: str
    confidence: float
    seconds: float
    right: float


def said(truth: Timeline, heard: Timeline, confidences: Sequence[float]) -> list[Said]:
    """Compare what was heard with the truth, both rising in time; what the truth calls X is left out."""
    rows = []
    for (start, end, chord), confidence in zip(heard, confidences):
        within = [(min(end, until) - max(start, since), asked) for since, until, asked in truth if asked.root != "X" and min(end, until) > max(start, since)]
        if within:
            right = sum(length for length, asked in within if _sounds(asked) == _sounds(chord))
            rows.append(Said(chord.quality if chord.is_chord else "N", confidence, sum(length for length, _ in within), right))
    return rows


def expected_error(rows: Iterable[Said]) -> float:
    """Expected calibration error, 0 to 1; 0 of nothing."""
    table = np.array([(row.confidence, row.seconds, row.right) for row in rows]).reshape(-1, 3)
    bins = np.minimum((table[:, 0] * BINS).astype(int), BINS - 1)
    gaps = [abs(float(table[bins == k, 0] @ table[bins == k, 1] - table[bins == k, 2].sum())) for k in range(BINS)]
    return sum(gaps) / max(float(table[:, 1].sum()), 1e-9)


def by_quality(rows: Sequence[Said]) -> dict[str, dict[str, float]]:
    """For each quality heard, the most frequent first: seconds, percent right, mean confidence in percent, and the expected error of its confidence."""
    found = {}
    for quality in dict.fromkeys(row.quality for row in rows):
        some = [row for row in rows if row.quality == quality]
        seconds = sum(row.seconds for row in some)
        found[quality] = {
            "seconds": round(seconds),
            "right": round(100 * sum(row.right for row in some) / seconds, 1),
            "confidence": round(100 * sum(row.confidence * row.seconds for row in some) / seconds, 1),
            "error": round(expected_error(some), 3),
        }
    return dict(sorted(found.items(), key=lambda item: -item[1]["seconds"]))


def _sounds(chord: Chord) -> tuple[int, str] | None:
    """Root and quality, ninths as the sevenths that ears call them; None for no chord."""
    return (chord.pitch_class, REDUCED.get(chord.quality, chord.quality)) if chord.is_chord else None
