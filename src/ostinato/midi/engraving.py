"""What is played of a score that music21 has read: measures in the order of their repeats, ties joined, tempos obeyed.

music21's own expandRepeats, stripTies and flatten copy streams and take up to a minute for a movement of a quartet; here measures are walked in the order that
music21's Expander says, and nothing is copied. Times are beats of a quarter note until the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import UserError
from ostinato.harmony.metres import BeatGrid, Metre

VELOCITY = 80
#: Quarters a minute where a score says nothing, and those that are believed.
TEMPO, TEMPOS = 120.0, (20.0, 400.0)
#: Part of a note's length that sounds, so that repeated notes are heard apart.
SOUNDING = 0.95
#: Beats that differ by less are equal: triplets are fractions.
SAME = 1e-3
#: Start and end in beats, pitch, the tie that goes on from it.
Sounded = tuple[float, float, int, bool]


@dataclass(frozen=True)
class Played:
    """A score as it is played: its title, number of voices, rows of midi.NOTE, and its beats."""

    title: str | None
    voices: int
    notes: list[tuple[float, float, int, int, int]]
    beats: BeatGrid


def played(source: Path | str, programs: Sequence[int]) -> Played:
    """What is played of a score: a file, or text in ABC. Raises what music21 raises."""
    from music21 import converter

    score: Any = converter.parse(source, format="abc") if isinstance(source, str) else converter.parse(source, forceSource=True, storePickle=False)
    voices = list(score.parts) or [score]
    measures = [list(voice.getElementsByClass("Measure")) for voice in voices]
    order = _order(voices, measures)
    tempos: list[tuple[float, float]] = []
    notes: list[tuple[float, float, int, int]] = []
    bars_played: list[tuple[Any, float]] = []
    for number, (voice, bars) in enumerate(zip(voices, measures)):
        program = programs[min(number, len(programs) - 1)]
        lengths = [later.offset - bar.offset for bar, later in zip(bars, bars[1:])] + [bar.duration.quarterLength for bar in bars[-1:]]
        in_order = [(bars[i], lengths[i]) for i in order or range(len(bars))]
        bars_played = bars_played or in_order
        line = tied(sounded(in_order or [(voice, 0)], tempos))
        notes += [(start, start + SOUNDING * (end - start), pitch, program) for start, end, pitch in line]
    clock = _clock(tempos)
    metadata = score.metadata
    rows = [(clock(start), clock(end), pitch, VELOCITY, program) for start, end, pitch, program in unisons(notes)]
    return Played((metadata.title or metadata.movementName) if metadata else None, len(voices), rows, beats(bars_played, clock))


def beats(bars: Sequence[tuple[Any, float]], clock: Any) -> BeatGrid:
    """The beats of measures as they are played, given with their lengths in quarters; none from where no metre is named.

    An upbeat, and a measure that a repeat parts in two, are parts of bars: beats are counted on from what of the bar is past.
    """
    times, firsts, divisions = [], [], []
    at, past, metre, step = 0.0, 0.0, None, 1.0
    for number, (bar, length) in enumerate(bars):
        if bar.timeSignature is not None:
            metre, step = _metre(bar.timeSignature)
        if metre is not None:
            whole = metre.beats * step
            if number == 0 and length < whole - SAME:
                past = whole - float(length)
            first = -past % step
            for place in np.arange(first, float(length) - SAME, step):
                times.append(clock(at + place))
                firsts.append((past + place) % whole < SAME)
                divisions.append(metre.division)
            past = 0.0 if past + length > whole - SAME else past + float(length)
        at += float(length)
    return BeatGrid.of(np.array(times), np.array(firsts, bool), np.array(divisions, int))


def _metre(signature: Any) -> tuple[Metre | None, float]:
    """A time signature as a metre, and its beat in quarters; None for one that is no metre of ours."""
    try:
        metre = Metre.parse(signature.ratioString)
    except UserError:
        return None, 1.0
    return metre, 4 / signature.denominator * (3 if metre.division == 3 else 1)


def _order(voices: list[Any], measures: list[list[Any]]) -> list[int] | None:
    """The measures that are played, one after another; None: as written. All voices must have the same, and repeats that fit."""
    from music21.exceptions21 import Music21Exception
    from music21.repeat import Expander

    if not measures[0] or len({len(bars) for bars in measures}) > 1:
        return None
    try:
        expander = Expander(voices[0])
        return list(expander.measureMap()) if expander.isExpandable() else None
    except (Music21Exception, LookupError, TypeError):  # repeats that do not fit
        return None


def sounded(bars: Sequence[tuple[Any, float]], tempos: list[tuple[float, float]]) -> Iterator[Sounded]:
    """Notes of a voice's measures, given with their lengths, from 0 on; tempos met on the way, (beat, quarters a minute), are added to `tempos`."""
    at = 0.0
    for bar, length_of_bar in bars:
        for beat, element in _walk(bar, at):
            if "MetronomeMark" in element.classes:
                rate = element.getQuarterBPM()
                if rate and TEMPOS[0] <= rate <= TEMPOS[1]:
                    tempos.append((beat, float(rate)))
                continue
            length = float(element.duration.quarterLength)
            if length <= 0 or "Harmony" in element.classes:  # grace notes take no time, names of chords are not played
                continue
            for note in getattr(element, "notes", [element]):
                if hasattr(note, "pitch"):  # percussion has none
                    yield beat, beat + length, note.pitch.midi, bool(note.tie and note.tie.type in ("start", "continue"))
        at += float(length_of_bar)


def _walk(stream: Any, at: float) -> Iterator[tuple[float, Any]]:
    """Notes and tempos of a stream and those in it, with their beats."""
    for element in stream.elements:
        beat = at + float(stream.elementOffset(element))
        if element.isStream:
            yield from _walk(element, beat)
        elif "NotRest" in element.classes or "MetronomeMark" in element.classes:
            yield beat, element


def tied(notes: Iterator[Sounded]) -> list[tuple[float, float, int]]:
    """Notes of a voice, tied ones joined."""
    joined: list[list[Any]] = []
    open_ties: dict[int, list[Any]] = {}
    for start, end, pitch, goes_on in sorted(notes):
        held = open_ties.pop(pitch, None)
        if held and abs(held[1] - start) < SAME:
            held[1] = end
        else:
            held = [start, end, pitch]
            joined.append(held)
        if goes_on:
            open_ties[pitch] = held
    return [tuple(note) for note in joined]


def unisons(notes: list[tuple[float, float, int, int]]) -> list[tuple[float, float, int, int]]:
    """Voices on one program share its keys: a key struck by two is held by the longer, one struck again while it is held is let go first."""
    kept: list[list[Any]] = []
    last: dict[tuple[int, int], list[Any]] = {}
    for start, end, pitch, program in sorted(notes):
        held = last.get((pitch, program))
        if held and start - held[0] < SAME:
            held[1] = max(held[1], end)
            continue
        if held:
            held[1] = min(held[1], start)
        last[pitch, program] = [start, end, pitch, program]
        kept.append(last[pitch, program])
    return [tuple(note) for note in kept]


def _clock(tempos: list[tuple[float, float]]) -> Any:
    """Seconds of a beat."""
    marks = dict(sorted(tempos))
    marks.setdefault(0.0, TEMPO)
    beats = np.array(sorted(marks))
    rates = 60 / np.array([marks[beat] for beat in beats])
    seconds = np.concatenate([[0], np.cumsum(np.diff(beats) * rates[:-1])])

    def at(beat: float) -> float:
        i = int(np.searchsorted(beats, beat, "right")) - 1
        return float(seconds[i] + (beat - beats[i]) * rates[i])

    return at
