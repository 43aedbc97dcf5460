"""Whether the chords of a prompt occur in the training labels: as they are, in another key, or in part.

Chords are compared as triads in order (`adherence.triads_in_order`); they occur where they stand side by side in some training segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge.adherence import Triad, triads_in_order

#: So many chords of a prompt, side by side, occur "in part".
PART = 3


@dataclass
class Occurrences:
    """Prompts whose chords occur: `as_they_are`; in some `transposed` form, that one among them; and those of which three in a row do (`in_part`)."""

    as_they_are: set[str] = field(default_factory=set)
    transposed: set[str] = field(default_factory=set)
    in_part: set[str] = field(default_factory=set)


def progressions_of(segments: Iterable[Mapping[str, Any]]) -> Iterator[list[Triad]]:
    """The triads in order of each training segment, from rows of the table of segments."""
    for row in segments:
        yield triads_in_order([Chord.parse(name) for _, _, name in row["chords"]])


def find(prompts: Iterable[str], progressions: Iterable[Sequence[Triad]]) -> Occurrences:
    """Look prompts up in the progressions of the training segments, each triads in order. Reads the progressions once; they are sliced as long as the prompts are."""
    wanted = {prompt: triads_in_order(parse(prompt).chords) for prompt in prompts}
    lengths = {len(triads) for triads in wanted.values()} | {PART}
    exact, relative = set[tuple[Triad, ...]](), set[tuple[Triad, ...]]()
    asked = {tuple(triads) for triads in wanted.values()} | {part for triads in wanted.values() for part in _windows(triads, PART)}
    asked_relative = {_relative(triads) for triads in wanted.values()}
    for progression in progressions:
        for length in lengths:
            for window in _windows(progression, length):
                if window in asked:
                    exact.add(window)
                if (shape := _relative(window)) in asked_relative:
                    relative.add(shape)
    result = Occurrences()
    for prompt, triads in wanted.items():
        if tuple(triads) in exact:
            result.as_they_are.add(prompt)
        if _relative(triads) in relative:
            result.transposed.add(prompt)
        if any(part in exact for part in _windows(triads, PART)):
            result.in_part.add(prompt)
    return result


def _windows(triads: Sequence[Triad], length: int) -> Iterable[tuple[Triad, ...]]:
    return (tuple(triads[start : start + length]) for start in range(len(triads) - length + 1))


def _relative(triads: Sequence[Triad]) -> tuple[Triad, ...]:
    """The same in a key that makes the first root C."""
    return tuple(((root - triads[0][0]) % 12, third) for root, third in triads)
