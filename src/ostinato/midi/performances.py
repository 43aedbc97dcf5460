"""Excerpts of MIDI files whose beats are known, for training an ear: at other tempi and pitches, on other instruments, with drums now and then.

Collections take turns, and in each of them compositions, however many performances there are of one. Some compositions are held out, by a hash of their names, for
measuring. Times in seconds.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np

from ostinato.etudes.drills import CHORDAL, LEADS
from ostinato.etudes.metred import KITS, Section, drum_notes, strengths
from ostinato.etudes.rendering import Part
from ostinato.files import UserError
from ostinato.folders import Aside
from ostinato.harmony.metres import BeatGrid, Metre
from ostinato.midi.annotations import annotated, problem
from ostinato.midi.metadata import Known
from ostinato.midi.notes import DRUMS, Piece
from ostinato.midi.rendering import pedalled
from ostinato.midi.scores import COLLECTIONS, corpus, engraved, sources
from ostinato.sampling import evenly

#: Scores of each collection of the wheel that are played where no folder is named.
SCORES = 40
#: Tempi are changed by up to this (natural logarithm; more would blur which of two levels is the beat), pitches by so many semitones.
TEMPO, SEMITONES = 0.12, 5
#: Beats whose logarithm varies less are steady: drums may be played to them.
STEADY = 0.06
#: Steady pieces that are played freely: how often, by how much their tempo wanders (natural logarithm), and in which time, s.
FREELY, WANDER, WANDER_SECONDS = 0.4, (0.03, 0.2), 2.5
STRUCK = ("piano", "guitar", "ukulele", "mallet", "organ", "strings", "synth", "voice", "brass", "reed")
STRUCK_SHARES = np.array([0.3, 0.22, 0.08, 0.1, 0.08, 0.08, 0.05, 0.03, 0.03, 0.03])


class Beaten(Protocol):
    """A piece whose beats are known, as annotations.Annotated and scores.Engraved are."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def about(self) -> Known:
        """What is known of it."""

    @property
    def collection(self) -> str:
        """The first folder it lies in."""

    def __hash__(self) -> int:
        """Pieces are read once."""

    def read(self) -> tuple[Piece, BeatGrid]:
        """Notes and beats."""


def is_held_out(piece: Beaten, share: float) -> bool:
    """Whether a piece is held out for measuring, by its composition."""
    return int(hashlib.sha256(piece.about.composition.encode()).hexdigest()[:8], 16) < share * 2**32


def playable(folder: str | None, held_out: float) -> tuple[list[Beaten], list[Aside]]:
    """The pieces of a folder that may be trained on, and what of it cannot be used; None: scores of the music21 wheel.

    Raises:
        UserError: nothing is left to train on.
    """
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        if folder is None:
            home = corpus()
            chosen = [source for collection in COLLECTIONS for source in evenly(list(sources(home, collection)), SCORES)]
            return [score for score in pool.map(partial(engraved, home=home), chosen) if score], []
        found = [piece for piece in annotated(Path(folder)) if not is_held_out(piece, held_out)]
        problems = list(pool.map(problem, found, chunksize=16))
    aside = [(str(piece.path), "no_beats", why) for piece, why in zip(found, problems) if why]
    if len(aside) == len(found):
        why = f"none of {len(found)} MIDI files can be used; the first: {aside[0][2]}" if aside else f"held_out: {held_out:g} leaves nothing to train on"
        raise UserError(f"ears.beats.drills.folder: {folder}: {why}")
    return [piece for piece, why in zip(found, problems) if not why], aside


@dataclass(frozen=True)
class Performances:
    """Pieces by collection and composition."""

    pieces: list[list[list[Beaten]]]

    @staticmethod
    def of(pieces: Iterable[Beaten]) -> Performances:
        """Of pieces in any order."""
        found: dict[str, dict[str, list[Beaten]]] = defaultdict(lambda: defaultdict(list))
        for piece in sorted(pieces, key=lambda piece: piece.path):
            found[piece.collection][piece.about.composition].append(piece)
        return Performances([[found[name][which] for which in sorted(found[name])] for name in sorted(found)])

    def draw(self, rng: np.random.Generator, seconds: float) -> tuple[list[Part], BeatGrid]:
        """What plays for so many seconds, and its beats."""
        collection = self.pieces[int(rng.integers(len(self.pieces)))]
        versions = collection[int(rng.integers(len(collection)))]
        piece, grid = _read(versions[int(rng.integers(len(versions)))])
        return vary(piece, grid, rng, seconds)


@lru_cache(64)
def _read(piece: Beaten) -> tuple[Piece, BeatGrid]:
    notes, grid = piece.read()
    return pedalled(notes), grid


