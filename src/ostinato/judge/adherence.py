"""Does the harmony heard follow the chords asked? Pure functions over timelines.

Problem: a prompt names chords in an order, a bar each, and the model is told how long the clip is to be: so each chord has its place (`on_grid`), and what sounds there is
compared with it. That is how a clip is scored (strict). A clip that plays the right chords at another pace is told from one that does not by laying the asked chords over
it as they fit best (`align`, lenient).

Conventions: a timeline is a list of (start_s, end_s, Chord), rising and without gaps. Every metric is a percentage and higher is better;
None means "not defined here" and is left out of means, never counted as 0. The comparisons are mir_eval's (Raffel et al., "mir_eval: a
transparent implementation of common MIR metrics", ISMIR 2014), weighted by duration (WCSR; Harte, PhD thesis, 2010).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import mir_eval
import numpy as np

from ostinato.files import UserError
from ostinato.harmony.chords import QUALITIES, Chord
from ostinato.harmony.prompts.kinds import closing
from ostinato.harmony.prompts.prompt import Prompt

Span = tuple[float, float, Chord]
#: Root pitch class and third in semitones (4 major, 3 minor, 0 none).
Triad = tuple[int, int]

GRID_SECONDS = 0.1
#: Seconds of agreement given up per second a border moves off the even grid: decides ties, and little more than ties.
TIE_COST = 1e-3
#: The last chord may end this much before the sound does: recognisers work beat by beat, and notes ring on. Seconds.
RING_SECONDS = 0.5
COMPARISONS: dict[str, Callable[[list[str], list[str]], np.ndarray]] = {
    "root": mir_eval.chord.root,
    "thirds": mir_eval.chord.thirds,
    "majmin": mir_eval.chord.majmin,
    "triads": mir_eval.chord.triads,
    "triads_inv": mir_eval.chord.triads_inv,
    "sevenths": mir_eval.chord.sevenths,
}


def triad(chord: Chord) -> Triad | None:
    """The chord reduced to root and third: C:maj7 and C:aug -> (0, 4), C:min6 and C:dim -> (0, 3), C:sus4 -> (0, 0), N and X -> None."""
    if not chord.is_chord:
        return None
    steps = QUALITIES[chord.quality]
    return chord.pitch_class, next((third for third in (4, 3) if third in steps), 0)


def triads_in_order(chords: Sequence[Chord]) -> list[Triad]:
    """The reduced chords with "no chord" and immediate repeats left out: C C:7 N C F -> C F."""
    reduced = [triad(chord) for chord in chords]
    present = [item for item in reduced if item is not None]
    return [item for i, item in enumerate(present) if i == 0 or item != present[i - 1]]


def on_grid(asked: Prompt, duration: float) -> list[Span]:
    """The asked chords where they are to sound: bars of one length over `duration` (s), a bar's chords sharing it evenly.

    Raises:
        UserError: no chord is asked, or the clip has no length.
    """
    _require_something(asked, duration)
    return [(start * duration, end * duration, chord) for chord, (start, end) in zip(asked.chords, asked.fractions)]


def _require_something(asked: Prompt, duration: float) -> None:
    if not asked.chords or duration <= 0:
        raise UserError(f"cannot compare: {len(asked.chords)} chords asked over {duration:g} s; expected at least one over more than 0 s")


def align(asked: Prompt, heard: Sequence[Span], duration: float, min_share: float) -> list[Span]:
    """Lay the asked chords over the clip so that they agree with what is heard for as long as possible.

    The borders are chosen by dynamic programming on a grid of 0.1 s. Each chord lasts at least `min_share` of its even share
    (`Prompt.fractions` times `duration`); the last ends at `duration`. Two chords agree when root and third do (`triad`). Equal solutions
    are decided for the borders nearest to the even grid, so the result is deterministic.

    This is lenient by itself: it forgives any tempo, and one asked chord held throughout scores 1 - min_share * (its complement's even
    share), 40 % for one of four chords and min_share 0.8, 62.5 % with 0.5. A score therefore means something only beside chance, which is always
    computed with this same alignment.

    Args:
        asked: the prompt; heard: timeline, s; duration: of the clip, s; min_share: 0 (any border) to 1 (the even grid).

    Returns:
        A timeline 0..duration with one span per asked chord, in order.

    Raises:
        UserError: no chord is asked, or the clip has no length.
    """
    _require_something(asked, duration)
    chords, fractions = asked.chords, asked.fractions
    shares = np.array([end - start for start, end in fractions])
    cells = max(round(duration / GRID_SECONDS), int(np.ceil(1 / shares.min() - 1e-9)))  # room for every chord
    least = np.maximum(1, np.floor(min_share * shares * cells + 1e-9).astype(int))
    even = np.array([start for start, _ in fractions]) * cells
    gains = np.cumsum(_agreement(chords, heard, np.linspace(0, duration, cells + 1)), axis=1)
    borders = _best_borders(gains, least, even, TIE_COST * duration / cells)
    times = [duration * border / cells for border in borders[:-1]] + [duration]
    return [(times[k], times[k + 1], chord) for k, chord in enumerate(chords)]


def _agreement(chords: Sequence[Chord], heard: Sequence[Span], edges: np.ndarray) -> np.ndarray:
    """[chords, cells + 1]: seconds of each grid cell in which the heard chord agrees; a leading 0 makes cumulative sums subtractable."""
    table = np.zeros((len(chords), len(edges)))
    for start, end, chord in heard:
        overlap = np.clip(np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1]), 0, None)
        for k, asked in enumerate(chords):
            if triad(asked) is not None and triad(asked) == triad(chord):
                table[k, 1:] += overlap
    return table


def _best_borders(gains: np.ndarray, least: np.ndarray, even: np.ndarray, tie_cost: float) -> list[int]:
    """The borders (cells, K + 1 of them) of the best path; `gains` [K, cells + 1] is cumulative seconds of agreement."""
    count, cells = len(gains), gains.shape[1] - 1
    positions = np.arange(cells + 1)
    score = np.where(positions == 0, 0.0, -np.inf)  # the best with chord k starting at each position
    starts = []
    for k in range(count):
        opened = score - gains[k] - tie_cost * np.abs(positions - even[k])
        reach = np.where(positions[:, None] - positions[None, :] >= least[k], opened[None, :], -np.inf)  # [end, start]
        starts.append(reach.argmax(axis=1))
        score = reach.max(axis=1) + gains[k]
    borders = [cells]
    for k in range(count - 1, -1, -1):
        borders.append(int(starts[k][borders[-1]]))
    return borders[::-1]


def chord_metrics(asked: Sequence[Span], heard: Sequence[Span]) -> dict[str, float | None]:
    """mir_eval's root, thirds, majmin, triads, triads_inv and sevenths of `heard` against `asked`, duration-weighted, percent.

    mir_eval leaves out what a vocabulary cannot compare (an asked C:dim under majmin), which shrinks the denominator. So each comes with
    `<metric>_judged`, the share of time compared, and `judged` is the least of these. Nothing compared: the metric is None, not 0.
    """
    intervals, reference, estimate = _merged(asked, heard)
    durations = mir_eval.util.intervals_to_durations(intervals)
    metrics: dict[str, float | None] = {}
    shares = []
    for name in COMPARISONS:
        agreement = np.array([compared(name, *pair) for pair in zip(reference, estimate)])
        judged = agreement >= 0
        weight = float(durations[judged].sum())
        metrics[name] = 100 * float(agreement[judged] @ durations[judged]) / weight if weight > 0 else None
        shares.append(100 * weight / float(durations.sum()))
        metrics[f"{name}_judged"] = shares[-1]
    return {**metrics, "judged": min(shares)}


@lru_cache(65536)
def compared(comparison: str, asked: str, heard: str) -> float:
    """1 where mir_eval's comparison takes the chord heard for the one asked (both Harte's names), 0 where it does not, -1 where it cannot tell."""
    return float(COMPARISONS[comparison]([asked], [heard])[0])


def segmentation(asked: Sequence[Span], heard: Sequence[Span]) -> float:
    """How well the borders between chords fit, whatever the chords are: mir_eval's `seg`, the lesser of 100 - over- and 100 - undersegmentation (directional Hamming
    distances), percent.

    Neighbours of the same sound are one chord on either side, so that a chord asked twice in a row has no border.
    """
    reference, reference_labels = _intervals(asked)
    estimate, estimate_labels = _within(heard, float(reference.min()), float(reference.max()))
    merged = [mir_eval.chord.merge_chord_intervals(*timeline) for timeline in ((reference, reference_labels), (estimate, estimate_labels))]
    return 100 * float(mir_eval.chord.seg(*merged))


def _within(heard: Sequence[Span], start: float, end: float) -> tuple[np.ndarray, list[str]]:
    """A timeline from `start` to `end`, s; what it does not cover is "N"."""
    return mir_eval.util.adjust_intervals(*_intervals(heard), start, end, mir_eval.chord.NO_CHORD, mir_eval.chord.NO_CHORD)


def _merged(asked: Sequence[Span], heard: Sequence[Span]) -> tuple[np.ndarray, list[str], list[str]]:
    """Both timelines over the asked span, cut at every border of either; what is not covered by `heard` is "N"."""
    reference, reference_labels = _intervals(asked)
    estimate, estimate_labels = _within(heard, float(reference.min()), float(reference.max()))
    return mir_eval.util.merge_labeled_intervals(reference, reference_labels, estimate, estimate_labels)


def _intervals(spans: Sequence[Span]) -> tuple[np.ndarray, list[str]]:
    lasting = [span for span in spans if span[1] > span[0]]
    return np.array([span[:2] for span in lasting], dtype=float).reshape(-1, 2), [span[2].harte for span in lasting]


def agreement(first: Sequence[Span], second: Sequence[Span], duration: float) -> float:
    """Share of 0..duration (s) in which two timelines hold the same root and third, or both no chord; percent."""
    shared = sum(max(0.0, min(b, d) - max(a, c)) for a, b, one in first for c, d, other in second if triad(one) == triad(other))
    return 100 * shared / duration


def order_edit_distance(asked: Sequence[Chord], heard: Sequence[Chord]) -> float:
    """Levenshtein distance between the two sequences of triads (reduced, collapsed, "N" left out) over the longer length, 0 (same) to 1."""
    first, second = triads_in_order(asked), triads_in_order(heard)
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        above = row
        row = [i]
        for j, b in enumerate(second, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    longer = max(len(first), len(second))
    return row[-1] / longer if longer else 0.0


def last_chord(asked: Sequence[Span], heard: Sequence[Span]) -> float:
    """100 when root and third heard for most of the last asked chord's span are those asked ("N" has a vote), else 0."""
    start, end, chord = asked[-1]
    votes: dict[Triad | None, float] = {}
    for a, b, other in heard:
        votes[triad(other)] = votes.get(triad(other), 0.0) + max(0.0, min(b, end) - max(a, start))
    winner = max(votes, key=lambda item: votes[item], default=None)
    return 100.0 if winner is not None and votes[winner] > 0 and winner == triad(chord) else 0.0


def cadence(asked: Sequence[Chord], heard: Sequence[Span], sound_end: float) -> float | None:
    """100 when the ending closes as asked: the last two distinct triads heard are the last two asked, and the last holds to the end of sound.

    "Holds": it is heard until at most 0.5 s before `sound_end` (s), the end of the last frame that is not silent.

    Returns:
        100, 0, or None where no cadence is asked (`kinds.closing`): a list of chords that ends anywhere closes nothing.
    """
    if closing(asked) is None:
        return None
    sounding = [span for span in heard if triad(span[2]) is not None and span[0] < sound_end]
    if not sounding or triads_in_order([span[2] for span in sounding])[-2:] != triads_in_order(asked)[-2:]:
        return 0.0
    return 100.0 if sounding[-1][1] >= sound_end - RING_SECONDS else 0.0
