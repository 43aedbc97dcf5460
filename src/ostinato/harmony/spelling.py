"""How chord names are written: any spelling to Harte's, and Harte's to notes.

Problem: `C7#9`, `C7(#9)` and `C:7(#9)` are one chord, and so are `Bø`, `Bm7b5`, `B-7b5` and `B:hdim7`. Lead sheets (Brandt & Roemer, *Standardized Chord
Symbol Notation*, 1976, and what players made of it: iReal, the Real Book, Chordino) are turned into Harte's syntax (Harte et al., ISMIR 2005): a shorthand with
degrees added, and degrees taken away by a star. That is read by mir_eval. Degrees are strings such as `b7`; notes are semitones above the root, 0-11.
"""

from __future__ import annotations

import re
import unicodedata

from ostinato.files import UserError

#: Signs with a plain letter of their own. Every dash is a minus, every triangle a major seventh, every ring diminished.
SIGNS = str.maketrans(
    {"♯": "#", "♭": "b", "𝄪": "##", "𝄫": "bb", "♮": "", "⁄": "/", "∕": "/", "\\": "/"}
    | dict.fromkeys("−–—‐‑‒", "-")
    | dict.fromkeys("Δδ∆△▵▲", "^")
    | dict.fromkeys("°º˚○◦", "o")
    | dict.fromkeys("øØ⌀∅ɸΦφ", "ø")
)
#: What is written for silence, without dots, strokes and blanks, in small letters.
NO_CHORD = ("nc", "nochord")
ROOT = r"[A-G](?:#*|b*)(?![#b])"
SUS, ADD, OMIT, ALTERED = "\1\2\3\4"
#: Words of a quality and the sign each becomes, longer words first. Case matters for a lone m and M only, which are no words.
WORDS = {
    "half-?dim(?:inished)?|hdim|h(?=[79])": "ø",
    "diminished|dim": "o",
    "augmented|aug": "+",
    "minor|min|mi": "m",
    "major|maj|ma(?!dd)|j(?=[79])": "M",
    "dominant|dom": "",
    "suspended|sus": SUS,
    "added|add": ADD,
    r"omit|no|\*": OMIT,
    "altered|alt": ALTERED,
}
WORD = re.compile("|".join(f"({words})" for words in WORDS), re.I)
HEAD = re.compile(
    rf"(?P<minor>m|-(?![2-5]))?(?P<sign>[oø]|(?<![m-])\+(?![2-5]))?(?:\((?=[M^]))?(?P<major>[M^])?"
    rf"(?P<number>69|6|7|9|11|13|5(?=[({ADD}]))?(?P<french>M(?!\d))?"
)
TAIL = re.compile(
    rf"(?P<sus>{SUS})(?P<to>24|42|2|4)?(?P<with>7|9|11|13)?|{OMIT}[#b]*(?P<omitted>\d+)(?:th|rd|nd)?|(?P<altered>{ALTERED})|(?P<major>[M^]7)"
    rf"|(?P<added>{ADD})?(?P<accidental>[#b+-]?)(?P<degree>10|11|13|(?<!6)6|(?<!7)7|(?<!9)9|(?<=[{ADD}(,#b+-])[2345])|(?P<sharp>\+)$"
)
#: Harte's shorthands and their degrees.
SHORTHANDS = {
    name: degrees.split()
    for name, degrees in {
        "maj": "1 3 5",
        "min": "1 b3 5",
        "dim": "1 b3 b5",
        "aug": "1 3 #5",
        "sus4": "1 4 5",
        "sus2": "1 2 5",
        "5": "1 5",
        "7": "1 3 5 b7",
        "maj7": "1 3 5 7",
        "min7": "1 b3 5 b7",
        "minmaj7": "1 b3 5 7",
        "dim7": "1 b3 b5 bb7",
        "hdim7": "1 b3 b5 b7",
        "maj6": "1 3 5 6",
        "min6": "1 b3 5 6",
        "9": "1 3 5 b7 9",
        "maj9": "1 3 5 7 9",
        "min9": "1 b3 5 b7 9",
        "11": "1 3 5 b7 9 11",
        "min11": "1 b3 5 b7 9 11",
        "13": "1 3 5 b7 9 11 13",
        "maj13": "1 3 5 7 9 11 13",
        "min13": "1 b3 5 b7 9 11 13",
    }.items()
}
#: What a number stands for beside the seventh.
STACKS = {"6": ["6"], "69": ["6", "9"], "7": [], "9": ["9"], "11": ["9", "11"], "13": ["9", "11", "13"]}
EXPECTED = "a root A-G with # or b, then a quality such as maj, min, 7, maj7, m7b5, dim, sus4, add9, (#11), then perhaps /bass"


