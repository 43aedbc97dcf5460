"""From evidence frame by frame to chords that last: a semi-Markov model with explicit durations (Murphy, 2002; for chords: Mauch & Dixon, 2010).

A path of segments is sought that maximises the sum over its segments of

    sum of the frames' log-probabilities * EVIDENCE + log duration prior - switch + worth of its first border

The prior of durations is log-normal around two seconds, flat where chords are commonly long, steep below half a second; the worth of a border says how well
it falls on a beat or a downbeat, where beats are known. Frame f stands for the time around f / FRAME_RATE, so a border before frame f lies at
(f - 0.5) / FRAME_RATE.
"""

from __future__ import annotations

import numpy as np

from ostinato.ears.features import FRAME_RATE

#: Neighbouring frames see almost the same sound: their evidence counts in part.
EVIDENCE = 0.6
USUAL_SECONDS, SPREAD = 2.0, 0.75
#: Longer chords are chains of segments of one chord, at no cost but the switch.
LONGEST_SECONDS = 10.0
#: Worth of a border on a beat and, on top, on a downbeat, nats; and how near it must be, s.
ON_BEAT, ON_DOWNBEAT, BEAT_REACH = 2.0, 1.0, 0.06


def border_worth(count: int, beats: np.ndarray, downbeats: np.ndarray) -> np.ndarray:
    """Nats each of `count` frames gains when a chord begins with it: [count]; zeros where no beats are known (times in s)."""
    times = (np.arange(count) - 0.5) / FRAME_RATE
    worth = np.zeros(count)
    for grid, gain in ((beats, ON_BEAT), (downbeats, ON_DOWNBEAT)):
        if len(grid):
            after = np.clip(np.searchsorted(grid, times), 1, max(1, len(grid) - 1))
            distance = np.minimum(np.abs(times - grid[after - 1]), np.abs(times - grid[np.minimum(after, len(grid) - 1)]))
            worth += gain * np.exp(-0.5 * (distance / BEAT_REACH) ** 2)
    return worth


def duration_prior() -> np.ndarray:
    """Log-probability of each duration, 1 to LONGEST_SECONDS in frames, relative to the usual one; nothing lost above it."""
    seconds = np.arange(1, int(LONGEST_SECONDS * FRAME_RATE) + 1) / FRAME_RATE
    return -0.5 * np.minimum(0, np.log(seconds / USUAL_SECONDS) / SPREAD) ** 2


def decode(scores: np.ndarray, switch: float, worth: np.ndarray) -> np.ndarray:
    """The best state of each frame, int [F].

    Args:
        scores: log-probabilities [F, S]; switch: nats a new segment costs; worth: see `border_worth`, [F].
    """
    frames, states = scores.shape
    total = np.zeros((frames + 1, states))
    np.cumsum(EVIDENCE * scores, axis=0, out=total[1:])
    prior = duration_prior()[::-1, None]  # longest first, as the rows of `opened` are
    longest = len(prior)
    opened = np.full((frames + longest, states), -np.inf)  # best value of a segment that begins before frame f, less what was summed before it
    best, state, start = np.zeros(frames + 1), np.zeros(frames + 1, int), np.zeros(frames + 1, int)
    for end in range(1, frames + 1):
        opened[end - 1 + longest - 1] = best[end - 1] + worth[end - 1] - switch - total[end - 1]
        window = opened[end - 1 : end - 1 + longest] + prior
        rows = window.argmax(axis=0)
        values = window[rows, np.arange(states)] + total[end]
        state[end] = values.argmax()
        best[end], start[end] = values[state[end]], end - longest + rows[state[end]]
    return _path(state, start)


def _path(state: np.ndarray, start: np.ndarray) -> np.ndarray:
    path, end = np.empty(len(state) - 1, int), len(state) - 1
    while end > 0:
        path[start[end] : end] = state[end]
        end = start[end]
    return path
