"""From chords to notes: voicings and playing patterns.

A note is (start, duration, MIDI pitch, velocity), times in seconds. Upper voices move to the nearest notes of the next chord; the bass
plays the chord's bass. A ukulele has no bass: it plays four high strings, which is what makes it sound like one.

Patterns follow the metre: the bass is on the first beat of a group, strums and chords on the others, and quick notes divide the beat as the metre does. They
begin anew with each chord.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from ostinato.etudes.composition import Song
from ostinato.harmony.chords import Chord
from ostinato.harmony.metres import COMMON_TIME, Metre

Note = tuple[float, float, int, int]
#: Lowest pitch of the bass and centre of the upper voices, MIDI numbers, by instrument.
REGISTERS = {"piano": (36, 62), "guitar": (40, 60), "ukulele": (None, 69), "organ": (36, 60), "strings": (36, 62)}
STRUM_SECONDS = 0.012
#: Strumming: (part of a beat, downward stroke), a part being an eighth: of a bar of 4/4, and of a group of so many parts in other metres.
STRUM = ((0, True), (2, True), (3, False), (5, False), (6, True), (7, False))
GROUP_STRUMS = {3: ((0, True), (2, False)), 4: ((0, True), (2, True), (3, False)), 6: ((0, True), (2, True), (3, False), (4, True), (5, False))}


def voice(chord: Chord, previous: list[int] | None, centre: int, voices: int = 3) -> list[int]:
    """Upper voices of `chord`: every pitch class once, as near as possible to `previous` (or to `centre`), rising. MIDI numbers."""
    classes = list(chord.pitch_classes)[:4]
    if voices > len(classes):
        classes = classes + classes[: voices - len(classes)]
    target = float(np.mean(previous)) if previous else float(centre)
    target = 0.7 * target + 0.3 * centre  # drift back, or a falling progression would leave the register
    pitches: list[int] = []
    for pitch_class in classes:
        nearest = int(round((target - pitch_class) / 12)) * 12 + pitch_class
        while nearest in pitches:
            nearest += 12
        pitches.append(nearest)
    return sorted(pitches)


def bass_pitch(chord: Chord, lowest: int) -> int:
    """The chord's bass in the octave above `lowest`, MIDI number."""
    return lowest + (chord.bass_pitch_class - lowest) % 12


def arrange(song: Song, rng: np.random.Generator) -> list[Note]:
    """All notes of a song. The last chord is held for its bar and the ring after it."""
    beat = 60 / song.tempo
    sections = [(section.pattern, bar) for section in song.sections for bar in section.bars]
    notes: list[Note] = []
    previous: list[int] | None = None
    for index, (pattern, bar) in enumerate(sections):
        for k, chord in enumerate(bar):
            place, after = song.places(len(bar))[k : k + 2]
            start = (index * song.metre.beats + place) * beat
            final = index == len(sections) - 1
            played = play(chord, "sustain" if final else pattern, song.instrument, start, after - place, beat, previous, rng, song.metre, song.groups)
            previous = played[0]
            notes += played[1]
    return notes


def play(
    chord: Chord,
    pattern: str,
    instrument: str,
    start: float,
    beats: float,
    beat: float,
    previous: list[int] | None,
    rng: np.random.Generator,
    metre: Metre = COMMON_TIME,
    groups: tuple[int, ...] = (2, 2),
) -> tuple[list[int], list[Note]]:
    """One chord for `beats` beats of `beat` seconds from `start` (s). Returns the upper voices and the notes; N is a rest.

    Args:
        groups: beats of the bar's groups.
    """
    if not chord.is_chord:
        return previous or [], []
    lowest, centre = REGISTERS[instrument]
    upper = voice(chord, previous, centre, voices=4 if instrument in ("ukulele", "guitar") else 3)
    bass = bass_pitch(chord, lowest) if lowest is not None else None
    length = beats * beat
    if pattern == "sustain":
        notes = _sustain(upper, bass, start, length)
    elif pattern == "arpeggio":
        notes = _arpeggio(upper, bass, start, length, beat, metre.division)
    elif pattern == "strum":
        notes = _strum(upper, bass, start, length, beat / metre.division, strokes_of(metre, groups))
    elif pattern == "block":
        notes = _block(upper, bass, start, length, beat, hits_of(metre, groups))
    else:
        notes = _bass_chords(upper, bass, start, length, *((beat / 3, (3,) * metre.beats) if metre.division == 3 else (beat, groups)))
    return upper, [(s, d, p, int(np.clip(v + rng.integers(-6, 7), 20, 120))) for s, d, p, v in notes]


def strokes_of(metre: Metre, groups: tuple[int, ...]) -> tuple[tuple[int, bool], ...]:
    """The strums of a bar, as STRUM."""
    if metre == COMMON_TIME:
        return STRUM
    parts = [metre.division * beats for beats in groups]
    return tuple((first + part, down) for first, group in zip(accumulate(parts, initial=0), parts) for part, down in GROUP_STRUMS[group])


def hits_of(metre: Metre, groups: tuple[int, ...]) -> list[int]:
    """The beats of a bar on which even chords are struck: the first of a group, and the last of a bar that is one group."""
    return [0, groups[0] - 1] if len(groups) == 1 else list(accumulate(groups[:-1], initial=0))


def _sustain(upper: list[int], bass: int | None, start: float, length: float) -> list[Note]:
    notes = [(start, length, pitch, 78) for pitch in upper]
    return notes + ([(start, length, bass, 88)] if bass is not None else [])


def _block(upper: list[int], bass: int | None, start: float, length: float, beat: float, struck: list[int]) -> list[Note]:
    hits = [hit * beat for hit in struck if hit * beat < length - 1e-6]
    notes = [(start + hit, min(after, length) - hit, pitch, 76) for hit, after in zip(hits, [*hits[1:], length]) for pitch in upper]
    return notes + ([(start, length, bass, 88)] if bass is not None else [])


def _arpeggio(upper: list[int], bass: int | None, start: float, length: float, beat: float, division: int) -> list[Note]:
    order = upper + upper[-2:0:-1]
    steps = int(round(length / (beat / division)))
    notes = [(start + i * beat / division, min(2.0 * beat, length - i * beat / division), order[i % len(order)], 80) for i in range(steps)]
    return notes + ([(start, length, bass, 86)] if bass is not None else [])


def _strum(upper: list[int], bass: int | None, start: float, length: float, part: float, bar: tuple[tuple[int, bool], ...]) -> list[Note]:
    strings = ([bass] if bass is not None else []) + upper
    notes = []
    strokes = [(eighth, down) for eighth, down in bar if eighth * part < length - 1e-6]
    for i, (eighth, down) in enumerate(strokes):
        at = eighth * part
        until = strokes[i + 1][0] * part if i + 1 < len(strokes) else length
        for k, pitch in enumerate(strings if down else strings[::-1]):
            offset = k * STRUM_SECONDS
            notes.append((start + at + offset, max(until - at - offset, 0.05), pitch, 84 if down else 70))
    return notes


def _bass_chords(upper: list[int], bass: int | None, start: float, length: float, step: float, groups: tuple[int, ...]) -> list[Note]:
    """The bass on the first step of a group, the chord on the others: a waltz in three."""
    steps, firsts = int(round(length / step)), list(accumulate(groups[:-1], initial=0))
    notes = [(start + k * step, step * 0.9, pitch, 74) for k in range(steps) if k not in firsts for pitch in upper]
    if bass is not None:
        notes += [(start + k * step, group * step, bass, 92) for k, group in zip(firsts, groups) if k < steps]
    return notes + [(start, step, pitch, 60) for pitch in upper]
