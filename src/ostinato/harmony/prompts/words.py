"""The words of a prompt: free text to tokens, each a piece of harmony, of its order, or a free word.

What is left of the text when its phrases are set aside (see prompt_phrases) is cut into words, and each word is one of `Kind`. Whether a word such as `a`,
`A` or `i` is harmony or English depends on what follows, and is decided from the end to the beginning.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from ostinato.harmony.chords import ChordError, Reading, read
from ostinato.harmony.numerals import is_numeral
from ostinato.harmony.prompts.phrases import MARK, NOTE, SMALL_NOTE, Kind, Token, phrases, plain

#: What may stand between chords without a meaning of its own.
JOINTS = set(
    """followed by then and to next finally playing plays chords chord the in bars bar | & + progression from of back into play played goes going
    changes changing after that first lastly start starting end ending ends triad triads repeat repeated loop looped resolving resolves moving moves leading an
    sequence over as""".split()
)
#: Longer words are no chords.
LONGEST = 64
#: What joins an instrument to the chords before it.
BY = {"on", "by", "with", "for"}
#: English words at the beginning of a sentence, where a free word follows.
ARTICLES = {"A", "Go"}
#: So many words make one chord: `C minor seventh over Eb`.
MOST_WORDS = 6
#: Words that say what comes, with a colon: `chords: C G`.
LABELS = {"instrument", "instruments", "chord", "chords", "prompt", "progression", "harmony", "play", "music"}
#: Words that go on from a root: `C major 7`, `F half diminished`.
QUALITY = {
    "major": "maj",
    "minor": "min",
    "mi": "min",
    "diminished": "dim",
    "augmented": "aug",
    "suspended": "sus",
    "dominant": "",
    "dom": "",
    "added": "add",
    "power": "5",
    "half": "h",
    "half-diminished": "hdim",
    "second": "2",
    "2nd": "2",
    "fourth": "4",
    "4th": "4",
    "sixth": "6",
    "6th": "6",
    "seventh": "7",
    "7th": "7",
    "ninth": "9",
    "9th": "9",
    "eleventh": "11",
    "11th": "11",
    "thirteenth": "13",
    "13th": "13",
    "M": "maj",
    "M7": "maj7",
    "M9": "maj9",
    "seven": "7",
    "nine": "9",
    "eleven": "11",
    "thirteen": "13",
    "half-dim": "hdim",
    "dur": "-Dur",
    "moll": "-Moll",
    **{word: word for word in "maj min m dim aug sus add sus2 sus4 7sus4 maj7 min7 m7 dim7 maj9 min9 add9 2 4 5 6 7 9 11 13 b5 #5 b9 #9 #11 b13".split()},
}
_ALTERATION = re.compile(r"\s*(?:(?:b|#|add|no|omit|sus|maj)?\d{1,2}|[\s,])+\s*")
#: `piano:C`, `C*4` and `2xC` in one word.
_GLUED = re.compile(r"([A-Za-z-]{3,})[:=/](.+)|(.+?)[x×*](\d{1,4}),?|(\d{1,4})[x×](.+)")
#: Words that are chords or numerals only where no free word follows.
_BARE = re.compile(r"[a-g](?:b|m|bm)?|i|v|I|V|do|go|co")
SINGLE: dict[str, Kind] = {"(": "open", ")": "close", "%": "again", "/": "slash", ".": "hold"}


def tokens(text: str) -> list[Token]:
    """Cut a prompt into tokens."""
    text, marks = phrases(_without_blanks_in_chords(re.sub(r"\s*(:\|+:?|\|+:|\|+)\s*", r" \1 ", plain(text))))
    text = re.sub(r"[\[\]{}]|<(?=[^\s<>-])|(?<=\w)>(?!\S)", " ", text)
    text = re.sub(r"(?<![^\s(])\((?=\S)", " ( ", text)
    words = [part for word in text.split() for part in _closed(word)]
    result: list[Token] = []
    place = 0
    while place < len(words):
        taken, new = _next(words[place : place + MOST_WORDS], marks)
        result += new
        place += taken
    return _in_context(result)


def _without_blanks_in_chords(text: str) -> str:
    """`C7 (b9, #11)` is one word, `(C G)x2` two."""

    def joined(match: re.Match[str]) -> str:
        is_altered = _ALTERATION.fullmatch(match[2]) and harmony(match[1].lstrip("([{|"))
        return f"{match[1]}({''.join(match[2].split())})" if is_altered else match[0]

    text = re.sub(r"(\S*[^\s(])\s*\(([^()]*)\)", joined, text)
    return re.sub(r"\)(?=[x×*]\s?\d)", ") ", text)


def _closed(word: str) -> list[str]:
    """A word and the brackets that close after it, where they were opened elsewhere: `G)` but not `C7(b9)`."""
    extra = word.count(")") - word.count("(")
    if extra <= 0:
        return [word]
    head, _, tail = word.rpartition(")")
    return [part for part in (*_closed(head), ")", tail) if part]


def _next(words: list[str], marks: list[Token]) -> tuple[int, list[Token]]:
    """How many words the next tokens take, and these."""
    word = words[0]
    if match := MARK.fullmatch(word.rstrip(",;.:!?")):
        return 1, [marks[int(match[1])], *_comma(word)]
    if re.fullmatch(r":\|+:?|\|+:|\|+", word):
        return 1, [Token("line" if ":" not in word else "end" if word.startswith(":") else "repeat", word)]
    sign = SINGLE.get(word.rstrip(",;") or word)
    if sign:
        return 1, [Token(sign, word)]
    for taken in range(len(words), 1, -1):
        if joined := _joined(words[:taken]):
            return taken, [joined, *_comma(words[taken - 1])]
    return 1, _word(word)


def _joined(words: list[str]) -> Token | None:
    """One chord said in several words, such as `C major 7` or `C over E`; None where it is none."""
    root, *rest, last = words
    if not re.fullmatch(rf"{NOTE}(?:\d|m|maj|min)*|H[#b]?|{SMALL_NOTE}", root):
        return None
    name = _name(root.capitalize() if root[0].islower() else root, [*rest, last.rstrip(",;:.!?")])
    is_foreign = name and (name.endswith(("-Dur", "-Moll")) or (name[0] == "H" and named(f"B{name[1:]}")))
    if not name or not (named(name) or is_foreign):
        return None
    kind: Kind = "small" if root[0].islower() else "chords" if named(name) else "word"
    return Token(kind, " ".join(words).rstrip(",;:.!?") if kind == "small" else name, ((name,),), note=":" if last[-1] == ":" else "", ends=last[-1] in ".!?")


def _name(root: str, words: list[str]) -> str | None:
    """A chord's name in short: a root, words of its quality and perhaps of its bass."""
    bass = ""
    if len(words) >= 2 and words[-2].lower() in ("over", "slash") and re.fullmatch(NOTE, words[-1]):
        words, bass = words[:-2], f"/{words[-1]}"
    parts = [_quality(root, word) for word in words]
    return None if None in parts else root + "".join(filter(None, parts)) + bass


