"""Chords with inversions and confidences, from the evidence of the networks and where beats are known from those.

The root and quality are decoded over time (`decoding`), always among all qualities; the bass is decided for each chord as a whole, among its own notes. What a
smaller vocabulary has no name for is then said in its words (`fold`): dropped before, a suspension's evidence went to the triads of other roots.
"""

from __future__ import annotations

import numpy as np

from ostinato.ears.features import FRAME_RATE, MEL_RATE
from ostinato.ears.labels import NO_PITCH
from ostinato.harmony.chords import COMMON, QUALITIES, Chord
from ostinato.listen.decoding import border_worth, decode
from ostinato.listen.evidence import Evidence, columns

VOCABULARIES = {
    "majmin": ("maj", "min"),
    "sevenths": ("maj", "min", "7", "maj7", "min7"),
    "full": ("maj", "min", "7", "maj7", "min7", "dim", "aug", "sus2", "sus4", "hdim7", "dim7", "maj6", "min6", "minmaj7", "5"),
}
#: Nats by which a frame's evidence for a quality is discounted: songs have fewer of these than what the ears learnt from, and a triad whose third is faint, as on a
#: guitar with a damped string, passes for one of the first three. Chosen on other renders than are reported, half of the recorded guitar, and songs of POP909.
RARE = {
    "5": 3.0,
    "sus2": 2.0,
    "sus4": 2.0,
    "maj6": 1.0,
    "minmaj7": 1.0,
    "min6": 0.6,
    "aug": 0.5,
    "min": 0.3,
    "min7": 0.3,
    "dim": 0.3,
    "hdim7": 0.3,
    "dim7": 0.3,
}
#: What every other quality is called in a smaller vocabulary; suspensions and fifths are called whatever speaks most for their root.
TRIADS = dict.fromkeys(("maj", "7", "maj7", "maj6", "aug"), "maj") | dict.fromkeys(("min", "min7", "minmaj7", "min6", "dim", "hdim7", "dim7"), "min")
FOLDED = {"majmin": TRIADS, "sevenths": TRIADS | {"7": "7", "maj7": "maj7", "min7": "min7", "hdim7": "min7"}, "full": {quality: quality for quality in VOCABULARIES["full"]}}
#: Discounted besides where they cannot be named: a diminished triad is mostly the top of a seventh, and a sixth chord a seventh's inversion.
UNNAMED = {"dim": 1.0, "maj6": 0.3}
#: Nats per frame that the root of a half-diminished seventh must be likelier in the bass than its third, for it to be named by its root.
ROOT_MARGIN = 1.0
#: Nats per frame that another note must be likelier in the bass than the root, before a chord is called inverted; the fifth more so, which basses play in turn with
#: the root, and guitarists strike below it.
INVERSION_MARGIN, FIFTH_MARGIN = 0.3, 1.0
#: A border this near to a beat (s) is put on it: half a frame and what a beat tracker errs.
SNAP_SECONDS = 0.11
#: How far from a frame's border its onset is looked for, and how fast the search loses interest, s.
ONSET_REACH, ONSET_SPREAD = 0.14, 0.07
#: A stroke begins where its onset has risen to this share of its peak.
RISEN = 0.2
NO_CHORD = Chord("N", "")

Interval = tuple[float, float, Chord]


def recognise(
    evidence: Evidence, duration: float, vocabulary: str, switch: float, onsets: np.ndarray, beats: np.ndarray | None = None, downbeats: np.ndarray | None = None
) -> tuple[list[Interval], list[float]]:
    """Chord intervals covering 0..duration (s), and a confidence 0-1 for each: the mean probability of its chord in its frames.

    Args:
        vocabulary: key of VOCABULARIES; switch: nats a change of chord costs; onsets: strength of onsets at frames.MEL_RATE [M];
        beats, downbeats: times in s, where they are known.
    """
    folded, qualities = FOLDED[vocabulary], VOCABULARIES["full"]
    names = [Chord(COMMON[root], quality) for quality in qualities for root in range(12)] + [NO_CHORD]
    rare = RARE if vocabulary == "full" else RARE | {quality: RARE[quality] + more for quality, more in UNNAMED.items()}
    scores = evidence.chord[:, columns(qualities)] - np.array([rare.get(name.quality, 0.0) for name in names])
    scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    grid = [np.zeros(0) if times is None else times for times in (beats, downbeats)]
    path = decode(scores, switch, border_worth(len(scores), *grid))
    borders = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    chords = [fold(names[path[first]], scores[first:after], evidence.bass[first:after], folded) for first, after in zip(borders, borders[1:])]
    kept = [place for place in range(len(chords)) if place == 0 or chords[place] != chords[place - 1]]
    chords, starts = [chords[place] for place in kept], [*(borders[place] for place in kept), len(path)]
    edges = on_onsets(np.clip((np.array(starts) - 0.5) / FRAME_RATE, 0, duration), onsets)
    edges = snap(edges, grid[0])
    edges[0], edges[-1] = 0.0, duration
    intervals, confidences = [], []
    for number, (first, after) in enumerate(zip(starts, starts[1:])):
        if edges[number + 1] - edges[number] > 1e-6:
            chord = chords[number]
            intervals.append((float(edges[number]), float(edges[number + 1]), with_bass(chord, evidence.bass[first:after])))
            confidences.append(float(np.exp(scores[first:after, _meaning(chord, folded)]).sum(axis=1).mean()))
    return intervals, confidences


