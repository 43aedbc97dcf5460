"""Render the parts that the instruments' ear is trained on, as spectra, and say when a part of a mix is heard.

`write` leaves in a folder `spectra.npy` float16 [clips, frames, FINE_BANDS], clips of mixes.SECONDS, each divided by its `fine_loudness`, and `families.npy` int8 [clips],
the number of the family of each, NOTHING for noise, talk and the like. Clips k, k + 1, ... from a multiple of PARTS on are parts of one piece: they fit together. A piece
depends on the seed, its number and its SoundFont alone. Spectra are roots of power, so that the squares of parts add up to those of their mix, but for what interference
does.
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
from ostinato.ears.labels import fine_loudness
from ostinato.ears.spectra import chunks
from ostinato.etudes import effects, mixes
from ostinato.etudes.mixes import PARTS, SECONDS
from ostinato.etudes.rendering import SAMPLE_RATE, Player
from ostinato.params.ears import Drills

FRAMES = round(SECONDS * features.FINE_RATE)
NOTHING = -1
#: Every so many pieces one is no music; pieces that one process renders with one loaded SoundFont.
SOUNDS_EVERY, CHUNK = 16, 50
#: A part is heard in a second where it is at most so much weaker than its own loud moments and than the mix, dB; where it is weaker than the second pair, it is not. Between
#: them nobody can say.
HEARD, UNHEARD = (-25.0, -18.0), (-40.0, -35.0)


def size(params: Drills) -> int:
    """Bytes that the spectra take."""
    return 2 * -(-params.clips // PARTS) * PARTS * FRAMES * features.FINE_BANDS


def write(folder: Path, params: Drills, fonts: list[Path]) -> None:
    """Render so many clips, in whole pieces, and write both arrays."""
    count = -(-params.clips // PARTS)
    spectra = np.lib.format.open_memmap(folder / "spectra.npy", "w+", np.float16, (count * PARTS, FRAMES, features.FINE_BANDS))
    families = np.zeros(count * PARTS, np.int8)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for numbers, pieces in pool.map(partial(_chunk, seed=params.seed), chunks(count, fonts, CHUNK)):
            for number, clips in zip(numbers, pieces):
                for k, (family, spectrum) in enumerate(clips, number * PARTS):
                    spectra[k], families[k] = spectrum, family
    np.save(folder / "families.npy", families)


def _chunk(task: tuple[Path, range], seed: int) -> tuple[range, list[list[tuple[int, np.ndarray]]]]:
    font, numbers = task
    player = Player(font)
    return numbers, [piece(number, seed, player) for number in numbers]


@compiled_alone
def piece(number: int, seed: int, player: Player) -> list[tuple[int, np.ndarray]]:
    """The families and spectra of a piece's parts; every so often sounds that are no music."""
    rng = np.random.default_rng([seed, number])
    if number % SOUNDS_EVERY == SOUNDS_EVERY - 1:
        sounds = [(NOTHING, effects.chordless(round(SECONDS * SAMPLE_RATE), rng)) for _ in range(PARTS)]
    else:
        sounds = mixes.piece(rng, player)
    return [(family, _scaled(spectrum_of(sound)).astype(np.float16)) for family, sound in sounds]


def spectrum_of(sound: np.ndarray) -> np.ndarray:
    """The fine spectrum [FRAMES, FINE_BANDS] of a clip at SAMPLE_RATE."""
    samples = soxr.resample(sound, SAMPLE_RATE, features.RATE)
    return features.fine(features.Block(np.pad(samples, features.MARGIN_SECONDS * features.RATE), len(samples)))[:FRAMES]


def _scaled(spectrum: np.ndarray) -> np.ndarray:
    return spectrum / np.float32(fine_loudness(spectrum))


def heard(power: np.ndarray) -> np.ndarray:
    """Of each part in each second whether it is heard in the mix: 1, 0, or -1 where nobody can say. int8 [parts, seconds].

    Args:
        power: of each part in each frame, [parts, frames].
    """
    loud = np.percentile(power, 95, axis=1, keepdims=True)
    seconds = power[:, : power.shape[1] // features.FINE_RATE * features.FINE_RATE].reshape(len(power), -1, features.FINE_RATE).mean(axis=2)
    with np.errstate(divide="ignore"):
        own, of_all = (10 * np.log10(seconds / np.maximum(whole, 1e-12)) for whole in (loud, seconds.sum(axis=0, keepdims=True)))
    labels = np.full(seconds.shape, -1, np.int8)
    labels[(own > HEARD[0]) & (of_all > HEARD[1])] = 1
    labels[(own < UNHEARD[0]) | (of_all < UNHEARD[1])] = 0
    return labels
