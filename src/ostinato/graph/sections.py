"""Sections of params.yaml as rules take them: compact JSON, so that only what is said decides what is made anew."""

from __future__ import annotations

import json
from typing import Any

from ostinato.params import Params
from ostinato.params.blocks import Section
from ostinato.params.ears import EarTraining
from ostinato.params.midi import Studied


def as_json(values: Section | dict[str, Any]) -> str:
    """A section as compact JSON with sorted keys, so that the order of keys in params.yaml and `2` for `2.0` rerun nothing."""
    values = values.model_dump(mode="json") if isinstance(values, Section) else values
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def corpus(params: Params) -> str:
    """What `corpus` says of a song, wherever it lies and whichever shard it goes to."""
    return as_json(params.corpus.model_dump(mode="json") | {"folder": None, "shards": 1})


def training(params: Params) -> str:
    """What `train` says about all runs alike: without the plans, and without `launch`, which says where but not what."""
    return as_json(params.train.model_dump(mode="json", exclude={"base", "tune", "launch"}))


def evidence_demos(params: Params) -> str:
    """`demos` with the seeds that evidence rests on."""
    return as_json(params.demos.model_dump(mode="json") | {"seeds": params.evidence.demo_seeds})


def training_of_ears(params: Params) -> str:
    """What `ears` says about the training of all of them alike."""
    return as_json(params.ears.model_dump(mode="json", include=set(EarTraining.model_fields)))


def midi_training(params: Params) -> str:
    """What `midi.train` says about all its runs alike."""
    return as_json(params.midi.train.model_dump(mode="json", include=set(Studied.model_fields)))


def midi_words(params: Params) -> str:
    """What `midi.tokens` says about the words of a file; which of them are merged is decided where all files come together."""
    return as_json(params.midi.tokens.model_dump(mode="json") | {"bpe": 0})