def fold(chord: Chord, scores: np.ndarray, bass: np.ndarray, folded: dict[str, str]) -> Chord:
    """A chord in the words of a vocabulary, without its bass.

    A half-diminished seventh has the notes of a minor sixth on its third, and is called minor there unless its root is in the bass.

    Args:
        scores: log-probabilities of all chords while it sounds [F, 12 * Q + 1]; bass: of its bass [F, 13]; folded: one of FOLDED.
    """
    if not chord.is_chord or folded.get(chord.quality) == chord.quality:
        return chord
    mean = bass.mean(axis=0)
    if chord.quality == "hdim7" and mean[chord.pitch_class] - mean[(chord.pitch_class + 3) % 12] < ROOT_MARGIN:
        return Chord(chord.transpose(3).root, "min")
    if chord.quality in folded:
        return Chord(chord.root, folded[chord.quality])
    words = [Chord(chord.root, quality) for quality in dict.fromkeys(folded.values())]
    return max(words, key=lambda word: float(np.logaddexp.reduce(scores[:, _meaning(word, folded)], axis=1).sum()))


def _meaning(chord: Chord, folded: dict[str, str]) -> list[int]:
    """Columns of the chords that a chord of a vocabulary may stand for."""
    qualities = VOCABULARIES["full"]
    if not chord.is_chord:
        return [12 * len(qualities)]
    return [12 * place + chord.pitch_class for place, quality in enumerate(qualities) if folded.get(quality) == chord.quality]


def on_onsets(times: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Times (s, rising), each where the strongest onset near it begins: a chord begins with a stroke, and frames of chords are coarser than strokes are.

    Onsets count less the farther they are; where none stands out, a time stays.
    """
    reach = round(ONSET_REACH * MEL_RATE)
    padded = np.pad(onsets, (reach, reach + 1))
    steps = np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * (steps / MEL_RATE / ONSET_SPREAD) ** 2)
    centres = np.minimum(np.round(times * MEL_RATE).astype(int), len(onsets))
    near = padded[centres[:, None] + steps + reach]
    peak = (near * weight).argmax(axis=1)
    risen = near >= RISEN * near[np.arange(len(near)), peak, None]
    before = np.where(~risen & (np.arange(len(steps)) < peak[:, None]), np.arange(len(steps)), -1).max(axis=1)
    stands_out = near.max(axis=1) > 2 * near.mean(axis=1)
    return np.maximum.accumulate(np.where(stands_out, (centres + steps[before + 1]) / MEL_RATE, times))


def snap(times: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Times (s, rising), each on the nearest beat if that is within SNAP_SECONDS."""
    if not len(beats):
        return times
    nearest = beats[np.abs(times[:, None] - beats[None, :]).argmin(axis=1)]
    return np.maximum.accumulate(np.where(np.abs(nearest - times) <= SNAP_SECONDS, nearest, times))


def with_bass(chord: Chord, bass: np.ndarray) -> Chord:
    """The chord over the note of its own that is likeliest in the bass (log-probabilities [F, 13]); its root unless another is clearly likelier."""
    if not chord.is_chord:
        return chord
    mean = bass.mean(axis=0)[:NO_PITCH]
    steps = QUALITIES[chord.quality]
    likelihood = [mean[(chord.pitch_class + step) % 12] - _margin(step) for step in steps]
    return Chord(chord.root, chord.quality, steps[int(np.argmax(likelihood))])


def _margin(step: int) -> float:
    """What the bass of a chord has to be ahead of the root, by its interval."""
    return 0.0 if step == 0 else FIFTH_MARGIN if step == 7 else INVERSION_MARGIN
