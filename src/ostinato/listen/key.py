"""Keys over time and cadences, from chords.

A chord speaks for a key by its notes (the logarithm of Temperley's key profiles, "What's key for key?", Music Perception 1999) and by its function: the
tonic and the dominant of a key say more than their notes do. The key of the whole is the one for which all chords together speak most; keys over time
are the best path through the keys when every modulation costs MODULATION. Times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ostinato.harmony.chords import QUALITIES, Chord
from ostinato.harmony.keys import Key, cadence_kind

Interval = tuple[float, float, Chord]
MAJOR = np.array([5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0])
MINOR = np.array([5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0])
KEYS = [Key(tonic, mode) for mode in ("major", "minor") for tonic in range(12)]
#: Worth of a tonic chord and of a dominant (a major triad or seventh on the fifth), in the units of the profiles' logarithm. A minor tonic says more: its
#: notes are all in the relative major, and songs in minor share most of their chords with it.
TONIC, DOMINANT = {"major": 0.8, "minor": 1.2}, 0.3
#: A chord speaks with its length, up to this many seconds: a drone settles nothing.
LONGEST_SAY = 3.0
#: What the first and the last chord add for their own key: songs begin at home, and end there more often than not.
FIRST, LAST = 2.0, 7.0
#: Cost of a change of key: about so many seconds of chords must speak for the new one.
MODULATION = 8.0
#: What it costs to begin or end in another key than that of the whole.
ABROAD = 4.0
#: A phrase is this many bars, where sections say nothing else.
PHRASE_BARS = 4
#: A chord that begins this much before a phrase ends does not belong to it, s.
UPBEAT_SECONDS = 0.3


@dataclass(frozen=True)
class Cadence:
    """How a phrase ends: at `time` (s), from `approach` to `goal`; kind authentic, plagal, half or deceptive."""

    time: float
    kind: str
    approach: Chord
    goal: Chord


@cache
def _worth(pitch_class: int, quality: str) -> np.ndarray:
    """How much a second of a chord speaks for each of KEYS: [24]."""
    values = []
    for key in KEYS:
        profile = np.log(MAJOR if key.mode == "major" else MINOR)
        degree = (pitch_class - key.tonic) % 12
        notes = np.mean([profile[(degree + step) % 12] for step in QUALITIES[quality]] + [profile[degree]])
        third = 4 if 4 in QUALITIES[quality] else 3
        function = TONIC[key.mode] if degree == 0 and (third == 4) == (key.mode == "major") else DOMINANT if degree == 7 and third == 4 else 0.0
        values.append(notes + function)
    return np.array(values)


def _say(chord: Chord, seconds: float) -> np.ndarray:
    return min(seconds, LONGEST_SAY) * _worth(chord.pitch_class, chord.quality)


def find_key(chords: list[Interval]) -> Key:
    """The likeliest key of all chords together; C major where there are none."""
    sounding = [(end - start, chord) for start, end, chord in chords if chord.is_chord]
    if not sounding:
        return KEYS[0]
    total = sum(_say(chord, seconds) for seconds, chord in sounding)
    home = sum(
        worth * np.array([key.tonic == chord.pitch_class and (key.mode == "minor") == chord.is_minor for key in KEYS])
        for worth, chord in ((FIRST, sounding[0][1]), (LAST, sounding[-1][1]))
    )
    return KEYS[int(np.argmax(total + home))]


def keys_over_time(chords: list[Interval], whole: Key) -> list[tuple[float, float, Key]]:
    """Keys that cover the chords, as (start, end, key): the cheapest path, which leaves the key of the whole only where others clearly speak more."""
    if not chords:
        return []
    scores = np.array([_say(chord, end - start) if chord.is_chord else np.zeros(len(KEYS)) for start, end, chord in chords])
    abroad = ABROAD * np.array([key != whole for key in KEYS])
    best, came = scores[0] - abroad, []
    for row in scores[1:]:
        leader = int(best.argmax())
        changes = best[leader] - MODULATION > best
        came.append(np.where(changes, leader, np.arange(len(KEYS))))
        best = np.where(changes, best[leader] - MODULATION, best) + row
    path = [int(np.argmax(best - abroad))]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return _spans(chords, path[::-1])


def _spans(chords: list[Interval], path: list[int]) -> list[tuple[float, float, Key]]:
    spans: list[tuple[float, float, Key]] = []
    for (start, end, _), number in zip(chords, path):
        if spans and spans[-1][2] == KEYS[number]:
            spans[-1] = (spans[-1][0], end, KEYS[number])
        else:
            spans.append((start, end, KEYS[number]))
    return spans


def key_at(keys: list[tuple[float, float, Key]], time: float) -> Key:
    """The key at a time (s)."""
    return next((key for start, end, key in keys if start <= time < end), keys[-1][2])


def longest(keys: list[tuple[float, float, Key]]) -> Key:
    """The key that lasts longest in all."""
    lengths: dict[Key, float] = {}
    for start, end, key in keys:
        lengths[key] = lengths.get(key, 0.0) + end - start
    return max(lengths, key=lambda key: lengths[key])


def cadences(chords: list[Interval], keys: list[tuple[float, float, Key]], sections: list[tuple[float, float, str]], downbeats: np.ndarray) -> list[Cadence]:
    """The cadences at the ends of phrases: of sections, and every PHRASE_BARS bars within them. A phrase that ends otherwise has none."""
    found = []
    for time in phrase_ends(sections, downbeats):
        before = [chord for start, _, chord in chords if chord.is_chord and start < time - UPBEAT_SECONDS]
        if len(before) < 2:
            continue
        kind = cadence_kind(before[-2], before[-1], key_at(keys, time - UPBEAT_SECONDS))
        if kind:
            found.append(Cadence(time, kind, before[-2], before[-1]))
    return found


def phrase_ends(sections: list[tuple[float, float, str]], downbeats: np.ndarray) -> list[float]:
    """Times (s) at which phrases end: sections, and whole phrases of bars within them."""
    ends = []
    for start, end, _ in sections:
        inside = [float(time) for time in downbeats if start - UPBEAT_SECONDS < time < end - UPBEAT_SECONDS]
        ends += [*inside[PHRASE_BARS::PHRASE_BARS], end]
    return ends
