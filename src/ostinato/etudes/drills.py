"""Music for training ears: short clips of every chord, in every inversion, figure and instrument, and clips with no chord at all.

Etudes are songs, and follow the book; drills follow it half of the time, so that a recogniser learns chords and not progressions. A clip is a list
of parts (instruments with their notes) and the truth: (start, end, chord), times in seconds, "N" where no chord sounds. Drawn independently: mode of
progression, qualities, inversions, chord lengths, tempo, metre, figure, register, voicing, humanisation, faint thirds, bass, melody, singer, drums, silences.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ostinato.etudes.arrangement import Note
from ostinato.etudes.figures import FIGURES, bass_line, drum_pattern, melody
from ostinato.etudes.rendering import Part
from ostinato.harmony.chords import COMMON, QUALITIES, Chord

Timeline = list[tuple[float, float, Chord]]
#: How often each quality is drawn. The rare ones are more frequent than in songs: they must be learnt too.
QUALITY_WEIGHTS = {
    "maj": 25,
    "min": 20,
    "7": 11,
    "maj7": 9,
    "min7": 9,
    "sus4": 6,
    "sus2": 5,
    "dim": 3,
    "aug": 4,
    "hdim7": 3.5,
    "dim7": 3,
    "maj6": 5,
    "min6": 4,
    "minmaj7": 2.5,
    "9": 1,
    "maj9": 1,
    "min9": 1,
    "5": 1,
}
#: What takes the place of a diatonic triad now and then.
COLOURS = {"maj": ("sus4", "sus4", "sus2", "maj6", "aug", "5"), "min": ("sus4", "sus2", "min6", "minmaj7", "5"), "dim": ("dim7",)}
#: Notes that may be in the bass. Over any other the chord would be another one in root position (C:min7/b3 is Eb:maj6, C:aug/3 is E:aug, C:sus2/5 is G:sus4), and
#: one sound must have one name.
BASSES_OF = {"aug": (), "dim7": (), "5": (), "maj6": (), "min6": (), "sus2": (), "sus4": (7,), "min7": (7, 10), "min9": (7, 10), "hdim7": (6, 10)}
DIATONIC = {
    "maj": ((0, "maj", "maj7"), (2, "min", "min7"), (4, "min", "min7"), (5, "maj", "maj7"), (7, "maj", "7"), (9, "min", "min7"), (11, "dim", "hdim7")),
    "min": ((0, "min", "min7"), (2, "dim", "hdim7"), (3, "maj", "maj7"), (5, "min", "min7"), (7, "maj", "7"), (7, "min", "min7"), (8, "maj", "maj7"), (10, "maj", "7")),
}
#: General MIDI programs, 0-127, by family; numbers repeat where a program is more frequent in recordings.
CHORDAL = {
    "piano": (0, 0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 7),
    "guitar": (24, 24, 25, 25, 25, 26, 27, 28, 29, 30, 31),
    "ukulele": (24, 24, 105, 46, 45, 15),
    "strings": (48, 48, 49, 50, 51, 40, 41, 42, 44),
    "organ": (16, 17, 18, 19, 20, 21, 22, 23),
    "voice": (52, 53, 54, 91),
    "mallet": (8, 9, 10, 11, 11, 12, 13, 14),
    "brass": (56, 57, 60, 61, 62, 63),
    "reed": (64, 65, 66, 68, 70, 71, 73, 74),
    "synth": (80, 81, 88, 89, 90, 94, 95),
}
FAMILY_WEIGHTS = {"piano": 30, "guitar": 26, "ukulele": 10, "strings": 9, "organ": 7, "voice": 5, "mallet": 4, "brass": 3, "reed": 2, "synth": 4}
BASSES = (32, 33, 33, 34, 35, 36, 37, 38, 39, 43)
LEADS = (0, 4, 11, 24, 26, 40, 42, 52, 56, 59, 64, 65, 66, 68, 71, 73, 73, 75, 80, 81, 82, 105)
SHORTEST = 0.45


#: Shares of clips with a singer, and of those of a guitar that is driven hard.
SUNG, DRIVEN = 0.16, 0.07
#: Qualities of driven guitars: a third would growl.
DRIVEN_WEIGHTS = {"5": 60, "maj": 18, "min": 14, "sus4": 3, "sus2": 2, "7": 3}


@dataclass(frozen=True)
class Drill:
    """A clip before it is rendered. `family` names what plays the chords; "drums" or "none" where nothing does. `sung` is a melody for a voice that no SoundFont
    has; `driven` says that the first part goes through an amplifier that is driven hard."""

    parts: list[Part]
    truth: Timeline
    family: str
    sung: list[Note] = field(default_factory=list)
    driven: bool = False


def compose(rng: np.random.Generator, seconds: float) -> Drill:
    """Draw one clip with chords."""
    beat = 60 / float(np.exp(rng.uniform(np.log(55), np.log(185))))
    driven = rng.random() < DRIVEN
    truth = timeline(rng, seconds, beat, driven)
    family = "guitar" if driven else _weighted(rng, FAMILY_WEIGHTS)
    figure = FIGURES[str(rng.choice(["strum", "block", "sustain"])) if driven else _figure(rng, family)]
    density = float(rng.choice([1, 1, 1, 0.5, 2])) if beat > 0.4 else float(rng.choice([1, 0.5]))
    programs = [int(rng.choice(CHORDAL[family]))]
    chords = figure(truth, beat / density, rng, family)
    parts = [Part(programs[0], human(faint_thirds(chords, truth, rng), rng), level=float(rng.uniform(0.6, 1.0)))]
    if rng.random() < 0.25 and not driven:  # a second instrument holds or doubles the chords
        pad = _weighted(rng, FAMILY_WEIGHTS)
        held = FIGURES["sustain"] if rng.random() < 0.6 else figure
        parts.append(Part(int(rng.choice(CHORDAL[pad])), human(held(truth, beat, rng, pad), rng), level=float(rng.uniform(0.3, 0.9))))
    if rng.random() < (0.2 if family == "ukulele" else 0.45):
        parts.append(Part(int(rng.choice(BASSES)), human(bass_line(truth, beat, rng), rng), level=float(rng.uniform(0.5, 1.2))))
    sung = melody(truth, beat, rng) if rng.random() < SUNG else []
    if not sung and rng.random() < 0.4:
        parts.append(Part(int(rng.choice(LEADS)), human(melody(truth, beat, rng), rng), level=float(rng.uniform(0.3, 1.4))))
    if rng.random() < 0.4:
        parts.append(Part(int(rng.choice([0, 0, 0, 8, 16, 24, 25, 32, 40])), drum_pattern(seconds, beat, rng), level=float(rng.uniform(0.3, 1.4)), drums=True))
    return Drill(parts, truth, family, sung, driven)


def faint_thirds(notes: list[Note], truth: Timeline, rng: np.random.Generator) -> list[Note]:
    """In one clip of six, thirds are played softer than all else, down to nothing that could be heard: then the chord's name is a guess, and shall sound like one."""
    if rng.random() > 1 / 6:
        return notes
    softer, starts = int(rng.uniform(15, 60)), [start for start, _, _ in truth]
    chords = [truth[max(0, bisect_right(starts, start + 1e-6) - 1)][2] for start, _, _, _ in notes]
    thirds = [{(chord.pitch_class + step) % 12 for step in (3, 4)} & set(chord.pitch_classes) if chord.is_chord and chord.bass not in (3, 4) else set() for chord in chords]
    return [(start, length, pitch, velocity - softer * (pitch % 12 in weak)) for (start, length, pitch, velocity), weak in zip(notes, thirds)]


