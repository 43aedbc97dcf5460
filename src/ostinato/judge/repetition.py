"""How much of a clip is there twice: passages of 2 s that sound like an earlier one, note for note.

Each window of 2 s is compared with all earlier ones that it does not overlap, frame by frame of the log spectrum (judge.spectra). Two windows A and B are as alike as

    1 - |A - B|^2 / max(|A - m|^2 + |B - m|^2, STEADY * (|A|^2 + |B|^2))

with m the clip's mean spectrum: of windows with equal norms this is their correlation, and a sound that never changes repeats itself although nothing is left of it without
its mean. Silence does not repeat.

THRESHOLD was chosen on phrases of 4 and 5 s that the etudes' players play twice (5 instruments, all pairs of their patterns; benchmarks/sound.py): of the same phrase played
again all windows are found through the worst MP3 of LAME, 96 % through the demo's codec; of the same chords with another figure 2 %; of other chords none. It cannot tell
strings that hold a chord from strings that strike it again with a slow attack. That music repeats itself is no fault: read it beside real music's own share.
"""

from __future__ import annotations

import numpy as np

from ostinato.judge.spectra import FRAME_RATE, log_spectrum

WINDOW_SECONDS = 2.0
THRESHOLD = 0.85
#: Windows whose difference has less than (1 - THRESHOLD) * STEADY = 3 % of their energy are alike, however little the clip changes.
STEADY = 0.2
#: A window with less than this share of the energy of the clip's loudest window is silence.
FAINT = 0.01


def repetition(samples: np.ndarray, rate: int) -> float:
    """Share of mono audio [T] that repeats an earlier 2 s, percent; 0 for less than 4 s. About 10 ms for 10 s."""
    return share_repeated(log_spectrum(samples, rate))


def share_repeated(spectrum: np.ndarray) -> float:
    """`repetition` from a log spectrum [F, BANDS]: the share of frames that are in a window which repeats an earlier one, percent."""
    size = round(WINDOW_SECONDS * FRAME_RATE)
    if len(spectrum) < 2 * size:
        return 0.0
    covered = np.convolve(likeness(spectrum, size) >= THRESHOLD, np.ones(size)) > 0.5
    return 100 * float(covered.mean())


def likeness(spectrum: np.ndarray, size: int) -> np.ndarray:
    """How alike each window of `size` frames is to the earlier one it is most like: [F - size + 1], at most 1; -inf where there is none, or silence."""
    count = len(spectrum) - size + 1
    best = np.full(count, -np.inf)
    centred = (spectrum - spectrum.mean(axis=0)).astype(np.float64)
    changing, whole = _windows((centred**2).sum(axis=1), size), _windows((spectrum.astype(np.float64) ** 2).sum(axis=1), size)
    sounds = whole > FAINT * whole.max()
    for lag in range(size, count):
        both = sounds[lag:] & sounds[:-lag]
        together = changing[lag:] + changing[:-lag]
        difference = together - 2 * _windows(np.einsum("fb,fb->f", centred[lag:], centred[:-lag]), size)
        scale = np.maximum(together, STEADY * (whole[lag:] + whole[:-lag]))
        np.maximum(best[lag:], np.where(both, 1 - difference / np.where(both, scale, 1), -np.inf), out=best[lag:])
    return best


def _windows(values: np.ndarray, size: int) -> np.ndarray:
    """Sums over all windows of `size` of values [F]: [F - size + 1]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return sums[size:] - sums[:-size]
