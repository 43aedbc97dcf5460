"""Beats that somebody wrote down of MIDI files, and those that files count themselves.

Beside `x.mid` may lie `x_annotations.txt` as in ASAP (time, time, `db` or `b`, and the metre where it changes: `db,6/8,-2`), `beat_midi.txt` as in POP909 (time, and
two columns: 1 for the first beat of a simple and of a compound bar), or `x.beats` (time, and the place in the bar). Where none lies there, the file's own tempos and
metres are its beats, if it names a metre. Times in seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ostinato.corpus.timed_tables import read_timed_table
from ostinato.files import UserError
from ostinato.harmony.metres import BeatGrid, Metre
from ostinato.midi import smf
from ostinato.midi.metadata import Known, known
from ostinato.midi.notes import EXTENSIONS, Piece, read_midi

#: Fewer beats are no annotation of a piece.
FEWEST_BEATS = 16
METRE = re.compile(r"\d+/\d+")


@dataclass(frozen=True)
class Annotated:
    """A MIDI file, the file with its beats (None: its own), and what is known of the piece; `collection` is the first folder it lies in."""

    path: Path
    beats: Path | None
    about: Known
    collection: str

    def read(self) -> tuple[Piece, BeatGrid]:
        """Notes and beats. Raises UserError for a file that cannot be read, or whose beats cannot be used."""
        grid = read_beats(self.beats) if self.beats else own_beats(self.path)
        if len(grid.times) < FEWEST_BEATS:
            raise UserError(f"{self.beats or self.path}: {len(grid.times)} beats; expected {FEWEST_BEATS} or more")
        return read_midi(self.path), grid


def annotated(folder: Path) -> list[Annotated]:
    """The MIDI files below a folder, in order.

    Raises:
        UserError: there is no such folder, or no MIDI file in it.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS) if folder.is_dir() else []
    if not paths:
        raise UserError(f"{folder}: no MIDI file in it; expected a folder of files ending in {', '.join(EXTENSIONS)}, with their beats beside them")
    about = known(folder, paths, sorted(folder.rglob("*.csv")))
    return [Annotated(path, beside(path), about[path], path.relative_to(folder).parts[0]) for path in paths]


def problem(piece: Annotated) -> str:
    """Why a piece cannot be used; nothing where it can."""
    try:
        piece.read()
    except UserError as error:
        return str(error)
    return ""


def beside(path: Path) -> Path | None:
    """The file with the beats of a MIDI file."""
    names = [path.with_name(f"{path.stem}_annotations.txt"), path.with_suffix(".beats"), path.with_name("beat_midi.txt")]
    return next((name for name in names if name.is_file()), None)


def read_beats(path: Path) -> BeatGrid:
    """The beats of a file as above. Raises UserError for one that is none of these."""
    rows = read_timed_table(path).rows
    if any(re.match(r"(db|bR|b)\b", word) for row in rows for word in row.words):
        return _asap([(row.numbers[0], row.words[0]) for row in rows if row.numbers])
    table = np.array([(*row.numbers, 0.0, 0.0)[:3] for row in rows if row.numbers]).reshape(-1, 3)
    table = table[np.append(True, np.diff(table[:, 0]) > 0)] if len(table) else table
    if not len(table) or not table[:, 1:].any():
        raise UserError(f"{path}: found no beats with their places in the bar")
    if path.name == "beat_midi.txt":
        return _pop909(table)
    return BeatGrid.of(table[:, 0], table[:, 1] == 1, np.zeros(len(table), int))


def _asap(rows: list[tuple[float, str]]) -> BeatGrid:
    """Beats where a rest is noted (`bR`) count as beats."""
    times: list[float] = []
    firsts, divisions, division = [], [], 0
    for time, label in rows:
        found = METRE.search(label)
        if found:
            division = Metre.parse(found[0]).division
        if not times or time > times[-1]:
            times.append(time)
            firsts.append(label.startswith("db"))
            divisions.append(division)
    return BeatGrid.of(np.array(times), np.array(firsts, bool), np.array(divisions, int))


def _pop909(table: np.ndarray) -> BeatGrid:
    """The bar is the compound one, of four beats; where that has six, the simple one, of three."""
    compound = np.flatnonzero(table[:, 2] == 1)
    column = 1 if len(compound) > 1 and np.median(np.diff(compound)) == 6 else 2
    return BeatGrid.of(table[:, 0], table[:, column] == 1, np.full(len(table), 2))


def own_beats(path: Path) -> BeatGrid:
    """The beats that a MIDI file counts itself. Raises UserError where it is broken, or names no metre."""
    try:
        song = smf.parse(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not song.metres:
        raise UserError(f"{path}: no file with beats beside it, and it names no metre")
    ends = [tick for tick, _, _ in song.metres[1:]] + [max(track.end for track in song.tracks)]
    ticks, firsts, divisions = [], [], []
    for (start, beats, value), end in zip(song.metres, ends):
        metre = Metre.parse(f"{beats}/{value}") if value in (1, 2, 4, 8, 16, 32) else Metre(beats)
        step = song.division * 4 / value * (3 if metre.division == 3 else 1)
        here = np.arange(start, end, step)
        ticks += here.tolist()
        firsts += (np.arange(len(here)) % metre.beats == 0).tolist()
        divisions += [metre.division] * len(here)
    return BeatGrid.of(_seconds(np.array(ticks), song), np.array(firsts, bool), np.array(divisions, int))


def _seconds(ticks: np.ndarray, song: smf.Song) -> np.ndarray:
    """Seconds of ticks, by the song's tempos."""
    tempos = song.tempos if song.tempos and song.tempos[0][0] == 0 else [(0, smf.USUAL_TEMPO), *song.tempos]
    places, rates = np.array([tick for tick, _ in tempos]), np.array([rate for _, rate in tempos]) / 1e6 / song.division
    passed = np.concatenate([[0.0], np.cumsum(np.diff(places) * rates[:-1])])
    number = np.searchsorted(places, ticks, "right") - 1
    return passed[number] + (ticks - places[number]) * rates[number]
