"""Form: section borders from novelty, section names from similarity.

Bars are compared by harmony and by how they are played (onsets within the bar and spectral shape). A checkerboard kernel along the diagonal of the
self-similarity matrix (Foote, 2000) peaks where a block of similar bars ends; peaks on whole phrases are preferred. Sections that sound alike get
the same letter.
"""

from __future__ import annotations

import librosa
import numpy as np

PHRASE_BARS = 4
#: Peaks off the phrase grid count this much less.
OFF_PHRASE = 0.5
SAME = 0.9
#: Points at which the onsets of a bar are compared.
RHYTHM_POINTS = 16


def sections(samples: np.ndarray, sample_rate: int, hop: int, downbeats: np.ndarray, duration: float, kernel_beats: int) -> list[tuple[float, float, str]]:
    """Sections (start, end, letter) covering 0..duration, in seconds; one section when there are fewer than eight bars."""
    if len(downbeats) < 2 * PHRASE_BARS:
        return [(0.0, duration, "A")]
    bars = bar_features(samples, sample_rate, hop, downbeats, duration)
    similarity = bars @ bars.T
    half = max(2, kernel_beats // 4 // 2)
    borders = _peaks(novelty(similarity, half), half)
    return _named([0, *borders, len(bars)], downbeats, duration, bars)


def bar_features(samples: np.ndarray, sample_rate: int, hop: int, downbeats: np.ndarray, duration: float) -> np.ndarray:
    """One unit vector a bar: how it is played, standardised over the song: [bars, D]."""
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=sample_rate, hop_length=hop, n_mels=40))
    onset = np.maximum(0, np.diff(mel, axis=1, prepend=mel[:, :1])).mean(axis=0)
    edges = np.append(downbeats, duration)
    rows = []
    for start, end in zip(edges, edges[1:]):
        first = min(int(start * sample_rate / hop), len(onset) - 1)
        bar = slice(first, max(int(end * sample_rate / hop), first + 1))
        shape, strokes = mel[:, bar].mean(axis=1), onset[bar]
        rhythm = np.interp(np.linspace(0, 1, RHYTHM_POINTS), np.linspace(0, 1, len(strokes)), strokes)
        rows.append(np.concatenate([shape - shape.mean(), 2 * rhythm]))
    table = np.array(rows)
    table = (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-6)
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)


def novelty(similarity: np.ndarray, half: int) -> np.ndarray:
    """Foote's novelty at the start of each bar: similarity within the blocks before and after, less that across; [bars]."""
    count = len(similarity)
    values = np.zeros(count)
    for bar in range(2, count - 1):
        width = min(half, bar, count - bar)
        before, after = slice(bar - width, bar), slice(bar, bar + width)
        within = similarity[before, before].mean() + similarity[after, after].mean()
        values[bar] = within / 2 - similarity[before, after].mean()
    return values


def _peaks(values: np.ndarray, half: int) -> list[int]:
    """Bars where novelty peaks, at least half a kernel apart."""
    weighted = values * np.where(np.arange(len(values)) % PHRASE_BARS == 0, 1.0, OFF_PHRASE)
    threshold = weighted.mean() + 0.5 * weighted.std()
    order = [int(bar) for bar in np.argsort(-weighted, kind="stable") if weighted[bar] > threshold and bar >= 2]
    chosen: list[int] = []
    for bar in order:
        if all(abs(bar - other) >= half for other in chosen):
            chosen.append(bar)
    return sorted(chosen)


def _named(edges: list[int], downbeats: np.ndarray, duration: float, bars: np.ndarray) -> list[tuple[float, float, str]]:
    means: list[np.ndarray] = []
    named = []
    for first, after in zip(edges, edges[1:]):
        mean = bars[first:after].mean(axis=0)
        mean /= max(float(np.linalg.norm(mean)), 1e-9)
        match = next((i for i, other in enumerate(means) if float(mean @ other) > SAME), None)
        if match is None:
            match = len(means)
            means.append(mean)
        start = 0.0 if first == 0 else float(downbeats[first])
        end = duration if after == len(bars) else float(downbeats[after])
        named.append((start, end, chr(ord("A") + min(match, 25))))
    return named
