"""The words of a prompt: free text to tokens, each a piece of harmony, of its order, or a free word.

What people type is made plain first (unicode signs, quotes, full-width letters; `B flat`, `in the key of G`, `90 bpm`), then cut into words, and each word is one
of `Kind`. Whether a word such as `a`, `A` or `i` is harmony or English depends on what follows, and is decided from the end to the beginning.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from ostinato.dataset.numerals import Tonality, is_numeral
from ostinato.theory import ChordError, Reading, read

#: chords, numerals: bars of them; small: chords in small letters; aside: tempo, metre, length; times, each, of: repeats (`x2`, `for 2 bars`, `2 bars of`).
Kind = Literal["chords", "numerals", "small", "word", "joint", "comma", "by", "line", "repeat", "end", "open", "close", "hold", "again", "slash", "times", "each", "of",
               "aside", "key"]

#: What may stand between chords without a meaning of its own.
JOINTS = {"followed", "by", "then", "and", "to", "next", "finally", "playing", "plays", "chords", "chord", "the", "in", "bars", "bar", "|", "&", "+", "progression",
          "from", "of", "back", "into", "play", "played", "goes", "going", "changes", "changing", "after", "that", "first", "lastly", "start", "starting", "end", "ending",
          "ends", "triad", "triads", "repeat", "repeated", "loop", "looped", "resolving", "resolves", "moving", "moves", "leading", "an", "sequence", "over", "as"}
#: What joins an instrument to the chords before it.
BY = {"on", "by", "with", "for"}
ARTICLES = {"A", "Go"}
#: Words that say what comes, with a colon: `chords: C G`.
LABELS = {"instrument", "instruments", "chord", "chords", "prompt", "progression", "harmony", "play", "music"}
COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "twelve": 12, "sixteen": 16}
SIGNS = str.maketrans({"♯": "#", "♭": "b", "♮": None, "𝄪": "##", "𝄫": "bb", "∆": "Δ", "△": "Δ", "′": "'", "’": "'", "‘": "'", **dict.fromkeys("\"“”„«»‹›`", " ")})

_NOTE, _SMALL_NOTE = r"[A-G](?:#{1,2}|b{1,2})?", r"[a-g](?:#|b)?"
_MINORS, _MAJORS = ("minor", "min", "m", "aeolian", "harmonic minor", "natural minor", "melodic minor"), ("major", "maj", "ionian")
_MODE = "(?i:harmonic minor|natural minor|melodic minor|major|minor|maj|min|dorian|phrygian|lydian|mixolydian|aeolian|ionian|locrian)|m"
#: What shows that the letter before `flat` or `sharp` is a note: `a flat piano` is an article.
_NOTE_FOLLOWS = r"(?=\s*(?:$|[,;.:|)>-]|\d|(?:major|minor|maj|min|dim|aug|sus)|(?:to|and|then|on|followed)\b|[A-G](?![a-z]{2})))"
_SIGN = re.compile(rf"(?<![\w#])(?:([B-G])(?:\s+|-)?(?i:(sharp|flat))(?!\w)|([A-Ga-g])(?:\s+|-)?(?i:(sharp|flat|natural))(?!\w){_NOTE_FOLLOWS})")
_DEGREE = re.compile(r"\b(flat|sharp)(?:\s+|-)(five|fifth|nine|ninth|5|9|11|13)(?:th)?\b", re.IGNORECASE)
_NUMBER = r"\d{1,6}(?:\.\d{1,3})?"
_ASIDES = (
    ("a tempo", re.compile(rf"(?<!\S)(?:(?:at|@)\s*)?(?:a\s+)?(?:tempo\s*(?:of|[:=])?\s*)?{_NUMBER}\s*bpm\b|(?<!\S)(?:bpm|tempo|♩|q)\s*(?:of|[:=])?\s*{_NUMBER}(?![\w/])", re.IGNORECASE)),
    ("a metre", re.compile(r"(?<!\S)(?:in\s+)?(?:[2-79]|12)/(?:2|4|8|16)(?:\s+(?:time|metre|meter))?(?![\w/])", re.IGNORECASE)),
    ("a length; give --seconds", re.compile(rf"(?<!\S)(?:for\s+{_NUMBER}\s*-?\s*(?:s|secs?|seconds?|mins?|minutes?)|{_NUMBER}(?:\s+|-)?(?:secs?|seconds?|minutes?)|{_NUMBER}\s+s)(?!\w)",
                                     re.IGNORECASE)),
    ("a key", re.compile(r"(?<!\S)in\s+an?\s+(?:major|minor)\s+(?:key|mode)\b", re.IGNORECASE)),
)
_KEY = re.compile(rf"(?<!\S)(?:(?i:(?:in\s+)?(?:the\s+)?key)\s*(?:of|is|[:=])?|(?i:in))\s*(?<![a-z])(?:({_NOTE})(?:\s*-?\s*({_MODE}))?|({_SMALL_NOTE})\s*-?\s*((?i:major|minor|maj|min)))"
                  r"(?:\s+(?:key|scale))?(\s*:)?(?=[\s,;.!?)]|$)")
_TIMES = re.compile(rf"(?<!\S)(?:[x×*]\s?(\d{{1,4}})|(\d{{1,4}})\s?[x×]|(twice|thrice)|(\d{{1,4}}|{'|'.join(COUNTS)})\s+times)(?![\w/])", re.IGNORECASE)
_BARS = rf"(\d{{1,4}}|{'|'.join(COUNTS)}|one|a)\s+(?:bars?|measures?)"
_OF, _EACH = re.compile(rf"(?<!\S){_BARS}\s+of(?:\s+an?)?(?!\w)", re.IGNORECASE), re.compile(rf"(?<!\S)for\s+{_BARS}(?!\w)", re.IGNORECASE)
_MARK = re.compile("\ue000(\\d+)\ue001")
#: Words that go on from a root: `C major 7`, `F half diminished`.
_QUALITY = {"major": "maj", "minor": "min", "maj": "maj", "min": "min", "m": "m", "dim": "dim", "diminished": "dim", "aug": "aug", "augmented": "aug", "sus": "sus",
            "suspended": "sus", "dominant": "", "dom": "", "add": "add", "added": "add", "power": "5", "half": "h", "half-diminished": "hdim7", "sixth": "6",
            "seventh": "7", "ninth": "9", "eleventh": "11", "thirteenth": "13", "fourth": "4", "second": "2", "6th": "6", "7th": "7", "9th": "9", "11th": "11",
            "13th": "13", "4th": "4", "2nd": "2", "6": "6", "7": "7", "9": "9", "11": "11", "13": "13", "sus2": "sus2", "sus4": "sus4", "maj7": "maj7",
            "min7": "min7", "m7": "m7", "dim7": "dim7", "add9": "add9", "b5": "b5", "#5": "#5", "b9": "b9", "#9": "#9", "#11": "#11", "b13": "b13",
            "maj9": "maj9", "min9": "min9", "mi": "min", "7sus4": "7sus4", "dur": "-Dur", "moll": "-Moll"}


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
    text = re.sub(r"(?<!\w)'|'(?!\w)", " ", text)
    return re.sub(r"\b([Rr])\s*(?:and|&|n|N|\+)\s*([Bb])\b", r"\1&\2", text)


def tokens(text: str) -> list[Token]:
    """Cut a prompt into tokens."""
    text = re.sub(r"\s*(:\|+:?|\|+:|\|+)\s*", r" \1 ", plain(text))
    text, marks = _phrases(re.sub(r"\)(?=[x×*]\s?\d)", ") ", text))
    text = re.sub(r"(?<=\S)\s+\(([^()]*)\)", lambda match: f"({match[1]})" if _ALTERATION.fullmatch(match[1]) else match[0], text)
    text = re.sub(r"[\[\]{}]", " ", text)
    text = re.sub(r"(?<!\S)\((?=\S)", " ( ", text)
    words = [part for word in text.split() for part in _closed(word)]
    result: list[Token] = []
    while words:
        taken, new = _next(words, marks)
        result += new
        words = words[taken:]
    return _in_context(result)


_ALTERATION = re.compile(r"\s*(?:(?:b|#|add|no|omit|sus|maj)?\d{1,2}|[\s,])+\s*")


def _closed(word: str) -> list[str]:
    """A word and the brackets that close after it, where they were opened elsewhere: `G)` but not `C7(b9)`."""
    extra = word.count(")") - word.count("(")
    if extra <= 0:
        return [word]
    head, _, tail = word.rpartition(")")
    return [part for part in (*_closed(head), ")", tail) if part]


def _phrases(text: str) -> tuple[str, list[Token]]:
    """Text with what is said in several words, but for chords, set aside as tokens that are numbered in it."""
    marks: list[Token] = []

    def put(token: Token) -> str:
        marks.append(token)
        return f" \ue000{len(marks) - 1}\ue001 "

    text = _SIGN.sub(lambda match: (match[1] or match[3]) + {"sharp": "#", "flat": "b", "natural": ""}[(match[2] or match[4]).lower()], text)
    text = _DEGREE.sub(lambda match: {"flat": "b", "sharp": "#"}[match[1].lower()] + {"five": "5", "fifth": "5", "nine": "9", "ninth": "9"}.get(match[2].lower(), match[2]), text)
    for note, pattern in _ASIDES:
        text = pattern.sub(lambda match: put(Token("aside", match[0].strip(), note=note)), text)
    text = _KEY.sub(lambda match: put(_key(match)), text)
    text = _OF.sub(lambda match: put(Token("of", match[0], number=_count(match[1]))), text)
    text = _EACH.sub(lambda match: put(Token("each", match[0], number=_count(match[1]))), text)
    text = _TIMES.sub(lambda match: put(Token("times", match[0], number=_count(match[1] or match[2] or match[3] or match[4]))), text)
    return text, marks


def _count(word: str) -> int:
    return {"one": 1, "a": 1, "twice": 2, "thrice": 3, **COUNTS}.get(word.lower()) or (int(word) if word.isdigit() else 0)


def _key(match: re.Match[str]) -> Token:
    tonic, mode = match[1] or match[3].capitalize(), (match[2] or match[4] or "").lower()
    mode = "minor" if mode in _MINORS else "major" if mode in _MAJORS else mode
    return Token("key", " ".join(match[0].rstrip(" :").split()), key=Tonality(tonic, mode), note=":" if match[5] else "")


def _next(words: list[str], marks: list[Token]) -> tuple[int, list[Token]]:
    """How many words the next tokens take, and these."""
    word = words[0]
    if match := _MARK.fullmatch(word.rstrip(",;.:!?")):
        return 1, [marks[int(match[1])], *_comma(word)]
    if re.fullmatch(r":\|+:?|\|+:|\|+", word):
        return 1, [Token("line" if ":" not in word else "end" if word.startswith(":") else "repeat", word)]
    fixed = {"(": "open", ")": "close", "%": "again", "/": "slash", ".": "hold"}.get(word)
    if fixed:
        return 1, [Token(fixed, word)]
    for taken in range(min(5, len(words)), 1, -1):
        last = words[taken - 1]
        joined = _joined([*words[: taken - 1], last.rstrip(",;:.!?")])
        if joined:
            kind, text = ("small", " ".join(words[:taken])) if word[0].islower() else ("chords" if named(joined) else "word", joined)
            return taken, [Token(kind, text, ((joined,),), note=":" if last[-1] == ":" else "", ends=last[-1] in ".!?"), *_comma(last)]
    return 1, _word(word)


def _joined(words: list[str]) -> str | None:
    """One chord said in several words, such as `C major 7` or `C over E`, in short; None where it is none."""
    if not re.fullmatch(rf"{_NOTE}(?:\d|m|maj|min)*|{_SMALL_NOTE}", words[0]):
        return None
    words = [words[0].capitalize() if words[0][0].islower() else words[0], *words[1:]]
    middle, bass = words[1:], ""
    if len(middle) >= 2 and middle[-2].lower() in ("over", "slash") and re.fullmatch(_NOTE, middle[-1]):
        middle, bass = middle[:-2], f"/{middle[-1]}"
    parts = [_QUALITY.get(word if word in ("m", "M") else word.lower()) for word in middle]
    if None in parts or (not parts and not bass):
        return None
    name = words[0] + "".join(parts).replace("hdim", "hdim7").replace("hdim77", "hdim7")
    name = re.sub("hdim77+", "hdim7", name) + bass
    return name if named(name) or name.endswith(("-Dur", "-Moll")) else None


def _word(word: str) -> list[Token]:
    """The tokens of one word."""
    for core in dict.fromkeys((word, word.rstrip(",;:!?"), word.strip("*•,;:!?."), word.strip("-*•,;:!?.>"))):
        if core and (found := harmony(core)):
            return [replace(found, note=":" if word.endswith(":") else ""), *_comma(word)]
    core = word.strip(",;:!?") if word.strip(",;:!?.") else ""
    if not core or (word.endswith(":") and core.lower() in LABELS) or re.fullmatch(r"[-=]*>+|[-–—→➔➜⇒·•*~+&>…_]+", core):
        return [Token("comma", word)]
    kind = "by" if core.lower() in BY else "joint" if core.lower() in JOINTS else "word"
    small = _small(core) if kind == "word" else None
    return [replace(small or Token(kind, core), ends=word[-1] in ".!?", note=":" if word.endswith(":") else ""), *_comma(word)]


def _comma(word: str) -> list[Token]:
    return [Token("comma", ",")] if word[-1] in ",;." and word not in ("N.C.",) else []


def harmony(word: str) -> Token | None:
    """A word of chords or of numerals: one, several that share a bar (`C,G`), several bars (`C-G-Am`, `C>G`)."""
    if bar := _bar(word):
        return Token(bar[0], word, (bar[1],))
    pieces = [piece for piece in re.split(r"([-–—→➔➜⇒·•>~;+_=.]+)", word) if piece]
    if len(pieces) < 3:
        return None
    bars: list[tuple[Kind, tuple[str, ...]]] = []
    for place, piece in enumerate(pieces):
        if place % 2:
            continue
        after_minus = f"{bars[-1][1][-1]}-{piece}" if bars and pieces[place - 1] == "-" and piece[0].isdigit() else ""
        if found := _bar(piece):
            bars.append(found)
        elif after_minus and named(after_minus):
            bars[-1] = ("chords", (*bars[-1][1][:-1], after_minus))
        else:
            return None
    return Token(bars[0][0], word, tuple(names for _, names in bars)) if len({kind for kind, _ in bars}) == 1 else None


def _bar(word: str) -> tuple[Kind, tuple[str, ...]] | None:
    names = tuple(re.split(r",(?![^()]*\))", word))
    if all(map(named, names)):
        return "chords", names
    return ("numerals", names) if all(map(is_numeral, names)) else None


@lru_cache(8192)
def named(name: str) -> Reading | None:
    """The chord of a name, None where it is none that can be asked for. A note with its octave (`C4`) or of another language (`Do`) is none."""
    if not re.match(r"[A-GNX]", name) or re.fullmatch(r"[A-G][#b]*[02348]|Do", name):
        return None
    try:
        reading = read(name)
    except ChordError:
        return None
    return reading if reading.chord.root != "X" or name == "X" else None


def _small(word: str) -> Token | None:
    """A word that would be harmony with capital letters."""
    if not re.match(r"[a-g](?![a-z]{3})", word) and not re.match(r"[a-g][#b]?:?(?:maj|min|dim|aug|sus|add)", word):
        return None
    names = re.sub(r"(?<![a-z(#0-9])([a-g])", lambda match: match[1].upper(), word)
    found = harmony(names)
    return replace(found, kind="small", text=word) if found and found.kind == "chords" else None


_BARE = re.compile(r"[a-g](?:b|m|bm)?|i|v|I|V|do|go|co")


def _in_context(tokens: list[Token]) -> list[Token]:
    """Decide what is harmony only where no free word follows: a small `a` or `am`, `I`, and a capital A at the beginning of a sentence."""
    result: list[Token] = []
    for place in range(len(tokens) - 1, -1, -1):
        token, after = tokens[place], result[-1] if result else None
        begins = place == 0 or tokens[place - 1].ends
        is_open = token.kind == "small" or (token.kind == "numerals" and not any(other.kind == "numerals" for other in tokens[:place] + tokens[place + 1:]))
        if after and after.kind == "word" and ((is_open and (_BARE.fullmatch(token.text) or " " in token.text)) or (begins and token.text in ARTICLES and token.kind == "chords")):
            token = Token("word", token.text, ends=token.ends)
        elif (token.kind == "small" and token.text == "a" and after and after.kind == "chords") or (token.kind == "by" and after and after.is_harmony):
            token = Token("joint", token.text)
        result.append(token)
    return result[::-1]
