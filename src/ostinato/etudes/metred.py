"""Music for training an ear for beats: short clips in every metre and tempo, steady and free, with their beats; and excerpts of etudes.

A bar is a grid of parts of beats, each with a metrical strength (Lerdahl & Jackendoff, 1983: the bar, groups of beats, beats, their parts); every layer (chords, bass,
melody, drums) draws a rhythm on that grid, likelier where the metre is strong, and keeps it for some bars. So nothing is learnt of one style, but that what returns
each bar, begins low and loud, and changes the chord, tells where bars begin. Times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ostinato.etudes import composition
from ostinato.etudes.arrangement import Note, arrange
from ostinato.etudes.drills import BASSES, CHORDAL, DIATONIC, FAMILY_WEIGHTS, LEADS
from ostinato.etudes.figures import Voicing
from ostinato.etudes.rendering import PROGRAMS, Part
from ostinato.harmony.chords import COMMON, MAJOR_SCALE, Chord
from ostinato.harmony.metres import BeatGrid, Metre

#: How often each metre is drawn; groups of its beats that begin with some weight.
METRES = {Metre(4): 0.3, Metre(3): 0.2, Metre(2): 0.1, Metre(2, 3): 0.12, Metre(5): 0.08, Metre(7): 0.06, Metre(6): 0.04, Metre(3, 3): 0.04, Metre(4, 3): 0.06}
GROUPS = {2: ((2,),), 3: ((3,),), 4: ((2, 2),), 5: ((3, 2), (2, 3)), 6: ((3, 3), (2, 2, 2)), 7: ((2, 2, 3), (3, 2, 2), (2, 3, 2))}
#: Tempi, beats a minute: most are where people tap (Moelants, 2002), some anywhere.
SLOWEST, FASTEST, USUAL, SPREAD, ANYWHERE = 40.0, 240.0, 105.0, 0.35, 0.3
#: Share of clips that are excerpts of etudes.
ETUDES = 0.25
#: Strength of a bar's first beat, of the first of a group, of a beat, of half of one (a third in compound metres), of a quarter.
BAR, GROUP, BEAT, PART, FINER = 1.0, 0.7, 0.5, 0.22, 0.07
KICK, SNARES, HATS = 36, (37, 38, 39, 40), (42, 44, 46, 51, 54, 69, 70)
KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)


#: (number of the bar, share of it that is past, time, time of the next stroke or the bar's end, strength).
Stroke = tuple[int, float, float, float, float]


@dataclass(frozen=True)
class Section:
    """Bars of one metre with one set of rhythms: number of bars, metre, strengths of its parts [beats * parts]."""

    bars: int
    metre: Metre
    strengths: np.ndarray


def compose(rng: np.random.Generator, seconds: float) -> tuple[list[Part], BeatGrid]:
    """A clip of at least so many seconds: what plays, and its beats."""
    if rng.random() < ETUDES:
        return etude(rng, seconds)
    sections = _sections(rng)
    grid = _beats(sections, rng)
    sections, grid = _cropped(sections, grid, seconds)
    parts = layers(sections, grid, rng)
    lead = float(rng.uniform(0, min(2.0, np.diff(grid.times).max() * 4))) if rng.random() < 0.7 else -float(rng.uniform(0, 0.3))
    moved = [Part(part.program, _later_than(lead, part.notes), part.level, part.drums) for part in parts]
    shifted = grid.at(lambda times: times - lead)
    return moved, shifted.between(0.0, seconds)


def _later_than(lead: float, notes: list[Note]) -> list[Note]:
    return [(start - lead, length, pitch, velocity) for start, length, pitch, velocity in notes if start >= lead]


def etude(rng: np.random.Generator, seconds: float) -> tuple[list[Part], BeatGrid]:
    """An excerpt of a song as the embedded corpus has them, in any of their metres."""
    metres = list(composition.GROUPINGS)
    instrument, metre = str(rng.choice(composition.INSTRUMENTS)), metres[int(rng.integers(len(metres)))]
    song = composition.compose(rng, instrument, 1.5 * seconds, 2.5 * seconds, metre)
    notes = arrange(song, rng)
    count = sum(len(section.bars) for section in song.sections) * metre.beats
    grid = BeatGrid.of(np.arange(count) * 60 / song.tempo, np.arange(count) % metre.beats == 0, np.full(count, metre.division))
    start = float(rng.uniform(0, max(0.0, float(grid.times[-1]) - seconds)))
    return [Part(int(rng.choice(PROGRAMS[instrument])), _later_than(start, notes))], grid.between(start, start + seconds)


def _sections(rng: np.random.Generator) -> list[Section]:
    """Enough for any clip; the metre changes now and then."""
    metres, shares = list(METRES), np.array(list(METRES.values()))
    metre = metres[int(rng.choice(len(metres), p=shares / shares.sum()))]
    changes, found = rng.random() < 0.15, []
    for _ in range(40):
        found.append(Section(int(rng.choice([2, 4, 4, 8])), metre, strengths(metre, rng)))
        if changes and rng.random() < 0.5:
            metre = metres[int(rng.choice(len(metres), p=shares / shares.sum()))]
    return found


def strengths(metre: Metre, rng: np.random.Generator) -> np.ndarray:
    """How strong each part of a bar is, 0-1: [beats * 4], or [beats * 6] in compound metres."""
    parts = 2 * metre.division
    values = np.full(metre.beats * parts, FINER)
    values[:: parts // metre.division] = PART
    values[::parts] = BEAT
    options = GROUPS[metre.beats]
    group = options[int(rng.integers(len(options)))]
    values[parts * np.concatenate([[0], np.cumsum(group)[:-1]])] = GROUP
    values[0] = BAR
    return values


def _beats(sections: list[Section], rng: np.random.Generator) -> BeatGrid:
    """Beats of all sections at a tempo that is steady, drifts, or is free."""
    firsts = np.concatenate([np.arange(section.bars * section.metre.beats) % section.metre.beats == 0 for section in sections])
    divisions = np.concatenate([np.full(section.bars * section.metre.beats, section.metre.division) for section in sections])
    tempo = np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST))) if rng.random() < ANYWHERE else np.clip(USUAL * np.exp(rng.normal(0, SPREAD)), SLOWEST, FASTEST)
    period = 60 / float(tempo)
    if np.median(divisions) == 3:
        period = max(period, 0.33)  # thirds of a beat are played too
    kind = rng.random()
    wander = 0.0 if kind < 0.45 else float(rng.uniform(0.005, 0.03)) if kind < 0.7 else float(rng.uniform(0.03, 0.12))
    steps = rng.normal(0, wander, len(firsts)) + np.repeat(rng.normal(0, wander, len(firsts) // 8 + 1), 8)[: len(firsts)] / 2
    curve = np.zeros(len(steps))
    for number in range(1, len(steps)):  # drawn back to the tempo it began with
        curve[number] = 0.85 * curve[number - 1] + steps[number]
    if wander > 0.03 and rng.random() < 0.6:  # phrases slow down at their ends
        every = int(rng.choice([8, 12, 16]))
        curve += float(rng.uniform(0, 0.35)) * (np.arange(len(curve)) % every / every) ** 4
    times = np.concatenate([[0.0], np.cumsum(period * np.exp(np.clip(curve, -0.5, 0.7)))[:-1]])
    return BeatGrid.of(times, firsts, divisions)


def _cropped(sections: list[Section], grid: BeatGrid, seconds: float) -> tuple[list[Section], BeatGrid]:
    """Whole sections up to some bars beyond a time, s."""
    count, beats = 0, 0
    while count < len(sections) and (beats == 0 or grid.times[beats - 1] < seconds + 10):
        beats += sections[count].bars * sections[count].metre.beats
        count += 1
    beats = min(beats, len(grid.times))
    return sections[:count], BeatGrid(grid.times[:beats], grid.positions[:beats], grid.bars[:beats], grid.divisions[:beats])


def layers(sections: list[Section], grid: BeatGrid, rng: np.random.Generator) -> list[Part]:
    """What plays: chords, bass, melody and drums, some of them."""
    family = str(rng.choice(list(FAMILY_WEIGHTS), p=np.array(list(FAMILY_WEIGHTS.values())) / sum(FAMILY_WEIGHTS.values())))
    has = {"chords": rng.random() < 0.85, "bass": rng.random() < 0.5, "melody": rng.random() < 0.5, "drums": rng.random() < 0.45}
    if not has["chords"] and not has["melody"]:
        has["chords"] = True
    chords = _chords(sections, rng)
    parts = []
    if has["chords"]:
        parts.append(Part(int(rng.choice(CHORDAL[family])), _chord_notes(sections, grid, chords, family, rng)))
    if has["bass"]:
        parts.append(Part(int(rng.choice(BASSES)), _bass_notes(sections, grid, chords, rng), float(rng.uniform(0.6, 1.2))))
    if has["melody"]:
        parts.append(Part(int(rng.choice(LEADS)), _melody_notes(sections, grid, chords, rng), float(rng.uniform(0.5, 1.1))))
    if has["drums"]:
        parts.append(Part(int(rng.choice(KITS)), drum_notes(sections, grid, rng), float(rng.uniform(0.4, 1.1)), drums=True))
    return parts


def _chords(sections: list[Section], rng: np.random.Generator) -> list[list[tuple[float, Chord]]]:
    """The chords of each bar with the share of the bar at which they begin."""
    tonic, mode = int(rng.integers(12)), "maj" if rng.random() < 0.6 else "min"
    every = int(rng.choice([1, 1, 1, 1, 2]))
    halves, found, number = rng.random() < 0.25, [], 0
    for section in sections:
        loop = [_chord(tonic, mode, rng) for _ in range(int(rng.choice([2, 4, 4])) * 2)]
        for bar in range(section.bars):
            now = [(0.0, loop[number // every % len(loop)])]
            if halves and bar % 2 and section.metre.beats > 1:
                now.append((-(-section.metre.beats // 2) / section.metre.beats, loop[(number + 1) % len(loop)]))
            found.append(now)
            number += 1
    return found


def _chord(tonic: int, mode: str, rng: np.random.Generator) -> Chord:
    step, triad, seventh = DIATONIC[mode][int(rng.integers(len(DIATONIC[mode])))]
    return Chord(COMMON[(tonic + step) % 12], seventh if rng.random() < 0.2 else triad)


def _hits(sections: list[Section], grid: BeatGrid, density: float, sharpness: float, rng: np.random.Generator, always_first: bool = False) -> list[Stroke]:
    """Strokes of a layer; the rhythm is drawn anew for each section, of one bar or two."""
    found, beat, bar = [], 0, 0
    for section in sections:
        size = len(section.strengths)
        chance = np.clip(density * section.strengths**sharpness, 0, 0.97)
        rhythms = [np.flatnonzero(rng.random(size) < chance) for _ in range(int(rng.choice([1, 1, 2])))]
        for number in range(section.bars):
            places = rhythms[number % len(rhythms)]
            if always_first or not len(places):
                places = np.union1d([0], places)
            if beat + section.metre.beats < len(grid.times):
                steps = np.arange(section.metre.beats + 1) * size / section.metre.beats
                times = np.interp(np.append(places, size), steps, grid.times[beat : beat + section.metre.beats + 1])
                found += [(bar, float(place / size), float(at), float(after), float(section.strengths[place])) for place, at, after in zip(places, times, times[1:])]
            beat += section.metre.beats
            bar += 1
    return found


def _loud(strength: float, accent: float, rng: np.random.Generator) -> int:
    return int(np.clip(78 + accent * (strength - 0.5) + rng.normal(0, 6), 20, 127))


def _spread(rng: np.random.Generator) -> float:
    """How far from the beat strokes are, s."""
    return float(rng.choice([0.0, 0.006, 0.015]))


def _at(chords: list[tuple[float, Chord]], share: float) -> Chord:
    return [chord for start, chord in chords if start <= share + 1e-6][-1]


def _chord_notes(sections: list[Section], grid: BeatGrid, chords: list[list[tuple[float, Chord]]], family: str, rng: np.random.Generator) -> list[Note]:
    """Chords struck whole, broken, or the bass first and the others after it."""
    voicing, style, legato = Voicing(rng, family), str(rng.choice(["block", "block", "broken", "after"])), float(rng.uniform(0.3, 1.1))
    density = float(rng.uniform(1.5, 5)) if style == "broken" else float(rng.uniform(0.7, 2.2))
    accent, spread, notes, count = float(rng.uniform(0, 45)), _spread(rng), [], 0
    for bar, share, at, after, strength in _hits(sections, grid, density, float(rng.uniform(0.5, 1.5)), rng):
        pitches, count = voicing(_at(chords[bar], share)), 0 if share == 0 else count + 1
        played = pitches if style == "block" else [pitches[count % len(pitches)]] if style == "broken" else pitches[:1] if share == 0 else pitches[1:] or pitches
        late = float(rng.normal(0, spread))
        notes += [(max(0.0, at + late), max(0.05, (after - at) * legato), pitch, _loud(strength, accent, rng)) for pitch in played]
    return notes


def _bass_notes(sections: list[Section], grid: BeatGrid, chords: list[list[tuple[float, Chord]]], rng: np.random.Generator) -> list[Note]:
    low, accent, spread = int(rng.integers(28, 36)), float(rng.uniform(0, 40)), _spread(rng)
    fifth, notes = rng.random() < 0.4, []
    for bar, share, at, after, strength in _hits(sections, grid, float(rng.uniform(0.5, 2.0)), float(rng.uniform(0.8, 2)), rng, rng.random() < 0.8):
        root = low + (_at(chords[bar], share).bass_pitch_class - low) % 12
        pitch = root + 7 if fifth and share > 0.3 and rng.random() < 0.6 else root
        notes.append((max(0.0, at + float(rng.normal(0, spread))), max(0.05, 0.95 * (after - at)), pitch, _loud(strength, accent, rng)))
    return notes


def _melody_notes(sections: list[Section], grid: BeatGrid, chords: list[list[tuple[float, Chord]]], rng: np.random.Generator) -> list[Note]:
    """A tune that steps along a scale, and sits on chord tones where the metre is strong."""
    pitch, tonic, accent, spread, notes = int(rng.integers(62, 80)), int(rng.integers(12)), float(rng.uniform(0, 35)), _spread(rng), []
    centre = pitch
    for bar, share, at, after, strength in _hits(sections, grid, float(rng.uniform(0.8, 3.5)), float(rng.uniform(0.4, 1.2)), rng):
        if rng.random() < 0.1:
            continue
        near = [p for p in range(pitch - 5, pitch + 6) if abs(p - centre) < 12]
        tones = [p for p in near if p % 12 in _at(chords[bar], share).pitch_classes]
        scale = [p for p in near if (p - tonic) % 12 in MAJOR_SCALE]
        pitch = int(rng.choice((tones if strength >= BEAT and rng.random() < 0.7 else scale) or [centre]))
        notes.append((max(0.0, at + float(rng.normal(0, spread))), max(0.05, 0.95 * (after - at)), pitch, _loud(strength, accent, rng)))
    return notes


def drum_notes(sections: list[Section], grid: BeatGrid, rng: np.random.Generator) -> list[Note]:
    """Kick where the metre is strong, snare on what follows, hats on parts of beats; fills and silence now and then."""
    spread, notes = float(rng.choice([0.0, 0.004])), []
    kick = _hits(sections, grid, float(rng.uniform(0.6, 1.6)), float(rng.uniform(1.5, 3)), rng, rng.random() < 0.9)
    notes += [(at, 0.2, KICK, _loud(strength, 25, rng)) for _, _, at, _, strength in kick]
    notes += [(at, 0.2, int(rng.choice(SNARES[:2])), _loud(0.8, 20, rng)) for at in _backbeats(grid, rng)]
    hat, density = int(rng.choice(HATS)), float(rng.uniform(1, 14))
    notes += [(at, 0.1, hat, _loud(strength, 30, rng) - 10) for _, _, at, _, strength in _hits(sections, grid, density, 1.0, rng)]
    if rng.random() < 0.4:  # a crash or the like where bars begin
        notes += [(at, 0.5, 49, 100) for at in grid.downbeats[:: int(rng.choice([4, 8]))]]
    return [(max(0.0, at + float(rng.normal(0, spread))), length, pitch, int(np.clip(velocity, 20, 127))) for at, length, pitch, velocity in notes]


def _backbeats(grid: BeatGrid, rng: np.random.Generator) -> list[float]:
    """Times of the beats that the snare takes: every second of a bar in most metres, or one in the middle."""
    half, kept = rng.random() < 0.3, []
    for time, position, bar in zip(grid.times, grid.positions, grid.bars):
        wanted = position == bar // 2 + 1 if half and bar > 3 else position % 2 == 0 if bar != 3 else position > 1
        if wanted:
            kept.append(float(time))
    return kept
