"""What looks like harmony and is none: misspelt chords, other languages' names, notes with their octave, scale degrees in digits; and what may have been meant.

Free words are free, so each of these is looked for by its form. The weaker ones (`Sol`, `As`, `CAGE`) count only where no free word follows, for there they
stand as chords do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ostinato.harmony.prompts.words import LONGEST, Token, harmony, named

#: Words that belong to a chord.
QUALITY_WORDS = {"major", "minor", "maj", "min", "dim", "diminished", "augmented", "dur", "moll", "sharp", "flat"}
#: After these stand names of people.
NAMES_FOLLOW = {"of", "by", "like", "from", "as"}
SOLFEGE = {"do": "C", "ut": "C", "re": "D", "ré": "D", "mi": "E", "fa": "F", "sol": "G", "la": "A", "si": "B", "ti": "B"}
_MAJOR, _MINOR = ("major", "majeur", "mayor", "maggiore", "maior", "dur", "maj"), ("minor", "mineur", "menor", "minore", "moll", "min")
_SIGNS = {"#": "#", "b": "b", "dièse": "#", "diese": "#", "sostenido": "#", "diesis": "#", "bémol": "b", "bemol": "b", "bemolle": "b"}
_GERMAN = re.compile(r"([A-Ha-h])(is|es|s|#|b)?[- ]?(dur|moll)", re.IGNORECASE)
_GERMAN_NOTE = re.compile(r"(Cis|Dis|Fis|Gis|Ais|Ces|Des|Es|Ges|As)(m|7|m7|maj7|dur)?")
_QUALITIES = ("maj", "min", "major", "minor", "dim", "aug", "sus", "sus2", "sus4", "add9", "maj7", "min7", "dim7", "m7", "maj9", "min9", "7", "m")
#: A root with a sharp; a root and a quality; a root and letters of qualities alone, one of which says that it is a chord; a root, a quality and figures.
_CHORDLIKE = tuple(
    map(
        re.compile,
        (
            r"[A-H]#\S*|[A-H]b-?(?:flat|sharp)\S*",
            r"(?![A-H]/[A-Z]{2})[A-H][#b]*(?:[:/].*|maj.*|min\d?|m\d?|dim\d?|aug|sus\d?|[679]|11|13)",
            r"(?=.*(?:maj|min|dim|aug|sus|add|omit|alt|\d.*\d|[#b]\d|[Δø°+]))(?![A-G]-?\d+$)"
            r"[A-G][#b]*(?:maj|min|dim|aug|sus|add|omit|no|alt|dom|m|M|[#b]|\d|[()/,^Δø°o+-])+",
            r"[A-H][#b]*(?:maj|min|dim|aug|sus|add)\S*\d\S*",
            r"[A-H](?=[#b]*(?:#b|b#))[#b]+(?:m|maj|min)?\d*",
        ),
    )
)
#: What harmony calls by name, and the numeral that has the same notes but for the spelling: the Neapolitan sixth, the augmented sixths, the cadential six-four.
SIXTHS = {"N": "bII6", "I": "bVI7", "F": "bVI7", "G": "bVI7", "C": "I64"}
_SIXTH = re.compile(r"N6|It\+?6|Fr\+?(?:43|6)|Ger?\+?(?:65|6)|Cad64")
Instead = dict[int, list[tuple[str, ...]]]


@dataclass(frozen=True)
class Found:
    """What is wrong with a word, and what may have been meant: bars of names for it and for words around it, by their places."""

    reason: str
    choices: list[Instead]


def look(tokens: Sequence[Token], place: int) -> Found | None:
    """Whether a free word looks like harmony."""
    word = tokens[place].text
    if len(word) > LONGEST:
        return Found(f"'{word[:LONGEST]}...' is too long for a word", [])
    if names := _strong(word):
        return _instead_of(word, place, names)
    if found := _bass(tokens, place) or _solfege(tokens, place) or _digits(tokens, place):
        return found
    names = _weak(word) if _stands_as_a_chord(tokens, place) else []
    return _instead_of(word, place, names) if names else None


def _stands_as_a_chord(tokens: Sequence[Token], place: int) -> bool:
    """Whether no free word follows, and what stands before does not make it somebody's name."""
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    before = tokens[place - 1].text.lower() if place and (place < 2 or tokens[place - 2].text != "followed") else ""
    may_be_a_name = before in NAMES_FOLLOW and re.fullmatch("[A-Z]{3,}|[A-Z][a-z]{3,}", tokens[place].text)
    return (after is None or after.kind != "word" or bool(_weak(after.text))) and not may_be_a_name


