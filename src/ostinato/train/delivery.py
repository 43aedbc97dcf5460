"""A trained model's folder: what is copied from a run, or from the best run of a sweep, and what must not stay there of an earlier model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ostinato.files import atomic
from ostinato.lm.pretrained import ADAPTER, CODEC_FILE, LM_FILE

#: What a model's folder may hold besides its summary and adapters: an audio model lies beside its codec, a MIDI model beside its tokenizer.
BESIDE = {CODEC_FILE, LM_FILE, "events.jsonl", "tokenizer.json"}


def copy_model(source: Path, out: Path, names: Sequence[str]) -> list[Path]:
    """Copy files of a model, and its adapters where it has any; where it has none, an earlier model's go. Returns what it wrote."""
    names = [*([ADAPTER] if (source / ADAPTER).is_dir() else []), *names]
    if ADAPTER not in names and (out / ADAPTER).exists():
        shutil.rmtree(out / ADAPTER)
    for name in names:
        with atomic(out / name) as path:
            shutil.copytree(source / name, path) if (source / name).is_dir() else shutil.copyfile(source / name, path)
    return [out / name for name in names]
