"""Generate by hand: one clip from a prompt, as a whole or as it comes, or a demo made again from its side file."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from ostinato.files import SIDECAR, UserError, atomic, read_json, sha256
from ostinato.harmony.prompts.prompt import PromptError, parse, require_chords, spans
from ostinato.lm.pretrained import LM_FILE, is_ours, locate
from ostinato.machine import DECISIVE
from ostinato.provenance.lineage import home

if TYPE_CHECKING:
    from ostinato.generate.generator import Generator

MODEL = "results/models/tuned"
SAMPLING = {"temperature": 0.8, "top_k": 40, "top_p": 0.0, "guidance": 3.0}


def model_of(sidecar: Path) -> str:
    """The model that a demo's side file names, in the project that the demo lies in; what is no folder there stays, as names of a hub."""
    made = read_json(sidecar)
    about = made.get("about") if isinstance(made, Mapping) else None
    name = str(about.get("model") or MODEL) if isinstance(about, Mapping) else MODEL
    place = home(str(sidecar).removesuffix(SIDECAR)) / name
    return str(place) if place.is_dir() else name


def write_clip(out: Path, clip: np.ndarray, rate: int) -> None:
    """Write samples [T] in the format of the suffix, 16 bits where it has bits."""
    with atomic(out) as path, soundfile.SoundFile(os.fsencode(path), "w", rate, 1, _subtype(out)) as stream:
        for start in range(0, len(clip), rate):  # libsndfile 1.2.2 dies of two minutes of Vorbis at once
            stream.write(clip[start : start + rate])


def _subtype(out: Path) -> str | None:
    """16 bits, or what a lossy format has."""
    return "PCM_16" if out.suffix.lower() not in (".ogg", ".mp3") else None


def refuse_rate(out: Path, rate: int) -> None:
    """Raise UserError where the format of the suffix has no such rate (MP3 has nine)."""
    try:
        soundfile.SoundFile(io.BytesIO(), "w", rate, 1, _subtype(out), format=out.suffix[1:].upper()).close()
    except soundfile.LibsndfileError as error:
        raise UserError(f"--out {out}: no {out.suffix} has {rate} Hz, the rate of this model ({error.error_string}); write a .wav") from None


def write_stream(out: Path, generator: Generator, request: dict[str, Any], how: Any) -> None:
    """Write the clip in pieces, each on disk before the next is made. Interrupted, what is there is a whole WAV."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(os.fsencode(out), "w", generator.codec.sample_rate, 1, "PCM_16") as stream:
        for piece in generator.stream(request["batch"], request["seconds"], request["seed"], how):
            stream.write(np.ascontiguousarray(piece[request["row"]]))
            stream.flush()


def understood(text: str, seconds: float, model: str, free_text: bool, again: bool) -> list[str]:
    """What is understood of a prompt, line by line.

    Args:
        free_text: read no chord, whatever it looks like; for pretrained models.
        again: it was understood once, and is told to the model as it was.

    Raises:
        UserError: it cannot be read, or names no chord for a model that is told by chords alone.
    """
    try:
        prompt = None if free_text else parse(text)
    except PromptError as error:
        if not again:  # what was made can be made again
            raise PromptError(f"{error} (--free-text: give it to a pretrained model as it is)") from None
        return [str(error)]
    if is_ours(model):
        if prompt is None:
            raise UserError(f"--free-text is for pretrained models; {model} is told by chords")
        prompt = prompt if again else require_chords(text)
        return [spans(prompt, seconds), *prompt.remarks]
    said = [spans(prompt, seconds), *prompt.remarks] if prompt and prompt.bars else ["no chord was read in the prompt"]
    return [*said, "the model is given the text as it is"]


def recall(sidecar: Path, model: str) -> dict[str, Any]:
    """The request of a demo's sidecar. Raises UserError when it is none, or the model is another one than the sidecar's."""
    made = read_json(sidecar)
    about = made.get("about") if isinstance(made, Mapping) else None
    if not isinstance(about, Mapping) or "batch" not in about:
        raise UserError(f"{sidecar}: not the side file of a demo (no `batch` in it)")
    try:
        sampling = {name: made["params"][name] for name in SAMPLING}
        request = {
            "batch": about["batch"],
            "row": about["row"],
            "seconds": about["seconds"],
            "seed": made["seed"],
            "sampling": sampling,
            "machine": {name: about.get(name) for name in DECISIVE},
        }
        expected, _ = about["model_sha256"], about["batch"][about["row"]]
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{sidecar}: lacks a key of a demo's side file ({type(error).__name__}: {error})") from None
    found = sha256(locate(model, LM_FILE))
    if found != expected:
        raise UserError(f"{model}: its weights are {found[:12]}, those of the demo were {str(expected)[:12]}; give the right --model")
    return request
