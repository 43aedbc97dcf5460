"""How chords are played in drills: figures, bass lines, melodies, drums.

A figure takes a timeline of chords and gives notes (start, duration, MIDI pitch, velocity), times in seconds. Each draws register and voicing once for
its clip: close or open position, doubled root, a fifth left out of a seventh chord. The chord's bass is the lowest note of every figure but the
high strings' (`ukulele`), where the four strings lie as they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ostinato.etudes.arrangement import Note
from ostinato.harmony.chords import MAJOR_SCALE, QUALITIES, Chord

Timeline = list[tuple[float, float, Chord]]
Figure = Callable[[Timeline, float, np.random.Generator, str], list[Note]]
#: Open strings, MIDI numbers.
GUITAR, UKULELE = (40, 45, 50, 55, 59, 64), (67, 60, 64, 69)
#: Chords that stay what they are over their fifth or third: others would be another chord's (C:sus2 over G is G:sus4).
PLAIN = ("maj", "min", "7", "maj7", "min7")
REGISTERS = {"ukulele": (62, 72), "mallet": (58, 76), "reed": (55, 70), "brass": (50, 65)}


class Voicing:
    """Lays chords on the keyboard or on strings. Drawn once per clip."""

    def __init__(self, rng: np.random.Generator, family: str) -> None:
        low, high = REGISTERS.get(family, (52, 70))
        self.rng, self.family, self.centre = rng, family, float(rng.uniform(low, high))
        self.open, self.double, self.drop_fifth = rng.random() < 0.25, rng.random() < 0.4, rng.random() < 0.25
        self.has_bass, self.bass_low = rng.random() < 0.8, int(rng.choice([29, 33, 36, 40, 43]))
        self.octaves = rng.random() < 0.3
        self.shift = int(rng.integers(0, 6)) if rng.random() < 0.3 else 0  # a capo
        self.all_strings = rng.random() < 0.4  # a strummer who hits what lies below the bass as well
        self.barred = rng.random() < 0.4

    def __call__(self, chord: Chord) -> list[int]:
        """MIDI pitches, rising, the chord's bass lowest."""
        if self.family in ("guitar", "ukulele") and chord.quality != "5":
            strings = GUITAR if self.family == "guitar" else UKULELE
            all_strings = self.all_strings and chord.quality in PLAIN
            if self.family == "guitar" and self.barred and chord.bass == 0 and 7 in QUALITIES[chord.quality]:
                return barred(chord, all_strings)
            return fretted(chord, [string + self.shift for string in strings], all_strings)
        return self._keyboard(chord)

    def _keyboard(self, chord: Chord) -> list[int]:
        classes = list(chord.pitch_classes)
        if self.drop_fifth and len(classes) > 3 and chord.bass != 7:
            classes = [c for c in classes if (c - chord.pitch_class) % 12 != 7]
        centre = self.centre + self.rng.uniform(-3, 3)
        upper = sorted(int(round((centre - c) / 12)) * 12 + c for c in classes)
        if self.open and len(upper) > 2:
            upper = sorted([upper[0], upper[1] + 12, *upper[2:]])
        if self.double:
            upper.append(upper[0] + 12)
        if self.has_bass:
            bass = self.bass_low + (chord.bass_pitch_class - self.bass_low) % 12
            return sorted({bass, *([bass + 12] if self.octaves else []), *(p for p in upper if p > bass)})
        lowest = upper[0] - (upper[0] - chord.bass_pitch_class) % 12
        return sorted({lowest, *(p for p in upper if p > lowest)})


