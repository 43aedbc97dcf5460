"""Section `ears` of params.yaml: how the networks that listen are trained."""

from __future__ import annotations

from pydantic import Field

from ostinato.params.blocks import Loop, Plan, Positive, Section, Seed, Share


class Drills(Section):
    """The music an ear is trained on."""

    clips: Positive = Field(description="clips of 12 s that are rendered")
    seed: Seed = Field(description="seed of the clips")
    soundfonts: list[str | None] = Field(min_length=1, description="SoundFonts that take turns; null: the TimGM6mb that pretty_midi brings")
    synthesised: Share = Field(description="share of clips played by instruments whose partials are drawn anew, drums excepted")


class Ear(Section):
    """One network that listens, and the music it is trained on."""

    drills: Drills
    plan: Plan


class Ears(Loop):
    """Training of the networks that listen, from nothing. Only `snakemake ears` reads this: trained ones come with Ostinato."""

    labeller: Ear = Field(description="hears the chords of songs: labels and cuts are made from what it hears")
    judge: Ear = Field(description="hears the demos, and nothing else: other features, architecture, seed and renders")
    instruments: Ear = Field(description="names the instrument of a song that has no side file")
    evaluation: Drills = Field(description="clips the card's scores are from; of SoundFonts that no ear is trained with")