def _quality(root: str, word: str) -> str | None:
    """What a word adds to the chord that a root begins; None for nothing."""
    if word[:1] == "M" or word == "m":
        return QUALITY.get(word) or QUALITY.get(word.lower())
    known = QUALITY.get(word.lower())
    is_glued = re.fullmatch(r"(?:major|minor|maj|min|m|dim|aug|sus|add|[#b]|\d)+", word)
    return word if known is None and is_glued and len(word) > 2 and named(root + word) else known


def _word(word: str) -> list[Token]:
    """The tokens of one word."""
    if glued := _unglued(word):
        return glued
    for core in dict.fromkeys((word, word.rstrip(",;:!?"), word.strip("*•,;:!?."), word.strip("-*•,;:!?.>&(\\"))):
        if core and (found := harmony(core)):
            return [replace(found, note=":" if word.endswith(":") else ""), *_comma(word)]
    core = re.sub(r"^[,;:!?]+|[,;:!?]+\.*$|\.{2,}$", "", word) if word.strip(",;:!?.") else ""
    if not core or (word.endswith(":") and core.lower() in LABELS) or re.fullmatch(r"[-=]*>+|[-–—→➔➜⇒·•*~+&>…_]+", core):
        return [Token("comma", word)]
    kind: Kind = "by" if core.lower() in BY else "joint" if core.lower() in JOINTS else "word"
    small = _small(core) if kind == "word" else None
    return [replace(small or Token(kind, core), ends=word[-1] in ".!?", note=":" if word.endswith(":") else ""), *_comma(word)]


