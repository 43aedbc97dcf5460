"""Prompts: from chord labels to text and back, in one grammar.

A prompt is an instrument (free words, perhaps none; several are joined as `piano, bass and drums`, see harmony.instruments) and a list of bars, each with one or more chords
that share the bar evenly.

    prompt  := [instrument] bars            "piano CMajor", "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj", "C G on a piano", "FM synth: C G"
    bars    := bar (separator bar)*         separators: a blank, ", ", "-", ">", arrows, "followed by", "then", "to", "and"
    bar     := chord ("," chord)*           a comma without a blank joins chords within one bar: "C G,G:7 A:min"; between bar lines all share it: "| C | G Am |"
    chord   := any spelling that `theory.read` knows, words ("B flat major 7"), or all of them Roman numerals, "I V vi IV in C"
    repeats := "x2" "twice" "for 2 bars" "2 bars of" "%" "||: :||" "(C G) x2"

Nothing that looks like harmony is taken for a word of the instrument: it is read, or refused with what to write instead. What was reduced, taken for granted or
is not used (a tempo, a metre, a key beside chords) is in `Prompt.remarks`. Every phrasing of `PHRASINGS` is read back by `parse` to the very same Prompt:
parse(format_prompt(x, phrasing)) == x.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ostinato.files import UserError
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts import bars as prompt_bars
from ostinato.harmony.prompts.repeats import Refusal
from ostinato.harmony.prompts.words import tokens

PHRASINGS = ("followed", "then", "commas", "playing", "harte", "bars")
#: So much of a prompt is shown in a message; longer ones are not suggested; so many spans are printed.
SHOWN, SUGGESTED, PRINTED = 80, 160, 64
EXAMPLE = "piano Cmaj, followed by Gmaj"
_LONG = re.compile(rf"\S{{{SHOWN},}}")
BLUES = "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7"


class PromptError(UserError):
    """A prompt that cannot be read."""


@dataclass(frozen=True)
class Prompt:
    """What is asked for. `bars` holds, bar by bar, the chords that share it evenly; no bars means no harmony is asked.

    `remarks` say what was reduced, taken for granted or is not used; they are no part of what is asked.
    """

    instrument: str = ""
    bars: tuple[tuple[Chord, ...], ...] = ()
    remarks: tuple[str, ...] = field(default=(), compare=False, repr=False)

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
    joint = (_joint(prompt.instrument) or " ") if prompt.instrument and text else " "
    return (prompt.instrument + (" playing " if phrasing == "playing" and joint == " " and prompt.instrument and text else joint) + text).strip()


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
    """Read a prompt. Words before the first chord name the instrument; what stands behind it must be chords, their order, or `on` and the instrument.

    Raises:
        PromptError: no text, or something in it that can be no part of a prompt; the message names it and says what to write instead.
    """
    if not isinstance(text, str) or not text.strip():
        raise PromptError(f"a prompt must be text such as 'piano CMajor', got {text!r}")
    try:
        return _read(text)
    except Refusal as refusal:
        raise PromptError(f"in '{_shown(text)}': {_LONG.sub(lambda word: word[0][:SHOWN] + '...', refusal.reason)}{_instead(refusal.candidates)}") from None


def require_chords(text: str) -> Prompt:
    """`parse` for where chords must be named. Raises PromptError when there is none in it."""
    prompt = parse(text)
    if not any(chord.is_chord for chord in prompt.chords):
        raise PromptError(f"in '{_shown(text)}' no chord is named{_instead(_with_chords(text, prompt))}")
    return prompt


def spans(prompt: Prompt, seconds: float) -> str:
    """What is asked for and when, in words: `piano: C:maj 0-2.5 s, G:maj 2.5-5 s`."""
    times = [f"{chord.harte} {start * seconds:.4g}-{end * seconds:.4g} s" for chord, (start, end) in zip(prompt.chords, prompt.fractions)]
    more = [f"and {len(times) - PRINTED} more"] if len(times) > PRINTED else []
    return (f"{prompt.instrument}: " if prompt.instrument else "") + ", ".join([*times[:PRINTED], *more])


def is_instrument(words: str) -> bool:
    """Whether the grammar can take these words for an instrument."""
    return _joint(words) is not None


@lru_cache(4096)
def _joint(instrument: str) -> str | None:
    """What stands between an instrument and its first chord: a blank, a colon where the words look like harmony; None where they are nothing else."""
    return next((joint for joint in (" ", ": ") if _bars(f"{instrument}{joint}C") == ((Chord("C"),),)), None)


def _bars(text: str) -> tuple[tuple[Chord, ...], ...]:
    """The bars of a prompt; none where it cannot be read."""
    try:
        return _read(text).bars
    except Refusal:
        return ()


@lru_cache(4096)
def _read(text: str) -> Prompt:
    draft = prompt_bars.assemble(tokens(text))
    bars = prompt_bars.chords(draft)
    return Prompt(" ".join(draft.words), bars, tuple(draft.remarks))


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _instead(candidates: tuple[str, ...]) -> str:
    """What to write instead: those of the candidates that name chords when they are read; an example where none does."""
    readable = [text for text in dict.fromkeys(candidates) if len(text) <= SUGGESTED and any(chord.is_chord for bar in _bars(text) for chord in bar)]
    if not readable:
        return f"; write for example `{EXAMPLE}`"
    return "; did you mean " + " or ".join(f"`{text}`" for text in readable[:2]) + "?"


def _with_chords(text: str, prompt: Prompt) -> tuple[str, ...]:
    """Prompts with a chord for one without: of its key where it names one, else C."""
    draft = prompt_bars.assemble(tokens(text))
    words = " ".join(draft.words[1:] if len(draft.words) == 2 and draft.words[0] in ("A", "Go") else draft.words)
    if draft.key is None or draft.key.key is None:
        return (f"{words} {draft.words[0]}" if words != " ".join(draft.words) else f"{words} Cmaj".strip(),)
    tonic, is_minor = draft.key.key.tonic, draft.key.key.mode in prompt_bars.DARK
    if "blues" in words.lower():
        return (f"{words} {BLUES} in {tonic}".strip(),)
    chord, numerals, mode = ("min", "i iv V i", "minor") if is_minor else ("maj", "I IV V I", "major")
    return f"{words} {tonic}{chord}".strip(), f"{words} {numerals} in {tonic} {mode}".strip()


def draw_phrasing(prompt: Prompt, rng: np.random.Generator) -> str:
    """Say `prompt` in one of the phrasings that can say it, drawn from `rng`."""
    choices = PHRASINGS if prompt.is_list else ("bars", "harte")
    return format_prompt(prompt, choices[int(rng.integers(len(choices)))])
