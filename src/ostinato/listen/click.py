"""A recording to judge by ear: the song, a click on each beat, and the heard chords with their bass, played softly.

The file is mono, at the song's rate, as long as the song to the sample, and its peak is below full scale: song, clicks and chords have each a share of it, and the
song and the chords are measured before they are mixed. Clicks on first beats are higher and louder, and begin on the very sample of their beat; chords are struck
where they begin and anew with each bar, on the nearest sample of the synthesizer's rate, tuned as the song is. Where no chord is heard nothing is played.

Everything is made piece by piece, so that an hour takes no more memory than a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ostinato.corpus.levels import Levels
from ostinato.corpus.recordings import stream
from ostinato.etudes.arrangement import Note, bass_pitch, voice
from ostinato.etudes.rendering import SAMPLE_RATE, Part, Player, soundfont
from ostinato.files import atomic
from ostinato.listen.hear import Heard

#: Shares of full scale that song, clicks and chords may reach: together less than 1, for 16 bits round.
SONG, CLICK, CHORDS = 0.5, 0.3, 0.18
#: A song is made louder at most so many times: what is nearly silent stays so.
LOUDEST = 4.0
#: Pitch, Hz, of a click, and its length and decay, s; clicks that are no first beats have this share of its loudness.
FIRST_PITCH, OTHER_PITCH, CLICK_SECONDS, DECAY_SECONDS, SOFTER = 1760.0, 1175.0, 0.04, 0.008, 0.5
#: Chords are played on an electric piano (General MIDI, from 0), which songs have seldom; MIDI numbers of its lowest bass and of the middle of its chords.
PROGRAM, LOWEST, CENTRE = 4, 36, 62
#: Velocities of chord and bass.
SOFT, BASS = 70, 84


@dataclass(frozen=True)
class Recording:
    """A file that was heard, how it is brought to one channel, and its rate, Hz."""

    path: Path
    levels: Levels
    sample_rate: int

    def blocks(self) -> Iterator[np.ndarray]:
        """Its samples, mono [T], piece by piece."""
        return stream(self.path, self.sample_rate, self.levels)


def write(path: Path, heard: Heard, song: Recording) -> None:
    """Write what is described above as a WAV file of 16 bits, atomically. Raises RecordingError when the song cannot be read any more."""
    rate, notes = song.sample_rate, notes_of(heard)
    song_gain = min(LOUDEST, SONG / max(_peak(song.blocks()), 1e-9))
    chord_gain = CHORDS / max(_peak(_played(notes, heard, rate)), 1e-9)
    clicks, chords, place = _Clicks(heard, rate), _Taken(_played(notes, heard, rate)), 0
    with atomic(path) as temporary, soundfile.SoundFile(temporary, "w", rate, 1, "PCM_16", format="WAV") as file:
        for block in song.blocks():
            file.write(song_gain * block + clicks.between(place, place + len(block)) + chord_gain * chords.take(len(block)))
            place += len(block)


def notes_of(heard: Heard) -> list[Note]:
    """The heard chords as notes: struck where they begin and with each bar, upper voices near those before, above the chord's bass."""
    notes: list[Note] = []
    upper: list[int] | None = None
    for start, end, chord in heard.chords:
        if not chord.is_chord:
            continue
        upper = voice(chord, upper, CENTRE, min(4, len(chord.pitch_classes)))
        strokes = [start, *(float(time) for time in heard.downbeats if start + 0.1 < time < end - 0.1), end]
        for begin, after in zip(strokes, strokes[1:]):
            notes += [*((begin, after - begin, pitch, SOFT) for pitch in upper), (begin, after - begin, bass_pitch(chord, LOWEST), BASS)]
    return notes


def _played(notes: list[Note], heard: Heard, rate: int) -> Iterator[np.ndarray]:
    """The notes' sound at `rate`, in pieces."""
    resampler = soxr.ResampleStream(SAMPLE_RATE, rate, 1, dtype="float32")
    for block in Player(soundfont(None)).blocks([Part(PROGRAM, notes)], heard.duration, heard.tuning):
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _peak(blocks: Iterator[np.ndarray]) -> float:
    return max((float(np.abs(block).max(initial=0.0)) for block in blocks), default=0.0)


class _Taken:
    """Samples taken from pieces of other lengths; silence after the last."""

    def __init__(self, blocks: Iterator[np.ndarray]) -> None:
        self.blocks, self.left = blocks, np.zeros(0, np.float32)

    def take(self, count: int) -> np.ndarray:
        """The next `count` samples."""
        parts, missing = [self.left], count - len(self.left)
        while missing > 0:
            parts.append(next(self.blocks, np.zeros(missing, np.float32)))
            missing -= len(parts[-1])
        joined = np.concatenate(parts)
        self.left = joined[count:]
        return joined[:count]


class _Clicks:
    """Clicks on the beats of a song, on its samples."""

    def __init__(self, heard: Heard, rate: int) -> None:
        times = np.arange(round(CLICK_SECONDS * rate)) / rate
        shape = CLICK * np.exp(-times / DECAY_SECONDS)
        self.sounds = [SOFTER * shape * np.sin(2 * np.pi * OTHER_PITCH * times), shape * np.sin(2 * np.pi * FIRST_PITCH * times)]
        self.places = np.round(heard.beats * rate).astype(int)
        self.firsts = heard.positions == 1

    def between(self, start: int, end: int) -> np.ndarray:
        """The clicks of samples `start` to `end`, the tails of those that began before too; one that another follows at once gives way to it."""
        out, length = np.zeros(end - start, np.float32), len(self.sounds[0])
        for number in range(int(np.searchsorted(self.places, start - length)), int(np.searchsorted(self.places, end))):
            place, after = self.places[number], self.places[number + 1] if number + 1 < len(self.places) else end + length
            left, right = max(place, start), min(place + length, after, end)
            if right > left:
                out[left - start : right - start] = self.sounds[int(self.firsts[number])][left - place : right - place]
        return out
