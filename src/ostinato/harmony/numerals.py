"""Roman numerals as prompts have them: chords said by their degree in a key.

They have figured bass (Piston, *Harmony*: I6 is I over its third) or a lead sheet's suffix: `ii65`, `V7/ii`, `bVII`, `viio7`, `Imaj7`, `I/3`. Small letters are
minor. In minor the degrees are those of the natural scale, but for what everybody means: a diminished vii stands on the leading note, a diminished vi on the
raised sixth, and bIII, bVI and bVII are III, VI and VII. `theory.roman` writes numerals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from ostinato.harmony.chords import MAJOR_SCALE, MINOR_SCALE, NATURALS, QUALITIES, ChordError, Reading, pitch_class, read

LETTERS = "CDEFGAB"
VALUES = ("I", "II", "III", "IV", "V", "VI", "VII")
_NUMERAL = re.compile(r"([#b]{0,2})(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)([^/]*)(?:/(.+))?")
_FIGURED = re.compile(r"(o|°|ø|\+|M|maj|Δ)?(64|65|43|42|7|6)?")
#: Figured bass: is it a seventh chord, which of its notes is the bass.
FIGURES = {"": (False, 0), "6": (False, 1), "64": (False, 2), "7": (True, 0), "65": (True, 1), "43": (True, 2), "42": (True, 3)}
#: Mark after the numeral: quality of the triad, of the seventh chord; None: the numeral's own.
CORES = {"o": ("dim", "dim7"), "°": ("dim", "dim7"), "ø": ("hdim7", "hdim7"), "+": ("aug", "aug7")}


@dataclass(frozen=True)
class Tonality:
    """A key as spelled: `tonic` such as Bb, `mode` major or minor."""

    tonic: str
    mode: str = "major"

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}".rstrip()


C_MAJOR = Tonality("C")


@lru_cache(4096)
def is_numeral(word: str) -> bool:
    """Whether a word is one."""
    try:
        return word[:1] in "IViv#b" and bool(read_numeral(word, C_MAJOR))
    except ChordError:
        return False


def read_numeral(word: str, key: Tonality) -> Reading:
    """The chord of a numeral in a key, under the name a lead sheet gives it. Raises ChordError for what is no numeral."""
    match = _NUMERAL.fullmatch(re.sub(r"(?<=6)(?<!add6)/(?=[45])|(?<=4)/(?=[23])", "", word))
    if not match:
        raise ChordError(f"'{word}' is no Roman numeral; expected such as I, vi, V7, bVII, viio, V/V")
    accidentals, numeral, suffix, under = match.groups()
    if under and is_target(under):
        target = _root(under, key)
        return read_numeral(accidentals + numeral + suffix, Tonality(target, "minor" if under.strip("#b")[0].islower() else "major"))
    return _named(_root(accidentals + numeral + suffix, key), numeral.islower(), suffix, under or "")


def is_target(word: str) -> bool:
    """Whether what stands below the stroke is a degree to be left for: V in V/V."""
    return bool(re.fullmatch(r"[#b]?(VII|VI|IV|V|III|II|vii|vi|iv|v|iii|ii)", word))


def _root(word: str, key: Tonality) -> str:
    """The spelled root of a numeral in a key."""
    match = _NUMERAL.fullmatch(word)
    assert match  # callers have seen to it
    accidentals, numeral, suffix, _ = match.groups()
    degree = VALUES.index(numeral.upper())
    shift = accidentals.count("#") - accidentals.count("b")
    if key.mode == "minor" and degree in (2, 5, 6):
        if accidentals.startswith("b"):
            shift += 1
        if not accidentals and degree != 2 and re.match(r"[o°ø]|dim|hdim|m7b5", suffix):
            shift = 1
    scale = MAJOR_SCALE if key.mode == "major" else MINOR_SCALE
    return _spelled((pitch_class(key.tonic) + scale[degree] + shift) % 12, LETTERS[(LETTERS.index(key.tonic[0]) + degree) % 7])


def _spelled(pitch: int, letter: str) -> str:
    """A pitch class as a note of that letter; the nearest letter where this took more than two signs."""
    signs = (pitch - NATURALS[letter] + 6) % 12 - 6
    if abs(signs) > 2:
        return next(name for name in (*NATURALS, "C#", "Eb", "F#", "Ab", "Bb") if pitch_class(name) == pitch)
    return letter + ("#" if signs > 0 else "b") * abs(signs)


def _named(root: str, is_minor: bool, suffix: str, bass: str) -> Reading:
    figured = _FIGURED.fullmatch(suffix)
    if figured and not bass:
        mark, (is_seventh, inversion) = figured[1] or "", FIGURES[figured[2] or ""]
        reading = read(root + _quality(mark, is_minor, is_seventh))
        steps = QUALITIES[reading.chord.quality]
        return replace(reading, chord=replace(reading.chord, bass=steps[inversion])) if inversion < len(steps) else reading
    suffix = "6" if suffix == "add6" else suffix
    minor = "m" if is_minor and not re.match(r"m(?!aj)|-|dim|hdim|[o°ø5+]|sus|aug", suffix) else ""
    return read(f"{root}{minor}{suffix}" + (f"/{bass}" if bass else ""))


def _quality(mark: str, is_minor: bool, is_seventh: bool) -> str:
    if mark in CORES:
        return CORES[mark][is_seventh]
    if mark and (is_seventh or mark == "Δ"):
        return "minmaj7" if is_minor else "maj7"
    return ("min" if is_minor else "maj" if not is_seventh else "") + ("7" if is_seventh else "")


def mode_of(numerals: list[str]) -> str:
    """The mode that numerals without one are meant in: minor where the tonic is."""
    tonics = {match[2] for word in numerals if (match := _NUMERAL.fullmatch(word)) and not match[1] and match[2] in "Ii"}
    return "minor" if tonics == {"i"} else "major"
