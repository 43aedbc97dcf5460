"""Chords: templates over treble and bass chroma, decoded by Viterbi.

A chord's score in a frame is the log of a softened match between the chroma and its notes, plus a bonus for its root in the bass, plus a prior for
plain triads, so that a stray overtone makes no seventh. Frames below a level are no chord. Decoding pays `chord_switch` for every change.
"""

from __future__ import annotations

import numpy as np

from ostinato.listen.features import Features
from ostinato.theory import COMMON, QUALITIES, Chord

VOCABULARIES = {
    "majmin": ("maj", "min"),
    "sevenths": ("maj", "min", "7", "maj7", "min7"),
    "full": ("maj", "min", "7", "maj7", "min7", "dim", "aug", "sus2", "sus4", "hdim7", "dim7", "maj6", "min6"),
}
SILENCE_DB = -55.0
MATCH_WEIGHT = 18.0
BASS_WEIGHT = 2.0
#: Nats a frame's evidence must exceed before a quality other than a triad is believed.
RARE_PENALTY = {"maj": 0.0, "min": 0.0}
DEFAULT_PENALTY = 0.6
SMOOTH_FRAMES = 3

Interval = tuple[float, float, Chord]


def recognise(features: Features, vocabulary: str, switch: float) -> tuple[list[Interval], list[float]]:
    """Chord intervals covering 0..duration, and a confidence 0-1 for each (mean posterior of its frames)."""
    chords = [Chord(COMMON[root], quality) for quality in VOCABULARIES[vocabulary] for root in range(12)]
    scores = chord_scores(features, chords)
    silent = np.where(features.level < SILENCE_DB, 1e3, -1e3)
    path = viterbi(np.vstack([scores, silent]), switch)
    posterior = np.exp(scores - scores.max(axis=0))
    posterior /= posterior.sum(axis=0)
    return _intervals(path, [*chords, Chord("N", "")], features, np.vstack([posterior, np.ones(len(path))]))


def chord_scores(features: Features, chords: list[Chord]) -> np.ndarray:
    """Score of each chord in each frame, in nats up to a constant: [C, F]."""
    treble = _smooth(_normalise(features.treble + 0.5 * features.bass))
    bass = _smooth(_normalise(features.bass))
    templates = np.array([_template(chord) for chord in chords])
    roots = np.array([chord.bass_pitch_class for chord in chords])
    penalty = np.array([RARE_PENALTY.get(chord.quality, DEFAULT_PENALTY) for chord in chords])
    return MATCH_WEIGHT * (templates @ treble) + BASS_WEIGHT * bass[roots] - penalty[:, None]


def _template(chord: Chord) -> np.ndarray:
    template = np.zeros(12)
    template[[(chord.pitch_class + step) % 12 for step in QUALITIES[chord.quality]]] = 1
    return template / np.linalg.norm(template)


def _normalise(chroma: np.ndarray) -> np.ndarray:
    return chroma / np.maximum(np.linalg.norm(chroma, axis=0), 1e-6)


def _smooth(chroma: np.ndarray) -> np.ndarray:
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(chroma, SMOOTH_FRAMES, axis=1, mode="nearest")


def viterbi(scores: np.ndarray, switch: float) -> np.ndarray:
    """Best state per frame for scores [S, F], when every change of state costs `switch`."""
    states, frames = scores.shape
    best, came = scores[:, 0].copy(), np.zeros((frames, states), np.int32)
    stay = np.arange(states)
    for frame in range(1, frames):
        leader = int(best.argmax())
        changes = best[leader] - switch > best
        came[frame] = np.where(changes, leader, stay)
        best = np.where(changes, best[leader] - switch, best) + scores[:, frame]
    path = np.empty(frames, np.int32)
    path[-1] = best.argmax()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = came[frame, path[frame]]
    return path


def _intervals(path: np.ndarray, chords: list[Chord], features: Features, posterior: np.ndarray) -> tuple[list[Interval], list[float]]:
    # frame f stands for the time around f / rate, so that a change lies half a frame before it
    starts = [0, *(np.flatnonzero(np.diff(path)) + 1), len(path)]
    edges = np.clip((np.array(starts) - 0.5) / features.rate, 0, features.duration)
    edges[-1] = features.duration
    intervals, confidences = [], []
    for i, (first, after) in enumerate(zip(starts, starts[1:])):
        intervals.append((float(edges[i]), float(edges[i + 1]), chords[path[first]]))
        confidences.append(float(posterior[path[first], first:after].mean()))
    return intervals, confidences


def snap(intervals: list[Interval], beats: np.ndarray, reach: float) -> list[Interval]:
    """Move inner borders to the nearest beat, if it is nearer than `reach` seconds; what becomes empty is dropped."""
    if len(beats) == 0:
        return intervals
    borders = [intervals[0][0]]
    for start, _, _ in intervals[1:]:
        nearest = float(beats[np.argmin(np.abs(beats - start))])
        borders.append(nearest if abs(nearest - start) <= reach else start)
    borders.append(intervals[-1][1])
    moved = [(left, right, chord) for left, right, (_, _, chord) in zip(borders, borders[1:], intervals) if right - left > 1e-6]
    merged: list[Interval] = []
    for left, right, chord in moved:
        if merged and merged[-1][2] == chord:
            merged[-1] = (merged[-1][0], right, chord)
        else:
            merged.append((left, right, chord))
    return merged
