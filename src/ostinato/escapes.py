"""Names of files, and other texts, on one line: they are whatever a file system holds, need not be UTF-8 (Python then has surrogates in them), and may hold line ends and tabs."""

from __future__ import annotations

import re
from typing import Any

#: What no line can hold as it is: control characters, separators of lines, and surrogates, which are the bytes of names that are no UTF-8.
UNPRINTABLE = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
SHORT_ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\\": r"\\", '"': r"\""}


def escaped(text: str) -> str:
    """A table's cell for a text: what is not printable as `\\t`, `\\n`, `\\r` or `\\u2028`, a backslash as two."""
    return re.sub(rf"[\\{UNPRINTABLE}]", lambda found: _escape(found[0]), text)


def unescaped(cell: str) -> str:
    """The text of a table's cell."""
    known = {short: character for character, short in SHORT_ESCAPES.items()}
    return re.sub(r'\\(u[0-9a-f]{4}|[tnr"\\])', lambda found: known.get(found[0]) or chr(int(found[1][1:], 16)), cell)


def shown(text: Any) -> str:
    """A name or message as it can be printed on one line: what is not printable as in a table, all else as it is."""
    return re.sub(f"[{UNPRINTABLE}]", lambda found: _escape(found[0]), str(text))


def _escape(character: str) -> str:
    return SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"
