"""Music for the ear that tells instruments: parts that fit together, each rendered by itself, so that they can be mixed at any level, entering and leaving as one likes.

A piece is a timeline of chords for SECONDS; its parts are of different families (harmony.instruments.FAMILIES), every family as often as any other, and each plays what it is used
to: chords in the drills' figures or as the etudes play them, tunes, bass lines, beats. A clip of one part is float32 mono [T] at SAMPLE_RATE of `rendering`.

Two SoundFonts agree on little but the names, so that what does not belong to a family is drawn anew: sounds are played up to TIMBRE semitones off and brought back by
resampling (which moves the body's resonances), equalised, put into rooms, saturated, coded. A clean guitar through an amplifier is a distorted one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr
from scipy.signal import butter, sosfilt

from ostinato.etudes import arrangement, composition, drills, effects
from ostinato.etudes.arrangement import Note
from ostinato.etudes.figures import FIGURES, bass_line, drum_pattern, melody
from ostinato.etudes.rendering import PROGRAMS as ETUDES
from ostinato.etudes.rendering import SAMPLE_RATE, Part, Player
from ostinato.harmony.instruments import FAMILIES, GUITARS

#: Length of a clip, s, and how many parts a piece has.
SECONDS, PARTS = 8.0, 4
#: Semitones by which a body is made larger or smaller.
TIMBRE = 3
#: General MIDI programs, 0-127, by family; a number stands twice where recordings have it more often.
PROGRAMS: dict[str, tuple[int, ...]] = {
    "piano": (0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7),
    "mallets": (8, 9, 10, 11, 11, 12, 13, 14),
    "organ": (16, 16, 17, 18, 19, 19, 20, 21, 22, 23),
    "acoustic guitar": (24, 24, 25, 25),
    "electric guitar": (26, 27, 27, 28),
    "distorted guitar": (29, 30),
    "bass": (32, 33, 33, 34, 35, 36, 37, 38, 39),
    "strings": (40, 41, 42, 43, 44, 48, 48, 49, 49, 50, 51),
    "brass": (56, 57, 58, 59, 60, 61, 62, 63),
    "reeds": (64, 65, 66, 67, 68, 69, 70, 71),
    "flute": (72, 73, 73, 74, 75, 76, 77, 78, 79),
    "synth lead": (80, 81, 82, 83, 84, 86, 87),
    "synth pad": (88, 89, 90, 91, 92, 93, 94, 95),
    "ukulele": (24,),
    "plucked strings": (46, 46, 104, 105, 106, 107),
    "voice": (52, 53, 54, 85),
    "drums": (0, 0, 8, 16, 24, 25, 32, 40),
}
#: The family whose hands the drills' figures know -> for which of ours.
HANDS = dict.fromkeys(GUITARS, "guitar") | {"ukulele": "ukulele", "mallets": "mallet", "brass": "brass", "reeds": "reed", "flute": "reed"}
#: Which of the etudes' five a family is.
ETUDE = {"piano": "piano", "acoustic guitar": "guitar", "ukulele": "ukulele", "organ": "organ", "strings": "strings"}
#: Shares of chords and of tunes; the rest are low lines.
CHORDS = {"piano": 0.75, "mallets": 0.5, "organ": 0.8, "acoustic guitar": 0.75, "electric guitar": 0.7, "distorted guitar": 0.65, "bass": 0.0, "strings": 0.65}
CHORDS |= {"brass": 0.35, "reeds": 0.25, "flute": 0.1, "synth lead": 0.3, "synth pad": 0.9, "ukulele": 1.0, "plucked strings": 0.6, "voice": 0.65}
LOW = {"piano": 0.03, "strings": 0.1, "brass": 0.1, "reeds": 0.05, "bass": 0.92, "synth lead": 0.05}
#: Figures of those who hold their notes, and of those who strike or pluck.
HELD, STRUCK = ("sustain", "sustain", "block", "offbeat", "arpeggio"), ("block", "arpeggio", "alberti", "bass_chords", "offbeat", "sustain", "broken", "pick", "strum")
HOLDING = ("organ", "strings", "brass", "reeds", "flute", "synth pad", "voice", "synth lead")
#: Centre of tunes, MIDI numbers, which are written around 73.
TUNES = {"acoustic guitar": -16, "electric guitar": -8, "distorted guitar": -8, "bass": -32, "brass": -12, "reeds": -8, "strings": -6, "voice": -8, "organ": -4, "piano": -4}
RANGES = {"bass": (24, 60), "flute": (55, 98), "mallets": (48, 96), "ukulele": (57, 86), "acoustic guitar": (38, 80), "brass": (34, 82), "voice": (40, 84)}
Notes = Callable[[str, drills.Timeline, float, np.random.Generator], list[Note]]


def piece(rng: np.random.Generator, player: Player) -> list[tuple[int, np.ndarray]]:
    """A family's number and its clip, for each of PARTS parts of one piece."""
    timeline, beat = plan(rng)
    return [(int(number), part(FAMILIES[number], timeline, beat, rng, player)) for number in rng.permutation(len(FAMILIES))[:PARTS]]


def plan(rng: np.random.Generator) -> tuple[drills.Timeline, float]:
    """The chords of a piece, a little longer than a clip, and its beat (s)."""
    beat = 60 / float(np.exp(rng.uniform(np.log(60), np.log(170))))
    return drills.timeline(rng, SECONDS * 1.1, beat), beat


