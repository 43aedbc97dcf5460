"""A piece of MIDI as sound: the pedal obeyed, any number of programs, of any length.

tinysoundfont 0.3.7 takes the sustain pedal's controller and does nothing (a released piano note is as loud 0.5 s later with it as without, measured 2026-11-25), so
notes are held by what is played: each that ends under a pedal ends with it, or where its key is struck again. Channels are not MIDI's sixteen: it has as many as
are asked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ostinato.etudes.rendering import DRUM_CHANNEL, RING_SECONDS, Part, Player
from ostinato.files import UserError
from ostinato.midi.notes import DRUMS, Piece


def render_piece(piece: Piece, font: Path) -> np.ndarray:
    """A piece with a SoundFont: float32 mono [T] at rendering.SAMPLE_RATE, with RING_SECONDS after the last note. Raises UserError for a piece without notes."""
    if not len(piece.notes):
        raise UserError("nothing to play: a piece without notes")
    held = pedalled(piece)
    return Player(font).play(parts_of(held), held.seconds + RING_SECONDS)


def parts_of(piece: Piece) -> list[Part]:
    """A part for each program of a piece, as a Player wants them: they are played on channels by their number, drums on their own."""
    parts = [Part(max(0, program), _notes(piece, program), drums=program == DRUMS) for program in piece.programs]
    kit, pitched = [part for part in parts if part.drums], [part for part in parts if not part.drums]
    spare = [Part(0, [])] if len(pitched) > DRUM_CHANNEL else []
    return [*pitched[:DRUM_CHANNEL], *spare, *pitched[DRUM_CHANNEL:], *kit]


def pedalled(piece: Piece) -> Piece:
    """A piece in which notes are as long as the pedal holds them; drums and pedals are as they were."""
    notes = piece.notes.copy()
    for program in piece.programs:
        pedals = piece.pedals[piece.pedals["program"] == program]
        mine = np.flatnonzero(notes["program"] == program)
        if program == DRUMS or not len(pedals):
            continue
        notes["end"][mine] = np.maximum(notes["end"][mine], _let_up(pedals, notes["end"][mine]))
        for pitch in np.unique(notes["pitch"][mine]):
            key = mine[notes["pitch"][mine] == pitch]
            struck = np.append(notes["start"][key][1:], np.inf)
            # keys struck at once sound together
            notes["end"][key] = np.where(struck > notes["start"][key], np.minimum(notes["end"][key], struck), notes["end"][key])
    return Piece(notes, piece.pedals)


def _let_up(pedals: np.ndarray, times: np.ndarray) -> np.ndarray:
    """When the pedal that is down at each of the times is let up; the time itself where none is."""
    pressed = np.searchsorted(pedals["start"], times, "right") - 1
    ends = np.maximum.accumulate(pedals["end"])
    return np.where((pressed >= 0) & (ends[pressed] > times), ends[pressed], times)


def _notes(piece: Piece, program: int) -> list[tuple[float, float, int, int]]:
    return [(float(note["start"]), float(note["end"] - note["start"]), int(note["pitch"]), int(note["velocity"])) for note in piece.notes[piece.notes["program"] == program]]
