"""From notes to sound, with a SoundFont and tinysoundfont.

symusic 0.5.9's synthesizer is faster still, but plays some SoundFont samples at the wrong pitch (TimGM6mb's piano and guitar a semitone
and more off, measured 2026-11-23), which is fatal here. tinysoundfont's pitch is right to 2 cents. Deterministic: the same notes give the
same samples. Loudness is not the SoundFont's: every clip is scaled to the same peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ostinato.etudes.arrangement import Note
from ostinato.files import UserError

SAMPLE_RATE = 22050
PEAK = 0.7
RING_SECONDS = 1.5
#: Samples made at a time at most: three minutes.
LONGEST_BLOCK = 2**22
#: General MIDI programs (0-127) that stand for an instrument.
PROGRAMS = {"piano": (0, 1, 4), "guitar": (24, 25), "ukulele": (24,), "organ": (16, 19), "strings": (48, 49)}
FOLDERS = tuple(Path("/usr/share", name) for name in ("sounds/sf2", "sounds/sf3", "soundfonts"))
DRUM_CHANNEL, DRUM_BANK = 9, 128


@dataclass(frozen=True)
class Part:
    """What one instrument plays: a General MIDI program (a drum kit's, if `drums`) and its notes; `level` scales the velocities."""

    program: int
    notes: list[Note]
    level: float = 1.0
    drums: bool = False


def soundfont(path: str | None) -> Path:
    """The SoundFont to render with: `path`, or of that name where Linux keeps them; null: TimGM6mb, which the pretty_midi wheel carries."""
    if path is not None:
        found = next((place for place in (Path(path), *(folder / path for folder in FOLDERS)) if place.is_file()), None)
        if found is None:
            raise UserError(f"SoundFont {path}: no such file, neither here nor in {', '.join(map(str, FOLDERS))}; expected a SoundFont (.sf2, .sf3) or null")
        return found
    spec = find_spec("pretty_midi")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("pretty_midi is not installed, so its SoundFont TimGM6mb.sf2 is missing; name another SoundFont in params.yaml")
    return Path(spec.submodule_search_locations[0]) / "TimGM6mb.sf2"


def render(notes: list[Note], program: int, font: Path, seconds: float) -> np.ndarray:
    """Render notes (times in seconds) with a General MIDI program: float32 mono [T] at SAMPLE_RATE, `seconds` long, peak PEAK."""
    return Player(font).play([Part(program, notes)], seconds)  # a new one each time: no voice of the last clip rings on


class Player:
    """A synthesizer with its SoundFont loaded, for many clips: big fonts take seconds to load."""

    def __init__(self, font: Path) -> None:
        import tinysoundfont

        self.synth = tinysoundfont.Synth(gain=-6, samplerate=SAMPLE_RATE)
        self.font = self.synth.sfload(str(font))

    def play(self, parts: list[Part], seconds: float) -> np.ndarray:
        """Render the parts together: float32 mono [T] at SAMPLE_RATE, `seconds` long, peak PEAK. A program the font lacks is its piano."""
        mono = np.concatenate(list(self.blocks(parts, seconds)))
        return mono * np.float32(PEAK / max(float(np.abs(mono).max()), 1e-9))

    def blocks(self, parts: list[Part], seconds: float, tuning: float = 0.0) -> Iterator[np.ndarray]:
        """The same from one event to the next, as loud as the SoundFont is, for music of any length; `tuning` in semitones."""
        channels = self._channels(parts)
        for channel in channels if tuning else ():
            self.synth.set_tuning(channel, tuning)
        total, position = int(round(seconds * SAMPLE_RATE)), 0
        for at, channel, pitch, velocity in [*_events(parts, channels, total), (total, 0, 0, -1)]:
            while at > position:
                size = min(at - position, LONGEST_BLOCK)
                yield self._block(size)
                position += size
            if velocity > 0:
                self.synth.noteon(channel, pitch, velocity)
            elif velocity == 0:
                self.synth.noteoff(channel, pitch)
        self.synth.sounds_off()

    def _channels(self, parts: list[Part]) -> list[int]:
        channels = []
        for number, part in enumerate(parts):
            channel = DRUM_CHANNEL if part.drums else number
            bank = DRUM_BANK if part.drums else 0
            known = self.synth.sfpreset_name(self.font, bank, part.program) is not None
            self.synth.program_select(channel, self.font, bank, part.program if known else 0, part.drums)
            channels.append(channel)
        return channels

    def _block(self, samples: int) -> np.ndarray:
        return np.frombuffer(self.synth.generate_simple(samples), dtype=np.float32).reshape(-1, 2).mean(axis=1)


def _events(parts: list[Part], channels: list[int], total: int) -> list[tuple[int, int, int, int]]:
    """(sample, channel, pitch, velocity) in order; velocity 0 is the end of a note, and ends come before starts."""
    events = []
    for part, channel in zip(parts, channels):
        for start, duration, pitch, velocity in part.notes:
            begin = int(round(start * SAMPLE_RATE))
            end = max(int(round((start + duration) * SAMPLE_RATE)), begin + 1)
            events += [(begin, 1, channel, pitch, int(np.clip(round(velocity * part.level), 1, 127))), (end, 0, channel, pitch, 0)]
    return [(at, channel, pitch, velocity) for at, _, channel, pitch, velocity in sorted(events, key=lambda e: (e[0], e[1], e[3], e[4], e[2])) if at < total]
