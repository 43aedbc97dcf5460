"""Is the tempo asked the tempo heard? For clips of which one was asked."""

from __future__ import annotations

import mir_eval
import numpy as np

#: A beat is right within so many s of where it is to be (mir_eval's and everybody's window).
WINDOW = 0.07
#: Phases of the grid of beats that are tried: no prompt says where in the clip the first beat is.
PHASES = 48
#: A listener may count in halves, thirds, doubles or triples.
OCTAVES = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)


def beat_f1(beats: np.ndarray, tempo: float, duration: float) -> float:
    """F-measure (mir_eval's, at 70 ms) of beats heard (s) against even beats at `tempo` (a minute) over `duration` (s), at the phase that fits best; percent.

    The best phase is lenient: even beats at half or twice the tempo reach 67, and those at 118 for 120 some 85.
    """
    period = 60 / tempo
    grids = (np.arange(phase * period / PHASES, duration, period) for phase in range(PHASES))
    return 100 * max(float(mir_eval.beat.f_measure(grid, beats, WINDOW)) for grid in grids if len(grid))


def tempo_error(heard: float, asked: float) -> tuple[float, float]:
    """How far the tempo heard is from the one asked, percent of that; and from the nearest of its halves, thirds, doubles and triples. Lower is better."""
    errors = [100 * abs(heard / (asked * octave) - 1) for octave in OCTAVES]
    return errors[0], min(errors)
