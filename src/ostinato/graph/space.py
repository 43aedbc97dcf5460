"""How much a run will write, so that a disk that is too small is told before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ostinato.corpus.recordings import FILM
from ostinato.files import free_bytes, require_space
from ostinato.generate.demos import requests
from ostinato.lists import WANTED, Line
from ostinato.lm.pretrained import pretrained_bytes
from ostinato.params import Params


def require_room(folder: str, params: Params, lists: Iterable[Iterable[Line]] | None, runs: int) -> None:
    """Raise UserError where the disk that holds `folder` has no room for what a run is still to write there; `lists`: of recordings, or None for the etudes.

    What is there already is counted only where it decides: a large dataset is a million files.
    """
    needed = expected_bytes(params, lists, runs)
    if free_bytes(folder) < needed:
        require_space(folder, missing_bytes(folder, needed))


def expected_bytes(params: Params, lists: Iterable[Iterable[Line]] | None, runs: int) -> int:
    """What `results/` will hold, in bytes, roughly; meant to catch a disk that is obviously too small.

    - A second of music: 16-bit segments, plus 60 % of 16-bit 44.1 kHz for an etude's FLAC.
    - How long a user's songs are is not known before they are decoded: a wav as if 16-bit 44.1 kHz mono, a film as if 2 Mbit/s, anything else as if 128 kbit/s.
    - Models: as `models_bytes` says.
    - Demos: 16-bit like the segments. 0.2 GB for the environment's caches, MLflow, logs and the page.
    """
    rate = 2 * params.segments.sample_rate
    if lists is not None:
        music = sum(int(line[2]) / _bytes_a_second(os.path.splitext(line[1])[1]) for lines in lists for line in lines if line[0] == WANTED) * rate
    else:
        etudes = params.corpus.etudes
        music = etudes.songs * (etudes.min_seconds + etudes.max_seconds) / 2 * (rate + 0.6 * 88_200)
    clips = 4 * len(requests(params.demos)) * len(params.demos.seeds)  # before, after, two references
    return int(music + models_bytes(params, runs) + clips * params.demos.seconds * rate + 2e8)


@cache
def _bytes_a_second(suffix: str) -> int:
    """Of a recording, by its suffix."""
    return 88_200 if suffix.lower() == ".wav" else 250_000 if suffix.lower() in FILM else 16_000


def models_bytes(params: Params, runs: int) -> int:
    """What a base model, `runs` fine-tunings and the best of them take, in bytes.

    In 32 bits each: a run's model is in its folder and, as a copy, among the models; the best is copied again. What is trained is in a run's checkpoint with the optimiser's
    two moments, where there is one the moving average, and for a moment in the next checkpoint beside it. Adapters are taken for nothing; so is a fresh text encoder.
    """
    method, model = params.train.method, params.model
    weights = pretrained_bytes(model.pretrained) if model.pretrained else 4 * 16 * model.layers * model.dim**2
    state = 0 if method.lora and model.pretrained else (4 if method.ema else 3) * weights
    trained = runs + (0 if model.pretrained else 1)
    return weights * (2 * (runs + 1) + 1) + state * (trained + 1)


def missing_bytes(folder: str, needed: int) -> int:
    """What is still to be written to `folder`."""
    return max(0, needed - sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()))
