"""Section `ears` of params.yaml: how the networks that listen are trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ostinato.params.blocks import Loop, Plan, Positive, Section, Seed, Share


class Drills(Section):
    """The music an ear is trained on."""

    clips: Positive = Field(description="clips that are rendered, of 12 s; of 8 s and one part each for `instruments`")
    seed: Seed = Field(description="seed of the clips")
    soundfonts: list[str | None] = Field(min_length=1, description="SoundFonts that take turns; null: the TimGM6mb that pretty_midi brings")
    synthesised: Share = Field(description="share of clips played by instruments whose partials are drawn anew, drums excepted")


class BeatDrills(Section):
    """The music that the ear for beats is trained on."""

    clips: Positive = Field(description="clips of 30 s that are rendered")
    seed: Seed = Field(description="seed of the clips")
    soundfonts: list[str | None] = Field(min_length=1, description="SoundFonts that take turns; null: the TimGM6mb that pretty_midi brings")
    folder: str | None = Field(description="MIDI files with their beats beside them, as ASAP and POP909 have them; null: scores of the music21 wheel, played freely")
    held_out: Share = Field(description="share of the folder's compositions that is not trained on")
    composed: Share = Field(description="share of clips composed in a drawn metre; the others are excerpts of pieces")


class BeatEar(Section):
    """The network that hears beats, and the music it is trained on."""

    drills: BeatDrills
    plan: Plan


class Ear(Section):
    """One network that listens, and the music it is trained on."""

    drills: Drills
    plan: Plan


class EarTraining(Loop):
    """What the training of all ears shares."""

    optimizer: Literal["adamw", "muon"] = Field(description="muon: for kernels and the matrices of layers; adamw for all else")


class Ears(EarTraining):
    """Training of the networks that listen, from nothing. Only `snakemake ears` reads this: trained ones come with Ostinato."""

    labeller: Ear = Field(description="hears the chords of songs: labels and cuts are made from what it hears")
    judge: Ear = Field(description="hears the demos, and nothing else: other features, architecture, seed and renders")
    instruments: Ear = Field(description="says what plays when: names the instruments of a song that has no side file")
    beats: BeatEar = Field(description="hears beats, downbeats and metre")
    evaluation: Drills = Field(description="clips the card's scores are from; of SoundFonts that no ear is trained with")