def fretted(chord: Chord, strings: list[int], all_strings: bool = False) -> list[int]:
    """A chord on the lowest frets: each string takes the nearest chord tone at most four frets up, all tones present where the strings allow it.

    On the guitar strings below the chord's bass are left out, but with `all_strings` those that lie within reach of a chord tone are struck below a root, as
    guitarists do, who call it no inversion; a ukulele plays all its strings, whatever is lowest.
    """
    is_guitar = len(strings) == len(GUITAR)
    needed, pitches = set(chord.pitch_classes), []
    if is_guitar:
        first = next((i for i, s in enumerate(strings[:3]) if (chord.bass_pitch_class - s) % 12 <= 4), 0)
        pitches = [strings[first] + (chord.bass_pitch_class - strings[first]) % 12]
        if all_strings and chord.bass == 0:
            below = [min(string + (c - string) % 12 for c in needed) for string in strings[:first]]
            within = [(pitch, pitch - string <= 2 * ((pitch - chord.pitch_class) % 12 in (0, 7))) for pitch, string in zip(below, strings)]
            pitches = [pitch for pitch, near in within if near] + pitches
        strings = strings[first + 1 :]
    missing = needed - {p % 12 for p in pitches}
    for left, string in zip(range(len(strings), 0, -1), strings):
        among = missing if len(missing) >= left else needed
        pitch = min(string + (c - string) % 12 for c in among)
        if pitch - string > 5 and among is missing:
            pitch = min(string + (c - string) % 12 for c in needed)
        pitches.append(pitch)
        missing -= {pitch % 12}
    return sorted(set(pitches)) if is_guitar else pitches


def barred(chord: Chord, all_strings: bool = False) -> list[int]:
    """A chord with a fifth, in root position, as it is gripped behind a barred fret: root, fifth, octave or seventh, third, fifth, from the lowest string or the next.

    With `all_strings` the string below the root sounds as well, which has its fifth at that fret.
    """
    sixth, fifth = (string + (chord.pitch_class - string) % 12 for string in GUITAR[:2])
    lowest = sixth - GUITAR[0] < fifth - GUITAR[1]
    root, steps = (sixth if lowest else fifth), QUALITIES[chord.quality]
    seventh = next((step for step in steps[3:] if step in (10, 11)), 12)
    top = [24] if lowest else [21] if 9 in steps else []
    grip = [0, 7, seventh, *(12 + step for step in steps[1:2]), 19, *top]
    return [root + step for step in ([-5, *grip] if all_strings and not lowest else grip)]


def _hits(timeline: Timeline, step: float) -> Iterator[tuple[int, float, float, float, Chord]]:
    """(number within the chord, time, length to the next hit, length to the chord's end, chord) at each step of each chord."""
    for start, end, chord in timeline:
        if chord.is_chord:
            for number in range(max(1, int(np.ceil((end - start) / step - 0.1)))):
                at = start + number * step
                yield number, at, min(step, end - at), end - at, chord


def sustain(timeline: Timeline, beat: float, rng: np.random.Generator, family: str) -> list[Note]:
    """Every chord held."""
    voicing, legato = Voicing(rng, family), float(rng.uniform(0.85, 1.02))
    return [(start, (end - start) * legato, pitch, 78) for start, end, chord in timeline if chord.is_chord for pitch in voicing(chord)]


def block(timeline: Timeline, beat: float, rng: np.random.Generator, family: str) -> list[Note]:
    """The chord struck again every beat or two."""
    voicing, legato, step = Voicing(rng, family), float(rng.uniform(0.3, 1.0)), beat * float(rng.choice([1, 2]))
    return [(at, length * legato, pitch, 84 if number == 0 else 74) for number, at, length, _, chord in _hits(timeline, step) for pitch in voicing(chord)]


def offbeat(timeline: Timeline, beat: float, rng: np.random.Generator, family: str) -> list[Note]:
    """Bass on the beat, chord after it."""
    voicing, legato = Voicing(rng, family), float(rng.uniform(0.3, 0.9))
    notes = []
    for _, at, length, _, chord in _hits(timeline, beat):
        pitches = voicing(chord)
        notes += [(at, length * 0.9, pitches[0], 84), *((at + length / 2, length / 2 * legato, pitch, 76) for pitch in pitches[1:])]
    return notes


def bass_chords(timeline: Timeline, beat: float, rng: np.random.Generator, family: str) -> list[Note]:
    """Bass on one, chord on the other beats: a march or a waltz."""
    voicing, bar = Voicing(rng, family), int(rng.choice([2, 3, 4]))
    notes = []
    for number, at, length, left, chord in _hits(timeline, beat):
        pitches = voicing(chord)
        notes += [(at, min(left, 2 * beat), pitches[0], 88)] if number % bar == 0 else [(at, length * 0.8, pitch, 74) for pitch in pitches[1:]]
    return notes


