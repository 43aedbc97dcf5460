"""Names of instruments: which families an ear tells apart, what prompts call them, and which of them obey a name that is asked for.

Families are those of General MIDI, as far as they can be told apart by sound: bowed strings and string ensembles are one (`strings`), choirs are `voice`, whoever sings;
orchestra hits, timpani and sound effects are none. Of what is plucked, `ukulele` is four high strings without a bass (a nylon guitar's, where SoundFonts have no other), and
`plucked strings` are harps, banjos, kotos, sitars: no one would call these a ukulele. This module is the one place where names are mapped to families.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

FAMILIES = (
    "piano",
    "mallets",
    "organ",
    "acoustic guitar",
    "electric guitar",
    "distorted guitar",
    "bass",
    "strings",
    "brass",
    "reeds",
    "flute",
    "synth lead",
    "synth pad",
    "ukulele",
    "plucked strings",
    "voice",
    "drums",
)
GUITARS = ("acoustic guitar", "electric guitar", "distorted guitar")
#: What a prompt may say -> the families that obey it; in words without their plural's s. Names of families obey themselves.
OBEYED: dict[str, tuple[str, ...]] = {
    "guitar": GUITARS,
    "electric guitar": ("electric guitar", "distorted guitar"),
    **dict.fromkeys(("keyboard", "harpsichord", "clavinet", "rhode", "electric piano"), ("piano",)),
    **dict.fromkeys(("mallet", "vibraphone", "marimba", "xylophone", "glockenspiel", "celesta", "music box", "tubular bell", "bell"), ("mallets",)),
    **dict.fromkeys(("accordion", "harmonica", "hammond"), ("organ",)),
    **dict.fromkeys(("nylon guitar", "classical guitar"), ("acoustic guitar",)),
    **dict.fromkeys(("bass guitar", "electric bass", "double bass", "synth bass"), ("bass",)),
    **dict.fromkeys(("string", "violin", "viola", "cello", "contrabass", "string ensemble", "string quartet"), ("strings",)),
    **dict.fromkeys(("trumpet", "trombone", "tuba", "french horn", "horn"), ("brass",)),
    **dict.fromkeys(("reed", "saxophone", "sax", "clarinet", "oboe", "bassoon", "english horn"), ("reeds",)),
    **dict.fromkeys(("pipe", "piccolo", "recorder", "pan flute", "whistle", "ocarina"), ("flute",)),
    **dict.fromkeys(("lead", "synthesizer", "synth"), ("synth lead", "synth pad")),
    "pad": ("synth pad",),
    "uke": ("ukulele",),
    **dict.fromkeys(("plucked", "plucked string", "harp", "banjo", "sitar", "koto", "mandolin"), ("plucked strings", "ukulele")),
    **dict.fromkeys(("choir", "vocal", "singer", "singing"), ("voice",)),
    **dict.fromkeys(("drum", "percussion", "drum kit"), ("drums",)),
}
#: A prompt names no more than that; a series has no more words.
MOST_NAMES, LONGEST = 4, 32


def asked(words: str) -> list[str]:
    """The names of instruments in free words, in order, each once, as they stand in `OBEYED` or FAMILIES: `piano`, `strings` of `a grand piano and warm strings`."""
    plain = " ".join(re.findall(r"[a-z]+", words.lower()))
    return list(dict.fromkeys(_known()[match] for match in _pattern().findall(plain)))


def obeyed_by(name: str) -> tuple[str, ...]:
    """The families that obey a name which `asked` gives."""
    return OBEYED.get(name, (name,))


def series(names: Sequence[str]) -> str:
    """Names as a prompt says them: `piano`, `piano and strings`, `piano, bass and drums`; nothing of none."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def is_series(words: Sequence[str]) -> bool:
    """Whether words are nothing but known names, with commas and `and` between them; more than LONGEST words never are."""
    if len(words) > LONGEST:
        return False
    plain = " ".join(re.findall(r"[a-z]+", " ".join(words).lower()))
    return bool(plain) and not re.sub(rf"{_pattern().pattern}|\band\b|\s", "", plain)


@cache
def _known() -> dict[str, str]:
    """How a name may be written -> the name."""
    spelled = {name: name for name in (*OBEYED, *FAMILIES)}
    return {f"{name}s": name for name in spelled} | spelled


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(sorted(_known(), key=len, reverse=True))})\b")
