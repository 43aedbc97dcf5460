"""Who wrote a MIDI file and which composition it is: from a table where there is one, from the file's place otherwise.

Tables, anywhere below the folder, name files relative to themselves: `maestro-v*.csv` of MAESTRO, whose official split is kept; `metadata.csv` of ASAP;
`metadata.csv` with the columns path, composer, genre, composition, of which all but path may be empty. POP909 is known by its folders. Without any, the
first folder is the composer, and files that differ only in a version's suffix (`_v2`, `(1)`, `take 3`, `no_repeat`) are one composition.

Composers whose names differ in capitals, in blanks, or in how Unicode composes their letters are one, and called as most files have it.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from ostinato.files import UserError

log = logging.getLogger(__name__)

SPLITS = {"train": "train", "validation": "valid", "test": "test"}
#: Of fewer training compositions nothing can be said about a composer's style.
ENOUGH = 5
OURS = ["path", "composer", "genre", "composition", "title"]
#: What names of files and titles say of a version. ASAP has scores with and without their repeats.
VERSION = re.compile(r"(?i)[ _.-]*\(\d+\)$|[ _.-]+(v|ver|version|take|perf|performance|copy)[ _.-]*\d+$|[ _-](no_)?(\w+_)?repeats?$|_no_trio$")


@dataclass(frozen=True)
class Known:
    """What is known of a file before it is read. `split` is an official one; files with the same `source` are of one recording."""

    composition: str
    composer: str | None = None
    genre: str | None = None
    split: str | None = None
    source: str | None = None

    @property
    def key(self) -> tuple[str, str] | None:
        """What is equal where one composition is filed under two spellings of its composer; None where it is not filed under its composer."""
        whose, _, which = self.composition.partition("/")
        return (name_key(whose), unicodedata.normalize("NFC", which)) if self.composer and which and name_key(whose) == name_key(self.composer) else None


def known(folder: Path, paths: Sequence[Path], tables: Sequence[Path]) -> dict[Path, Known]:
    """What is known of each file below `folder`, by `tables` there. Raises UserError for a table of MAESTRO or ASAP that cannot be understood."""
    told: dict[Path, Known] = {}
    for path in tables:
        reader = MAESTRO if path.match("maestro-v*.csv") else _metadata(path) if path.name == "metadata.csv" else None
        if reader:
            told |= {path.parent / name: what for name, what in _read(path, *reader)}
    return _spelled_alike({path: told.get(path) or _pop909(path, folder) or by_place(path.relative_to(folder)) for path in paths})


def _spelled_alike(facts: dict[Path, Known]) -> dict[Path, Known]:
    counts = Counter(fact.composer for fact in facts.values() if fact.composer)
    spelling: dict[str, str] = {}
    for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        spelling.setdefault(name_key(name), name)
    return {path: replace(fact, composer=fact.composer and spelling[name_key(fact.composer)]) for path, fact in facts.items()}


def name_key(name: str) -> str:
    """What is equal where two names are one composer's: `Chopin` and `chopin`, the letter é and an e with its accent after it; not `Dvorak` and `Dvořák`."""
    lower = unicodedata.normalize("NFC", name).lower()
    return " ".join(unicodedata.normalize("NFC", lower).split())


def composers_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Composers of the table of pieces with ENOUGH training compositions, those with most first."""
    pairs = {(row["composer"], row["composition"]) for row in rows if row["split"] == "train" and row["composer"]}
    counts = Counter(composer for composer, _ in pairs)
    return sorted((name for name in counts if counts[name] >= ENOUGH), key=lambda name: (-counts[name], name))


def same_composer(asked: str | None, name: str | None) -> bool:
    """Whether a piece by `name` is by whom was asked for; None: anyone."""
    return asked is None or (name is not None and name_key(asked) == name_key(name))


def printable(name: str) -> str:
    """A file's name in letters: bytes that are no UTF-8 become `\\xe9`."""
    return os.fsencode(name).decode(errors="backslashreplace")


def by_place(path: Path) -> Known:
    """What a path relative to the folder of all files says."""
    place = PurePosixPath(printable(path.as_posix())).with_suffix("")
    composition = str(place.with_name(without_version(place.name)))
    return Known(composition, place.parts[0] if len(place.parts) > 1 else None)


def without_version(name: str) -> str:
    """A name without its version's suffix, unless nothing would be left."""
    return VERSION.sub("", name) or name


def _pop909(path: Path, folder: Path) -> Known | None:
    # 001/001.mid, and arrangements of the same song in 001/versions/
    home = path.parent.parent if path.parent.name == "versions" else path.parent
    if not re.fullmatch(r"\d{3}", home.name) or not (home / f"{home.name}.mid").is_file():
        return None
    return Known(f"pop909/{home.name}", None, "pop")


Row = dict[str, str]
Reader = tuple[list[str], Callable[[Row], Iterator[tuple[str, Known]]]]


def _maestro(row: Row) -> Iterator[tuple[str, Known]]:
    composer, title, split = row["canonical_composer"], row["canonical_title"], row["split"]
    if split not in SPLITS:
        raise UserError(f"split '{split}'; expected one of {', '.join(SPLITS)}")
    yield row["midi_filename"], Known(f"{composer}/{title}", composer, "classical", SPLITS[split], row["midi_filename"])


def _asap(row: Row) -> Iterator[tuple[str, Known]]:
    composition = f"{row['composer']}/{without_version(row['title'])}"
    source = row.get("maestro_midi_performance", "").removeprefix("{maestro}/") or None
    yield row["midi_score"], Known(composition, row["composer"], "classical")
    yield row["midi_performance"], Known(composition, row["composer"], "classical", None, source)


def _ours(row: Row) -> Iterator[tuple[str, Known]]:
    yield row["path"], Known(row.get("composition") or by_place(Path(row["path"])).composition, row.get("composer") or None, row.get("genre") or None)


MAESTRO: Reader = (["canonical_composer", "canonical_title", "split", "midi_filename"], _maestro)
ASAP: Reader = (["composer", "title", "midi_score", "midi_performance"], _asap)


def _metadata(path: Path) -> Reader | None:
    columns = next(csv.reader(_opened(path)), [])
    if "path" in columns:
        return ["path"], _ours
    if "midi_performance" in columns:
        return ASAP
    log.warning("%s: columns are %s; expected %s, or those of ASAP; not used", path, ", ".join(columns), ", ".join(OURS))
    return None


def _read(path: Path, columns: list[str], entries: Callable[[Row], Iterator[tuple[str, Known]]]) -> Iterator[tuple[str, Known]]:
    table = csv.DictReader(_opened(path))
    missing = [name for name in columns if name not in (table.fieldnames or [])]
    if missing:
        raise UserError(f"{path}: lacks the columns {', '.join(missing)}")
    for row in table:
        if any(row[name] is None for name in columns):
            raise UserError(f"{path}: line {table.line_num} is cut short; expected {', '.join(columns)}")
        try:
            yield from entries(row)
        except UserError as error:
            raise UserError(f"{path}: line {table.line_num}: {error}") from None


def _opened(path: Path) -> io.StringIO:
    try:
        return io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that is likest to one with a slip of the pen in it, or that has it as one of its words; None where none is like it."""
    plain = {other.casefold(): other for other in known}
    found = get_close_matches(name.casefold(), plain, 1, 0.6)
    parts = {part: other for other in known for part in other.casefold().split()}
    by_part = get_close_matches(name.casefold().split()[-1], parts, 1, 0.75) if name.split() else []
    return plain[found[0]] if found else parts[by_part[0]] if by_part else None
