"""From notes to sound, with a SoundFont and tinysoundfont.

symusic 0.5.9's synthesizer is faster still, but plays some SoundFont samples at the wrong pitch (TimGM6mb's piano and guitar a semitone
and more off, measured 2026-11-23), which is fatal here. tinysoundfont's pitch is right to 2 cents. Deterministic: the same notes give the
same samples. Loudness is not the SoundFont's: every clip is scaled to the same peak.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.corpus.arrangement import Note
from ostinato.files import UserError

SAMPLE_RATE = 22050
PEAK = 0.7
RING_SECONDS = 1.5
#: General MIDI programs (0-127) that stand for an instrument.
PROGRAMS = {"piano": (0, 1, 4), "guitar": (24, 25), "ukulele": (24,), "organ": (16, 19), "strings": (48, 49)}


def soundfont(path: str | None) -> Path:
    """The SoundFont to render with: `path`, or TimGM6mb, which the pretty_midi wheel carries."""
    if path is not None:
        if not Path(path).is_file():
            raise UserError(f"corpus.etudes.soundfont: {path}: no such file; expected a SoundFont (.sf2, .sf3) or null")
        return Path(path)
    spec = find_spec("pretty_midi")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("pretty_midi is not installed, so its SoundFont TimGM6mb.sf2 is missing; set corpus.etudes.soundfont")
    return Path(spec.submodule_search_locations[0]) / "TimGM6mb.sf2"


def render(notes: list[Note], program: int, font: Path, seconds: float) -> np.ndarray:
    """Render notes (times in seconds) with a General MIDI program: float32 mono [T] at SAMPLE_RATE, `seconds` long, peak PEAK."""
    import tinysoundfont

    synth = tinysoundfont.Synth(gain=-6, samplerate=SAMPLE_RATE)  # a new one each time: no voice of the last clip rings on
    synth.program_select(0, synth.sfload(str(font)), 0, program)
    total = int(round(seconds * SAMPLE_RATE))
    blocks, position = [], 0
    for at, pitch, velocity in _events(notes, total):
        if at > position:
            blocks.append(_block(synth, at - position))
            position = at
        synth.noteon(0, pitch, velocity) if velocity else synth.noteoff(0, pitch)
    if total > position:
        blocks.append(_block(synth, total - position))
    mono = np.concatenate(blocks)
    return mono * np.float32(PEAK / max(float(np.abs(mono).max()), 1e-9))


def _events(notes: list[Note], total: int) -> list[tuple[int, int, int]]:
    """(sample, pitch, velocity) in order; velocity 0 is the end of a note, and ends come before starts."""
    events = []
    for start, duration, pitch, velocity in notes:
        begin = int(round(start * SAMPLE_RATE))
        end = max(int(round((start + duration) * SAMPLE_RATE)), begin + 1)
        events += [(begin, 1, pitch, velocity), (end, 0, pitch, 0)]
    return [(at, pitch, velocity) for at, _, pitch, velocity in sorted(events) if at < total]


def _block(synth: Any, samples: int) -> np.ndarray:
    return np.frombuffer(synth.generate_simple(samples), dtype=np.float32).reshape(-1, 2).mean(axis=1)
