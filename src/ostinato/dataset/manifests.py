"""audiocraft's manifests: `data.jsonl.gz` per split, the lines that its AudioDataset and MusicDataset read.

The fields are those of audiocraft.data.audio_dataset.AudioMeta (a test loads them with audiocraft itself). The gzip header carries no clock
time, so that the same segments give the same bytes. Paths are as given on the command line; audiocraft resolves them from where it is started.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import soundfile

from ostinato.files import UserError

SPLITS = ("train", "valid", "test")


def audio_meta(audio: Path) -> dict[str, Any]:
    """One line of a manifest: audiocraft's AudioMeta as a dict."""
    info = soundfile.info(audio)
    return {"path": str(audio), "duration": info.frames / info.samplerate, "sample_rate": info.samplerate, "amplitude": None, "weight": None, "info_path": None}


def read_manifest(path: Path | str) -> list[dict[str, Any]]:
    """The lines of a manifest."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    except (OSError, EOFError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: no readable manifest ({error})") from None