class ChordError(UserError):
    """A word that is no chord name."""


def plain(name: str) -> str:
    """A name in plain letters, without blanks: accidentals, triangles, rings and raised figures as they are typed; "N" for whatever says that there is none."""
    text = unicodedata.normalize("NFKC", name.translate(SIGNS)).translate(SIGNS)
    text = re.sub(r"^([A-G])-?(flat|sharp)", lambda root: root[1] + {"f": "b", "s": "#"}[root[2][0].lower()], "".join(text.split()), flags=re.I)
    return "N" if re.sub(r"[./()]", "", text).lower() in NO_CHORD else text


def harte(text: str) -> str:
    """A plain name in Harte's syntax, with all its notes: `C7#9/E` -> `C:7(#9)/E`; a bass keeps its spelling. Raises ChordError, saying what is wrong."""
    match = re.fullmatch(rf"({ROOT})(:?)(.*)", text)
    if not match:
        raise ChordError(f"'{text}' is no chord name; {_about_root(text)}expected {EXPECTED}")
    quality, bass = split_bass(match[3], bool(match[2]))
    return f"{match[1]}:{_shorthand(_degrees(quality, text))}" + (f"/{bass}" if bass else "")


def split_bass(text: str, colon: bool) -> tuple[str, str]:
    """Quality and bass of what follows a root. On a lead sheet (no colon) `6/9`, `7/9` and `m/maj7` are qualities: nobody writes a ninth in the bass there."""
    if not colon:
        text = re.sub(r"/(?=(?:maj|ma|M|\^)\d)", "", re.sub(r"/(?=[#b]?(?:9|11|13)(?:$|[/(]))", "add", text))
    match = re.fullmatch(r"(.*?)/(?:([A-Ga-g][#b]*)|([#b]*\d+))", text)
    return (match[1], match[2].capitalize() if match[2] else match[3]) if match else (text, "")


def notes(name: str) -> tuple[str, frozenset[int]]:
    """Shorthand and notes of a name in Harte's syntax without a bass, by mir_eval. Raises ChordError where mir_eval does not know it."""
    from mir_eval import chord as harte_syntax  # takes a second: only for names that are not plain

    try:
        shorthand = harte_syntax.split(name)[1]
        bitmap = harte_syntax.encode(name, reduce_extended_chords=True)[1]
    except harte_syntax.InvalidChordException as error:
        raise ChordError(f"'{name}' is no chord name in Harte's syntax ({error})") from None
    return shorthand, frozenset(int(step) for step in bitmap.nonzero()[0])


def nearest(notes: frozenset[int], shorthand: str, qualities: dict[str, tuple[int, ...]]) -> str:
    """The quality nearest to notes that were written with a shorthand; "" where there is no triad. A fifth may be missing, a third may not."""
    same = next((name for name, steps in qualities.items() if set(steps) == notes), None)
    triad = set(qualities.get(shorthand, ())[:3])
    if len(triad) < 3 or not triad <= notes:
        triad = _triad(notes)
    held = [name for name, steps in qualities.items() if triad and triad <= set(steps) <= notes | triad]
    return same or max(held, key=lambda name: (len(qualities[name]), 10 in qualities[name]), default="")


def _triad(notes: frozenset[int]) -> set[int]:
    """The triad that notes hold or imply, in semitones; empty where there is none."""
    if 4 in notes and notes & {0, 7}:
        return {0, 4, 8} if 8 in notes and not notes & {6, 7} else {0, 4, 7}
    if 3 in notes and notes & {0, 7}:
        return {0, 3, 6} if 6 in notes and 7 not in notes else {0, 3, 7}
    return next(({0, step, 7} for step in (5, 2) if {step, 7} <= notes), set())


