"""What lies beside a recording: chords, beats and keys that somebody wrote down, and tags.

`song.mp3` may have `song.lab`, `song.jams`, or a table of times and chords, `song.csv`, `song.tsv` or `song.txt` (tried in this order: the first that is
believed counts, and the others are listed); `song.beats`; `song.yaml` with tags. A table that has no times, such as a text of words, is somebody's own
business. What is given counts for more than what is heard; what cannot be believed is listed, and heard instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ostinato.corpus.beats import Beats, beat_entries, beats_of
from ostinato.corpus.jams_labels import JamsFile
from ostinato.corpus.labels import Label, chord_entries, cover, labels_of
from ostinato.corpus.timed_tables import read_timed_table
from ostinato.files import UserError, sha256
from ostinato.harmony.keys import Key

#: Tables are labels where this share of their lines begins with a number.
TIMED = 0.5
TABLES = (".csv", ".tsv", ".txt")
CHORDS = (".lab", ".jams", *TABLES)
SUFFIXES = (*CHORDS, ".beats", ".yaml")
#: So many problems of a file are listed one by one.
MOST_LISTED = 20
SAYS_NOTHING = "not used: found no annotation of namespace chord, chord_harte, beat, beat_position or key_mode"

Problem = tuple[Path, str]
Keys = list[tuple[float, float, Key]]


@dataclass(frozen=True)
class Given:
    """What somebody wrote down of a song, times in s; None for what nobody did. `sources`: the files, by JAMS's names: chord, beat, key_mode."""

    chords: list[Label] | None = None
    beats: Beats | None = None
    keys: Keys | None = None
    sources: dict[str, str] = field(default_factory=dict)

    def within(self, duration: float) -> Given:
        """The same for a recording of `duration` s, which chords and keys then cover: X where no chord is given."""
        chords = None if self.chords is None else cover(self.chords, duration)
        beats = self.beats and self.beats.until(duration)
        keys = self.keys and [(start, min(end, duration), key) for start, end, key in self.keys if start < duration]
        return replace(self, chords=chords, beats=beats, keys=keys and [*keys[:-1], (keys[-1][0], duration, keys[-1][2])])


def beside(recording: Path) -> list[Path]:
    """The side files of a recording that are there, in the order of SUFFIXES."""
    named = (recording.with_suffix(ending) for suffix in SUFFIXES for ending in (suffix, suffix.upper(), suffix.title()))
    return [path for path in named if os.path.isfile(path)]  # Path.is_file raises where the ending makes a name too long


def side_files(recording: Path, duration: float) -> tuple[dict[str, Any], list[Problem]]:
    """What the song table says of a recording's side files, and what is wrong with them as (file, problem).

    `lab` is the file with its chords, or None, and `tags` its tags; `beats`, `key` and `side_files`, the hashes of all these, are there only where such files
    are.
    """
    found = beside(recording)
    tags, problems = _tags(found)
    used: dict[str, str] = {}
    for kind, (suffixes, read) in READERS.items():
        for path in (path for path in found if path.suffix.lower() in suffixes):
            believed, wrong = _tried(path, read, duration, used.get(kind))
            problems += [(path, text) for text in wrong]
            used |= {kind: str(path)} if believed else {}
    said = {*used.values(), *(str(path) for path, _ in problems)}
    problems += [(path, SAYS_NOTHING) for path in found if path.suffix.lower() == ".jams" and str(path) not in said]
    hashes = {path: sha256(path) for path in sorted(set(used.values()))}
    return {"lab": None, "tags": tags} | used | ({"side_files": hashes} if hashes else {}), list(dict.fromkeys(problems))


def given(song: dict[str, Any]) -> Given:
    """What the side files that a song's row of the table names say of it. Raises UserError: one has changed since, and cannot be believed any more."""
    found: dict[str, Any] = {}
    for kind, (_, read) in READERS.items():
        if song.get(kind):
            try:
                found[kind], _ = read(Path(song[kind]), song["duration"]) or (None, [])
            except (UserError, OSError) as error:
                raise UserError(f"{song[kind]}: {error}") from None
            if not found[kind]:
                raise UserError(f"{song[kind]}: says nothing any more that can be used; it has changed since recordings were checked")
    names = {"lab": "chord", "beats": "beat", "key": "key_mode"}
    return Given(found.get("lab"), found.get("beats"), found.get("key"), {names[kind]: song[kind] for kind in found})


def read_chords(path: Path, duration: float) -> tuple[list[Label], list[str]] | None:
    """Chords of a file beside a song of `duration` s, and what is wrong with it; None where it is no file of chords. Raises UserError: not to be believed."""
    if path.suffix.lower() == ".jams":
        entries = JamsFile(path).chords()
        return labels_of(entries, duration) if entries else None
    if path.suffix.lower() in TABLES and (table := read_timed_table(path)).timed < TIMED and not table.columns:
        return None
    return labels_of(chord_entries(path), duration)


def read_beats(path: Path, duration: float) -> tuple[Beats, list[str]] | None:
    """Beats, as `read_chords` reads chords."""
    entries = JamsFile(path).beats() if path.suffix.lower() == ".jams" else beat_entries(path)
    return None if path.suffix.lower() == ".jams" and not entries else beats_of(entries, duration)


def read_keys(path: Path, duration: float) -> tuple[Keys, list[str]] | None:
    """Keys, as `read_chords` reads chords."""
    keys, wrong = JamsFile(path).keys(duration)
    return (keys, wrong) if keys or wrong else None


#: What a song's row calls a kind of side file -> the suffixes of such files, in the order in which they are believed, and what reads them.
READERS: dict[str, tuple[tuple[str, ...], Callable[[Path, float], tuple[Any, list[str]] | None]]] = {
    "lab": (CHORDS, read_chords),
    "beats": ((".beats", ".jams"), read_beats),
    "key": ((".jams",), read_keys),
}


def _tried(path: Path, read: Callable[[Path, float], tuple[Any, list[str]] | None], duration: float, used: str | None) -> tuple[bool, list[str]]:
    """Whether a file of a kind is to be used, where `used` is already, and what is wrong with it."""
    try:
        values = read(path, duration)
    except (UserError, OSError) as error:
        return False, [f"not used: {error}"]
    if values is None or not values[0]:
        return False, values[1] if values else []
    if used:
        return False, [f"not used: {Path(used).name} is"]
    wrong = values[1]
    more = [f"and {len(wrong) - MOST_LISTED} lines more"] if len(wrong) > MOST_LISTED else []
    return True, wrong[:MOST_LISTED] + more


def _tags(found: list[Path]) -> tuple[dict[str, Any], list[Problem]]:
    for path in (path for path in found if path.suffix.lower() == ".yaml"):
        try:
            tags = yaml.safe_load(path.read_text(encoding="utf-8-sig")) or {}
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            return {}, [(path, f"not YAML: {error}")]
        if isinstance(tags, dict):
            return tags, []
        return {}, [(path, f"expected tags such as `instrument: piano`, found {type(tags).__name__}")]
    return {}, []