def _instead_of(word: str, place: int, names: list[str]) -> Found:
    """What is wrong with a word that stands for some names."""
    if note := re.fullmatch(r"([A-G][#b]*)-?([0-8])", word):
        suspended: list[Instead] = [{place: [(f"{note[1]}sus{note[2]}",)]}] if note[2] in "24" else []
        return Found(f"'{word}' is a note, no chord", [{place: [(note[1],)]}, *suspended])
    if re.fullmatch(r"[A-G][#b]*(/[A-G][#b]*){2,}", word):
        notes = word.split("/")
        return Found(f"'{word}' is no chord name: one stroke, before the bass", [{place: [(note,) for note in notes]}, {place: [("/".join(notes[:2]),)]}])
    return Found(f"'{word}' is no chord name", [{place: [(name,) for name in names]}])


def _strong(word: str) -> list[str]:
    """Chord names for a word that can be nothing else."""
    if german := _GERMAN.fullmatch(word):
        return [_german(german[1], german[2] or "", german[3].lower())]
    if re.fullmatch(r"[#b]*(?:VII|VI|IV|V|III|II|vii|iii|ii|iv|vi)(?:[/\d°ø+]|o\d).*", word):
        return re.findall(r"^[#b]*[IViv]+", word)
    if sixth := _SIXTH.fullmatch(word):
        return [SIXTHS[sixth[0][0]]]
    if word[0] in "abcdefg" and word[1:2] == "#":
        word = word.capitalize()
    if word[0] == "H" and len(word) > 1 and word != "Ho" and (found := harmony(f"B{word[1:]}")):
        return [name for bar in found.bars for name in bar]
    if any(pattern.fullmatch(word) for pattern in _CHORDLIKE):
        return _repaired(word)
    if re.fullmatch(r"[A-G][#b]*(?:m|maj|min|7)?[%$@^*_=|<>~]+.*", word):
        return _repaired(re.split(r"[%$@^*_=|<>~]", word)[0])
    parts = re.split(r"[,;>|–—→+-]+", word)
    if len(parts) > 1 and all(parts) and (sum(bool(named(part)) for part in parts) * 2 > len(parts) or (word.count(",") and named(parts[0]))):
        return [name for part in parts for name in ([part] if named(part) else _repaired(part))]
    return []


def _german(letter: str, sign: str, mode: str) -> str:
    root = {"H": "B", "B": "Bb"}.get(letter.upper(), letter.upper())
    root += {"is": "#", "es": "b", "s": "b", "#": "#", "b": "b"}.get(sign.lower(), "")
    return root + ("maj" if mode == "dur" else "min")


def _repaired(word: str) -> list[str]:
    """The chord that is nearest to a misspelt one; [] where none is near."""
    tries = [word.replace("H", "B"), word.replace("//", "/"), re.sub(r"/.*/.*|/.*", "", word), word.replace(":", "", 1)]
    match = re.match(r"([A-H][#b]*):?([^/]*)", word)
    if not match:
        return []
    root, quality = match[1].replace("H", "B"), match[2]
    distances = sorted((_distance(quality.lower(), other), abs(len(other) - len(quality)), place) for place, other in enumerate(_QUALITIES))
    tries += [root + _QUALITIES[place] for distance, _, place in distances if distance <= 2]
    tries += [root + quality[:length] for length in range(len(quality) - 1, -1, -1)]
    return [next((name for name in tries if named(name)), "C")]


