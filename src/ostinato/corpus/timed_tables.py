"""Times and words in a text file, as people and programs write them: blanks, tabs, commas or semicolons, quotes, headings, comments.

`0.0 2.0 C:maj` of Isophonics, tabs of Audacity (and its lines of frequencies, which begin with a backslash), `0.37,"C"` of Sonic Visualiser and Chordino, the
file name that sonic-annotator puts before it, `0:02.5`, decimal commas; UTF-8 with or without a mark, UTF-16, Latin-1.
"""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from pathlib import Path

from ostinato.files import UserError

NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?s?|[+-]?(?:nan|inf(?:inity)?)", re.I)
CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d*)?)")
#: What a line is cut off at; `#` alone may be a sharp.
COMMENT = re.compile(r"^\s*(?:#|//|%|;|--|\\).*|\s(?:#\s|//|%).*$")
#: No labels of a song are longer than this.
MOST_BYTES = 20_000_000
#: What a heading may call a column.
COLUMNS = {
    "start": ("start", "onset", "begin", "time", "from", "timestamp"),
    "end": ("end", "offset", "stop", "to"),
    "duration": ("duration", "dur", "length"),
    "text": ("chord", "chords", "harte", "label", "labels", "text", "name", "value"),
}


@dataclass(frozen=True)
class Row:
    """A line: its number from 1, its cells, and itself, without comment."""

    line: int
    cells: tuple[str, ...]
    raw: str

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers it begins with."""
        values: list[float] = []
        for cell in self.cells:
            value = number(cell)
            if value is None:
                break
            values.append(value)
        return tuple(values)

    @property
    def words(self) -> tuple[str, ...]:
        """What follows the numbers; the last cell, where there are only numbers."""
        return self.cells[len(self.numbers) :] or self.cells[-1:]


@dataclass(frozen=True)
class Table:
    """Lines from the first with a number on; what its heading, if there is one, calls the columns; the share of all lines that have a time."""

    rows: list[Row]
    columns: dict[str, int]
    timed: float


def number(text: str) -> float | None:
    """A number or a clock's time (s); None for other words."""
    if match := CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))
    return float(text.lower().rstrip("s").replace(",", ".")) if NUMBER.fullmatch(text) else None


def read_timed_table(path: Path | str) -> Table:
    """Read a file. Raises UserError where it is no text."""
    lines = [(count, COMMENT.sub("", line).strip()) for count, line in enumerate(_text(path).splitlines(), 1)]
    rows = [Row(count, _cells(line), line) for count, line in lines if line]
    if rows and all(len(row.cells) > 1 and number(row.cells[0]) is None and number(row.cells[1]) is not None for row in rows):
        rows = [Row(row.line, row.cells[1:], row.raw) for row in rows]  # sonic-annotator's file name, and nothing in the lines after it
    first = next((place for place, row in enumerate(rows) if any(number(cell) is not None for cell in row.cells)), len(rows))
    columns = _columns(rows[first - 1].cells) if 0 < first < len(rows) else {}
    begins = columns.get("start", 0)
    timed = sum(begins < len(row.cells) and number(row.cells[begins]) is not None for row in rows) / max(1, len(rows))
    return Table(rows[first:], columns, timed)


def _text(path: Path | str) -> str:
    size = Path(path).stat().st_size
    if size > MOST_BYTES:
        raise UserError(f"{size / 1e6:.0f} MB, expected labels of at most {MOST_BYTES / 1e6:.0f} MB")
    content = Path(path).read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        raise UserError("no text, found a zero byte")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _cells(line: str) -> tuple[str, ...]:
    """The cells of a line; blanks part cells where nothing else does, and numbers in any case."""
    if re.search(r"[\t;|]", line):
        parts = [part.strip().strip('"') for part in re.split(r"[\t;|]", line)]
        parted = [part.split() if part and all(number(word) is not None for word in part.split()) else [part] for part in parts]
        return tuple(cell for part in parted for cell in part)
    if re.match(r'(?:"[^"]*"|[^\s",]*)\s*,', line) and not re.match(r"\d+,\d+\s+[^,\s]", line):
        return tuple(_whole_names([cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]))
    return tuple(word.strip('"') for word in line.split())


def _whole_names(cells: list[str]) -> list[str]:
    """Cells with the commas within parentheses put back: `C:7(b9` and `#11)` were one name."""
    whole: list[str] = []
    for cell in cells:
        if whole and whole[-1].count("(") > whole[-1].count(")"):
            whole[-1] += f",{cell}"
        else:
            whole.append(cell)
    return whole


def _columns(heading: tuple[str, ...]) -> dict[str, int]:
    """Places of the columns that a heading names; empty unless it names a start and a text."""
    names = [re.split(r"[^a-z]", cell.lower())[0] for cell in heading]
    found = {kind: next((names.index(name) for name in known if name in names), -1) for kind, known in COLUMNS.items()}
    return {kind: place for kind, place in found.items() if place >= 0} if found["start"] >= 0 and found["text"] >= 0 else {}
