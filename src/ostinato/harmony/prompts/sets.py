"""Sets of prompts in files, frozen: one to choose by (dev), one to report on (test), and those of other people.

A set is a table (see `ostinato.tables`) with a column `prompt`; what else stands in it is for readers. `draw` makes one: of every kind of harmony, with every number of
chords, on every instrument and in every phrasing, evenly, in an order and in keys that a generator of random numbers decides. Half of the longer progressions are
drawn from a key (sevenths, colours and the cadence may leave it again); the others go anywhere, as does what is short, of which there is too little in a key to be new. Every
third ends in an authentic cadence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from ostinato.files import UserError
from ostinato.harmony.chords import COMMON, QUALITIES, Chord
from ostinato.harmony.keys import Key
from ostinato.harmony.prompts.kinds import KINDS, closing, kind_of, phrasing_of
from ostinato.harmony.prompts.prompt import PHRASINGS, Prompt, PromptError, format_prompt, require_chords
from ostinato.tables import read_table, write_table

COLUMNS = ("prompt", "kind", "chords", "instrument", "phrasing")
#: Shares of the kinds in a set, in fortieths.
SHARES = dict(zip(KINDS, (6, 6, 6, 8, 14)))
FEWEST, MOST = 3, 8
#: Triads on the degrees of a key, and the seventh chords that they are part of.
DIATONIC = {"major": ("maj", "min", "min", "maj", "maj", "min"), "minor": ("min", None, "maj", "min", "maj", "maj", "maj")}
SEVENTHS = {"maj": ("7", "maj7"), "min": ("min7",)}
COLOURS = ("sus4", "sus2", "dim", "aug")
CADENCE_EVERY = 3
#: Draws after which what is wanted counts as not to be had.
ATTEMPTS = 1000
Card = TypeVar("Card")


def read_set(path: Path | str) -> list[str]:
    """The prompts of a set, in its order. Raises UserError for a table without the column, for no prompt, one that is there twice, and one that names no chord."""
    prompts = [row["prompt"] for row in read_table(path, {"prompt"}) if row["prompt"].strip()]
    if not prompts:
        raise UserError(f"{path}: no prompt in it; expected one a line below the heading `prompt`")
    seen = set()
    for number, prompt in enumerate(prompts, 2):
        try:
            parsed = require_chords(prompt)
        except PromptError as error:
            raise UserError(f"{path}: line {number}: {error}") from None
        if (asked := (parsed.instrument.lower(), parsed.bars)) in seen:
            raise UserError(f"{path}: line {number}: '{prompt}' is there twice")
        seen.add(asked)
    return prompts


def write_set(path: Path | str, prompts: Sequence[str]) -> None:
    """Write a set."""
    parsed = [(text, require_chords(text)) for text in prompts]
    write_table(path, COLUMNS, ((text, kind_of(prompt), len(prompt.chords), prompt.instrument, phrasing_of(text, prompt)) for text, prompt in parsed))


def draw(count: int, seed: int, instruments: Sequence[str], is_new: Callable[[Prompt], bool]) -> list[str]:
    """So many prompts, no progression twice; those that are not `is_new` (they occur in training labels, say) are drawn anew.

    Raises:
        UserError: nothing new was found for one of them in ATTEMPTS draws.
    """
    rng = np.random.default_rng(seed)
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * count / sum(SHARES.values())))]
    kinds = (kinds + [KINDS[-1]] * count)[:count]
    players, lengths = _deck(rng, instruments), _deck(rng, range(FEWEST, MOST + 1))
    lists, bars = _deck(rng, PHRASINGS), _deck(rng, ("bars", "harte"))
    found: list[str] = []
    drawn = set()
    for number, kind in enumerate(kinds):
        instrument, length = next(players), next(lengths)
        for _ in range(ATTEMPTS):
            prompt = Prompt(instrument, _bars(rng, kind, length, closes=number % CADENCE_EVERY == 0))
            if kind_of(prompt) == kind and prompt.bars not in drawn and is_new(prompt):
                break
        else:
            raise UserError(f"no new prompt of {length} chords and kind '{kind}' in {ATTEMPTS} draws; draw with another seed")
        drawn.add(prompt.bars)
        found.append(format_prompt(prompt, next(lists if prompt.is_list else bars)))
    return found


def _deck(rng: np.random.Generator, cards: Sequence[Card]) -> Iterator[Card]:
    """Each card as often as any other, shuffled anew each time all were dealt."""
    while True:
        yield from (cards[int(place)] for place in rng.permutation(len(cards)))


def _bars(rng: np.random.Generator, kind: str, length: int, closes: bool) -> tuple[tuple[Chord, ...], ...]:
    chords = _progression(rng, length, closes)
    if kind == "two a bar":
        return _shared(rng, chords)
    changed = rng.permutation(length - closes)[: max(2, length // 2)]  # the goal of a cadence stays a plain triad
    for place in changed:
        chord = chords[place]
        if kind == "sevenths":
            chords[place] = Chord(chord.root, str(rng.choice(SEVENTHS[chord.quality])))
        elif kind == "inversions":
            chords[place] = Chord(chord.root, chord.quality, int(rng.choice(QUALITIES[chord.quality][1:])))
        elif kind == "suspended, diminished, augmented":
            chords[place] = Chord(chord.root, str(rng.choice(COLOURS)))
    return tuple((chord,) for chord in chords)


def _shared(rng: np.random.Generator, chords: Sequence[Chord]) -> tuple[tuple[Chord, ...], ...]:
    """Some bars of two chords, the others of one."""
    bars: list[tuple[Chord, ...]] = []
    rest = list(chords)
    while rest:
        size = 1 + int(len(rest) > 1 and rng.random() < 0.5)
        bars.append(tuple(rest[:size]))
        rest = rest[size:]
    return tuple(bars)


def _progression(rng: np.random.Generator, length: int, closes: bool) -> list[Chord]:
    """Major and minor triads, none twice in a row: in a key, or anywhere."""
    choices = _diatonic(rng) if length > FEWEST and rng.random() < 0.5 else [Chord(root, quality) for root in COMMON for quality in ("maj", "min")]
    while True:
        chords = [choices[int(place)] for place in rng.integers(len(choices), size=length)]
        if closes:
            chords[-2] = Chord(COMMON[(chords[-1].pitch_class + 7) % 12], "maj")
        if all(first != second for first, second in zip(chords, chords[1:])) and (not closes or closing(chords) == "authentic"):
            return chords


def _diatonic(rng: np.random.Generator) -> list[Chord]:
    key = Key(int(rng.integers(12)), str(rng.choice(["major", "minor"])))
    return [Chord(COMMON[pitch], quality) for pitch, quality in zip(key.scale, DIATONIC[key.mode]) if quality]