def part(family: str, timeline: drills.Timeline, beat: float, rng: np.random.Generator, player: Player, plain: bool = False) -> np.ndarray:
    """One part of a piece: composed, rendered, and made as odd as sounds of its family may be; `plain`: as the SoundFont has it."""
    program = int(rng.choice(ETUDES[ETUDE[family]] if family in ETUDE and rng.random() < 0.3 else PROGRAMS[family]))
    driven = family == "distorted guitar" and rng.random() < 0.3
    notes = notes_of(family, timeline, beat, rng)
    if plain:
        return player.play([Part(program, notes, drums=family == "drums")], SECONDS)
    sound = play(notes, 27 if driven else program, family == "drums", rng, player)
    return worn(amplified(sound, rng) if driven else sound, rng)


def notes_of(family: str, timeline: drills.Timeline, beat: float, rng: np.random.Generator) -> list[Note]:
    """What a family plays over a timeline."""
    if family == "drums":
        return drum_pattern(timeline[-1][1], beat, rng, single=rng.random() < 0.15)
    draw, chords = rng.random(), CHORDS[family]
    if draw < chords:
        notes = as_etudes(ETUDE[family], timeline, beat, rng) if family in ETUDE and rng.random() < 0.35 else in_figures(family, timeline, beat, rng)
    elif draw > 1 - LOW.get(family, 0.0):
        notes = bass_line(timeline, beat, rng)
    else:
        notes = [(start, length, pitch + TUNES.get(family, 0), velocity) for start, length, pitch, velocity in melody(timeline, beat, rng)]
    low, high = RANGES.get(family, (24, 100))
    return drills.human([(start, length, _within(pitch, low, high), velocity) for start, length, pitch, velocity in notes], rng)


def in_figures(family: str, timeline: drills.Timeline, beat: float, rng: np.random.Generator) -> list[Note]:
    """Chords in one of the drills' figures."""
    strings = ("strum", "strum", "pick", "arpeggio", "block")
    names = strings if family == "ukulele" or ("guitar" in family and rng.random() < 0.8) else HELD if family in HOLDING else STRUCK
    density = float(rng.choice([1, 1, 0.5])) if beat > 0.4 else 1.0
    notes = FIGURES[str(rng.choice(names))](timeline, beat / density, rng, HANDS.get(family, "piano"))
    if family == "distorted guitar" and rng.random() < 0.5:  # few strings: more would be noise
        return _lowest(notes, 2)
    return notes


def as_etudes(instrument: str, timeline: drills.Timeline, beat: float, rng: np.random.Generator) -> list[Note]:
    """Chords in one of the etudes' patterns, whole beats at a time."""
    pattern, upper, notes = str(rng.choice(composition.PATTERNS[instrument])), None, []
    for start, end, chord in timeline:
        upper, played = arrangement.play(chord, pattern, instrument, start, max(1, round((end - start) / beat)), beat, upper, rng)
        notes += [note for note in played if note[0] < end]
    return notes


def play(notes: list[Note], program: int, drums: bool, rng: np.random.Generator, player: Player) -> np.ndarray:
    """Notes rendered, with a body larger or smaller than the SoundFont's for two clips of three, and off pitch by some cents."""
    shift = 0 if drums or rng.random() < 0.33 else int(rng.integers(-TIMBRE, TIMBRE + 1))
    ratio = 2 ** ((shift + float(rng.normal(0, 0.12))) / 12)  # played so much faster
    moved = [(start * ratio, length * ratio, min(max(pitch - shift, 0), 127), velocity) for start, length, pitch, velocity in notes]
    sound = player.play([Part(program, moved, drums=drums)], SECONDS * ratio * 1.02)
    return np.asarray(soxr.resample(sound, SAMPLE_RATE * ratio, SAMPLE_RATE)[: round(SECONDS * SAMPLE_RATE)], np.float32)


def amplified(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A guitar through an amplifier: boosted until it is clipped, through a loudspeaker that has no highs."""
    drive = float(np.exp(rng.uniform(np.log(12), np.log(80))))
    clipped = np.tanh(drive * samples + rng.uniform(0, 0.3))
    return sosfilt(butter(2, [80, rng.uniform(3500, 6000)], "bandpass", fs=SAMPLE_RATE, output="sos"), clipped).astype(np.float32)


def worn(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some of the effects, as drills have them, at an RMS of the loud moments that the ear brings to 1 anyway."""
    chain = ((0.1, _warmed), (0.5, effects.equalise), (0.5, effects.reverberate), (0.02, effects.smear), (0.04, effects.requantise), (0.12, effects.code))
    for probability, effect in chain:
        if rng.random() < probability:
            samples = effect(samples, rng)
    return np.asarray(samples, np.float32)


def _warmed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Saturated a little: more would make a distorted guitar of anything."""
    drive = float(rng.uniform(1.0, 2.5))
    return np.tanh(drive * samples)


def _within(pitch: int, low: int, high: int) -> int:
    """A pitch in the octaves an instrument has."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def _lowest(notes: list[Note], count: int) -> list[Note]:
    """At most so many notes of those that begin together."""
    together: dict[int, list[Note]] = {}
    for note in notes:
        together.setdefault(round(note[0] / 0.12), []).append(note)
    return [note for group in together.values() for note in sorted(group, key=lambda note: note[2])[:count]]
