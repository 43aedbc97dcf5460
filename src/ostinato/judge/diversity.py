"""Whether a model says something new each time: how far apart clips of one prompt lie that differ in their seed alone.

Two clips are compared as pictures: their log spectra (judge.spectra) five times a second, laid over one another; the distance is 1 - their correlation (the cosine of what is left
without the mean), in percent. 0: the seeds sound the same; 100: they have nothing in common. Of true renderings of one prompt, one pattern on one instrument is 0.1 on average,
another pattern 13, another instrument 28, both 32 (benchmarks/sound.py). The harmony in judge.embedding would tell these apart less well, as it hears a chord whatever plays it.

It says how far apart seeds are, not whether they are good: noise, wrong chords and the same music a second later are far apart as well. A model that has learnt to obey its
prompt has less of it than one that has not. Read it beside the true renderings' own, and beside what says that the chords are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from ostinato.judge.intervals import Estimate, cluster_mean, not_negative
from ostinato.judge.spectra import FRAME_RATE

#: Pictures a second.
PICTURE_RATE = 5


def picture(spectrum: np.ndarray) -> np.ndarray:
    """A log spectrum [F, BANDS] in means of 0.2 s: float32 [F / 5, BANDS], some 20 KB for 10 s; an incomplete one at the end is left out."""
    size = round(FRAME_RATE / PICTURE_RATE)
    whole = len(spectrum) // size
    return spectrum[: whole * size].reshape(whole, size, -1).mean(axis=1)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """100 * (1 - correlation) of two pictures [P, BANDS], over the shorter one's length; of a clip without any change from one with, 100."""
    length = min(len(first), len(second))
    one, other = (picture[:length].astype(np.float64) - picture[:length].mean(dtype=np.float64) for picture in (first, second))
    norms = float(np.sqrt((one**2).sum() * (other**2).sum()))
    if norms == 0:
        return 0.0 if np.array_equal(one, other) else 100.0
    return 100 * (1 - float((one * other).sum()) / norms)


def diversity(pictures: Mapping[str, Sequence[np.ndarray]], confidence: float) -> Estimate:
    """Mean distance of two seeds of a prompt, with its interval over prompts: prompt -> the pictures of its clips. n counts pairs; prompts with one clip say nothing."""
    return not_negative(cluster_mean({prompt: [distance(*pair) for pair in combinations(clips, 2)] for prompt, clips in pictures.items()}, confidence, None))
