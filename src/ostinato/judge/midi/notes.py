"""What the notes of a piece say of it: pitches, groove, density, silence, and whether a melody is still there.

Conventions: times in seconds, shares 0-1, entropy in bits; None where a metric is not defined (no pitched note, less than two bars). Drums are left out of what
is said of pitches. Pitch-class entropy, scale and groove consistency are muspy's, after Wu & Yang (2020) and Mogren (2016).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ostinato.midi.notes import DRUMS, Piece

#: A piece in seconds has no metre. Groove is compared between spans of two seconds, a bar of four at the 120 beats a minute that files are written in, each in
#: 64 positions as Wu & Yang have it: right for pieces in that tempo, and for others a figure to hold against the same figure of other music. On a much finer
#: grid nearly all positions are empty in both bars, and everything scores 1.
BAR_SECONDS, POSITIONS = 2.0, 64
METRICS = ("pitch_class_entropy", "scale_consistency", "groove_consistency", "notes_per_second", "longest_silence_s")


def note_metrics(piece: Piece) -> dict[str, float | None]:
    """The METRICS of a piece; all None where it has no notes."""
    if not len(piece.notes):
        return dict.fromkeys(METRICS)
    import muspy

    music = as_muspy(piece)
    return {
        "pitch_class_entropy": _defined(muspy.pitch_class_entropy(music)),
        "scale_consistency": _defined(muspy.scale_consistency(music)),
        "groove_consistency": _defined(muspy.groove_consistency(music, POSITIONS)),
        "notes_per_second": notes_per_second(piece),
        "longest_silence_s": longest_silence(piece),
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def as_muspy(piece: Piece) -> Any:
    """A piece as muspy's Music in steps of a position, one track a program; a note lasts at least one step."""
    from muspy import Music, Note, Track

    starts, ends = (np.floor(piece.notes[name] * POSITIONS / BAR_SECONDS + 0.5).astype(int) for name in ("start", "end"))
    tracks = []
    for program in piece.programs:
        rows = np.flatnonzero(piece.notes["program"] == program)
        notes = [Note(int(starts[i]), int(piece.notes["pitch"][i]), max(1, int(ends[i] - starts[i])), int(piece.notes["velocity"][i])) for i in rows]
        tracks.append(Track(max(0, program), program == DRUMS, notes=notes))
    return Music(resolution=POSITIONS // 4, tracks=tracks)


def notes_per_second(piece: Piece) -> float | None:
    """Notes over the time until the last one ends; None where that is no time."""
    return len(piece.notes) / piece.seconds if piece.seconds > 0 else None


def longest_silence(piece: Piece) -> float:
    """The longest time in which no note sounds, from 0 to the end of the last note, s. Pedals are ignored."""
    order = np.argsort(piece.notes["start"], kind="stable")
    sounding_until = np.maximum.accumulate(np.concatenate([[0.0], piece.notes["end"][order]]))
    gaps = piece.notes["start"][order] - sounding_until[:-1]
    return float(gaps.max(initial=0.0))


def melody_notes(piece: Piece, melody: Piece, tolerance_s: float = 0.01) -> np.ndarray:
    """For each note of a melody the note of `piece` that is it, by index, or -1: same pitch, onset and end within the tolerance; none serves twice."""
    slack = tolerance_s + 1e-6  # 10 ms apart is within 10 ms, whatever floats make of it
    free = piece.notes["program"] != DRUMS
    found = np.full(len(melody.notes), -1)
    for number, note in enumerate(melody.notes):
        apart = np.maximum(abs(piece.notes["start"] - note["start"]), abs(piece.notes["end"] - note["end"]))
        fits = free & (piece.notes["pitch"] == note["pitch"]) & (apart <= slack)
        if fits.any():
            found[number] = np.flatnonzero(fits)[apart[fits].argmin()]
            free[found[number]] = False
    return found


def melody_recall(piece: Piece, melody: Piece, tolerance_s: float = 0.01) -> float | None:
    """Share of the melody's notes that are in `piece`; None for a melody without notes."""
    found = melody_notes(piece, melody, tolerance_s)
    return float((found >= 0).mean()) if len(found) else None
