"""The phrases of a prompt: text is made plain, and what is said in several words, but for chords, is set aside as tokens.

Plain means one way to write each sign (full-width letters, no-break spaces, unicode accidentals, quotes) and `Bb` for `B flat`. Set aside are keys (`in G minor`), tempos,
metres and lengths, parts of a song, and repeats in words (`4 bars of`, `for 2 bars`, `x2`, `twice`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from ostinato.dataset.numerals import Tonality

#: chords, numerals: bars of them; small: chords in small letters; aside: tempo, metre, length; times, each, of: repeats (`x2`, `for 2 bars`, `2 bars of`).
Kind = Literal["chords", "numerals", "small", "word", "joint", "comma", "by", "line", "repeat", "end", "open", "close", "hold", "again", "slash", "times", "each", "of",
               "aside", "key", "bars"]

#: Parts of a song.
PARTS = "verse|chorus|refrain|bridge|intro|outro|coda|hook|prechorus|pre-chorus"
COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "twelve": 12, "sixteen": 16}
SIGNS = str.maketrans({"♯": "#", "♭": "b", "♮": None, "𝄪": "##", "𝄫": "bb", "∆": "Δ", "△": "Δ", "′": "'", "’": "'", "‘": "'", **dict.fromkeys("\"“”„«»‹›`", " ")})


NOTE, SMALL_NOTE = r"[A-G](?:#{1,2}|b{1,2})?", r"[a-g](?:#|b)?"
_MINORS, _MAJORS = ("minor", "min", "m", "aeolian", "harmonic minor", "natural minor", "melodic minor"), ("major", "maj", "ionian")
_MODE = "(?i:harmonic minor|natural minor|melodic minor|major|minor|maj|min|dorian|phrygian|lydian|mixolydian|aeolian|ionian|locrian)|m"
#: What shows that the letter before `flat` or `sharp` is a note: `a flat piano` is an article.
_NOTE_FOLLOWS = r"(?=\s*(?:$|[,;.:|)>-]|\d|(?:major|minor|maj|min|dim|aug|sus)|(?:to|and|then|on|followed)\b|[A-G](?![a-z]{2})))"
_SIGN = re.compile(rf"(?<![\w#])(?:([B-G])(?:\s+|-)?(?i:(sharp|flat))(?!\w)|([A-Ga-g])(?:\s+|-)?(?i:(sharp|flat|natural))(?!\w){_NOTE_FOLLOWS})")
_DEGREE = re.compile(r"\b(flat|sharp)(?:\s+|-)(five|fifth|nine|ninth|5|9|11|13)(?:th)?\b", re.IGNORECASE)
_NUMBER = r"\d{1,6}(?:\.\d{1,3})?"
_ASIDES = (
    ("a tempo", re.compile(rf"(?<![^\s(])(?:(?:at|@)\s*)?(?:a\s+)?(?:tempo\s*(?:of|[:=])?\s*)?{_NUMBER}\s*bpm\b|(?<![^\s(])(?:bpm|tempo|♩|q)\s*(?:of|[:=])?\s*{_NUMBER}(?![\w/])", re.IGNORECASE)),
    ("a metre", re.compile(r"(?<![^\s(])(?:in\s+)?(?:[2-79]|12)/(?:2|4|8|16)(?:\s+(?:time|metre|meter))?(?![\w/])", re.IGNORECASE)),
    ("a length; give --seconds", re.compile(rf"(?<![^\s(])(?:for\s+{_NUMBER}\s*-?\s*(?:s|secs?|seconds?|mins?|minutes?)|{_NUMBER}(?:\s+|-)?(?:secs?|seconds?|minutes?)|{_NUMBER}\s+s)(?!\w)",
                                     re.IGNORECASE)),
    ("a key", re.compile(r"(?<![^\s(])in\s+an?\s+(?:major|minor)\s+(?:key|mode)\b", re.IGNORECASE)),
)
_KEY = re.compile(rf"(?<![^\s(])(?:(?i:(?:in\s+)?(?:the\s+)?key\s*(?:of\b|is\b|[:=])|in\s+(?:the\s+)?key\b|in\b))\s*(?:({NOTE})(?:\s*-?\s*({_MODE}))?|({SMALL_NOTE})\s*-?\s*((?i:major|minor|maj|min)))"
                  r"(?:\s+(?:key|scale))?(\s*:)?(?=[\s,;.!?)]|$)")
_TIMES = re.compile(rf"(?<![^\s(])(?:(?:x\s?|[X×*])(\d{{1,4}})|(\d{{1,4}})(?:\s?x|[X×])|((?i:twice|thrice))|(\d{{1,4}}|(?i:{'|'.join(COUNTS)}))\s+(?i:times))(?![\w/])")
_BARS = rf"(\d{{1,4}}|{'|'.join(COUNTS)}|one|a)\s+(?:bars?|measures?)"
_OF, _EACH = re.compile(rf"(?<![^\s(]){_BARS}\s+of(?:\s+an?)?(?!\w)", re.IGNORECASE), re.compile(
    rf"(?<![^\s(])(?:for\s+{_BARS}|(\d{{1,4}}|{'|'.join(COUNTS)})\s+(?:bars|measures))(?!\w|\s+blues)", re.IGNORECASE)
_PART = re.compile(rf"\[(?:{PARTS})[^\]]*\]|(?<!\S)(?:{PARTS})(?:\s+\d)?\s*:", re.IGNORECASE)
MARK = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True)
class Token:
    """A word as it was typed; `bars`: the names in each bar it says; `number`: of repeats; `note`: what an aside is; `key`; `ends`: a sentence ends here."""

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
    """Text with one way to write each sign: full-width letters, no-break spaces, unicode accidentals, quotes and superscripts are made plain."""
    text = unicodedata.normalize("NFKC", text).translate(SIGNS)
    text = "".join(" " if unicodedata.category(sign) in ("Cc", "Zs", "Zl", "Zp") else sign for sign in text if unicodedata.category(sign) not in ("Cf", "Co", "Cs"))
    text = " ".join(re.sub(r"(?<!\w)'|'(?!\w)", " ", text).split())
    return re.sub(r"\b([Rr])\s*(?:and|&|n|N|\+)\s*([Bb])\b", r"\1&\2", text)


def phrases(text: str) -> tuple[str, list[Token]]:
    """Text with what is said in several words, but for chords, set aside as tokens that are numbered in it."""
    marks: list[Token] = []

    def put(token: Token) -> str:
        marks.append(token)
        return f" \ue000{len(marks) - 1}\ue001 "

    text = _SIGN.sub(lambda match: (match[1] or match[3]) + {"sharp": "#", "flat": "b", "natural": ""}[(match[2] or match[4]).lower()], text)
    text = _DEGREE.sub(lambda match: {"flat": "b", "sharp": "#"}[match[1].lower()] + {"five": "5", "fifth": "5", "nine": "9", "ninth": "9"}.get(match[2].lower(), match[2]), text)
    text = re.sub(r"\b([A-Ga-g](?:#|b)?)[-_](?=(?:major|minor|maj|min|dim|aug)(?![a-z]))", r"\1 ", text, flags=re.IGNORECASE)
    text = _PART.sub(lambda match: put(Token("aside", match[0].strip("[]: "), note="a part of a song")), text)
    for note, pattern in _ASIDES:
        text = pattern.sub(lambda match: put(Token("aside", match[0].strip(), note=note)), text)
    text = _KEY.sub(lambda match: put(_key(match)), text)
    text = _OF.sub(lambda match: put(Token("of", match[0], number=_count(match[1]))), text)
    text = _EACH.sub(lambda match: put(Token("each" if match[0][:3].lower() == "for" or text[: match.start()].endswith("(") else "bars", match[0], number=_count(match[1] or match[2]))), text)
    text = _TIMES.sub(lambda match: put(Token("times", match[0], number=_count(match[1] or match[2] or match[3] or match[4]),
                                              note="all" if match[3] or match[4] or text[: match.start()].endswith("(") else "")), text)
    return text, marks


def _count(word: str) -> int:
    return {"one": 1, "a": 1, "twice": 2, "thrice": 3, **COUNTS}.get(word.lower()) or (int(word) if word.isdigit() else 0)


def _key(match: re.Match[str]) -> Token:
    tonic, mode = match[1] or match[3].capitalize(), (match[2] or match[4] or "").lower()
    mode = "minor" if mode in _MINORS else "major" if mode in _MAJORS else mode
    return Token("key", " ".join(match[0].rstrip(" :").split()), key=Tonality(tonic, mode), note=":" if match[5] else "")


