"""Which instruments play when: spans from what the instruments' ear says second by second, and the names that a segment gets.

A name is said where the ear is surer than the threshold that its weights carry for that family (see train.tasks.instruments); it then holds on until it falls below KEPT of
that. What is heard shorter than SHORTEST is not said: a doubt that comes and goes. Where nothing is sure, nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter1d

from ostinato.ears import features
from ostinato.ears.labels import fine_loudness
from ostinato.ears.weights import load_ear
from ostinato.harmony.instruments import FAMILIES, MOST_NAMES
from ostinato.listen.evidence import Analysis

#: (start, end, name, confidence 0-1), times in seconds.
Playing = tuple[float, float, str, float]
#: Seconds that the ear is given at once, and how many at each end only serve as context.
PIECE, CONTEXT = 120, 4
#: Seconds over which probabilities are averaged; spans shorter than SHORTEST seconds are no spans, but in clips that are themselves shorter.
SMOOTH, SHORTEST = 3, 3
#: A span lasts while it is likelier than this share of what it began with.
KEPT = 0.7
#: Families that are one instrument in other hands: of two that are likely in the same second only the likelier is.
ONE_OF = ("acoustic guitar", "ukulele")
#: A name belongs to a segment of which it covers so much.
COVERED = 0.5


def shares(analysis: Analysis, folder: str | None) -> np.ndarray:
    """The probability that each of FAMILIES plays in each second: float32 [seconds, FAMILIES]; what is left of a last second counts to the one before."""
    import torch

    network, rate = load_ear("instruments", folder), features.FINE_RATE
    scaled = torch.from_numpy(analysis.fine / np.float32(fine_loudness(analysis.fine)))
    seconds, found = max(1, len(scaled) // rate), []
    with torch.inference_mode():
        for first in range(0, seconds, PIECE):
            before = min(first, CONTEXT)
            logits = network(scaled[None, (first - before) * rate : min(first + PIECE + CONTEXT, seconds) * rate])[0]
            found.append(logits[before : before + min(PIECE, seconds - first)].sigmoid())
    return torch.cat(found).numpy()


def instruments(analysis: Analysis, folder: str | None) -> dict[str, float]:
    """The probability of each of FAMILIES, averaged over a recording."""
    return dict(zip(FAMILIES, shares(analysis, folder).mean(axis=0).tolist()))


def playing(analysis: Analysis, folder: str | None) -> list[Playing]:
    """What plays when, by time, then in the order of FAMILIES."""
    thresholds = load_ear("instruments", folder).get_buffer("thresholds").numpy()
    return spans(shares(analysis, folder), thresholds, analysis.duration)


def spans(probabilities: np.ndarray, thresholds: np.ndarray, duration: float) -> list[Playing]:
    """Spans of all families from probabilities [seconds, FAMILIES]; the last second ends with the recording, at `duration`."""
    smooth = uniform_filter1d(probabilities, min(SMOOTH, len(probabilities)), axis=0, mode="nearest")
    rivals = [FAMILIES.index(name) for name in ONE_OF]
    smooth[:, rivals] *= smooth[:, rivals] == smooth[:, rivals].max(axis=1, keepdims=True)
    found: list[Playing] = []
    for number, (name, threshold) in enumerate(zip(FAMILIES, thresholds)):
        for first, last in _runs(smooth[:, number], float(threshold)):
            if last - first >= min(SHORTEST, len(smooth)):
                end = duration if last == len(smooth) else float(last)
                found.append((float(first), end, name, float(smooth[first:last, number].mean())))
    return sorted(found, key=lambda span: (span[0], FAMILIES.index(span[2])))


def _runs(values: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """(first, behind the last) of runs that reach a threshold and stay above KEPT of it."""
    above = np.flatnonzero(np.diff(np.concatenate([[0], values >= KEPT * threshold, [0]])))
    return [(int(first), int(last)) for first, last in zip(above[::2], above[1::2]) if values[first:last].max() >= threshold]


def names_of(found: Sequence[Playing], start: float, end: float) -> list[tuple[str, float]]:
    """The names of a segment and how sure each is: those that cover most of it (the MOST_NAMES surest), in the order of FAMILIES."""
    covered: dict[str, float] = {}
    sure: dict[str, float] = {}
    for left, right, name, confidence in found:
        length = max(0.0, min(right, end) - max(left, start))
        covered[name] = covered.get(name, 0.0) + length
        sure[name] = sure.get(name, 0.0) + length * confidence
    kept = [(name, sure[name] / covered[name]) for name in covered if covered[name] >= COVERED * (end - start) and covered[name] > 0]
    surest = sorted(kept, key=lambda pair: -pair[1])[:MOST_NAMES]
    return sorted(surest, key=lambda pair: FAMILIES.index(pair[0]) if pair[0] in FAMILIES else len(FAMILIES))
