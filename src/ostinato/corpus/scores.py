"""The embedded MIDI corpus: scores that the music21 wheel brings, converted once.

music21 reads them (Cuthbert & Ariza, 2010); what is taken of a score are its sounding notes, ties joined, repeats played where they are well-formed. Scores say
what is played, not how: all have 120 quarters a minute and one loudness. Voices are played by the programs of their collection.
A score that music21 cannot read is listed and left out.
"""

from __future__ import annotations

import argparse
import csv
import io
import logging
import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ostinato.files import UserError, atomic, write_sidecar, write_text
from ostinato.midi import BEAT_SECONDS, Piece, write_midi
from ostinato.params import part
from ostinato.params_midi import Pieces

log = logging.getLogger(__name__)
VELOCITY = 80
#: Part of a note's length that sounds, so that repeated notes are heard apart.
SOUNDING = 0.95
COLUMNS = ("path", "composer", "genre", "composition", "title")


@dataclass(frozen=True)
class Collection:
    """Scores of one kind: where they lie in the wheel (in an .abc of several tunes, each is a score), whose they are, and General MIDI's program for them."""

    name: str
    pattern: str
    composer: str | None
    genre: str
    program: int


COLLECTIONS = (
    Collection("bach", "bach/bwv*.mxl", "Bach", "chorale", 19),
    Collection("palestrina", "palestrina/*.krn", "Palestrina", "mass", 52),
    Collection("monteverdi", "monteverdi/*.mxl", "Monteverdi", "madrigal", 52),
    Collection("fiddle", "ryansMammoth/*.abc", None, "fiddle tune", 40),
    Collection("irish", "oneills1850/*.abc", None, "irish tune", 72),
    Collection("chinese", "essenFolksong/han*.abc", None, "chinese song", 73),
)


@dataclass(frozen=True)
class Source:
    """One score: its collection, its name, its file, and the number of the tune in it, where there are several."""

    collection: Collection
    name: str
    file: Path
    tune: int | None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("--params", required=True, help="section `midi.pieces`, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder for the MIDI files and metadata.csv")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="scores converted at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Convert, and list what was converted."""
    params = part(Pieces, "midi.pieces", args.params)
    chosen = [source for collection in COLLECTIONS for source in evenly(list(sources(collection)), params.per_collection)]
    with atomic(args.out) as folder, ProcessPoolExecutor(args.jobs) as pool:
        folder.mkdir()
        titles = list(pool.map(convert, chosen, [folder] * len(chosen), chunksize=4))
        rows = [_row(source, title) for source, title in zip(chosen, titles) if title is not None]
        if not rows:
            raise UserError("music21: none of its scores could be read")
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
        write_text(folder / "metadata.csv", table.getvalue())
    write_sidecar(args.out, "scores-to-midi", [], {"per_collection": params.per_collection})
    print(f"{len(rows)} scores in {args.out}; {len(chosen) - len(rows)} could not be read")


def sources(collection: Collection) -> Iterator[Source]:
    """Every score of a collection, in order."""
    for file in sorted(corpus().glob(collection.pattern)):
        tunes = re.findall(r"^X:\s*(\d+)", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE) if file.suffix == ".abc" else []
        if len(tunes) > 1:
            yield from (Source(collection, f"{file.stem}-{int(tune):04d}", file, int(tune)) for tune in tunes)
        else:
            yield Source(collection, file.stem, file, None)


def corpus() -> Path:
    """Where the wheel keeps its scores. Raises UserError where they are not."""
    spec = find_spec("music21")
    folder = Path(spec.submodule_search_locations[0]) / "corpus" if spec and spec.submodule_search_locations else None
    if folder is None or not folder.is_dir():
        raise UserError("music21: its corpus is not installed; pip install music21, or name a folder of MIDI files: midi.pieces.folder")
    return folder


def evenly(rows: list[Source], count: int) -> list[Source]:
    """At most `count`, spread over all."""
    return rows if len(rows) <= count else [rows[i * len(rows) // count] for i in range(count)]


def convert(source: Source, folder: Path) -> str | None:
    """Write a score as MIDI; its title, or None when it cannot be read."""
    from music21.exceptions21 import Music21Exception

    try:
        score = _parse(source)
        notes = sounding(score, source.collection.program)
    except (Music21Exception, ValueError, KeyError, IndexError, TypeError, AttributeError, ZeroDivisionError) as error:  # what music21 raises on bad scores
        log.warning("%s: left out (%s)", source.name, " ".join(str(error).split())[:120])
        return None
    if not notes:
        return None
    write_midi(folder / source.collection.name / f"{source.name}.mid", Piece.of(notes))
    return (score.metadata.title if score.metadata else None) or source.name


def _parse(source: Source) -> Any:
    from music21 import converter

    if source.tune is None:
        return converter.parse(source.file, forceSource=True)
    text = source.file.read_text(encoding="utf-8", errors="replace")
    tune = re.search(rf"^X:\s*{source.tune}\s*$.*?(?=^X:|\Z)", text, re.MULTILINE | re.DOTALL)
    return converter.parse(tune[0], format="abc")  # type: ignore[index]


def sounding(score: Any, program: int) -> list[tuple[float, float, int, int, int]]:
    """A music21 score's notes as rows of midi.NOTE."""
    from music21 import bar, repeat
    from music21.exceptions21 import Music21Exception

    rows = set()
    for voice in score.parts or [score]:
        if any(voice.recurse().getElementsByClass((bar.Repeat, repeat.RepeatExpression))):
            try:
                voice = voice.expandRepeats()
            except Music21Exception as error:  # repeats that do not fit: as it is written
                log.info("repeats are not played (%s)", error)
        for note in voice.stripTies(inPlace=False).flatten().notes:
            start, length = float(note.offset), float(note.quarterLength)
            if length > 0 and hasattr(note, "pitches"):  # grace notes take no time, percussion has no pitch
                rows |= {(start * BEAT_SECONDS, (start + SOUNDING * length) * BEAT_SECONDS, pitch.midi, VELOCITY, program) for pitch in note.pitches}
    return sorted(rows)


def _row(source: Source, title: str) -> tuple[str, str, str, str, str]:
    name = f"{source.collection.name}/{source.name}"
    return f"{name}.mid", source.collection.composer or "", source.collection.genre, name, " ".join(title.split())
