"""Render the music an ear is trained on, as spectra with labels.

Writes into the folder: `spectra.npy` [clips, frames, bins] float16, `labels.npy` [clips, frames, 3] int8 (see listen.labels.frame_labels) and
`instruments.npy` [clips] int8 (index of INSTRUMENTS, -1 for others). Clip k depends on the seed, k and its SoundFont alone. No sound is kept: twenty
hours of it would be 4 GB.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soxr

from ostinato.compiling import compiled_alone
from ostinato.corpus import drills, effects
from ostinato.corpus.rendering import PEAK, SAMPLE_RATE, Player, soundfont
from ostinato.corpus.synthesis import Instrument
from ostinato.files import atomic, require_space, write_sidecar
from ostinato.listen import frames
from ostinato.listen.labels import INSTRUMENTS, SPECTRA, frame_labels, loudness
from ostinato.params import part
from ostinato.params_ears import Drills
from ostinato.theory import Chord

SECONDS = 12.0
FRAMES = round(SECONDS * frames.FRAME_RATE)
#: Clips one process renders with one loaded SoundFont.
CHUNK = 50
#: Shares of clips without music, with drums alone, and interrupted by something that is no music.
CHORDLESS, DRUMS, INTERRUPTED = 0.06, 0.06, 0.05
#: A tuning wrong by up to this much (semitones) in one clip of ten: estimates err.
TUNING_ERROR = 0.2

Rendered = tuple[np.ndarray, np.ndarray, int]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("--ear", choices=list(SPECTRA), required=True, help="for whom: decides which spectrum is taken")
    parser.add_argument("--params", required=True, help="what to render, as JSON: `drills` of the ear")
    parser.add_argument("--out", type=Path, required=True, help="folder for the arrays")


def run(args: argparse.Namespace) -> None:
    """Render, compute, write."""
    params: Drills = part(Drills, "drills", args.params)
    fonts = [soundfont(path) for path in params.soundfonts]
    shape = clip(0, params, Player(fonts[0]), args.ear)[0].shape
    require_space(args.out, 2 * params.clips * int(np.prod(shape)))
    with atomic(args.out) as folder:
        folder.mkdir(parents=True)
        spectra = np.lib.format.open_memmap(folder / "spectra.npy", "w+", np.float16, (params.clips, *shape))
        labels, instruments = np.zeros((params.clips, FRAMES, 3), np.int8), np.zeros(params.clips, np.int8)
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for numbers, rendered in pool.map(partial(_chunk, params=params, ear=args.ear), chunks(params.clips, fonts)):
                for k, (spectrum, truth, instrument) in zip(numbers, rendered):
                    spectra[k], labels[k], instruments[k] = spectrum, truth, instrument
        np.save(folder / "labels.npy", labels)
        np.save(folder / "instruments.npy", instruments)
    write_sidecar(args.out, "drills", fonts, params.model_dump(), params.seed, {"ear": args.ear})
    print(f"{params.clips} clips, {params.clips * SECONDS / 3600:.1f} h, of {len(fonts)} SoundFonts, in {args.out}")


def chunks(clips: int, fonts: list[Path]) -> list[tuple[Path, range]]:
    """(SoundFont, numbers of clips): fonts take turns clip by clip, and a process loads one font for CHUNK clips."""
    size = CHUNK * len(fonts)
    return [(font, range(first + number, min(first + size, clips), len(fonts))) for first in range(0, clips, size) for number, font in enumerate(fonts)]


def _chunk(task: tuple[Path, range], params: Drills, ear: str) -> tuple[range, list[Rendered]]:
    font, numbers = task
    player = Player(font)
    return numbers, [clip(k, params, player, ear) for k in numbers]


@compiled_alone
def clip(k: int, params: Drills, player: Player, ear: str) -> Rendered:
    """Spectrum, labels and instrument of clip `k`: composed, rendered, degraded, off pitch by up to half a semitone, tuned as songs are."""
    rng = np.random.default_rng([params.seed, k])
    sound, truth, instrument = perform(rng, player, params.synthesised, alone=ear == "instruments")
    detune = float(rng.normal(0, 0.08) if rng.random() < 0.7 else rng.uniform(-0.5, 0.5))
    rate = SAMPLE_RATE * 2 ** (detune / 12)  # played a little faster or slower
    samples = soxr.resample(sound, rate, frames.RATE)[: int(SECONDS * frames.RATE)]
    block = frames.Block(np.pad(samples, frames.MARGIN_SECONDS * frames.RATE), len(samples))
    tuning = frames.tuning_of(samples) + (float(rng.uniform(-TUNING_ERROR, TUNING_ERROR)) if rng.random() < 0.1 else 0.0)
    shift = round(detune - tuning)  # half a semitone up is half a semitone down of the next: the labels follow the reference the tuning chose
    stretch = SAMPLE_RATE / rate
    labels = frame_labels([(start * stretch, end * stretch, chord.transpose(shift)) for start, end, chord in truth], FRAMES)
    spectrum = getattr(frames, SPECTRA[ear])(block, tuning) / loudness(frames.level(block))
    return spectrum.astype(np.float16), labels, instrument


def perform(rng: np.random.Generator, player: Player, synthesised: float, alone: bool = False) -> tuple[np.ndarray, drills.Timeline, int]:
    """Sound (a little longer than a clip), truth and instrument: mostly chords; drums alone; no music; music that begins or ends as something else.

    Args:
        synthesised: share of clips whose pitched parts are not the SoundFont's; alone: instruments play by themselves half of the time.
    """
    seconds, kind = SECONDS * 1.05, rng.random()
    if kind < CHORDLESS:
        sound = effects.chordless(int(seconds * SAMPLE_RATE), rng)
        return effects.degrade(sound, rng), [(0.0, seconds, Chord("N", ""))], -1
    drill = drills.only_drums(rng, seconds) if kind < CHORDLESS + DRUMS else drills.compose(rng, seconds)
    if alone and rng.random() < 0.5:
        drill = drills.Drill(drill.parts[:1], drill.truth, drill.family)
    sound, truth = synthesise(drill, player, seconds, rng) if rng.random() < synthesised else player.play(drill.parts, seconds), drill.truth
    if kind > 1 - INTERRUPTED:
        sound, truth = _interrupted(sound, truth, seconds, rng)
    return effects.degrade(sound, rng), truth, instrument(drill)


def synthesise(drill: drills.Drill, player: Player, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """The clip played by instruments drawn for it, but for the drums: float32 mono [T] at SAMPLE_RATE, peak PEAK."""
    sound = np.zeros(int(round(seconds * SAMPLE_RATE)), np.float32)
    for number, part in enumerate(drill.parts):
        family = drill.family if number == 0 else str(rng.choice(list(drills.CHORDAL)))
        sound += part.level * (player.play([part], seconds) if part.drums else Instrument(rng, family).play(part.notes, seconds))
    return sound * np.float32(PEAK / max(float(np.abs(sound).max()), 1e-9))


def _interrupted(sound: np.ndarray, truth: drills.Timeline, seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, drills.Timeline]:
    """Replace the beginning or the end by a sound without a chord."""
    at, first = float(rng.uniform(0.25, 0.75)) * seconds, rng.random() < 0.5
    other = effects.chordless(len(sound), rng)
    is_music = (np.arange(len(sound)) / SAMPLE_RATE >= at) == first
    left, right = (at, seconds) if first else (0.0, at)
    kept = [(max(start, left), min(end, right), chord) for start, end, chord in truth if min(end, right) > max(start, left)]
    gap = [(0.0, at, Chord("N", ""))] if first else [(at, seconds, Chord("N", ""))]
    return np.where(is_music, sound, other).astype(np.float32), sorted([*kept, *gap], key=lambda span: span[0])


def instrument(drill: drills.Drill) -> int:
    """Index of the instrument heard; "mixed" where several play; -1 for sorts the classifier does not know."""
    if drill.family not in INSTRUMENTS:
        return -1
    return INSTRUMENTS.index(drill.family if len(drill.parts) == 1 else "mixed")
