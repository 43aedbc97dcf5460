"""Keys, and what a chord is in one: its Roman numeral, the cadence that two of them make."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ostinato.files import UserError
from ostinato.harmony.chords import COMMON, DEGREE_NAMES, MAJOR_SCALE, MINOR_SCALE, QUALITIES, Chord, pitch_class


@dataclass(frozen=True)
class Key:
    """A key: tonic pitch class 0-11 and mode `major` or `minor`."""

    tonic: int
    mode: str = "major"

    @classmethod
    def parse(cls, name: str) -> Key:
        """Read `C:major`, `A:minor`, `Eb major`."""
        match = re.fullmatch(r"([A-G][#b]?)[ :](major|minor)", name)
        if not match:
            raise UserError(f"'{name}' is no key; expected for example C:major or A:minor")
        return cls(pitch_class(match[1]), match[2])

    @property
    def scale(self) -> tuple[int, ...]:
        """The seven pitch classes of the (natural) scale, tonic first."""
        return tuple((self.tonic + step) % 12 for step in (MAJOR_SCALE if self.mode == "major" else MINOR_SCALE))

    def __str__(self) -> str:
        return f"{COMMON[self.tonic]}:{self.mode}"


#: Semitones above the tonic -> Roman numeral, in major; in minor the natural scale's degrees need no accidental.
NUMERALS = {
    "major": ("I", "bII", "II", "bIII", "III", "IV", "#IV", "V", "bVI", "VI", "bVII", "VII"),
    "minor": ("I", "bII", "II", "III", "#III", "IV", "#IV", "V", "VI", "#VI", "VII", "#VII"),
}
#: What is written after the numeral, by quality; figures follow.
MARKS = {"dim": "o", "dim7": "o", "hdim7": "ø", "aug": "+", "maj7": "M", "minmaj7": "M", "maj9": "M", "sus2": "sus2", "sus4": "sus4", "maj6": "add6", "min6": "add6", "5": "5"}
FIGURES = {3: ("", "6", "64"), 4: ("7", "65", "43", "42")}


def roman(chord: Chord, key: Key) -> str:
    """A chord as a Roman numeral with figured bass: V7, ii6, bVII, viio, I64; "N" for no chord. Minor triads are small letters (Piston, *Harmony*)."""
    if not chord.is_chord:
        return chord.root
    numeral = NUMERALS[key.mode][(chord.pitch_class - key.tonic) % 12]
    if chord.is_minor:
        numeral = numeral.lower()
    return numeral + MARKS.get(chord.quality, "") + _figures(chord)


def _figures(chord: Chord) -> str:
    steps = QUALITIES[chord.quality]
    if chord.quality in ("maj6", "min6", "sus2", "sus4", "5", "1"):  # no thirds to stack: the bass is named
        return f"/{DEGREE_NAMES[chord.bass]}" if chord.bass else ""
    figures = FIGURES.get(min(len(steps), 4), ("",))
    return figures[steps.index(chord.bass)] if chord.bass in steps[: len(figures)] else f"{figures[0]}/{DEGREE_NAMES[chord.bass]}"


def cadence_kind(approach: Chord, goal: Chord, key: Key) -> str | None:
    """How two chords close a phrase in a key: authentic (V or viio to I), plagal (IV to I), deceptive (V to vi), half (anything to V), or None."""
    degrees = [(chord.pitch_class - key.tonic) % 12 for chord in (approach, goal)]
    dominant = (degrees[0] == 7 and not approach.is_minor) or (degrees[0] == 11 and approach.quality in ("dim", "dim7", "hdim7"))
    submediant = 9 if key.mode == "major" else 8
    if degrees[1] == 0 and goal.is_minor == (key.mode == "minor"):
        return "authentic" if dominant else "plagal" if degrees[0] == 5 else None
    if degrees[1] == submediant and dominant:
        return "deceptive"
    return "half" if degrees[1] == 7 and not goal.is_minor and degrees[0] != 7 else None
