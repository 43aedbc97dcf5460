"""What is generated before and after training: every prompt with every seed.

The prompts of one seed are generated in batches, alike for all models, so that those before and after training draw from the same random state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ostinato.harmony.prompts.sets import read_set
from ostinato.params.demos import Demos


@dataclass(frozen=True)
class Request:
    """A prompt that is asked for, and whether its chords are held out of training; `name`: the demo's, for its files."""

    name: str
    prompt: str
    heldout: bool


def requests(params: Demos) -> list[Request]:
    """All prompts, each once: the seed prompts, the held-out ones, those without chords. Raises UserError for a set that cannot be read."""
    heldout = [*(read_set(params.heldout_set) if params.heldout_set else []), *params.heldout]
    prompts = dict.fromkeys([*params.prompts, *heldout, *params.text_only])
    return [Request(slug(number, prompt), prompt, prompt in heldout) for number, prompt in enumerate(prompts)]


def batches(params: Demos) -> Iterator[list[Request]]:
    """The requests, `batch_size` at a time."""
    asked = requests(params)
    for start in range(0, len(asked), params.batch_size):
        yield asked[start : start + params.batch_size]


#: Beside the clips of one model: the codes of each, int16 [K, frames], by the name of its file without the suffix.
CODES = "codes.npz"


def slug(number: int, prompt: str) -> str:
    """A file name for a prompt: `03-guitar-amaj-followed-by`."""
    words = re.sub(r"[^a-z0-9#]+", "-", prompt.lower()).replace("#", "s").strip("-")
    return f"{number:02d}-{words[:40].strip('-')}"
