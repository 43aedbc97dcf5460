"""Songs written from music theory: form, key, tempo, progressions with cadences.

A song is a list of sections of four-bar phrases in one metre. Within a phrase chords follow a table of common-practice successions
(Piston, *Harmony*, "Table of usual root progressions"); every phrase ends in a cadence: half (on V), deceptive (V-vi), plagal (IV-I) or
authentic (V-I), the last phrase always authentic. Every second intro is a vamp on the tonic instead. Sections of the same name share their chords,
as verses do. A metre's beats come in groups, whose first beats are strong: 5/4 is 3 + 2 or 2 + 3. Songs in 4/4 draw nothing for their metre, so that they are
what they were before there were others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ostinato.harmony.chords import COMMON, Chord
from ostinato.harmony.keys import Key
from ostinato.harmony.metres import COMMON_TIME, Metre

#: Ways to group the beats of a bar.
GROUPINGS: dict[Metre, tuple[tuple[int, ...], ...]] = {
    Metre(2): ((2,),),
    Metre(3): ((3,),),
    COMMON_TIME: ((2, 2),),
    Metre(5): ((3, 2), (2, 3)),
    Metre(7): ((2, 2, 3), (3, 2, 2)),
    Metre(2, 3): ((1, 1),),
}
#: Tempi of 4/4 times this are those of a metre, beats per minute: a beat of three parts takes longer, and bars of many beats go by faster.
PACE = {Metre(2, 3): 2 / 3, Metre(5): 1.5, Metre(7): 1.5}
PHRASE_BARS = 4
INSTRUMENTS = ("piano", "guitar", "ukulele", "organ", "strings")
PATTERNS = {
    "piano": ("block", "arpeggio", "bass_chords"),
    "guitar": ("strum", "arpeggio", "bass_chords"),
    "ukulele": ("strum", "arpeggio"),
    "organ": ("block", "bass_chords"),
    "strings": ("block", "sustain"),
}
#: Degree (0-6) -> next degrees with weights; after Piston's "usually, sometimes, less often".
MAJOR_NEXT = {
    0: {3: 3, 4: 3, 5: 3, 1: 2, 2: 1},
    1: {4: 4, 3: 1, 5: 1, 2: 1},
    2: {5: 4, 3: 2, 0: 1},
    3: {4: 4, 0: 3, 1: 2, 5: 1},
    4: {0: 4, 5: 2, 3: 1, 2: 1},
    5: {3: 3, 1: 3, 4: 2, 2: 1},
}
MINOR_NEXT = {
    0: {3: 3, 4: 3, 5: 3, 6: 2, 2: 1},
    2: {5: 3, 3: 2, 6: 1},
    3: {4: 3, 0: 3, 6: 2},
    4: {0: 4, 5: 2},
    5: {2: 2, 3: 2, 4: 2, 6: 2},
    6: {2: 3, 0: 3, 5: 1},
}
MAJOR_QUALITIES = {0: "maj", 1: "min", 2: "min", 3: "maj", 4: "maj", 5: "min"}
MINOR_QUALITIES = {0: "min", 2: "maj", 3: "min", 4: "maj", 5: "maj", 6: "maj"}
SEVENTHS = {"major": {0: "maj7", 1: "min7", 3: "maj7", 4: "7", 5: "min7"}, "minor": {0: "min7", 3: "min7", 4: "7", 5: "maj7"}}
CADENCES = {
    "major": {"half": (0, 4), "deceptive": (4, 5), "plagal": (3, 0), "authentic": (4, 0)},
    "minor": {"half": (0, 4), "deceptive": (4, 5), "plagal": (3, 0), "authentic": (4, 0)},
}


@dataclass(frozen=True)
class Section:
    """A named part of a song: its bars, each with chords that share it, and the playing pattern."""

    name: str
    bars: tuple[tuple[Chord, ...], ...]
    pattern: str


@dataclass(frozen=True)
class Song:
    """A composed song: tempo in beats per minute, one metre with its beats in `groups`, one instrument."""

    key: Key
    tempo: float
    instrument: str
    sections: tuple[Section, ...]
    metre: Metre = COMMON_TIME
    groups: tuple[int, ...] = (2, 2)

    @property
    def bar_seconds(self) -> float:
        """Length of a bar in seconds."""
        return self.metre.beats * 60 / self.tempo

    def places(self, count: int) -> list[float]:
        """Where in the bar, in beats, each of `count` chords begins, and the bar's end: two share an odd bar at the group nearest its middle, more share it evenly."""
        beats = self.metre.beats
        if count != 2 or beats % 2 == 0:
            return [*(k * (beats / count) for k in range(count)), float(beats)]
        inner = list(accumulate(self.groups[:-1])) or [beats // 2 + 1]
        return [0.0, float(min(inner, key=lambda place: abs(place - beats / 2))), float(beats)]


def compose(rng: np.random.Generator, instrument: str, min_seconds: float, max_seconds: float, metre: Metre = COMMON_TIME) -> Song:
    """Write a song for `instrument` whose length falls between the bounds (seconds) as nearly as whole phrases allow; `metre` is one of GROUPINGS."""
    key = Key(int(rng.integers(12)), "major" if rng.random() < 0.6 else "minor")
    tempo = float(rng.integers(76, 121)) * PACE.get(metre, 1.0)
    phrase_seconds = PHRASE_BARS * metre.beats * 60 / tempo
    names = _form(rng, min_seconds / phrase_seconds, max_seconds / phrase_seconds)
    material = {name: [_phrase(rng, key, last) for last in _cadence_plan(name, count, rng)] for name, count in dict.fromkeys(names)}
    if rng.random() < 0.5:  # a vamp: the tonic, held
        material["intro"] = [[(_chord(rng, key, 0, plain=True),)] * PHRASE_BARS]
    patterns = {name: str(rng.choice(PATTERNS[instrument])) for name, _ in names}
    sections = tuple(Section(name, tuple(bar for phrase in material[name] for bar in phrase), patterns[name]) for name, _ in names)
    ways = GROUPINGS[metre]
    return Song(key, tempo, instrument, sections, metre, ways[int(rng.integers(len(ways)))] if len(ways) > 1 else ways[0])


def _form(rng: np.random.Generator, fewest: float, most: float) -> list[tuple[str, int]]:
    """Intro, then verses and choruses of two phrases, an ending of one: between `fewest` and `most` phrases if some number of them is."""
    fewest_pairs = max(2, math.ceil((fewest - 2) / 2))
    pairs = int(rng.integers(fewest_pairs, max(fewest_pairs, int((most - 2) / 2)) + 1))
    return [("intro", 1), *[("verse" if i % 2 == 0 else "chorus", 2) for i in range(pairs)], ("ending", 1)]


def _cadence_plan(name: str, phrases: int, rng: np.random.Generator) -> list[str]:
    """Cadence of each phrase: open inside a section, closed at its end."""
    inner = [str(rng.choice(["half", "deceptive", "half"])) for _ in range(phrases - 1)]
    last = {"intro": "half", "ending": "authentic"}.get(name) or str(rng.choice(["authentic", "plagal", "authentic"]))
    return [*inner, last]


def _phrase(rng: np.random.Generator, key: Key, cadence: str) -> list[tuple[Chord, ...]]:
    """Four bars: a walk through the table of successions, then the two chords of the cadence."""
    table = MAJOR_NEXT if key.mode == "major" else MINOR_NEXT
    approach, goal = CADENCES[key.mode][cadence]
    degrees = [int(rng.choice([0, 0, 0, 3, 5]))]
    while len(degrees) < PHRASE_BARS - 2:
        degrees.append(_step(rng, table, degrees[-1]))
    bars = [_bar(rng, key, degree, table) for degree in degrees]
    if degrees[-1] == approach:  # no bar merely repeated into the cadence
        bars[-1] = (_chord(rng, key, _step(rng, table, approach, avoid=(approach, degrees[0]))),)
    return [*bars, (_chord(rng, key, approach),), (_chord(rng, key, goal, plain=True),)]


def _bar(rng: np.random.Generator, key: Key, degree: int, table: dict[int, dict[int, int]]) -> tuple[Chord, ...]:
    """Mostly one chord a bar, now and then two."""
    first = _chord(rng, key, degree)
    return (first, _chord(rng, key, _step(rng, table, degree))) if rng.random() < 0.06 else (first,)


def _step(rng: np.random.Generator, table: dict[int, dict[int, int]], degree: int, avoid: tuple[int, ...] = ()) -> int:
    choices = {d: w for d, w in table[degree].items() if d not in avoid} or table[degree]
    weights = np.array(list(choices.values()), dtype=float)
    return int(rng.choice(list(choices), p=weights / weights.sum()))


def _chord(rng: np.random.Generator, key: Key, degree: int, plain: bool = False) -> Chord:
    """The diatonic chord on a degree (V major in minor keys), sometimes with its seventh or in first inversion."""
    root = COMMON[key.scale[degree]]
    quality = (MAJOR_QUALITIES if key.mode == "major" else MINOR_QUALITIES)[degree]
    if plain:
        return Chord(root, quality)
    if rng.random() < 0.12:
        return Chord(root, SEVENTHS[key.mode].get(degree, quality))
    return Chord(root, quality, {"maj": 4, "min": 3}[quality] if rng.random() < 0.05 else 0)