def _unglued(word: str) -> list[Token]:
    """The tokens of `piano:C`, `C*4` or `2xC`; none for other words."""
    match = _GLUED.fullmatch(word)
    if not match:
        return []
    name, named_, repeated, times, number, again = match.groups()
    if name and harmony(named_) and not harmony(word) and not _small(word):
        return [Token("word", name, note=":"), *_word(named_)]
    if repeated and harmony(repeated):
        return [*_word(repeated), Token("times", word, number=int(times))]
    return [Token("of", word, number=int(number)), *_word(again)] if number and harmony(again) else []


def _comma(word: str) -> list[Token]:
    return [Token("comma", ",")] if word[-1] in ",;." and word not in ("N.C.",) else []


def harmony(word: str) -> Token | None:
    """A word of chords or of numerals: one, several that share a bar (`C,G`), several bars (`C-G-Am`, `C>G`)."""
    if bar := _bar(word):
        return Token(bar[0], word, (bar[1],))
    pieces = [piece for piece in re.split(r"([-–—→➔➜⇒·•>~;+&_=.]+)", word) if piece]
    bars: list[tuple[Kind, tuple[str, ...]]] = []
    for sign, piece in zip(["", *pieces[1::2]], pieces[::2]):
        minor_seventh = f"{bars[-1][1][-1]}-{piece}" if bars and sign == "-" and piece[0].isdigit() else ""
        if found := _bar(piece):
            bars.append(found)
        elif minor_seventh and named(minor_seventh):  # C-F-7
            bars[-1] = ("chords", (*bars[-1][1][:-1], minor_seventh))
        else:
            return None
    return Token(bars[0][0], word, tuple(names for _, names in bars)) if len(pieces) > 2 and len({kind for kind, _ in bars}) == 1 else None


def _bar(word: str) -> tuple[Kind, tuple[str, ...]] | None:
    names = tuple(re.split(r",(?![^()]{0,40}\))", word))
    if all(map(named, names)):
        return "chords", names
    return ("numerals", names) if all(map(is_numeral, names)) else None


@lru_cache(8192)
def named(name: str) -> Reading | None:
    """The chord of a name, None where it is none that can be asked for. A note with its octave (`C4`) or of another language (`Do`) is none."""
    if len(name) > LONGEST or not re.match(r"[A-GNX]|n\.?c\.?$", name) or re.fullmatch(r"[A-G][#b]*[02348]|D[oO]", name):
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
    names = re.sub(r"(?:^|(?<=[-,>→|])|(?<=/)(?!.\d))[a-g]", lambda match: match[0].upper(), word)
    found = harmony(names)
    return replace(found, kind="small", text=word) if found and found.kind == "chords" else None


def _in_context(tokens: list[Token]) -> list[Token]:
    """Decide what is harmony only where no free word follows: a small `a` or `am`, `I`, and a capital A at the beginning of a sentence."""
    result: list[Token] = []
    is_alone = sum(token.kind == "numerals" for token in tokens) == 1
    leads_to = None  # the next token that is no joint
    for place in range(len(tokens) - 1, -1, -1):
        before, after = tokens[place - 1] if place else None, result[-1] if result else None
        leads_to = after if after and after.kind != "joint" else leads_to
        result.append(_meant(tokens[place], before, after, leads_to, is_alone))
    return result[::-1]


def _meant(token: Token, before: Token | None, after: Token | None, leads_to: Token | None, is_alone: bool) -> Token:
    """A token as its neighbours show it; `is_alone`: there is no other numeral."""
    if after and after.kind == "word":
        is_word = token.kind == "small" or (token.kind == "numerals" and is_alone)
        is_article = token.kind == "chords" and token.text in ARTICLES and (before is None or before.ends)
        if is_article or (is_word and (_BARE.fullmatch(token.text) or " " in token.text)):
            return Token("word", token.text, ends=token.ends)
    if token.kind == "small" and token.text == "a" and after and after.kind == "chords":
        return Token("joint", token.text)
    if token.kind == "by" and leads_to and leads_to.is_harmony:
        return Token("joint", token.text)
    if token.kind == "bars":  # `8 bars C`, but `C 8 bars`
        return replace(token, kind="each" if before and before.is_harmony else "of")
    return token
