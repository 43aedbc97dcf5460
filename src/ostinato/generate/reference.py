"""References for the judge: the demo prompts played truly, by players who read them, and passed through the codec.

They say what obedience sounds like to this judge through this codec. They are no bound: a model may play more plainly than they do, and score higher.
The first player is the etudes' own, with its patterns and its SoundFont, whose music the small model learnt from. The other shares none of that: even chords in
quarters above their bass, on instruments that nobody built (etudes.synthesis). Where a prompt names several instruments, all play the same chords, but for basses and drums,
which play what they are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ostinato.etudes import mixes, rendering
from ostinato.etudes.arrangement import REGISTERS, Note, arrange, bass_pitch, voice
from ostinato.etudes.composition import PATTERNS, Section, Song
from ostinato.etudes.rendering import Part
from ostinato.etudes.synthesis import Instrument
from ostinato.harmony.chords import Chord
from ostinato.harmony.instruments import GUITARS, MOST_NAMES, asked, obeyed_by
from ostinato.harmony.keys import Key
from ostinato.harmony.metres import COMMON_TIME
from ostinato.harmony.prompts.prompt import Prompt

#: A prompt asks for no metre: its bars are played in four.
BEATS_PER_BAR = COMMON_TIME.beats


@dataclass(frozen=True)
class Member:
    """One who plays: a family of instruments, which of the etudes' five has the hands for it, and General MIDI programs."""

    family: str
    hands: str
    programs: tuple[int, ...]


PIANO = Member("piano", "piano", rendering.PROGRAMS["piano"])
#: Who of the etudes' five plays like a family that is none of them.
HANDS = dict.fromkeys(GUITARS, "guitar") | dict.fromkeys(("mallets", "bass", "drums"), "piano") | {"plucked strings": "ukulele"}
HANDS |= dict.fromkeys(("brass", "reeds", "flute", "synth lead", "synth pad", "voice"), "strings")
#: Drums on each eighth of a bar: kick, snare, hat; where the bass lies.
BEAT, LOWEST_BASS = ((36, 42), (42,), (38, 42), (42,)) * 2, 28
#: Notes of the second player last this share of their beat, s of velocities 1-127.
HELD, LOUD = 0.9, 88


def perform(prompt: Prompt, seconds: float, font: Path, rng: np.random.Generator) -> np.ndarray:
    """Play a prompt's bars evenly over `seconds`: float32 [T] at the etudes' rate. Several instruments play together; one that is not known is a piano."""
    bars = _bars(prompt, seconds)
    tempo = BEATS_PER_BAR * 60 * len(bars) / seconds
    tonic = next((chord.pitch_class for chord in prompt.chords if chord.is_chord), 0)
    parts = []
    for player in players(prompt):
        song = Song(Key(tonic), tempo, player.hands, (Section("demo", bars, str(rng.choice(PATTERNS[player.hands]))),))
        notes = _notes(player, song, rng)
        parts.append(Part(int(rng.choice(player.programs)), notes, drums=player.family == "drums"))
    return rendering.Player(font).play(parts, seconds)


def _notes(player: Member, song: Song, rng: np.random.Generator) -> list[Note]:
    """What one of the instruments plays of a song: its pattern, its bass alone, or a beat."""
    beat = 60 / song.tempo
    bars = [bar for section in song.sections for bar in section.bars]
    if player.family == "drums":
        return [(eighth * beat / 2, 0.2, pitch, 88) for eighth in range(2 * BEATS_PER_BAR * len(bars)) for pitch in BEAT[eighth % len(BEAT)]]
    if player.family != "bass":
        return arrange(song, rng)
    beats = [(number, bar[place * len(bar) // BEATS_PER_BAR]) for number, (bar, place) in enumerate((bar, place) for bar in bars for place in range(BEATS_PER_BAR))]
    return [(number * beat, HELD * beat, bass_pitch(chord, LOWEST_BASS), LOUD) for number, chord in beats if chord.is_chord]


def perform_plainly(prompt: Prompt, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """The same by the second player, which has no drums: sounds that nobody built are added up, each as loud as the others."""
    bars = _bars(prompt, seconds)
    members = [member for member in players(prompt) if member.family != "drums"] or [PIANO]
    sound = np.sum([Instrument(rng, member.hands).play(_plain_notes(member, bars, seconds), seconds) for member in members], axis=0)
    return np.asarray(sound * np.float32(rendering.PEAK / max(float(np.abs(sound).max()), 1e-9)), np.float32)


def _plain_notes(member: Member, bars: Sequence[Sequence[Chord]], seconds: float) -> list[Note]:
    """Chords in quarters above their bass; of a bass the bass alone."""
    lowest, centre = REGISTERS[member.hands]
    beat = seconds / len(bars) / BEATS_PER_BAR
    notes: list[Note] = []
    upper: list[int] | None = None
    for number, bar in enumerate(bars):
        for place in range(BEATS_PER_BAR):
            chord = bar[place * len(bar) // BEATS_PER_BAR]
            if chord.is_chord:
                upper = voice(chord, upper, centre)
                pitches = [*upper, *([] if lowest is None else [bass_pitch(chord, lowest)])]
                pitches = [bass_pitch(chord, LOWEST_BASS)] if member.family == "bass" else pitches
                notes += [((number * BEATS_PER_BAR + place) * beat, HELD * beat, pitch, LOUD) for pitch in pitches]
    return notes


def players(prompt: Prompt) -> list[Member]:
    """Who plays a prompt: of each name in it the first family that obeys; a piano where none is known."""
    found = {family: Member(family, HANDS.get(family, family), _programs(family)) for family in (obeyed_by(name)[0] for name in asked(prompt.instrument))}
    return list(found.values())[:MOST_NAMES] or [PIANO]


def _programs(family: str) -> tuple[int, ...]:
    """General MIDI programs of a family: the etudes' where they have it."""
    return rendering.PROGRAMS.get("guitar" if family == "acoustic guitar" else family) or mixes.PROGRAMS[family]


def _bars(prompt: Prompt, seconds: float) -> tuple[tuple[Chord, ...], ...]:
    """A prompt's bars; one chord for the whole clip would be one endless bar: it is played in bars of about 2.5 s."""
    return prompt.bars * (max(1, round(seconds / 2.5 / len(prompt.bars))) if len(prompt.bars) == 1 else 1)
