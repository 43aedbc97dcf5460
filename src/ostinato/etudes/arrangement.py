"""From chords to notes: voicings and playing patterns.

A note is (start, duration, MIDI pitch, velocity), times in seconds. Upper voices move to the nearest notes of the next chord; the bass
plays the chord's bass. A ukulele has no bass: it plays four high strings, which is what makes it sound like one.
"""

from __future__ import annotations

import numpy as np

from ostinato.etudes.composition import BEATS_PER_BAR, Song
from ostinato.harmony.chords import Chord

Note = tuple[float, float, int, int]
#: Lowest pitch of the bass and centre of the upper voices, MIDI numbers, by instrument.
REGISTERS = {"piano": (36, 62), "guitar": (40, 60), "ukulele": (None, 69), "organ": (36, 60), "strings": (36, 62)}
STRUM_SECONDS = 0.012
#: Eighth-note strumming: (eighth, downward stroke).
STRUM = ((0, True), (2, True), (3, False), (5, False), (6, True), (7, False))


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
            beats = BEATS_PER_BAR / len(bar)
            start = (index * BEATS_PER_BAR + k * beats) * beat
            final = index == len(sections) - 1
            played = play(chord, "sustain" if final else pattern, song.instrument, start, beats, beat, previous, rng)
            previous = played[0]
            notes += played[1]
    return notes


def play(
    chord: Chord, pattern: str, instrument: str, start: float, beats: float, beat: float, previous: list[int] | None, rng: np.random.Generator
) -> tuple[list[int], list[Note]]:
    """One chord for `beats` beats of `beat` seconds from `start` (s). Returns the upper voices and the notes; N is a rest."""
    if not chord.is_chord:
        return previous or [], []
    lowest, centre = REGISTERS[instrument]
    upper = voice(chord, previous, centre, voices=4 if instrument in ("ukulele", "guitar") else 3)
    bass = bass_pitch(chord, lowest) if lowest is not None else None
    length = beats * beat
    figure = {"block": _block, "sustain": _sustain, "arpeggio": _arpeggio, "strum": _strum, "bass_chords": _bass_chords}[pattern]
    notes = figure(upper, bass, start, length, beat)
    return upper, [(s, d, p, int(np.clip(v + rng.integers(-6, 7), 20, 120))) for s, d, p, v in notes]


def _sustain(upper: list[int], bass: int | None, start: float, length: float, beat: float) -> list[Note]:
    notes = [(start, length, pitch, 78) for pitch in upper]
    return notes + ([(start, length, bass, 88)] if bass is not None else [])


def _block(upper: list[int], bass: int | None, start: float, length: float, beat: float) -> list[Note]:
    hits = np.arange(0, length - 1e-6, 2 * beat)
    notes = [(start + hit, min(2 * beat, length - hit), pitch, 76) for hit in hits for pitch in upper]
    return notes + ([(start, length, bass, 88)] if bass is not None else [])


def _arpeggio(upper: list[int], bass: int | None, start: float, length: float, beat: float) -> list[Note]:
    order = upper + upper[-2:0:-1]
    steps = int(round(length / (beat / 2)))
    notes = [(start + i * beat / 2, min(2.0 * beat, length - i * beat / 2), order[i % len(order)], 80) for i in range(steps)]
    return notes + ([(start, length, bass, 86)] if bass is not None else [])


def _strum(upper: list[int], bass: int | None, start: float, length: float, beat: float) -> list[Note]:
    strings = ([bass] if bass is not None else []) + upper
    notes = []
    strokes = [(eighth, down) for eighth, down in STRUM if eighth * beat / 2 < length - 1e-6]
    for i, (eighth, down) in enumerate(strokes):
        at = eighth * beat / 2
        until = strokes[i + 1][0] * beat / 2 if i + 1 < len(strokes) else length
        for k, pitch in enumerate(strings if down else strings[::-1]):
            offset = k * STRUM_SECONDS
            notes.append((start + at + offset, max(until - at - offset, 0.05), pitch, 84 if down else 70))
    return notes


def _bass_chords(upper: list[int], bass: int | None, start: float, length: float, beat: float) -> list[Note]:
    beats = int(round(length / beat))
    notes = [(start + b * beat, beat * 0.9, pitch, 74) for b in range(1, beats, 2) for pitch in upper]
    if bass is not None:
        notes += [(start + b * beat, 2 * beat, bass, 92) for b in range(0, beats, 2)]
    return notes + [(start, beat, pitch, 60) for pitch in upper]