def vary(piece: Piece, grid: BeatGrid, rng: np.random.Generator, seconds: float) -> tuple[list[Part], BeatGrid]:
    """An excerpt that begins anywhere, played by drawn instruments."""
    tempo = float(np.exp(rng.uniform(-TEMPO, TEMPO)))
    needed = seconds * tempo
    last = max(0.0, min(piece.seconds, float(grid.times[-1])) - needed)
    start = float(rng.uniform(0, last)) if rng.random() > 0.1 else max(0.0, float(grid.times[0]) - 1)
    notes = piece.between(start - 1, start + needed).notes.copy()
    for name in ("start", "end"):
        notes[name] = (notes[name] - start) / tempo
    notes = notes[notes["start"] >= 0]
    excerpt = grid.between(start, start + needed).at(lambda times: times / tempo)
    if is_steady(excerpt) and rng.random() < FREELY:
        freely = rubato(rng, seconds)
        notes["start"], notes["end"], excerpt = freely(notes["start"]), freely(notes["end"]), excerpt.at(freely)
    return [*_voices(notes, int(rng.integers(-SEMITONES, SEMITONES + 1)), rng), *_drums(excerpt, rng)], excerpt


def is_steady(grid: BeatGrid) -> bool:
    """Whether beats keep one tempo."""
    return len(grid.times) >= 8 and float(np.std(np.diff(np.log(np.diff(grid.times))))) <= STEADY


def rubato(rng: np.random.Generator, seconds: float) -> Callable[[np.ndarray], np.ndarray]:
    """A tempo that wanders: gives times, s, for times of a steady tempo."""
    knots = np.arange(0, 2 * seconds + 2 * WANDER_SECONDS, WANDER_SECONDS)
    fine = np.arange(0, knots[-1], 0.1)
    curve = np.interp(fine, knots, rng.normal(0, float(rng.uniform(*WANDER)), len(knots)))
    moved = np.concatenate([[0.0], np.cumsum(np.exp(curve) * 0.1)[:-1]])
    return lambda times: np.interp(times, fine, moved)


def _voices(notes: np.ndarray, semitones: int, rng: np.random.Generator) -> list[Part]:
    """The notes of each program on an instrument drawn for it; where there is but one, its highest notes on another now and then."""
    groups = [notes[notes["program"] == program] for program in np.unique(notes["program"])]
    if len(groups) == 1 and len(notes) and rng.random() < 0.35:
        top = _skyline(notes)
        groups = [notes[~top], notes[top]]
    parts = []
    for number, group in enumerate(groups):
        if not len(group):
            continue
        drums = group["program"][0] == DRUMS
        family = str(rng.choice(STRUCK, p=STRUCK_SHARES / STRUCK_SHARES.sum()))
        own = rng.random() < 0.4
        drawn = int(group["program"][0]) if own else int(rng.choice(LEADS if number and number == len(groups) - 1 else CHORDAL[family]))
        pitches = group["pitch"] + (0 if drums else semitones)
        played = [(float(n["start"]), float(n["end"] - n["start"]), int(np.clip(p, 0, 127)), int(n["velocity"])) for n, p in zip(group, pitches)]
        parts.append(Part(0 if drums else drawn, played, float(rng.uniform(0.6, 1.1)), bool(drums)))
    return parts


def _skyline(notes: np.ndarray) -> np.ndarray:
    """Which notes (sorted by start) are the highest of those that sound when they begin: [N]."""
    top, held, until = np.zeros(len(notes), bool), -1, -1.0
    for number, note in enumerate(notes):
        if note["start"] >= until - 0.03 or note["pitch"] >= held:
            top[number], held, until = True, int(note["pitch"]), float(note["end"])
    return top


def _drums(grid: BeatGrid, rng: np.random.Generator) -> list[Part]:
    """Drums that keep to the beats, where these are steady and their bars known."""
    if not is_steady(grid) or rng.random() < 0.5:
        return []
    first = int(np.argmax(grid.positions == 1))
    beats = int(np.median(grid.bars))
    if not np.array_equal(grid.positions[first:], np.arange(len(grid.times) - first) % beats + 1) or not 2 <= beats <= 7:
        return []
    metre = Metre(beats, max(2, int(grid.divisions[first])))
    bars = (len(grid.times) - first) // beats
    whole = BeatGrid(grid.times[first:], grid.positions[first:], grid.bars[first:], grid.divisions[first:])
    sections = [Section(count, metre, strengths(metre, rng)) for count in [8] * (bars // 8) + [bars % 8] if count]
    return [Part(int(rng.choice(KITS)), drum_notes(sections, whole, rng), float(rng.uniform(0.3, 1.1)), drums=True)]
