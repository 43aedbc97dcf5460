"""A third opinion that nobody trained: chroma against 24 templates, smoothed by Viterbi (Fujishima, ICMC 1999; Sheh & Ellis, ISMIR 2003).

It knows major and minor triads and "no chord", and shares no weight, no renders and no spectrum with the ears. It is a worse listener than they are; what it is for is that
a score it confirms does not come of what the ears have in common. Where the plugin of Chordino (Mauch & Dixon, ISMIR 2010) is at hand, with the Python package `vamp`, that
is asked as well.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import Any

import librosa
import numpy as np
import soxr

from ostinato.compiling import compiled_alone
from ostinato.harmony.chords import COMMON, QUALITIES, Chord, read
from ostinato.judge.adherence import Span

RATE, HOP = 22050, 2048
QUALITY_NAMES = ("maj", "min")
#: Logarithm of the odds that a template of cosine similarity 1 has over one of 0; from 6 to 25 scores differ by a point or two.
SHARPNESS = 12.0
#: Probability that a chord goes on for another frame (93 ms); from 0.9 to 0.99 scores differ by half a point.
STAY = 0.97
#: Frames weaker than this share of the loudest are "no chord", -40 dB.
FAINT = 1e-2
CHORDINO = "nnls-chroma:chordino"


@compiled_alone
def by_templates(samples: np.ndarray, rate: int) -> list[Span]:
    """Major and minor triads and "N" over mono audio [T] at `rate` Hz, by templates."""
    at_rate = soxr.resample(np.asarray(samples, np.float32), rate, RATE)
    duration = len(samples) / rate
    chroma = librosa.feature.chroma_cqt(y=at_rate, sr=RATE, hop_length=HOP, norm=None)
    level = librosa.feature.rms(y=at_rate, frame_length=2 * HOP, hop_length=HOP)[0][: chroma.shape[1]]
    similarity = _templates() @ (chroma / np.maximum(np.linalg.norm(chroma, axis=0), 1e-9))
    odds = np.exp(SHARPNESS * similarity)
    odds[-1] = np.where(level < FAINT * level.max(initial=0) + 1e-6, odds.sum(axis=0) * 100, odds[-1])
    path = librosa.sequence.viterbi(odds / odds.sum(axis=0), librosa.sequence.transition_loop(len(odds), STAY))
    edges = np.minimum((np.arange(len(path) + 1) - 0.5).clip(0) * HOP / RATE, duration)
    edges[-1] = duration
    return _joined(path, edges)


def _joined(path: np.ndarray, edges: np.ndarray) -> list[Span]:
    spans, at = [], 0
    for state, group in groupby(path.tolist()):
        count = len(list(group))
        spans.append((float(edges[at]), float(edges[at + count]), _chord(state)))
        at += count
    return spans


@cache
def _templates() -> np.ndarray:
    """Unit vectors [25, 12]: the triads, quality-major, and "no chord", where all sounds alike."""
    rows = [np.isin(np.arange(12), [(root + step) % 12 for step in QUALITIES[quality]]).astype(float) for quality in QUALITY_NAMES for root in range(12)]
    table = np.array([*rows, np.ones(12)])
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def _chord(state: int) -> Chord:
    return Chord(COMMON[state % 12], QUALITY_NAMES[state // 12]) if state < 24 else Chord("N", "")


def chordino_is_here() -> bool:
    """Whether the package `vamp` and Chordino's plugin are installed."""
    host = _vamp()
    return host is not None and CHORDINO in host.list_plugins()


def by_chordino(samples: np.ndarray, rate: int) -> list[Span]:
    """Chords over mono audio [T] as Chordino hears them; only where it is at hand."""
    found = _vamp().collect(np.asarray(samples, np.float32), rate, CHORDINO, output="simplechord")["list"]
    duration = len(samples) / rate
    times = [float(event["timestamp"]) for event in found] + [duration]
    return [(start, min(end, duration), read(event["label"]).chord) for start, end, event in zip(times, times[1:], found) if start < duration]


@cache
def _vamp() -> Any:
    try:
        import vamp
    except ImportError:
        return None
    return vamp
