"""Section `demos` of params.yaml: what is asked for and how it is drawn. Prompts name chords, for they are judged by them, but for those that are to be without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ostinato.harmony.prompts.prompt import PromptError, parse, require_chords
from ostinato.params.blocks import NotNegative, Positive, Seconds, Section, Seed, Share


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


def _without_chords(prompt: str) -> str:
    try:
        if parse(prompt).chords:
            raise PydanticCustomError("prompt", "{message}", {"message": f"'{prompt}' names chords; expected a prompt without, such as 'piano'"})
    except PromptError as error:
        raise PydanticCustomError("prompt", "{message}", {"message": str(error)}) from None
    return prompt


ChordPrompt = Annotated[str, BeforeValidator(_quoted), AfterValidator(_readable)]

Text = Annotated[str, BeforeValidator(_quoted), AfterValidator(_without_chords)]


class Demos(Section):
    """What is generated before and after training."""

    prompts: list[ChordPrompt] = Field(description="the two seed prompts")
    heldout_set: str | None = Field(description="table of held-out prompts, frozen (column `prompt`): test.tsv to report on, dev.tsv to choose by; null: only those of `heldout`")
    heldout: list[ChordPrompt] = Field(description="more progressions that must not occur in the training labels")
    text_only: list[Text] = Field(description="prompts without chords, by which one hears whether a model forgets what it could play")
    seeds: list[Seed] = Field(min_length=1)
    seconds: Seconds = Field(description="length of a demo, seconds")
    batch_size: Positive = Field(description="prompts generated at a time; less, where memory is short")
    temperature: Annotated[float, Field(gt=0)]
    top_k: Annotated[int, Field(ge=0)] = Field(description="0: no limit")
    top_p: Share = Field(description="likeliest codes of this mass; 0: top_k counts")
    guidance: NotNegative = Field(description="classifier-free guidance coefficient; 1: none")
