"""A clip as two vectors: what harmony there is in it, and what it sounds like.

Both are what an ear of ours has made of the clip before it puts a name to it, pooled over the clip to means and standard deviations, so that what sounds and how much it
moves are in it:

- `harmony`, of the judge's ear (ears.nets.RecurrentNet): which chords there are, and how clear they are, whatever plays them. It was trained to hear through damage: noise 6 dB
  below the music, a low-pass at 1.5 kHz and clipping change next to nothing in it; pitch that wobbles does.
- `timbre`, of the ear that tells instruments (ears.instrument_net): which instrument, and how clean. Noise and clipping change it, a low-pass little; pitch that wobbles and sound
  played backwards do not, and the pitch of all does in part.

Both come with hearing: spectra are taken once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ostinato.compiling import compiled_alone
from ostinato.files import UserError
from ostinato.listen.evidence import Analysis, Evidence, analyse, chord_evidence, resampled, timbre_of
from ostinato.params import Listen

#: Samples beyond so many times full scale are no sound.
LOUDEST = 1e6
#: Channels whose mean has less than this share of the power of the loudest cancel out.
CANCELLED = 1e-2


@dataclass(frozen=True)
class Embedding:
    """`harmony` [448] and `timbre` [128], float32; 2 KB."""

    harmony: np.ndarray
    timbre: np.ndarray


def embed(analysis: Analysis, evidence: Evidence, listen: Listen) -> Embedding:
    """The embedding of what the judge's ear has analysed: 1 ms for 10 s."""
    frames = evidence.embedded
    return Embedding(np.concatenate([frames.mean(axis=0), frames.std(axis=0)]), timbre_of(analysis, listen.ears))


@compiled_alone
def embed_samples(samples: np.ndarray, rate: int, listen: Listen) -> Embedding:
    """The embedding of mono audio [T] at `rate` Hz."""
    analysis = analyse([resampled(samples, rate)], "judge")
    return embed(analysis, chord_evidence(analysis, "judge", listen.ears), listen)


def read_clip(path: Path | str, seconds: float | None = None) -> tuple[np.ndarray, int]:
    """Samples [T] of a recording, or of its first `seconds`, channels averaged, and their rate in Hz. Raises UserError when there are none to read."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as stream:
            samples, rate = stream.read(-1 if seconds is None else round(seconds * stream.samplerate), dtype="float32", always_2d=True), stream.samplerate
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: {error.error_string}") from None
    if not len(samples):
        raise UserError(f"{path}: holds no samples")
    if not np.abs(samples).max() < LOUDEST:  # false for NaN
        raise UserError(f"{path}: holds samples that are no numbers, or beyond {LOUDEST:g} times full scale")
    return mixed(samples), rate


def mixed(samples: np.ndarray) -> np.ndarray:
    """Channels [T, C] as one [T]: their mean, or the loudest where they cancel out (opposite phases)."""
    mono, power = samples.mean(axis=1), (samples.astype(float) ** 2).mean(axis=0)
    return mono if (mono.astype(float) ** 2).mean() > CANCELLED * power.max() else np.ascontiguousarray(samples[:, power.argmax()])
