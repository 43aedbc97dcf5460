"""Piano rolls: the notes of a composition as rectangles, what was given apart from what was composed.

A roll is drawn in seconds across and semitones down, and stretched to the player's width. Composed notes have the colour of their program,
louder ones stronger; given notes have the colour of the page's letters, so that they stand out in black and white too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from ostinato.harmony.colours import COMMON_NAMES, pitch_colour
from ostinato.midi.notes import DRUMS

#: Oklch lightness at which a note stands off both the light and the dark background (contrast above 3).
LIGHTNESS = 0.58
#: At least so many semitones are shown, and so many above the highest and below the lowest note.
MIN_SEMITONES, MARGIN = 24, 2
#: No note is drawn narrower than this share of the roll, nor fainter than this.
MIN_SHARE, MIN_OPACITY = 1 / 300, 0.75
#: [start s, end s, pitch, velocity, program, given 0/1], as in judgements.json.
Note = Sequence[Any]
START, END, PITCH, VELOCITY, PROGRAM, GIVEN = range(6)


def colours(programs: Iterable[int]) -> dict[int, str]:
    """A colour for each program. They step by fifths around the wheel of hues, so that neighbours in the list contrast."""
    return {program: pitch_colour(rank * 7 % 12, LIGHTNESS) for rank, program in enumerate(sorted(set(programs)))}


def instrument(program: int) -> str:
    """General MIDI's name of a program."""
    from pretty_midi import program_to_instrument_name

    return "Drums" if program == DRUMS else program_to_instrument_name(program)


def pitch_name(pitch: int) -> str:
    """`C4` for 60."""
    return f"{COMMON_NAMES[pitch % 12]}{pitch // 12 - 1}"


def roll(notes: Sequence[Note], duration: float, palette: Mapping[int, str], given: str) -> dict[str, Any]:
    """What the template draws: the frame, the Cs to find one's way by, and the notes in layers, given ones last and so on top.

    Args:
        notes: see Note.
        duration: seconds shown.
        palette: see `colours`.
        given: what the given notes are, in words.
    """
    low, high = _range([note[PITCH] for note in notes])
    span = high - low + 1
    order = itemgetter(GIVEN, PROGRAM)
    layers = [
        {"given": bool(is_given), "colour": palette[program], "name": instrument(program), "rects": [_rect(note, duration, high) for note in members]}
        for (is_given, program), members in groupby(sorted(notes, key=order), order)
    ]
    legend = _legend(layers, given)
    return {
        "duration": duration,
        "semitones": span,
        "layers": layers,
        "legend": legend,
        "spoken": _spoken(notes, legend),
        "octaves": [{"name": pitch_name(pitch), "y": high - pitch + 1, "top": round(100 * (high - pitch + 0.5) / span, 1)} for pitch in range(low, high + 1) if pitch % 12 == 0],
    }


def _range(pitches: Sequence[int]) -> tuple[int, int]:
    """Lowest and highest pitch shown."""
    low, high = min(pitches, default=60) - MARGIN, max(pitches, default=60) + MARGIN
    spare = max(0, MIN_SEMITONES - (high - low + 1))
    return low - spare // 2, high + spare - spare // 2


def _rect(note: Note, duration: float, high: int) -> dict[str, float]:
    width = max(note[END] - note[START], MIN_SHARE * duration)
    return {"x": round(note[START], 3), "y": high - note[PITCH], "width": round(width, 3), "opacity": round(MIN_OPACITY + (1 - MIN_OPACITY) * note[VELOCITY] / 127, 2)}


def _legend(layers: Sequence[Mapping[str, Any]], given: str) -> list[dict[str, Any]]:
    """One entry for what was given, whatever plays it, and one for each program that was composed for."""
    count = sum(len(layer["rects"]) for layer in layers if layer["given"])
    composed = [{"name": f"composed: {layer['name']}", "count": len(layer["rects"]), "colour": layer["colour"]} for layer in layers if not layer["given"]]
    return ([{"name": f"given: {given}", "count": count, "colour": None}] if count else []) + composed


def _spoken(notes: Sequence[Note], legend: Sequence[Mapping[str, Any]]) -> str:
    """The roll for those who do not see it."""
    if not notes:
        return "Piano roll without notes."
    low, high = (pitch_name(pick(note[PITCH] for note in notes)) for pick in (min, max))
    parts = ", ".join(f"{entry['count']} {entry['name']}" for entry in legend)
    return f"Piano roll of {len(notes)} notes from {low} to {high}; {parts}."
