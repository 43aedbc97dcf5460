"""Render the music an ear for chords is trained on, as spectra with labels (the instruments' ear: ears.instrument_spectra).

Written into a folder are `spectra.npy` [clips, frames, bins] float16 and `labels.npy` [clips, frames, 3] int8 (see ears.labels.frame_labels). Clip k depends on the seed, k
and its SoundFont alone. No sound is kept: twenty hours of it would be 4 GB.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soxr

from ostinato.compiling import compiled_alone
from ostinato.ears import features
from ostinato.ears.labels import SPECTRA, frame_labels, loudness
from ostinato.etudes import drills, effects
from ostinato.etudes.rendering import PEAK, SAMPLE_RATE, Part, Player
from ostinato.etudes.singing import sing
from ostinato.etudes.synthesis import Instrument
from ostinato.harmony.chords import Chord
from ostinato.params.ears import Drills

SECONDS = 12.0
FRAMES = round(SECONDS * features.FRAME_RATE)
BINS = {"labeller": features.CONSTANT_Q_BINS, "judge": features.LOG_BINS}
#: Clips one process renders with one loaded SoundFont.
CHUNK = 50
#: Shares of clips without music, with drums alone, and interrupted by something that is no music.
CHORDLESS, DRUMS, INTERRUPTED = 0.06, 0.06, 0.05
#: A tuning wrong by up to this much (semitones) in one clip of ten: estimates err.
TUNING_ERROR = 0.2

Rendered = tuple[np.ndarray, np.ndarray]


def chunks(clips: int, fonts: list[Path], chunk: int = CHUNK) -> list[tuple[Path, range]]:
    """(SoundFont, numbers of clips): fonts take turns clip by clip, and a process loads one font for so many clips."""
    size = chunk * len(fonts)
    return [(font, range(first + number, min(first + size, clips), len(fonts))) for first in range(0, clips, size) for number, font in enumerate(fonts)]


def size(params: Drills) -> int:
    """Bytes that the spectra take, at most."""
    return 2 * params.clips * FRAMES * max(BINS.values())


def write(folder: Path, params: Drills, fonts: list[Path], ear: str) -> None:
    """Render all clips for an ear and write both arrays."""
    spectra = np.lib.format.open_memmap(folder / "spectra.npy", "w+", np.float16, (params.clips, FRAMES, BINS[ear]))
    labels = np.zeros((params.clips, FRAMES, 3), np.int8)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for numbers, rendered in pool.map(partial(chunk, params=params, ear=ear), chunks(params.clips, fonts)):
            for k, (spectrum, truth) in zip(numbers, rendered):
                spectra[k], labels[k] = spectrum, truth
    np.save(folder / "labels.npy", labels)


def chunk(task: tuple[Path, range], params: Drills, ear: str) -> tuple[range, list[Rendered]]:
    """Clips of some numbers with a SoundFont, for a process of a pool."""
    font, numbers = task
    player = Player(font)
    return numbers, [clip(k, params, player, ear) for k in numbers]


@compiled_alone
def clip(k: int, params: Drills, player: Player, ear: str) -> Rendered:
    """Spectrum and labels of clip `k`: composed, rendered, degraded, off pitch by up to half a semitone, tuned as songs are."""
    rng = np.random.default_rng([params.seed, k])
    sound, truth = perform(rng, player, params.synthesised)
    detune = float(rng.normal(0, 0.08) if rng.random() < 0.7 else rng.uniform(-0.5, 0.5))
    rate = SAMPLE_RATE * 2 ** (detune / 12)  # played a little faster or slower
    samples = soxr.resample(sound, rate, features.RATE)[: int(SECONDS * features.RATE)]
    block = features.Block(np.pad(samples, features.MARGIN_SECONDS * features.RATE), len(samples))
    tuning = features.tuning_of(samples) + (float(rng.uniform(-TUNING_ERROR, TUNING_ERROR)) if rng.random() < 0.1 else 0.0)
    shift = round(detune - tuning)  # half a semitone up is half a semitone down of the next: the labels follow the reference the tuning chose
    stretch = SAMPLE_RATE / rate
    labels = frame_labels([(start * stretch, end * stretch, chord.transpose(shift)) for start, end, chord in truth], FRAMES)
    spectrum = getattr(features, SPECTRA[ear])(block, tuning) / loudness(features.level(block))
    return spectrum.astype(np.float16), labels


def perform(rng: np.random.Generator, player: Player, synthesised: float) -> tuple[np.ndarray, drills.Timeline]:
    """Sound (a little longer than a clip) and truth: mostly chords; drums alone; no music; music that begins or ends as something else.

    Args:
        synthesised: share of clips whose pitched parts are not the SoundFont's.
    """
    seconds, kind = SECONDS * 1.05, rng.random()
    if kind < CHORDLESS:
        sound = effects.chordless(int(seconds * SAMPLE_RATE), rng)
        return effects.degrade(sound, rng), [(0.0, seconds, Chord("N", ""))]
    drill = drills.only_drums(rng, seconds) if kind < CHORDLESS + DRUMS else drills.compose(rng, seconds)
    sound, truth = played(drill, player, seconds, rng, rng.random() < synthesised), drill.truth
    if kind > 1 - INTERRUPTED:
        sound, truth = _interrupted(sound, truth, seconds, rng)
    return effects.degrade(sound, rng), truth


def played(drill: drills.Drill, player: Player, seconds: float, rng: np.random.Generator, drawn: bool) -> np.ndarray:
    """The clip as the SoundFont plays it, or instruments that are `drawn` for it, with its singer and its amplifier: float32 mono [T] at SAMPLE_RATE, peak PEAK."""
    play = partial(synthesise, family=drill.family, rng=rng) if drawn else Player.play
    if drill.driven:
        sound = effects.overdrive(play(player, drill.parts[:1], seconds), rng)
        if drill.parts[1:]:
            sound = effects.mixed(sound, player.play(drill.parts[1:], seconds), float(rng.uniform(-6, 9)))
    else:
        sound = play(player, drill.parts, seconds)
    return effects.mixed(sound, sing(drill.sung, seconds, rng), float(rng.uniform(-6, 8))) if drill.sung else sound


def synthesise(player: Player, parts: list[Part], seconds: float, family: str, rng: np.random.Generator) -> np.ndarray:
    """Parts played by instruments drawn for them, the first one's of a family, but for the drums: float32 mono [T] at SAMPLE_RATE, peak PEAK."""
    sound = np.zeros(int(round(seconds * SAMPLE_RATE)), np.float32)
    for number, part in enumerate(parts):
        kind = family if number == 0 else str(rng.choice(list(drills.CHORDAL)))
        sound += part.level * (player.play([part], seconds) if part.drums else Instrument(rng, kind).play(part.notes, seconds))
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