def only_drums(rng: np.random.Generator, seconds: float) -> Drill:
    """A clip in which nothing has a pitch worth naming: a beat, or one drum struck again and again."""
    beat = 60 / float(rng.uniform(60, 180))
    notes = drum_pattern(seconds, beat, rng, single=rng.random() < 0.6)
    return Drill([Part(int(rng.choice([0, 8, 16, 25, 32, 40])), notes, drums=True)], [(0.0, seconds, Chord("N", ""))], "drums")


def timeline(rng: np.random.Generator, seconds: float, beat: float, driven: bool = False) -> Timeline:
    """A progression that fills 0..seconds, with a silence now and then; `driven`: for a guitar that is."""
    bar = int(rng.choice([4, 4, 4, 3]))
    lengths = {1: 0.1, 2: 0.3, bar: 0.45, 2 * bar: 0.15}
    usual = int(rng.choice(list(lengths), p=np.array(list(lengths.values())) / sum(lengths.values())))
    chords = _powerful(rng) if driven else _progression(rng)
    spans: Timeline = []
    time = 0.0 if rng.random() < 0.8 else float(rng.uniform(0.3, 2.0))
    if time:
        spans.append((0.0, time, Chord("N", "")))
    while time < seconds:
        beats = usual if rng.random() < 0.75 else int(rng.choice(list(lengths)))
        length = max(beats, np.ceil(SHORTEST / beat)) * beat
        end = min(time + length, seconds)
        rest = rng.random() < 0.015
        chord = Chord("N", "") if rest else next(chords)
        if seconds - end < SHORTEST:
            end = seconds
        spans.append((time, end, chord))
        time = end
    return spans


