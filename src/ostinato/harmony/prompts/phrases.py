"""The phrases of a prompt: text is made plain, and what is said in several words, but for chords, is set aside as tokens.

Plain means one way to write each sign (full-width letters, no-break spaces, unicode accidentals, quotes), and `Bb` for `B flat`. Set aside are keys
(`in G minor`), tempos, metres and lengths, parts of a song, and repeats in words (`4 bars of`, `for 2 bars`, `x2`, `twice`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from ostinato.harmony.numerals import Tonality

#: What a token is. chords, numerals: bars of them; small: chords in small letters; word: free; joint, comma: stand between chords; by: `on`, before an
#: instrument; line, repeat, end: bar lines; open, close: brackets; hold, again, slash: `.`, `%`, `/`; aside: what is not used; times, each, of: repeats, as in
#: `x2`, `for 2 bars`, `2 bars of`; bars: one of the last two.
Kind = Literal[
    "chords", "numerals", "small", "word", "joint", "comma", "by", "line", "repeat", "end", "open", "close", "hold", "again", "slash", "aside", "key", "times", "each", "of", "bars"
]
SIGNS = str.maketrans(
    {
        "♯": "#",
        "♭": "b",
        "♮": None,
        "𝄪": "##",
        "𝄫": "bb",
        "∆": "Δ",
        "△": "Δ",
        "′": "'",
        "’": "'",
        "‘": "'",
        **dict.fromkeys('"“”„«»‹›`', " "),
        **dict.fromkeys("⟶⟹⟷↔⇔↦⇨➙➛➝➞➡►▶", "→"),
    }
)
#: Cyrillic letters that look like those of chords, and words of them that look like one.
CYRILLIC, CYRILLIC_CHORD = str.maketrans("АВСЕНм", "ABCEHm"), re.compile(r"(?<!\w)[АВСЕН](?:#|b)?[мm]?[679]?(?!\w)")
COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "twelve": 12, "sixteen": 16}
ACCIDENTALS, DEGREES = {"sharp": "#", "flat": "b", "natural": ""}, {"five": "5", "fifth": "5", "nine": "9", "ninth": "9"}
MINORS, MAJORS = ("minor", "min", "m", "aeolian", "harmonic minor", "natural minor", "melodic minor"), ("major", "maj", "ionian")

NOTE, SMALL_NOTE = r"[A-G](?:\#{1,2}|b{1,2})?", r"[a-g](?:\#|b)?"
#: Where a phrase begins, and what a number looks like.
_START, _NUMBER, _COUNT = r"(?<![^\s(])", r"\d{1,6}(?:\.\d{1,3})?", rf"\d{{1,4}}|(?i:{'|'.join(COUNTS)})"
#: What shows that the letter before `flat` or `sharp` is a note: `a flat piano` is an article.
_NOTE_FOLLOWS = r"(?=\s*(?:$|[,;.:|)>-]|\d|(?:major|minor|maj|min|dim|aug|sus)|(?:to|and|then|on|followed)\b|[A-G](?![a-z]{2})))"
_ACCIDENTAL = re.compile(rf"(?<![\w#])(?:([B-H])(?:\s+|-)?(?i:(sharp|flat))(?!\w)|([A-Ga-g])(?:\s+|-)?(?i:(sharp|flat|natural))(?!\w){_NOTE_FOLLOWS})")
_DEGREE = re.compile(r"\b(flat|sharp)(?:\s+|-)(five|fifth|nine|ninth|5|9|11|13)(?:th)?\b", re.IGNORECASE)
_HYPHEN = re.compile(r"\b([A-Ha-g](?:#|b)?)[-–—_.](?=(?:major|minor|maj|min|dim|aug)(?![a-z]))", re.IGNORECASE)
_PARTS = "verse|chorus|refrain|bridge|intro|outro|coda|hook|prechorus|pre-chorus"
#: What is said beside the chords, by what it is.
ASIDES = {
    "a part of a song": re.compile(rf"\[(?:{_PARTS})[^\]]*\] | (?<!\S)(?:{_PARTS})(?:\s+\d)?\s*:", re.IGNORECASE | re.VERBOSE),
    "a tempo": re.compile(
        rf"""{_START}(?:(?:at|@)\s*)?(?:a\s+)?(?:tempo\s*(?:of|[:=])?\s*)?{_NUMBER}\s*(?:bpm|beats\s+(?:per|a)\s+minute)\b
                               | {_START}(?:bpm|tempo|♩|q)\s*(?:of|[:=])?\s*{_NUMBER}(?![\w/])""",
        re.IGNORECASE | re.VERBOSE,
    ),
    "a metre": re.compile(rf"{_START}(?:in\s+)?(?:[2-79]|12)/(?:2|4|8|16)(?:\s+(?:time|metre|meter))?(?![\w/])", re.IGNORECASE),
    "a length; give --seconds": re.compile(
        rf"""{_START}(?:for\s+{_NUMBER}\s*-?\s*(?:s|secs?|seconds?|mins?|minutes?)
                                                | {_NUMBER}(?:\s+|-)?(?:secs?|seconds?|minutes?) | {_NUMBER}\s+s)(?!\w)""",
        re.IGNORECASE | re.VERBOSE,
    ),
    "a length in beats; give bars": re.compile(rf"{_START}(?:for\s+)?(?:{_COUNT})\s+beats?(?:\s+(?:of|each))?(?![\w-])", re.IGNORECASE),
    "a key": re.compile(rf"{_START}in\s+an?\s+(?:major|minor)\s+(?:key|mode)\b", re.IGNORECASE),
}
_MODES = "harmonic minor|natural minor|melodic minor|major|minor|maj|min|dorian|phrygian|lydian|mixolydian|aeolian|ionian|locrian".replace(" ", r"\ ")
KEY = re.compile(
    rf"""{_START}(?i:(?:in\s+)?(?:the\s+)?key\s*(?:of\b|is\b|[:=]) | in\s+(?:the\s+)?key\b | in\b)\s*
                      (?:(?P<tonic>{NOTE})(?:\s*-?\s*(?P<mode>(?i:{_MODES})|m))? | (?P<small>{SMALL_NOTE})\s*-?\s*(?P<its_mode>(?i:major|minor|maj|min)))
                      (?:\s+(?:key|scale))?(?P<colon>\s*:)?(?=[\s,;.!?)]|$)""",
    re.VERBOSE,
)
OF = re.compile(rf"{_START}({_COUNT}|(?i:one|a))\s+(?i:bars?|measures?)\s+(?i:of(?:\s+an?)?)(?!\w)")
EACH = re.compile(
    rf"""{_START}(?:(?P<sure>(?i:for))\s+({_COUNT}|(?i:one|a))\s+(?i:bars?|measures?)
                       | ({_COUNT})\s+(?i:bars|measures))(?!\w|\s+blues)""",
    re.VERBOSE,
)
TIMES = re.compile(
    rf"""{_START}(?:(?:x\s?|[X×*])(\d{{1,4}}) | (\d{{1,4}})(?:\s?x|[X×])
                        | (?P<all>(?i:twice|thrice) | (?:{_COUNT})\s+(?i:times)))(?![\w/])""",
    re.VERBOSE,
)
MARK = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True)
class Token:
    """A word as it was typed; `bars`: the names in each bar it says; `number`: of repeats; `note`: what an aside is, ":" where a colon stands behind it,
    "all" for a repeat of all there is; `ends`: a sentence ends here."""

    kind: Kind
    text: str
    bars: tuple[tuple[str, ...], ...] = ()
    number: int = 0
    note: str = ""
    key: Tonality | None = None
    ends: bool = False

    @property
    def is_harmony(self) -> bool:
        """Whether chords are in it."""
        return self.kind in ("chords", "numerals", "small")


def plain(text: str) -> str:
    """Text with one way to write each sign, and one blank between words."""
    text = unicodedata.normalize("NFKC", text).translate(SIGNS)
    kinds = ((unicodedata.category(sign), sign) for sign in text)
    text = "".join(" " if kind in ("Cc", "Zs", "Zl", "Zp") else sign for kind, sign in kinds if kind not in ("Cf", "Co", "Cs"))
    text = CYRILLIC_CHORD.sub(lambda word: word[0].translate(CYRILLIC), " ".join(re.sub(r"(?<!\w)'|'(?!\w)", " ", text).split()))
    return re.sub(r"\b([Rr])\s*(?:and|&|n|N|\+)\s*([Bb])\b", r"\1&\2", text)  # rhythm and blues


def phrases(text: str) -> tuple[str, list[Token]]:
    """Plain text with its phrases set aside as tokens; in the text their numbers stand for them."""
    marks: list[Token] = []

    def put(token: Token) -> str:
        marks.append(token)
        return f" \ue000{len(marks) - 1}\ue001 "

    text = _ACCIDENTAL.sub(lambda match: (match[1] or match[3]) + ACCIDENTALS[(match[2] or match[4]).lower()], text)
    text = _DEGREE.sub(lambda match: ACCIDENTALS[match[1].lower()] + DEGREES.get(match[2].lower(), match[2]), text)
    text = _HYPHEN.sub(r"\1 ", text)
    for note, pattern in ASIDES.items():
        text = pattern.sub(lambda match: put(Token("aside", match[0].strip("[]: "), note=note)), text)  # noqa: B023 (called at once)
    for pattern, token in ((KEY, _key), (OF, _of), (EACH, _each), (TIMES, _times)):
        text = pattern.sub(lambda match: put(token(match)), text)  # noqa: B023
    return text, marks


def _key(match: re.Match[str]) -> Token:
    tonic, mode = match["tonic"] or match["small"].capitalize(), (match["mode"] or match["its_mode"] or "").lower()
    mode = "minor" if mode in MINORS else "major" if mode in MAJORS else mode
    return Token("key", match[0].rstrip(" :"), key=Tonality(tonic, mode), note=":" if match["colon"] else "")


def _of(match: re.Match[str]) -> Token:
    return Token("of", match[0], number=_count(match[1]))


def _each(match: re.Match[str]) -> Token:
    return Token("each" if match["sure"] or _in_brackets(match) else "bars", match[0], number=_count(match[2] or match[3]))


def _times(match: re.Match[str]) -> Token:
    count = match[1] or match[2] or match["all"].split()[0]
    return Token("times", match[0], number=_count(count), note="all" if match["all"] or _in_brackets(match) else "")


def _in_brackets(match: re.Match[str]) -> bool:
    return match.string[match.start() - 1 : match.start()] == "("


def _count(word: str) -> int:
    return int(word) if word.isdigit() else {"one": 1, "a": 1, "twice": 2, "thrice": 3, **COUNTS}[word.lower()]
