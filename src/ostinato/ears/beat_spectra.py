"""What the ear for beats is trained on, as spectra with labels.

Clips are 30 s: excerpts of performances whose beats are known, and music composed in every metre (etudes.metred), rendered and degraded as the chords' drills are. A
label says of each frame whether a beat, a downbeat, begins with it, how many beats the bar has and how a beat divides: int8 [frames, 4], 0 where it is not known.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soxr

from ostinato.compiling import compiled_alone
from ostinato.ears import features
from ostinato.ears.labels import loudness
from ostinato.ears.spectra import chunks
from ostinato.etudes import effects, metred
from ostinato.etudes.rendering import PEAK, SAMPLE_RATE, Part, Player
from ostinato.harmony.metres import BeatGrid
from ostinato.params.ears import BeatDrills

SECONDS = 30.0
FRAMES = round(SECONDS * features.MEL_RATE)
#: Clips one process renders with one loaded SoundFont.
CHUNK = 40
Draw = Callable[[np.random.Generator, float], tuple[list[Part], BeatGrid]]


def size(params: BeatDrills) -> int:
    """Bytes that the spectra take."""
    return 2 * params.clips * FRAMES * features.BEAT_BANDS


def write(folder: Path, params: BeatDrills, fonts: list[Path], performed: Draw) -> None:
    """Write `spectra.npy` float16 [clips, FRAMES, BEAT_BANDS] and `labels.npy` int8 [clips, FRAMES, 4]. Clip k depends on the seed, k, its SoundFont and the pieces."""
    spectra = np.lib.format.open_memmap(folder / "spectra.npy", "w+", np.float16, (params.clips, FRAMES, features.BEAT_BANDS))
    found = np.zeros((params.clips, FRAMES, 4), np.int8)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for numbers, rendered in pool.map(partial(chunk, params=params, performed=performed), chunks(params.clips, fonts, CHUNK)):
            for k, (spectrum, truth) in zip(numbers, rendered):
                spectra[k], found[k] = spectrum, truth
    np.save(folder / "labels.npy", found)


def chunk(task: tuple[Path, range], params: BeatDrills, performed: Draw) -> tuple[range, list[tuple[np.ndarray, np.ndarray]]]:
    """Clips of some numbers with a SoundFont, for a process of a pool."""
    font, numbers = task
    player = Player(font)
    return numbers, [clip(k, params, player, performed) for k in numbers]


@compiled_alone
def clip(k: int, params: BeatDrills, player: Player, performed: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Spectrum float16 [frames, BEAT_BANDS] and labels of clip `k`."""
    rng = np.random.default_rng([params.seed, k])
    draw = performed if rng.random() >= params.composed else metred.compose
    parts, grid = draw(rng, SECONDS)
    sound = effects.degrade(player.play(parts, SECONDS), rng) if any(part.notes for part in parts) else np.zeros(int(SECONDS * SAMPLE_RATE), np.float32)
    samples = soxr.resample(sound.astype(np.float32) * np.float32(PEAK), SAMPLE_RATE, features.RATE)[: int(SECONDS * features.RATE)]
    block = features.Block(np.pad(samples, features.MARGIN_SECONDS * features.RATE), len(samples))
    spectrum = features.beat_bands(block) / loudness(features.level(block))
    return spectrum[:FRAMES].astype(np.float16), labels(grid, FRAMES)


def labels(grid: BeatGrid, count: int) -> np.ndarray:
    """Beats on frames, and the metre of all frames from one beat to the next: int8 [count, 4]."""
    found = np.zeros((count, 4), np.int8)
    frames = np.round(grid.times * features.MEL_RATE).astype(int)
    kept = frames < count
    found[frames[kept], 0] = 1
    found[frames[kept & (grid.positions == 1)], 1] = 1
    for frame, after, bar, division in zip(frames, np.append(frames[1:], count), grid.bars, grid.divisions):
        found[frame:after, 2], found[frame:after, 3] = bar if bar <= 12 else 0, division
    return found
