"""Section `midi` of params.yaml: the track of MIDI files, from the folder to the pages of its demos."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ostinato.params.blocks import Loop, Method, NotNegative, Positive, Schedule, Seconds, Section, Seed, Shards, Share, Split, Sweep


class Pieces(Section):
    """Where the pieces come from."""

    folder: str | None = Field(description="folder of MIDI files, searched recursively; null: scores of the music21 wheel")
    per_collection: Positive = Field(description="at most so many of each collection of the wheel")
    min_notes: Positive = Field(description="shorter pieces are set aside")
    shards: Shards = Field(description="number of shards; compositions go to them by a hash")
    split: Split


class Words(Section):
    """What notes can have words for."""

    pitches: tuple[Annotated[int, Field(ge=0, le=127)], Annotated[int, Field(ge=0, le=127)]] = Field(description="lowest and highest pitch, MIDI numbers")
    programs: bool = Field(description="words for instruments; without, all is piano and drums are left out")


class Tokens(Words):
    """MidiTok's TSD."""

    clock: Literal["seconds", "beats"] = Field(description="seconds: the piece as it sounds; beats: the file's own, with its tempos as words")
    resolution: list[tuple[Positive, Positive]] = Field(min_length=1, description="[up to so many beats, steps a beat]; with clock seconds a beat is 0.5 s")
    velocities: Annotated[int, Field(ge=1, le=127)] = Field(description="steps of loudness")
    pedal: bool = Field(description="words for the sustain pedal")
    chords: bool = Field(description="words for chords")
    rests: bool = Field(description="words for rests")
    time_signatures: bool = Field(description="words for metres")
    bpe: Annotated[int, Field(ge=0)] = Field(description="number of words after byte-pair encoding; 0: none")

    @model_validator(mode="after")
    def _ordered(self) -> Tokens:
        ends = [end for end, _ in self.resolution]
        if ends != sorted(set(ends)):
            raise ValueError(f"resolution: expected beats that grow, got {ends}")
        if self.pitches[0] >= self.pitches[1]:
            raise ValueError(f"pitches: expected the lowest below the highest, got {list(self.pitches)}")
        return self


class Augmentation(Section):
    """What is varied each time a piece is drawn for training; 0: nothing. Validation is never varied."""

    semitones: Annotated[int, Field(ge=0, le=24)] = Field(description="transposed by up to so many, inside the range of pitches")
    velocity: Annotated[int, Field(ge=0)] = Field(description="louder or softer by up to so many steps")
    duration: Annotated[int, Field(ge=0)] = Field(description="notes longer or shorter by up to so many steps")
    tempo: Annotated[float, Field(ge=0, lt=1)] = Field(description="faster or slower by up to this share; by a step of tempo where these are words")


class Gpt(Section):
    """The decoder."""

    dim: Positive
    layers: Positive
    heads: Positive = Field(description="must divide dim")
    context: Annotated[int, Field(ge=64)] = Field(description="words it sees at once")
    short_windows: Share = Field(description="share of training steps on windows a quarter as long, four times as many: short trainings learn faster so")
    dropout: Share
    condition_dropout: Share = Field(description="share of examples that are not told their composer, genre or programs")

    @model_validator(mode="after")
    def _heads_divide(self) -> Gpt:
        if self.dim % self.heads or self.dim // self.heads % 2:
            raise ValueError(f"heads must divide dim into even parts, got {self.heads} and {self.dim}")
        return self


class Studied(Loop):
    """What its training runs share."""

    method: Method


class Studies(Studied):
    """Its training runs."""

    pretrain: Schedule = Field(description="on all pieces")
    sweep: Sweep = Field(description="values to try for `pretrain`; the run that is best on validation becomes the pretrained model")
    finetune: Schedule = Field(description="on one composer's, from the pretrained model")
    composers: list[str] = Field(description="who gets a model of their own")


class Compositions(Section):
    """What is composed for the page."""

    composers: list[str] = Field(description="who is asked for, in their own model where they have one; []: nobody in particular")
    seeds: list[Seed] = Field(min_length=1)
    seconds: Seconds = Field(description="length, seconds")
    temperature: Annotated[float, Field(gt=0)]
    top_p: Share = Field(description="likeliest words of this mass; 0: all")
    guidance: NotNegative = Field(description="how much more of the composer than of anyone; 1: as the model has it")
    melody: str = Field(description="what is put into the styles: happy_birthday, or a MIDI file")
    particles: Positive = Field(description="drafts that are weighed against each other while a melody or what follows a gap is fitted")


class Evidence(Section):
    """What is composed for the judge alone, so that its figures rest on more than what the page plays."""

    samples: Positive = Field(description="from nothing, spread over the composers who have enough pieces")
    melodies: Positive = Field(description="settings of melodies, spread over these composers and the melodies that come with Ostinato")


class Midi(Section):
    """The MIDI track."""

    pieces: Pieces
    tokens: Tokens
    augmentation: Augmentation
    model: Gpt
    train: Studies
    demos: Compositions
    evidence: Evidence
