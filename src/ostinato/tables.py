"""Tables with a heading, a line a row, that a plain reader takes whatever their cells hold; and the table of what was set aside, which several stages write."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ostinato.escapes import escaped, unescaped
from ostinato.files import UserError
from ostinato.scratch import atomic

log = logging.getLogger(__name__)
#: Columns of a table of what was not taken.
SET_ASIDE = ("path", "reason", "detail")


def write_set_aside(path: Path, rows: Iterable[tuple[str, str, str]], tell: bool = True) -> None:
    """Write the table of what was not taken: path, reason and detail; `tell`: in the log as well. Line ends in a detail, such as a library's message, become blanks."""

    def cleaned() -> Iterator[tuple[str, ...]]:
        for name, *words in rows:
            row = (name, *(re.sub(r"\s*[\r\n]\s*", " ", text.strip()) for text in words))
            if tell:
                log.warning("set aside: %s: %s (%s)", *row)
            yield row

    write_table(path, SET_ASIDE, cleaned())


def read_set_aside(path: Path) -> Iterator[tuple[str, str, str]]:
    """Rows of such a table, one after another."""
    for row in read_table_rows(path, SET_ASIDE):
        yield row["path"], row["reason"], row["detail"]


def write_table(path: Path | str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with a heading, a line a row, whatever the cells hold; None is an empty cell. Rows are taken one after another.

    Fields are separated by commas and quoted as in all CSV files where `path` ends with .csv, else by tabs and not quoted. What is not printable, and
    backslashes, are `escaped`, so that a plain reader (`cut`, `csv`, pandas) sees one line a row, and `read_table` gives back the very text.
    """
    lines = (["" if value is None else escaped(str(value)) for value in row] for row in chain([columns], rows))
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        if _is_csv(path):
            csv.writer(stream, lineterminator="\n").writerows(lines)
        else:
            # a quote that comes first would be taken for CSV's by many readers
            stream.writelines("\t".join(re.sub('^"', r'\\"', cell) for cell in line) + "\n" for line in lines)


def read_table(path: Path | str, columns: Collection[str]) -> list[dict[str, str]]:
    """Rows of a table as `write_table` writes it. Raises UserError when it is missing, lacks one of `columns`, or a row has too few or many fields."""
    return list(read_table_rows(path, columns))


def read_table_rows(path: Path | str, columns: Collection[str], odd: list[str] | None = None) -> Iterator[dict[str, str]]:
    """The same, one after another. Of a row with too few or many fields the reason is added to `odd`, where that is given, and the others are read."""
    expected = f"the columns {', '.join(sorted(columns))}"
    try:
        with Path(path).open(encoding="utf-8-sig", newline="" if _is_csv(path) else "\n") as stream:
            lines = csv.reader(stream) if _is_csv(path) else (line.removesuffix("\n").removesuffix("\r").split("\t") for line in stream)
            rows = ([unescaped(field) for field in line] for line in lines)
            heading = next(rows, [])
            if missing := sorted(set(columns) - set(heading)):
                raise UserError(f"{path}: expected {expected}; {', '.join(missing)} missing")
            for number, row in enumerate(rows, 2):
                if row in ([], [""]) and len(heading) > 1:  # a blank line, as editors leave at the end
                    continue
                if not any(row[len(heading) :]):  # and tabs at the end of a line
                    row = row[: len(heading)]
                if len(row) != len(heading):
                    reason = f"{path}: line {number}: {len(row)} fields; expected {len(heading)}: {', '.join(heading)}"
                    if odd is None:
                        raise UserError(reason)
                    odd.append(reason)
                    continue
                yield dict(zip(heading, row))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a table with {expected}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None


def _is_csv(path: Path | str) -> bool:
    return Path(path).suffix.lower() == ".csv"
