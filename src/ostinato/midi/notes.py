"""Notes: what a MIDI file holds that music is made of, and files of it.

A `Piece` is notes and pedals in seconds; programs are General MIDI's, 0-127, drums are -1. Times are absolute, so that nothing of a performance is lost and
a score is as its tempo says. What a file says beside that (metre, names, lyrics, bends) is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import UserError, atomic
from ostinato.midi import channels, smf

DRUMS = -1
#: The drums that have words, lowest and highest: General MIDI 2's.
DRUM_PITCHES = (27, 88)
#: Times in seconds, pitch and velocity 0-127, program -1..127.
NOTE = np.dtype([("start", "f8"), ("end", "f8"), ("pitch", "i2"), ("velocity", "i2"), ("program", "i2")])
#: A pedal held down, seconds.
PEDAL = np.dtype([("start", "f8"), ("end", "f8"), ("program", "i2")])
#: Resolution of the files written: a tick is half a millisecond at 120 beats a minute.
TICKS_PER_BEAT, BEAT_SECONDS = 1000, 0.5
#: The controller of the sustain pedal.
SUSTAIN = 64
EXTENSIONS = (".mid", ".midi", ".kar", ".rmi", ".smf")


@dataclass(frozen=True)
class Piece:
    """Notes, sorted by (start, program, pitch), and pedals, by start."""

    notes: np.ndarray
    pedals: np.ndarray

    @classmethod
    def of(cls, notes: Any, pedals: Any = ()) -> Piece:
        """From tuples in the order of NOTE and PEDAL, or arrays of them."""
        return cls(np.sort(_array(notes, NOTE), order=["start", "program", "pitch"]), np.sort(_array(pedals, PEDAL), order="start"))

    @property
    def seconds(self) -> float:
        """When the last note ends."""
        return float(self.notes["end"].max()) if len(self.notes) else 0.0

    @property
    def programs(self) -> list[int]:
        """Programs that play."""
        return sorted({int(program) for program in self.notes["program"]})

    def between(self, start: float, end: float) -> Piece:
        """The notes that begin in [start, end) seconds, and pedals as far as they lie there, at their times."""
        notes = self.notes[(self.notes["start"] >= start) & (self.notes["start"] < end)]
        pedals = self.pedals[(self.pedals["end"] > start) & (self.pedals["start"] < end)].copy()
        pedals["start"], pedals["end"] = np.maximum(pedals["start"], start), np.minimum(pedals["end"], end)
        return Piece(notes, pedals)

    def moved(self, seconds: float = 0.0, semitones: int = 0) -> Piece:
        """Later by `seconds`, higher by `semitones`, drums excepted."""
        notes, pedals = self.notes.copy(), self.pedals.copy()
        for times in (notes["start"], notes["end"], pedals["start"], pedals["end"]):
            times += seconds
        notes["pitch"] += np.where(notes["program"] == DRUMS, 0, semitones).astype(np.int16)
        return Piece(notes, pedals)

    def joined(self, other: Piece) -> Piece:
        """Both at once."""
        return Piece.of(np.concatenate([self.notes, other.notes]), np.concatenate([self.pedals, other.pedals]))


def read_midi(path: Path | str) -> Piece:
    """Read a MIDI file.

    Raises:
        UserError: the file cannot be read, is no MIDI, holds no note, or what cannot be believed (see `smf` and `channels`).
    """
    return from_score(read_score(path))


def from_score(score: Any) -> Piece:
    """A symusic Score as a piece."""
    notes, pedals = [], []
    for track in score.to("second").tracks:
        program = DRUMS if track.is_drum else track.program
        notes += [(note.start, note.end, note.pitch, note.velocity, program) for note in track.notes]
        pedals += [(pedal.time, pedal.end, program) for pedal in track.pedals]
    return Piece.of(notes, pedals)


def read_score(path: Path | str) -> Any:
    """A MIDI file as symusic's Score, times in ticks. Raises UserError as `read_midi`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return channels.as_symusic(smf.parse(data))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def one_track(score: Any) -> Any:
    """All tracks but drums as one piano, as a model without programs is fed."""
    from symusic import Track

    piano = Track("", 0, False)
    for track in score.tracks:
        if not track.is_drum:
            piano.notes.extend(track.notes)
            piano.pedals.extend(track.pedals)
    piano.notes.sort()
    score.tracks = [piano]
    return score


def as_score(piece: Piece, names: dict[int, str] | None = None) -> Any:
    """A piece as symusic's Score at 120 beats a minute, one track a program; `names` are tracks' by program."""
    from symusic import ControlChange, Note, Pedal, Score, Tempo, Track

    score: Any = Score(TICKS_PER_BEAT)  # in ticks, which its stubs do not tell from seconds
    score.tempos.append(Tempo(0, qpm=60 / BEAT_SECONDS))
    for program in piece.programs:
        track: Any = Track((names or {}).get(program, ""), max(0, program), program == DRUMS)
        for note in piece.notes[piece.notes["program"] == program]:
            start = _ticks(note["start"])
            track.notes.append(Note(start, max(1, _ticks(note["end"]) - start), int(note["pitch"]), int(note["velocity"])))
        for pedal in piece.pedals[piece.pedals["program"] == program]:
            down, up = _ticks(pedal["start"]), max(_ticks(pedal["start"]) + 1, _ticks(pedal["end"]))
            track.pedals.append(Pedal(down, up - down))
            track.controls.extend([ControlChange(down, SUSTAIN, 127), ControlChange(up, SUSTAIN, 0)])  # what files have; symusic reads pedals from it
        score.tracks.append(track)
    return score


def write_midi(path: Path | str, piece: Piece, names: dict[int, str] | None = None) -> None:
    """Write a piece as a MIDI file, atomically; see `as_score`."""
    with atomic(path) as temporary:
        as_score(piece, names).dump_midi(temporary)


def _array(rows: Any, kind: np.dtype) -> np.ndarray:
    return rows if isinstance(rows, np.ndarray) else np.array(list(rows), kind)


def _ticks(seconds: float) -> int:
    return round(float(seconds) / BEAT_SECONDS * TICKS_PER_BEAT)