def _broken(order: Callable[[list[int], np.random.Generator], list[int]], steps: tuple[float, ...]) -> Figure:
    def figure(timeline: Timeline, beat: float, rng: np.random.Generator, family: str) -> list[Note]:
        voicing, step, ring = Voicing(rng, family), beat * float(rng.choice(steps)), float(rng.choice([1.0, 2.0, 8.0]))
        notes, pitches = [], []
        for number, at, _, left, chord in _hits(timeline, step):
            if number == 0:
                pitches = order(voicing(chord), rng)
            notes.append((at, min(step * ring, left), pitches[number % len(pitches)], 86 if number == 0 else 78))
        return notes

    return figure


def _alberti_order(pitches: list[int], rng: np.random.Generator) -> list[int]:
    """Lowest, highest, one between, highest: those between take turns, so that no note of the chord is left out."""
    return [pitch for between in pitches[1:-1] or pitches[-1:] for pitch in (pitches[0], pitches[-1], between, pitches[-1])]


def _picked_order(pitches: list[int], rng: np.random.Generator) -> list[int]:
    """The bass, then three strings above it, other ones in the next turn."""
    upper = rng.permutation(pitches[1:]).tolist() or pitches
    return [pitch for first in range(0, len(upper), 3) for pitch in (pitches[0], *upper[first : first + 3])]


def strum(timeline: Timeline, beat: float, rng: np.random.Generator, family: str) -> list[Note]:
    """Down and up strokes on eighths, strings one after the other."""
    voicing, gap = Voicing(rng, family), float(rng.uniform(0.004, 0.03))
    played = [i == 0 or rng.random() < 0.6 for i in range(8)]
    notes = []
    slope = float(rng.normal(0, 4))  # velocities rise or fall from string to string
    for number, at, length, left, chord in _hits(timeline, beat / 2):
        if number == 0 or played[number % 8]:
            pitches, down = voicing(chord), number % 2 == 0
            ring = left if number == 0 and rng.random() < 0.3 else min(left, length * 2)
            order = list(enumerate(pitches))[:: 1 if down else -1]
            notes += [(at + k * gap, max(ring - k * gap, 0.05), pitch, round((84 if down else 70) + slope * (string - 2))) for k, (string, pitch) in enumerate(order)]
    return notes


FIGURES: dict[str, Figure] = {
    "sustain": sustain,
    "block": block,
    "offbeat": offbeat,
    "bass_chords": bass_chords,
    "strum": strum,
    "arpeggio": _broken(lambda pitches, rng: pitches + pitches[-2:0:-1], (0.25, 0.5, 0.5, 1.0)),
    "broken": _broken(lambda pitches, rng: [pitches[0], *rng.permutation(pitches[1:]).tolist()], (0.25, 0.5)),
    "pick": _broken(_picked_order, (0.25, 0.5)),
    "alberti": _broken(_alberti_order, (0.25, 0.5)),
}


def bass_line(timeline: Timeline, beat: float, rng: np.random.Generator) -> list[Note]:
    """A bass that plays the chord's bass first, then repeats it, goes to the fifth, or walks."""
    low, style, step = int(rng.integers(28, 36)), str(rng.choice(["hold", "repeat", "fifth", "walk"])), beat * float(rng.choice([0.5, 1, 1]))
    notes = []
    for number, at, length, left, chord in _hits(timeline, step if style != "hold" else 1e9):
        root = low + (chord.bass_pitch_class - low) % 12
        classes = chord.pitch_classes
        pitch = root
        if style == "fifth" and number % 2 and chord.bass == 0:
            pitch = low + (classes[2] - low) % 12 if len(classes) > 2 else root
        elif style == "walk" and number % 4:
            pitch = low + (int(rng.choice(classes)) - low) % 12 if left > 1.5 * step else root + int(rng.choice([-2, -1, 1, 2]))
        notes.append((at, left if style == "hold" else length * 0.95, pitch, 90))
    return notes