def _weak(word: str) -> list[str]:
    """Chord names for a word that may be something else."""
    if german := _GERMAN_NOTE.fullmatch(word):
        return [_german(word[0], german[1][1:], "dur").removesuffix("maj") + (german[2] or "").replace("dur", "maj")]
    if re.fullmatch(r"H[#b]?(?:m|7|dim)?\d?[^\w\s]*|[a-g]b?(?:maj|min|dim|aug|sus|add)\w{0,4}", word):
        return _repaired(word.capitalize())
    if match := re.fullmatch(r"([A-G][#b]*)-?(?:[02348]|\d{2,4})x?|/([A-G])|([a-g][#b]?)(?:[02348]|[^\w\s'.-]+)", word):
        return [(match[1] or match[2] or match[3]).capitalize()]
    if re.fullmatch(r"[A-G][#b]*m?(?:6|7|9|11|13)[a-z#b]{1,3}\d{0,2}", word):
        return _repaired(word)
    if re.fullmatch(r"[A-G][#b]*mm+\d?", word):
        return _repaired(word)
    if counted := re.fullmatch(r"\d{1,2}(?!D$)([A-G][#b]?(?:m|7|m7)?)", word):
        return [counted[1]]
    if re.fullmatch(r"[A-G]{3,}", word):
        return list(word)
    if re.fullmatch(r"(?!Dr|Ft)[B-DF-H][b-df-hj-np-tv-z]", word):
        return [word[0].replace("H", "B")]
    match = re.fullmatch(r"([A-H][#b]*)([a-z]{3,6}\d?)", word)
    if match and any(_distance(match[2], quality) == 1 and match[2][0] == quality[0] for quality in _QUALITIES if len(quality) > 2):
        return _repaired(word)
    return []


def _bass(tokens: Sequence[Token], place: int) -> Found | None:
    """`Em /D`: a bass with a blank before it."""
    word, chord = tokens[place].text, next((token for token in reversed(tokens[:place]) if token.is_harmony), None)
    if chord is None or word[0] != "/" or not named(f"C{word}"):
        return None
    return Found(f"'{word}' is no chord name: a bass stands behind its chord, without a blank", [{place: [(chord.bars[-1][-1].partition("/")[0] + word,)]}])


def _solfege(tokens: Sequence[Token], place: int) -> Found | None:
    """`la mineur`, `do re mi`, `Sol7`: the notes by their Romance names."""
    if not _sung(tokens[place].text):
        return None
    words = [token.text.lower() for token in tokens]
    instead: Instead = {}
    at = place
    while at < len(tokens) and tokens[at].kind == "word" and (name := _sung(words[at])):
        end = at + 1
        if end < len(words) and words[end] in _SIGNS:
            name, end = name[0] + _SIGNS[words[end]] + name[1:], end + 1
        mode = words[end] if end < len(words) else ""
        is_said = mode in _MAJOR + _MINOR
        instead[at] = [(name + ("maj" if mode in _MAJOR else "min" if is_said else ""),)]
        instead |= {other: [] for other in range(at + 1, end + is_said)}
        at = end + is_said
        while at < len(tokens) and tokens[at].kind in ("comma", "joint"):
            at += 1
    is_in_a_phrase = at < len(tokens) and tokens[at].kind == "word"
    if is_in_a_phrase and not any(words[other] in _MAJOR + _MINOR for other in instead):
        return None
    return Found(f"'{tokens[place].text}' is no chord name: these begin with a letter from A to G", [instead])


def _sung(word: str) -> str | None:
    match = re.fullmatch(r"(do|ut|re|ré|mi|fa|sol|la|si|ti)(#|b)?(m|7|m7|maj7|min|maj)?", word, re.IGNORECASE)
    return SOLFEGE[match[1].lower()] + (match[2] or "") + (match[3] or "") if match else None


def _digits(tokens: Sequence[Token], place: int) -> Found | None:
    """`1 5 6 4`, `1-5-6-4`: degrees in digits, as Nashville counts; said in numerals."""
    numerals = ("I", "ii", "iii", "IV", "V", "vi", "viio")
    found: Instead = {}
    is_in_a_phrase = False
    for at in range(place, len(tokens)):
        if tokens[at].kind == "comma":
            continue
        is_in_a_phrase = tokens[at].kind == "word"
        if not is_in_a_phrase or not re.fullmatch(r"[1-7]m?(?:-[1-7]m?)*", tokens[at].text):
            break
        found[at], is_in_a_phrase = [(numerals[int(digit) - 1],) for digit in re.findall(r"[1-7]", tokens[at].text)], False
    if is_in_a_phrase or sum(map(len, found.values())) < 3:
        return None
    return Found(f"'{tokens[place].text}': degrees are written as Roman numerals", [found])


def _distance(left: str, right: str) -> int:
    """Damerau's distance of words of a few letters: how many are left out, put in, taken for another, or two for one another."""
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left[:12], 1):
        row = [i]
        for j, b in enumerate(right, 1):
            row.append(min(row[-1] + 1, rows[-1][j] + 1, rows[-1][j - 1] + (a != b)))
            if i > 1 < j and a == right[j - 2] and b == left[i - 2]:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]