def _progression(rng: np.random.Generator) -> Iterator[Chord]:
    """Chords without end: diatonic in a key with sevenths and borrowings, or any chord after any other."""
    tonic, mode, free = int(rng.integers(12)), "maj" if rng.random() < 0.6 else "min", rng.random() < 0.5
    sevenths, colours, inversions = (float(rng.choice(shares)) for shares in ((0.05, 0.3, 0.9), (0.0, 0.08, 0.3), (0.0, 0.15, 0.3, 0.6)))
    previous = None
    while True:
        if free or rng.random() < 0.12:
            chord = Chord(COMMON[int(rng.integers(12))], _weighted(rng, QUALITY_WEIGHTS))
        else:
            step, triad, seventh = DIATONIC[mode][int(rng.integers(len(DIATONIC[mode])))]
            quality = str(rng.choice(COLOURS[triad])) if rng.random() < colours else seventh if rng.random() < sevenths else triad
            chord = Chord(COMMON[(tonic + step) % 12], quality)
        if rng.random() < inversions:
            chord = Chord(chord.root, chord.quality, int(rng.choice(BASSES_OF.get(chord.quality, QUALITIES[chord.quality][1:]) or (0,))))
        if previous is None or not chord.same_sound(previous):
            previous = chord
            yield chord


def _powerful(rng: np.random.Generator) -> Iterator[Chord]:
    """Chords without end for a driven guitar: mostly fifths."""
    previous = None
    while True:
        chord = Chord(COMMON[int(rng.integers(12))], _weighted(rng, DRIVEN_WEIGHTS))
        if previous is None or not chord.same_sound(previous):
            previous = chord
            yield chord


def _figure(rng: np.random.Generator, family: str) -> str:
    """A way of playing that the family is used to, or, now and then, any."""
    usual = {
        "guitar": ("strum", "strum", "pick", "block", "arpeggio", "sustain"),
        "ukulele": ("strum", "strum", "pick", "arpeggio"),
        "strings": ("sustain", "sustain", "block"),
        "organ": ("sustain", "block", "offbeat"),
        "voice": ("sustain", "sustain", "block"),
        "piano": ("block", "block", "arpeggio", "alberti", "bass_chords", "offbeat", "sustain", "broken"),
    }
    return str(rng.choice(usual[family] if family in usual and rng.random() < 0.8 else list(FIGURES)))


def human(notes: list[Note], rng: np.random.Generator) -> list[Note]:
    """Late and early by some ms, loud and soft by some steps: drawn once for how much, then note by note.

    Some pitches are weaker than others in the whole clip, as a string is that a finger damps, and now and then one is hardly there: thirds must be heard
    when they are faint, and expected where they cannot be heard.
    """
    spread, touch, level = float(rng.choice([0.0, 0.005, 0.015])), float(rng.uniform(2, 14)), int(rng.integers(60, 110))
    balance = rng.normal(0, float(rng.choice([0, 10, 22, 40])), 128)
    return [
        (max(0.0, start + rng.normal(0, spread)), length, pitch, int(np.clip(velocity - 80 + level + balance[pitch] + rng.normal(0, touch), 8, 127)))
        for start, length, pitch, velocity in notes
    ]


def _weighted(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    values = np.array(list(weights.values()), dtype=float)
    return str(rng.choice(list(weights), p=values / values.sum()))
