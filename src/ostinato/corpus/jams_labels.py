"""Chords, beats and keys in a JAMS file that somebody else made (Humphrey et al., ISMIR 2014).

Namespaces `chord` and `chord_harte`, `beat` and `beat_position`, `key_mode`, the first annotation of each that says anything; a file need not have all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ostinato.corpus.beats import BeatEntry
from ostinato.corpus.labels import Entry
from ostinato.files import UserError
from ostinato.harmony.keys import Key

#: Church modes and the key whose third they have.
MODES = {
    "": "major",
    "major": "major",
    "ionian": "major",
    "lydian": "major",
    "mixolydian": "major",
    "minor": "minor",
    "aeolian": "minor",
    "dorian": "minor",
    "phrygian": "minor",
    "locrian": "minor",
}


class JamsFile:
    """What a JAMS file says."""

    def __init__(self, path: Path | str) -> None:
        """Read `path`. Raises UserError where that is no JAMS file."""
        import jams  # takes seconds

        try:
            self.annotations = [note for note in jams.load(str(path), validate=False).annotations if len(note.data)]
        except Exception as error:  # whatever it stumbles over, the file is not what it is called
            raise UserError(f"no readable JAMS file ({type(error).__name__}: {' '.join(str(error).split())[:200]})") from None

    def chords(self) -> list[Entry]:
        """Its chords, as entries; empty where it has none."""
        return [
            Entry(f"chord {count}", _real(row.time), _sum(row.time, row.duration), str(row.value), f"{row.time} {row.duration} {row.value}", _share(row.confidence))
            for count, row in self._rows("chord", "chord_harte")
        ]

    def beats(self) -> list[BeatEntry]:
        """Its beats, as entries; empty where it has none."""
        return [BeatEntry(f"beat {count}", _real(row.time), _position(row.value), f"{row.time} {row.value}") for count, row in self._rows("beat", "beat_position")]

    def keys(self, duration: float) -> tuple[list[tuple[float, float, Key]], list[str]]:
        """Its keys over 0..`duration` (s), each until the next; and what is wrong with others. Empty where it has none."""
        spans, problems = [], []
        for count, row in self._rows("key_mode"):
            tonic, _, mode = str(row.value).partition(":")
            key = _key(tonic, MODES.get(mode))
            if key and np.isfinite(row.time) and row.time < duration:
                spans.append((float(row.time), key))
            elif not key and tonic != "N":
                problems.append(f"key {count}: found '{row.value}', expected a key such as C:major")
        spans.sort(key=lambda span: span[0])
        starts = [0.0, *(start for start, _ in spans[1:]), duration]
        return [(start, end, key) for start, end, (_, key) in zip(starts, starts[1:], spans) if end > start], problems

    def _rows(self, *namespaces: str) -> list[tuple[int, Any]]:
        """Observations of the first annotation of these namespaces, counted from 1."""
        return list(enumerate(next((note.data for name in namespaces for note in self.annotations if note.namespace == name), []), 1))


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _sum(time: Any, duration: Any) -> float | None:
    return None if _real(time) is None or _real(duration) is None else float(time) + float(duration)


def _share(value: Any) -> float:
    """A confidence; 1 where there is none between 0 and 1."""
    return float(value) if _real(value) is not None and 0 <= value <= 1 else 1.0


def _position(value: Any) -> float | None:
    """A place in the bar: a number, or that of a `beat_position`."""
    return _position(value.get("position")) if isinstance(value, dict) else None if _real(value) is None or np.isnan(value) else float(value)


def _key(tonic: str, mode: str | None) -> Key | None:
    try:
        return Key.parse(f"{tonic}:{mode}")
    except UserError:
        return None
