"""Section `demos` of params.yaml: what is asked for and how it is drawn. Every prompt names chords, for it is judged by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ostinato.harmony.prompts.prompt import PromptError, require_chords
from ostinato.params.blocks import NotNegative, Seconds, Section, Seed, Share


def _quoted(prompt: Any) -> Any:
    """Says what a prompt that YAML took for something else lacks."""
    if isinstance(prompt, Mapping) and len(prompt) == 1:
        ((name, rest),) = prompt.items()
        raise PydanticCustomError("prompt", "{message}", {"message": f'a prompt with a colon needs quotes: "{name}: {rest}"'})
    return prompt


def _readable(prompt: str) -> str:
    try:
        require_chords(prompt)
    except PromptError as error:
        raise PydanticCustomError("prompt", "{message}", {"message": str(error)}) from None
    return prompt


ChordPrompt = Annotated[str, BeforeValidator(_quoted), AfterValidator(_readable)]


class Demos(Section):
    """What is generated before and after training."""

    prompts: list[ChordPrompt] = Field(description="the two seed prompts")
    heldout: list[ChordPrompt] = Field(description="progressions that must not occur in the training labels")
    seeds: list[Seed] = Field(min_length=1)
    seconds: Seconds = Field(description="length of a demo, seconds")
    temperature: Annotated[float, Field(gt=0)]
    top_k: Annotated[int, Field(ge=0)] = Field(description="0: no limit")
    top_p: Share = Field(description="likeliest codes of this mass; 0: top_k counts")
    guidance: NotNegative = Field(description="classifier-free guidance coefficient; 1: none")
