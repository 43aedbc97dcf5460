"""Some of many, spread evenly over them, without chance: the same of the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> Sequence[Item]:
    """At most so many of some, the first among them."""
    return items if len(items) <= most else [items[number * len(items) // most] for number in range(most)]


def share_of(items: Iterable[Item], share: float) -> Iterator[Item]:
    """A share (0 to 1) of items that come one after another, however many there are."""
    return (item for number, item in enumerate(items) if int((number + 1) * share) > int(number * share))
