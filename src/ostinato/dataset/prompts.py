"""Prompts: from chord labels to text and back, in one grammar.

A prompt is an instrument (free words, perhaps none) and a list of bars, each with one or more chords that share the bar evenly.

    prompt  := [instrument] bars            "piano CMajor", "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj"
    bars    := bar (separator bar)*         separators: a blank, ", ", "followed by", "then", "to", "and"
    bar     := chord ("," chord)*           a comma without a blank joins chords within one bar: "C G,G:7 A:min"

Every phrasing of `PHRASINGS` is read back by `parse` to the very same Prompt: parse(format_prompt(x, phrasing)) == x.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ostinato.files import UserError
from ostinato.theory import Chord, ChordError

CONNECTIVES = {"followed", "by", "then", "and", "to", "next", "finally", "playing", "plays", "chords", "chord", "the", "in", "bars", "bar", "|"}
ARTICLES = {"a", "an", "A", "An", "the", "The", "solo"}
PHRASINGS = ("followed", "then", "commas", "playing", "harte", "bars")


class PromptError(UserError):
    """A prompt that cannot be read."""


@dataclass(frozen=True)
class Prompt:
    """What is asked for. `bars` holds, bar by bar, the chords that share it evenly; no bars means no harmony is asked."""

    instrument: str = ""
    bars: tuple[tuple[Chord, ...], ...] = ()

    @property
    def chords(self) -> list[Chord]:
        """All chords in order."""
        return [chord for bar in self.bars for chord in bar]

    @property
    def fractions(self) -> list[tuple[float, float]]:
        """Start and end of each chord as a fraction of the whole, bars being equally long."""
        spans = []
        for index, bar in enumerate(self.bars):
            spans += [((index + k / len(bar)) / len(self.bars), (index + (k + 1) / len(bar)) / len(self.bars)) for k in range(len(bar))]
        return spans

    @property
    def is_list(self) -> bool:
        """One chord a bar and no repeats: what "followed by" can say without ambiguity."""
        chords = self.chords
        return all(len(bar) == 1 for bar in self.bars) and not any(a.same_sound(b) for a, b in zip(chords, chords[1:]))


def format_prompt(prompt: Prompt, phrasing: str = "followed") -> str:
    """Say `prompt` in words. Phrasings other than `bars` and `harte` need one chord a bar.

    Raises:
        PromptError: unknown phrasing, or one that cannot say these bars.
    """
    if phrasing not in PHRASINGS:
        raise PromptError(f"phrasing '{phrasing}' is unknown; known: {', '.join(PHRASINGS)}")
    if any(len(bar) != 1 for bar in prompt.bars) and phrasing not in ("bars", "harte"):
        raise PromptError(f"phrasing '{phrasing}' says one chord a bar; use 'bars' for {prompt.bars}")
    text = _say(prompt, phrasing) if prompt.bars else ""
    joint = " playing " if phrasing == "playing" and prompt.instrument and text else " "
    return (prompt.instrument + joint + text).strip()


def _say(prompt: Prompt, phrasing: str) -> str:
    if phrasing == "bars":
        return " ".join(",".join(_short(chord) for chord in bar) for bar in prompt.bars)
    if phrasing == "harte":
        return " ".join(",".join(chord.harte for chord in bar) for bar in prompt.bars)
    names = [chord.spoken for chord in prompt.chords]
    if len(names) == 1:
        return names[0].replace("maj", "Major") if prompt.chords[0].quality == "maj" else names[0]
    if phrasing == "then":
        return ", then ".join(names)
    if phrasing == "commas":
        return ", ".join(names)
    if phrasing == "playing":
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{names[0]}, followed by {_series(names[1:])}"


def _series(names: list[str]) -> str:
    """`F`, `F and G`, `F, G, and C`."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"


def _short(chord: Chord) -> str:
    return chord.harte.replace(":maj", "", 1) if chord.quality == "maj" else chord.harte


def parse(text: str) -> Prompt:
    """Read a prompt. Words before the first chord name the instrument; every later word must be a chord or a joining word.

    Raises:
        PromptError: empty text, no text, or a word that is no chord where one is expected; the message names the word.
    """
    if not isinstance(text, str) or not text.strip():
        raise PromptError(f"a prompt must be text such as 'piano CMajor', got {text!r}")
    words = text.split()
    first = next((i for i, word in enumerate(words) if _starts_bars(word, words[i + 1:])), len(words))
    instrument = [word.strip(",") for word in words[:first]]
    for word in instrument:
        _refuse_near_chord(word, text)
    while instrument and instrument[-1] in CONNECTIVES:
        instrument.pop()
    bars = [_read_bar(word, text) for word in words[first:] if _clean(word).lower() not in CONNECTIVES and _clean(word)]
    return Prompt(" ".join(instrument), tuple(bars))


def _clean(word: str) -> str:
    return word.rstrip(",.;")


def _starts_bars(word: str, rest: list[str]) -> bool:
    if word in ARTICLES and rest and not _is_bar(rest[0]) and rest[0].lower() not in CONNECTIVES:
        return False  # "A piano ..." is an article, "A E D" a chord
    return _is_bar(word)


def _is_bar(word: str) -> bool:
    try:
        return bool([Chord.parse(name) for name in _clean(word).split(",")])
    except ChordError:
        return False


def _read_bar(word: str, text: str) -> tuple[Chord, ...]:
    try:
        return tuple(Chord.parse(name) for name in _clean(word).split(","))
    except ChordError as error:
        raise PromptError(f"in '{text}': {error}") from None


def _refuse_near_chord(word: str, text: str) -> None:
    """`Hmaj` or `C/H` before the first chord is a misspelt chord, not an instrument."""
    quality = r":?(maj|min|major|minor|Major|Minor|dim|aug|sus[24]?|m|maj7|min7|7|m7)"
    if re.fullmatch(rf"[A-Z][#b]?{quality}|[A-H][#b]?({quality})?/\S+", word) or ":" in word:
        raise PromptError(f"in '{text}': '{word.split(',')[0]}' is no chord name; roots are A-G with # or b")


def draw_phrasing(prompt: Prompt, rng: np.random.Generator) -> str:
    """Say `prompt` in one of the phrasings that can say it, drawn from `rng`."""
    choices = PHRASINGS if prompt.is_list else ("bars", "harte")
    return format_prompt(prompt, choices[int(rng.integers(len(choices)))])
