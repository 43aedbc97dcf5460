"""The embedded MIDI corpus: scores that the music21 wheel brings, converted once.

music21 reads them (Cuthbert & Ariza, 2010); what is taken of a score are its sounding notes, ties joined, repeats played where they are well-formed, and its
tempo; where it has none, 120 quarters a minute. All is equally loud. Voices are played by the programs of their collection: scores name instruments seldom, and
then often wrongly. Scores that cannot be read, or have other than the voices expected, are listed in set_aside.tsv.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ostinato.files import UserError
from ostinato.harmony.metres import BeatGrid
from ostinato.midi.metadata import Known
from ostinato.midi.notes import Piece, write_midi

COLUMNS = ("path", "composer", "genre", "composition", "title")


@dataclass(frozen=True)
class Collection:
    """Scores of one kind: where they lie in the wheel (in an .abc of several tunes, each is a score), whose they are, General MIDI's programs for their voices
    (the last for all further), and how many voices they must have."""

    name: str
    pattern: str
    composer: str | None
    genre: str
    programs: tuple[int, ...]
    voices: range


MANY, STRINGS = range(1, 100), (40, 40, 41, 42)
COLLECTIONS = (
    Collection("bach", "bach/bwv*.*", "Bach", "chorale", (19,), range(4, 7)),
    Collection("palestrina", "palestrina/*.krn", "Palestrina", "mass", (52,), range(3, 9)),
    Collection("monteverdi", "monteverdi/madrigal.*[0-9].mxl", "Monteverdi", "madrigal", (52,), range(3, 9)),
    Collection("mozart", "mozart/*/movement?.mxl", "Mozart", "string quartet", STRINGS, range(4, 5)),
    Collection("fiddle", "ryansMammoth/*.abc", None, "fiddle tune", (40,), MANY),
    Collection("irish", "oneills1850/*.abc", None, "irish tune", (78,), MANY),
    Collection("chinese", "essenFolksong/han*.abc", None, "chinese song", (73,), MANY),
)


@dataclass(frozen=True)
class Source:
    """One score: its collection and name, its path in the wheel's corpus, and its text where the file has several."""

    collection: Collection
    name: str
    path: str
    text: str | None
    size: int


def corpus() -> Path:
    """Where the wheel keeps its scores. Raises UserError where they are not."""
    spec = find_spec("music21")  # found, not imported: that takes seconds
    folder = Path(spec.submodule_search_locations[0]) / "corpus" if spec and spec.submodule_search_locations else None
    if folder is None or not folder.is_dir():
        raise UserError("music21: its corpus is not installed; pip install music21, or name a folder of MIDI files: midi.pieces.folder")
    return folder


def sources(home: Path, collection: Collection) -> Iterator[Source]:
    """Every score of a collection, in order; one that is there in two formats or transcriptions, once."""
    seen = set()
    for file in sorted(home.glob(collection.pattern)):
        path = file.relative_to(home)
        text = file.read_text(encoding="utf-8", errors="replace") if file.suffix == ".abc" else ""
        tunes = [tune for tune in re.split(r"(?m)^(?=X:)", text) if tune.startswith("X:")]
        stem = "-".join(path.with_suffix("").parts[1:])
        # numbers of tunes go on from one file of O'Neill's to the next; those of the Chinese songs begin anew
        prefix = "oneill" if collection.name == "irish" else stem
        for tune in tunes if len(tunes) > 1 else [None]:
            number = "".join(re.findall(r"^X:\s*(\d*)", tune or ""))
            name = re.sub(r"[^\w.-]+", "_", f"{prefix}-{number:0>4}" if tune else stem)
            if name not in seen:
                seen.add(name)
                yield Source(collection, name, path.as_posix(), tune, len(tune) if tune else file.stat().st_size)


def convert(source: Source, home: Path, folder: Path) -> tuple[str, ...]:
    """Write a score as MIDI; its row of the table, or path, reason and detail when it is left out."""
    from ostinato.midi.engraving import played

    collection, name = source.collection, f"{source.collection.name}/{source.name}"
    try:
        score = played(source.text or home / source.path, collection.programs)
    except Exception as error:  # whatever music21 stumbles over in a score; one must not end the run
        return source.path, "unreadable", f"{name}: {type(error).__name__}: {error}"
    if score.voices not in collection.voices or not score.notes:
        return source.path, "other_voices", f"{name}: {score.voices} voices with {len(score.notes)} notes; expected {collection.voices[0]} to {collection.voices[-1]} voices"
    write_midi(folder / f"{name}.mid", Piece.of(score.notes))
    return f"{name}.mid", collection.composer or "", collection.genre, name, _title(score.title) or source.name


@dataclass(frozen=True, eq=False)
class Engraved:
    """A score with its beats, for training an ear (see midi.performances)."""

    path: Path
    about: Known
    collection: str
    piece: Piece
    grid: BeatGrid

    def read(self) -> tuple[Piece, BeatGrid]:
        """Notes and beats."""
        return self.piece, self.grid


def engraved(source: Source, home: Path) -> Engraved | None:
    """A score with its beats; None for one that cannot be read, or that names no metre."""
    from ostinato.midi.engraving import played

    try:
        score = played(source.text or home / source.path, source.collection.programs)
    except Exception:  # whatever music21 stumbles over in a score; `scores-to-midi` lists them
        return None
    if not score.notes or not len(score.beats.downbeats):
        return None
    about = Known(f"{source.collection.name}/{source.name}", source.collection.composer, source.collection.genre)
    return Engraved(Path(source.path) / source.name, about, source.collection.name, Piece.of(score.notes), score.beats)


def _title(title: str | None) -> str:
    # music21 calls a score without a title by its file
    words = " ".join((title or "").split())
    return "" if re.search(r"\.(mxl|xml|krn|abc)$", words) else words
