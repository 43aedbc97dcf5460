"""The embedded corpus: songs composed with a seed, rendered, and their truth written apart.

The pipeline hears the audio like any other recording; `truth/` is read only by judges and benchmarks. Song k depends on the seed and k
alone, so more songs leave the earlier ones as they are. Instruments take turns, and metres when all have had theirs; keys, tempi, forms and patterns are drawn.
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from ostinato.etudes import rendering
from ostinato.etudes.arrangement import arrange
from ostinato.etudes.composition import INSTRUMENTS, Song, compose
from ostinato.files import atomic, write_json, write_text
from ostinato.harmony.metres import COMMON_TIME, Metre
from ostinato.params import Etudes

#: FLAC of rendered music takes about this much of 16-bit PCM.
FLAC_SHARE = 0.6


def write_song(index: int, params: Etudes, folder: Path, font: Path) -> float:
    """Compose, render and write song `index`; returns its length in seconds."""
    rng = np.random.default_rng([params.seed, index])
    instrument = INSTRUMENTS[index % len(INSTRUMENTS)]
    metre = params.metres[index // len(INSTRUMENTS) % len(params.metres)]
    song = compose(rng, instrument, params.min_seconds, params.max_seconds, Metre.parse(metre))
    notes = arrange(song, rng)
    program = int(rng.choice(rendering.PROGRAMS[instrument]))
    bars = sum(len(part.bars) for part in song.sections)
    seconds = bars * song.bar_seconds + rendering.RING_SECONDS
    samples = rendering.render(notes, program, font, seconds)
    name = f"etude-{index:03d}-{instrument}"
    with atomic(folder / "audio" / f"{name}.flac") as path:
        soundfile.write(path, samples, rendering.SAMPLE_RATE, subtype="PCM_16")
    write_text(folder / "audio" / f"{name}.yaml", yaml.safe_dump({"instrument": instrument}))
    write_json(folder / "truth" / f"{name}.json", truth(song))
    return seconds


def truth(song: Song) -> dict[str, Any]:
    """What is played when, times in seconds: tempo, key, beats, downbeats, chords and sections, and the metre if it is not 4/4 (see docs/layout.md)."""
    bar_seconds, per_bar = song.bar_seconds, song.metre.beats
    bars = [bar for part in song.sections for bar in part.bars]
    beats = [round(b * 60 / song.tempo, 6) for b in range(len(bars) * per_bar)]
    chords = []
    for i, bar in enumerate(bars):
        edges = [(i + place / per_bar) * bar_seconds for place in song.places(len(bar))]
        chords += [[start, end, chord.harte] for start, end, chord in zip(edges, edges[1:], bar)]
    ends = list(accumulate(len(part.bars) for part in song.sections))
    sections = [[(end - len(part.bars)) * bar_seconds, end * bar_seconds, part.name] for part, end in zip(song.sections, ends)]
    told = {"tempo": song.tempo, "key": str(song.key), "instrument": song.instrument, "beats": beats, "downbeats": beats[::per_bar], "chords": chords, "sections": sections}
    return told if song.metre == COMMON_TIME else told | {"metre": str(song.metre)}