def _about_root(text: str) -> str:
    if re.match(r"[A-G](#+b|b+#)", text):
        return "the root mixes sharps and flats; "
    if text[:1] == "H":
        return f"H is German for B: write 'B{text[1:]}'; "
    return "roots are capital letters; " if re.match(r"[a-h]([#b]|m|[:/]|\d|$)", text) else ""


def _degrees(quality: str, name: str) -> list[str]:
    """Degrees of a lead sheet's quality, the root first."""
    if re.match("[24]", quality):
        raise ChordError(f"'{name}' may be a note as well as a chord; expected add9, sus2 or sus4")
    if re.search("[(),]", re.sub(r"\([^()]*\)", "", quality)):
        raise ChordError(f"'{name}': parentheses do not match, or a comma stands outside of them; expected {EXPECTED}")
    text = re.sub(r"\([^)]*\)", lambda degrees: degrees[0].replace("/", ","), quality)
    text = WORD.sub(lambda word: list(WORDS.values())[(word.lastindex or 0) - 1], text)  # all that WORD finds is in a group
    head = HEAD.match(text)
    assert head  # perhaps of nothing
    if head["minor"] and head["major"] == "M" and not head["number"]:
        raise ChordError(f"'{name}' is major and minor; expected {EXPECTED}")
    degrees, at = _stack(head), head.end()
    while at < len(text):
        token = TAIL.match(text, at)
        if not token and text[at] not in "(),":
            raise ChordError(f"'{name}': '{quality}' is no chord quality; expected {EXPECTED}")
        degrees, at = (_changed(degrees, token), token.end()) if token else (degrees, at + 1)
    return degrees


def _stack(head: re.Match[str]) -> list[str]:
    """The thirds that the first signs and the number stand for."""
    sign, number, major = head["sign"], head["number"] or "", head["major"] or head["french"]
    third = [] if number == "5" else ["b3"] if head["minor"] or sign in ("o", "ø") else ["3"]
    fifth = {"o": "b5", "ø": "b5", "+": "#5"}.get(sign or "", "5")
    sevenths = number in ("7", "9", "11", "13") or (not number and (major == "^" or sign == "ø"))
    seventh = "7" if major else "bb7" if sign == "o" else "b7"
    return ["1", *third, fifth, *([seventh] if sevenths else []), *STACKS.get(number, [])]


def _changed(degrees: list[str], token: re.Match[str]) -> list[str]:
    """Degrees after a suspension, an omission, an alteration or an addition."""

    def without(number: str) -> list[str]:
        return [degree for degree in degrees if degree.lstrip("#b") != number]

    if token["sus"]:
        added = [] if not token["with"] else STACKS[token["with"]] if {"b7", "7"} & set(degrees) else ["b7", *STACKS[token["with"]]]
        return [*(degree for degree in degrees if degree not in ("3", "b3")), *(token["to"] or "4"), *added]
    if token["omitted"]:
        return without(token["omitted"])
    if token["altered"]:
        return ["1", "3", "b7", "b9", "#9", "#11", "b13"]
    if token["major"]:
        return [*without("7"), "7"]
    number = token["degree"] or "5"
    accidental = {"+": "#", "-": "b"}.get(token["accidental"] or ("+" if token["sharp"] else ""), token["accidental"] or "")
    degree = {"7": "b7", "#7": "7"}.get(accidental + number, accidental + number)
    altered = accidental and not token["added"]  # C13b9 has no other ninth
    return [*(other for other in degrees if not altered or other != number), degree]


def _shorthand(degrees: list[str]) -> str:
    """Harte's way to write degrees: the longest shorthand they hold, and the others in parentheses."""
    degrees = list(dict.fromkeys(degrees))
    fitting = [name for name, needed in SHORTHANDS.items() if set(needed) <= set(degrees)]
    name = max(fitting, key=lambda name: len(SHORTHANDS[name]), default="")
    others = [degree for degree in degrees if degree not in SHORTHANDS.get(name, [])]
    return name + (f"({','.join(others)})" if others else "")
