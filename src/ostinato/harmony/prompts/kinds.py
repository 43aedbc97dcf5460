"""What sort of harmony a prompt asks for: the strata that scores are given by, and the cadence it ends in."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.harmony.chords import QUALITIES, Chord
from ostinato.harmony.keys import Key, cadence_kind
from ostinato.harmony.prompts.prompt import PHRASINGS, Prompt, format_prompt

#: Kinds of prompts; one is of the first that fits.
KINDS = ("two a bar", "suspended, diminished, augmented", "inversions", "sevenths", "triads")
#: What a cadence ends with that is scored: others leave a phrase open.
CLOSING = ("authentic", "plagal")


def kind_of(prompt: Prompt) -> str:
    """The first of KINDS that fits: several chords in some bar, some triad that is neither major nor minor, some inversion, some seventh or more, or none of these."""
    chords = [chord for chord in prompt.chords if chord.is_chord]
    if any(len(bar) > 1 for bar in prompt.bars):
        return KINDS[0]
    if not all({0, 7} <= set(QUALITIES[chord.quality]) and {3, 4} & set(QUALITIES[chord.quality]) for chord in chords):
        return KINDS[1]
    if any(chord.bass for chord in chords):
        return KINDS[2]
    return KINDS[3] if any(len(QUALITIES[chord.quality]) > 3 for chord in chords) else KINDS[4]


def phrasing_of(text: str, prompt: Prompt) -> str:
    """Which of PHRASINGS a prompt is written in, as Ostinato writes them; `free` for any other way."""
    for phrasing in PHRASINGS:
        if (phrasing in ("bars", "harte") or all(len(bar) == 1 for bar in prompt.bars)) and format_prompt(prompt, phrasing) == text:
            return phrasing
    return "free"


def closing(chords: Sequence[Chord]) -> str | None:
    """The cadence that three chords or more end in, `authentic` (V-I) or `plagal` (IV-I), where the last is the tonic; None for any other end.

    No key is said in a list of chords. A fifth down from a chord with a major third is taken for V-I, and so is a semitone up from a diminished one; a fourth down is IV-I where
    the last chord is also the first of all, which makes it the tonic: else it may as well be I-V.
    """
    if len(chords) < 3 or not (chords[-1].is_chord and chords[-2].is_chord):
        return None
    goal = chords[-1]
    if 4 not in QUALITIES[chords[-2].quality] and (goal.pitch_class - chords[-2].pitch_class) % 12 == 5:  # a suspended dominant is none
        return None
    kind = cadence_kind(chords[-2], goal, Key(goal.pitch_class, "minor" if goal.is_minor else "major"))
    if kind == "plagal" and (chords[0].pitch_class, chords[0].is_minor) != (goal.pitch_class, goal.is_minor):
        return None
    return kind if kind in CLOSING else None
