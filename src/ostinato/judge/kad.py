"""How far a set of clips lies from music, as distributions: the kernel audio distance.

KAD (Chung et al., "KAD: No More FAD!", arXiv 2502.15602, 2025) is the squared maximum mean discrepancy of two sets of embeddings, with a Gaussian kernel as wide as the
median distance between two clips of the reference, times 100 as in the authors' kadtk. It supposes no shape of the distributions, and its U-statistic is unbiased: of
two sets from one distribution it is 0 on average, and so as often below. Here pairs of clips that belong together (seeds of one prompt, segments of one song) are left
out, since they are more alike than two that are drawn apart, which would push the distance up.

With embeddings of our own ears (judge.embedding) the numbers compare with one another, within Ostinato and for one reference, and with no paper's. Of `timbre` it is how far clips
sound from music; of `harmony`, how far what is played is, and there sets that play other chords are apart however well they do. So read a model's beside that of the true
renderings of the same prompts, and beside that of a reference made from the same prompts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from ostinato.judge.intervals import Estimate, estimate

#: kadtk's; a distance is at most 2 * SCALE.
SCALE = 100.0
#: A reference of more clips says no more worth the memory, m^2 numbers: take so many, spread evenly.
REFERENCE = 2000


def kad(demos: np.ndarray, reference: np.ndarray, groups: Sequence[Hashable], confidence: float, reference_groups: Sequence[Hashable] | None = None) -> Estimate:
    """The kernel audio distance of demos from a reference, times SCALE; 0: they cannot be told apart.

    The interval is the delete-one jackknife over groups of demos with Student's t: it says what other prompts would change, and takes the reference as it is,
    which all sets that are compared share. It is rather too wide: of ten prompts with three seeds each, drawn from normal distributions, it covers 97 % where it says 95, and 99 %
    where the sets hardly differ (benchmarks/sound.py).

    Args:
        demos: embeddings [n, d]; reference: [m, d], REFERENCE clips at most.
        groups: what each demo belongs to (its prompt), n of them; reference_groups: what each clip of the reference belongs to (its song, or its prompt where it
            was made from the same prompts), m; None: each to itself. Pairs of one group are left out, within a set and across.

    Returns:
        Value None with fewer than two groups on a side, or where all of the reference are alike; low and high None with fewer than three groups of demos.
    """
    owner = np.array([str(group) for group in groups])
    songs = np.array([f"{i}th of the reference" for i in range(len(reference))] if reference_groups is None else [str(group) for group in reference_groups])
    names = np.unique(owner)
    if len(names) < 2 or len(np.unique(songs)) < 2 or not (width := bandwidth(reference)):
        return estimate(None, None, None, len(demos))
    among, across = _kernel(demos, demos, width), _kernel(demos, reference, width)
    apart, foreign = owner[:, None] != owner[None, :], owner[:, None] != songs[None, :]
    within = _kernel(reference, reference, width)[songs[:, None] != songs[None, :]].mean()

    def distance(kept: np.ndarray) -> float:
        return SCALE * float(among[kept][:, kept][apart[kept][:, kept]].mean() + within - 2 * across[kept][foreign[kept]].mean())

    value = distance(np.ones(len(demos), bool))
    if len(names) < 3:
        return estimate(value, None, None, len(demos))
    without = np.array([distance(owner != name) for name in names])
    reach = stats.t.ppf((1 + confidence) / 2, len(names) - 1) * np.sqrt((len(names) - 1) * without.var())
    return estimate(value, value - reach, value + reach, len(demos))


def bandwidth(reference: np.ndarray) -> float:
    """The median distance between two of the reference [m, d]."""
    return float(np.median(pdist(reference)))


def _kernel(left: np.ndarray, right: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-cdist(left, right, "sqeuclidean") / (2 * width**2))
