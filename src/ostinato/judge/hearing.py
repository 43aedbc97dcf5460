"""What is heard in a clip, independent of any prompt: by the judge's ear, which scores, and by others, which say how far it is to be believed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import librosa
import numpy as np

from ostinato.ears import features
from ostinato.files import UserError
from ostinato.judge.adherence import Span
from ostinato.judge.diversity import picture
from ostinato.judge.embedding import Embedding, embed, embed_samples, read_clip
from ostinato.judge.repetition import repetition, share_repeated
from ostinato.judge.spectra import log_spectrum
from ostinato.judge.tonal import Bass, bass_energy, quantise, sound_end, sounding_share
from ostinato.params import Listen

Result = TypeVar("Result")
#: In less nothing of a chord is heard, s.
SHORTEST = 0.5


@dataclass(frozen=True)
class Clip:
    """All that `scoring.score` needs, so that other prompts can be tried on a clip.

    `heard` is what the judge's ear hears; `second` what the labeller's does; `templates` and `chordino` (None where that is not at hand) are untrained. `instruments`: the
    probability of each that the ear knows. `beats` in s and `tempo` in beats a minute; `chroma` 12 lists of 0-99 at 5 frames/s; `picture` as in judge.diversity; shares in percent.
    """

    duration: float
    heard: list[Span]
    second: list[Span]
    templates: list[Span]
    chordino: list[Span] | None
    bass: Bass
    sounding: float
    sound_end: float
    chroma: list[list[int]]
    instruments: dict[str, float]
    beats: np.ndarray
    tempo: float
    repeated: float
    picture: np.ndarray
    embedding: Embedding


def hear_all(paths: Sequence[str], listen: Listen, silence_db: float, jobs: int) -> list[Clip | str]:
    """Hear every clip, in the order given whatever the number of processes; of one that cannot be heard, the reason."""
    return _each(partial(_hear_or_say, listen=listen, silence_db=silence_db), paths, jobs)


def describe_all(paths: Sequence[str], seconds: float, listen: Listen, jobs: int) -> list[tuple[Embedding, float]]:
    """Of the first `seconds` of every recording the embedding, and the share that is repeated, percent. Raises UserError for one that cannot be read."""
    return _each(partial(_describe, seconds=seconds, listen=listen), paths, jobs)


def _describe(path: str, seconds: float, listen: Listen) -> tuple[Embedding, float]:
    samples, rate = read_clip(path, seconds)
    return embed_samples(samples, rate, listen), repetition(samples, rate)


def _each(work: Callable[[str], Result], paths: Sequence[str], jobs: int) -> list[Result]:
    if min(jobs, len(paths)) <= 1:
        return [work(path) for path in paths]
    # spawn: forking a process that already runs BLAS threads can deadlock
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread) as pool:
        return list(pool.map(work, paths))


def _one_thread() -> None:
    """The processes share the cores."""
    import torch

    torch.set_num_threads(1)


def _hear_or_say(path: str, listen: Listen, silence_db: float) -> Clip | str:
    try:
        return hear_clip(path, listen, silence_db)
    except UserError as error:
        return str(error)
    except (ArithmeticError, ValueError, RuntimeError, librosa.LibrosaError) as error:  # of a thousand clips one may be what no library foresaw
        return f"{path}: cannot be heard ({type(error).__name__}: {error})"


def hear_clip(path: str, listen: Listen, silence_db: float) -> Clip:
    """Decode and hear one clip. Raises UserError when it cannot be read, or is too short."""
    from ostinato.judge.templates import by_chordino, by_templates, chordino_is_here
    from ostinato.listen.beats import onset_strength, pulse
    from ostinato.listen.chords import recognise
    from ostinato.listen.evidence import analyse, beat_evidence, chord_evidence, resampled
    from ostinato.listen.hear import chroma
    from ostinato.listen.instruments import instruments

    mono, rate = read_clip(path)
    if len(mono) < SHORTEST * rate:
        raise UserError(f"{path}: {len(mono) / rate:.3g} s of sound; expected at least {SHORTEST:g} s")
    at_rate = resampled(mono, rate)
    analysis, other = (analyse([at_rate], ear) for ear in ("judge", "labeller"))
    evidence, onsets = chord_evidence(analysis, "judge", listen.ears), onset_strength(analysis.mel)
    heard, second = (
        recognise(frames, analysis.duration, listen.vocabulary, listen.chord_switch, onsets)[0] for frames in (evidence, chord_evidence(other, "labeller", listen.ears))
    )
    beat = pulse(beat_evidence(analysis, listen.ears), np.exp(evidence.chord), analysis.duration)
    spectrum = log_spectrum(mono, rate)
    return Clip(
        duration=len(mono) / rate,
        heard=list(heard),
        second=list(second),
        templates=by_templates(mono, rate),
        chordino=by_chordino(mono, rate) if chordino_is_here() else None,
        bass=bass_energy(mono, rate),
        sounding=sounding_share(mono, rate, silence_db),
        sound_end=sound_end(mono, rate, silence_db),
        chroma=quantise(chroma(analysis), features.FRAME_RATE),
        instruments=instruments(analysis, listen.ears),
        beats=beat.beats,
        tempo=beat.tempo,
        repeated=share_repeated(spectrum),
        picture=picture(spectrum),
        embedding=embed(analysis, evidence, listen),
    )