def melody(timeline: Timeline, beat: float, rng: np.random.Generator) -> list[Note]:
    """A tune over the chords: of chord tones on the beat and steps of the scale between them; or of the key alone, which asks little of the chords below."""
    return _of_the_key(timeline, beat, rng) if rng.random() < 0.5 else _of_the_chords(timeline, beat, rng)


def _of_the_chords(timeline: Timeline, beat: float, rng: np.random.Generator) -> list[Note]:
    centre, pitch, notes = float(rng.uniform(64, 82)), None, []
    tonic = int(rng.integers(12))
    for _, at, length, _, chord in _hits(timeline, beat * float(rng.choice([0.5, 1, 1, 2]))):
        if rng.random() < 0.2:
            continue
        target = pitch if pitch is not None else centre
        tones = [c + 12 * o for c in chord.pitch_classes for o in range(4, 8)]
        pitch = int(min(tones, key=lambda p: abs(p - target) + 0.3 * abs(p - centre) + rng.uniform(0, 4)))
        notes.append((at, length * 0.95, pitch, 84))
        if rng.random() < 0.3:
            scale = [p for p in (pitch - 2, pitch - 1, pitch + 1, pitch + 2) if (p - tonic) % 12 in MAJOR_SCALE]
            notes[-1] = (at, length * 0.45, pitch, 84)
            notes.append((at + length / 2, length * 0.45, int(rng.choice(scale)) if scale else pitch + 2, 78))
    return notes


def _of_the_key(timeline: Timeline, beat: float, rng: np.random.Generator) -> list[Note]:
    """Steps and leaps in the major scale that has most of the chords' notes, held over changes of chord; chord tones are likelier the longer they last."""
    sounding = [c for _, _, chord in timeline if chord.is_chord for c in chord.pitch_classes]
    tonic = max(range(12), key=lambda t: sum((c - t) % 12 in MAJOR_SCALE for c in sounding) + 0.01 * t)
    centre, notes, spans = float(rng.uniform(60, 79)), [], [span for span in timeline if span[2].is_chord]
    scale = [p for p in range(36, 100) if (p - tonic) % 12 in MAJOR_SCALE]
    time, pitch, end = (spans[0][0], centre, spans[-1][1]) if spans else (0.0, centre, 0.0)
    while time < end:
        length = beat * float(rng.choice([0.5, 0.5, 1, 1, 1.5, 2, 3]))
        if rng.random() < 0.85:
            tones = next(chord.pitch_classes for _, until, chord in spans if time < until)
            drawn = rng.uniform(0, 5, len(scale))
            pitch = min(zip(scale, drawn), key=lambda row: abs(row[0] - pitch) + 0.2 * abs(row[0] - centre) + row[1] - (row[0] % 12 in tones) * 1.5 * length)[0]
            notes.append((time, length * 0.97, int(pitch), 84))
        time += length
    return notes


def drum_pattern(seconds: float, beat: float, rng: np.random.Generator, single: bool = False) -> list[Note]:
    """Kick, snare, hats and fills on sixteenths; `single`: one drum alone."""
    sixteenth = beat / 4
    kit = {36: rng.random(16) < 0.2, 38: np.arange(16) % 8 == 4, 42: np.arange(16) % int(rng.choice([1, 2, 4])) == 0}
    kit[36][[0, 8]] = True
    for extra in rng.choice([37, 39, 41, 43, 45, 46, 47, 49, 50, 51, 54, 56, 60, 63, 69, 70], int(rng.integers(0, 3)), replace=False):
        kit[int(extra)] = rng.random(16) < 0.12
    if single:
        kit = {int(rng.integers(35, 82)): np.arange(16) % int(rng.choice([2, 4, 8, 16])) == 0}
    return [(i * sixteenth, 0.2, pitch, int(rng.integers(60, 115))) for i in range(int(seconds / sixteenth)) for pitch, pattern in kit.items() if pattern[i % 16]]
