"""Chord names, pitch classes, transposition: the one place that knows how chords are spelled.

Problem: people write `CMajor`, `Cmaj`, `C`, recognisers write `C:maj`, and they must mean the same thing. A chord is a spelled root,
a quality in Harte's shorthand and a bass given as a scale degree above the root (Harte et al., "Symbolic representation of musical
chords", ISMIR 2005). Pitch classes count semitones above C, 0-11. "N" is no chord, "X" is a chord outside the vocabulary. Other spellings: `spelling`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ostinato.harmony import spelling
from ostinato.harmony.spelling import ChordError

#: Harte shorthand -> semitones above the root.
QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "minmaj7": (0, 3, 7, 11),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 2),
    "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2),
    "1": (0,),
    "5": (0, 7),
}
#: What people write -> Harte shorthand. Case matters for `m` and `M` only, so those are looked up first.
ALIASES: dict[str, str] = {
    "": "maj",
    "M": "maj",
    "m": "min",
    "major": "maj",
    "minor": "min",
    "-": "min",
    "+": "aug",
    "augmented": "aug",
    "diminished": "dim",
    "o": "dim",
    "dom7": "7",
    "M7": "maj7",
    "m7": "min7",
    "major7": "maj7",
    "minor7": "min7",
    "m7b5": "hdim7",
    "6": "maj6",
    "m6": "min6",
    "sus": "sus4",
    "m9": "min9",
    "M9": "maj9",
    "mmaj7": "minmaj7",
}
NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
#: The usual spelling of each pitch class as a chord root.
COMMON = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
DEGREES = {"1": 0, "2": 2, "3": 4, "4": 5, "5": 7, "6": 9, "7": 11, "8": 0, "9": 2, "10": 4, "11": 5, "12": 7, "13": 9}
#: Semitones above the root -> the degree written after the slash.
DEGREE_NAMES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)

_CHORD = re.compile(r"([A-G])([#b]*)(:?)([^:]*)$")


@dataclass(frozen=True)
class Chord:
    """A chord: `root` as spelled ("Bb"; "N" for none, "X" for unknown), Harte `quality`, `bass` in semitones above the root."""

    root: str
    quality: str = "maj"
    bass: int = 0

    @classmethod
    def parse(cls, name: str) -> Chord:
        """Read a name in any spelling; see `read`, which says besides what was dropped. Raises ChordError."""
        return read(name).chord

    @property
    def is_chord(self) -> bool:
        """False for "N" (no chord) and "X" (unknown)."""
        return self.root not in ("N", "X")

    @property
    def pitch_class(self) -> int:
        """The root's pitch class, 0-11."""
        return pitch_class(self.root)

    @property
    def bass_pitch_class(self) -> int:
        """The lowest note's pitch class, 0-11."""
        return (self.pitch_class + self.bass) % 12

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes sounding, root first; empty for no chord."""
        return tuple((self.pitch_class + step) % 12 for step in QUALITIES[self.quality]) if self.is_chord else ()

    @property
    def harte(self) -> str:
        """Harte's name, as mir_eval and JAMS read it: `C:maj`, `A:min7/b3`, `N`."""
        if not self.is_chord:
            return self.root
        return f"{self.root}:{self.quality}" + (f"/{DEGREE_NAMES[self.bass]}" if self.bass else "")

    @property
    def spoken(self) -> str:
        """The name as said in a prompt: `Cmaj`, `Amin7`, `G7`, `N`."""
        return self.harte.replace(":", "", 1)

    @property
    def is_minor(self) -> bool:
        """Whether its third is minor."""
        return self.is_chord and 3 in QUALITIES[self.quality] and 4 not in QUALITIES[self.quality]

    def transpose(self, semitones: int) -> Chord:
        """The same chord `semitones` higher, in the common spelling."""
        if not self.is_chord:
            return self
        return Chord(COMMON[(self.pitch_class + semitones) % 12], self.quality, self.bass)

    def same_sound(self, other: Chord) -> bool:
        """Equal but for spelling (C#:maj and Db:maj)."""
        if not (self.is_chord and other.is_chord):
            return self.root == other.root
        return (self.pitch_class, self.quality, self.bass) == (other.pitch_class, other.quality, other.bass)

    def __str__(self) -> str:
        return self.harte


@dataclass(frozen=True)
class Reading:
    """What a name means: the nearest `chord` of the vocabulary, the `name` as written, whether `chord` has other notes, its full name in Harte's syntax.

    What nobody can read (`corpus.labels.unknown`) is X and has no full name.
    """

    chord: Chord
    name: str
    reduced: bool
    harte: str


@lru_cache(4096)
def read(name: str) -> Reading:
    """Read a chord name: `C`, `CMajor`, `Am7`, `C:maj7/3`, `C/E`, `N`, `X`, all of Harte's syntax (`D:sus4(b7,9)/5`) and of lead sheets (`F#m7b5`, `C6/9`).

    A chord that is none of QUALITIES becomes the one nearest to it by its notes, its third, fifth and seventh first; one without a triad becomes X.

    Raises:
        ChordError: no chord name; the message says what is wrong and what is expected.
    """
    text = spelling.plain(name)
    if text in ("N", "X"):
        return Reading(Chord(text, ""), name, False, text)
    if chord := _plain_chord(text):
        return Reading(chord, name, False, chord.harte)
    match = re.fullmatch(rf"({spelling.ROOT}:[^/]*)(?:/(.*))?", text)
    try:
        full, bass = (match[1], match[2]) if match else ("", "")
        shorthand, notes = spelling.notes(full)
    except ChordError:
        full, _, bass = spelling.harte(text).partition("/")
        shorthand, notes = spelling.notes(full)
    root = full.partition(":")[0]
    quality, step = spelling.nearest(notes, shorthand, QUALITIES), _bass(bass, root, name) if bass else 0
    chord = Chord(root, quality, step) if quality else Chord("X", "")
    return Reading(chord, name, not quality or set(QUALITIES[quality]) != notes, full + (f"/{DEGREE_NAMES[step]}" if step else ""))


def _plain_chord(text: str) -> Chord | None:
    """A name of one root, one quality of the vocabulary and perhaps a bass; None for others."""
    match = _CHORD.match(text)
    if not match or len(set(match[2])) > 1:
        return None
    root, (quality, bass) = match[1] + match[2], spelling.split_bass(match[4], bool(match[3]))
    found = next((known for known in (quality, ALIASES.get(quality), quality.lower(), ALIASES.get(quality.lower())) if known in QUALITIES), None)
    return Chord(root, found, _bass(bass, root, text) if bass else 0) if found else None


def _bass(text: str, root: str, name: str) -> int:
    match = re.fullmatch(r"([#b]*)(\d+)", text)
    if match and match[2] in DEGREES:
        return (DEGREES[match[2]] + match[1].count("#") - match[1].count("b")) % 12
    if re.fullmatch(r"[A-G][#b]*", text):
        return (pitch_class(text) - pitch_class(root)) % 12
    raise ChordError(f"'{name}': '{text}' is no bass; expected a degree such as 3, b3, 5 or a note such as E")


def pitch_class(note: str) -> int:
    """Pitch class (0-11) of a spelled note such as `Bb`."""
    return (NATURALS[note[0]] + note.count("#") - note[1:].count("b")) % 12


def collapse(chords: list[Chord]) -> list[Chord]:
    """Drop immediate repeats: C C F C -> C F C."""
    return [chord for i, chord in enumerate(chords) if i == 0 or not chord.same_sound(chords[i - 1])]
