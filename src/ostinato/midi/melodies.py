"""Tunes that come with Ostinato, written by hand; all are in the public domain.

A tune is words `pitch:beats`; a `|` is a bar line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ostinato.files import UserError
from ostinato.midi.notes import Piece

VELOCITY, PROGRAM = 80, 0
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
NOTE = re.compile(r"([A-G])([#b]?)(\d):([\d.]+)")
#: Part of a note's length that sounds, so that repeated notes are heard apart.
SOUNDING = 0.95


@dataclass(frozen=True)
class Melody:
    """A tune, and how many of its beats a minute has."""

    title: str
    notes: str
    tempo: float


MELODIES = {
    # Mildred and Patty Hill, "Good Morning to All" (1893); free in the US since 2016, in the EU since 2017
    "happy_birthday": Melody(
        "Happy Birthday to You",
        """
        D4:.75 D4:.25 | E4:1 D4:1 G4:1 | F#4:2 D4:.75 D4:.25 | E4:1 D4:1 A4:1 | G4:2
        D4:.75 D4:.25 | D5:1 B4:1 G4:1 | F#4:1 E4:1 C5:.75 C5:.25 | B4:1 G4:1 A4:1 | G4:2""",
        120,
    ),
    # Beethoven, Symphony 9 (1824), last movement
    "ode_to_joy": Melody(
        "Ode to Joy",
        """
        F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | F#4:1.5 E4:.5 E4:2
        F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | E4:1.5 D4:.5 D4:2
        E4:1 E4:1 F#4:1 D4:1 | E4:1 F#4:.5 G4:.5 F#4:1 D4:1 | E4:1 F#4:.5 G4:.5 F#4:1 E4:1 | D4:1 E4:1 A3:1 F#4:2
        F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | E4:1.5 D4:.5 D4:2""",
        120,
    ),
    # "Ah! vous dirai-je, maman", French, 18th century
    "twinkle": Melody(
        "Twinkle, Twinkle, Little Star",
        """
        C4:1 C4:1 G4:1 G4:1 | A4:1 A4:1 G4:2 | F4:1 F4:1 E4:1 E4:1 | D4:1 D4:1 C4:2
        G4:1 G4:1 F4:1 F4:1 | E4:1 E4:1 D4:2 | G4:1 G4:1 F4:1 F4:1 | E4:1 E4:1 D4:2
        C4:1 C4:1 G4:1 G4:1 | A4:1 A4:1 G4:2 | F4:1 F4:1 E4:1 E4:1 | D4:1 D4:1 C4:2""",
        100,
    ),
}


def melody(name: str) -> Piece:
    """A melody by name. Raises UserError for a name that is not known."""
    if name not in MELODIES:
        raise UserError(f"melody '{name}' is not known; expected one of {', '.join(MELODIES)}, or a MIDI file")
    beat, at, notes = 60 / MELODIES[name].tempo, 0.0, []
    for letter, sign, octave, beats in NOTE.findall(MELODIES[name].notes):
        pitch = 12 * (int(octave) + 1) + STEPS[letter] + {"#": 1, "b": -1, "": 0}[sign]
        notes.append((at * beat, (at + SOUNDING * float(beats)) * beat, pitch, VELOCITY, PROGRAM))
        at += float(beats)
    return Piece.of(notes)


def happy_birthday() -> Piece:
    """Happy Birthday to You, in G, without accompaniment."""
    return melody("happy_birthday")
