"""Read every MIDI file, set aside what cannot be used, turn the rest into words, and give it a composition and a split.

All that is one composition stands on one side: performances and versions by the tables of `metadata`, copies in other keys and tunes under other names by
`duplicates`. The split is a hash of the composition's name, so that a new piece moves no other; an official split is kept. Set aside, with a reason: `empty`,
`unreadable`, `too_few_notes`, `duplicate` (the same notes, however loud and however late), `no_words` (none of its notes has a word in the vocabulary that the
training set makes), `unknown_suffix`, `hidden`, `link`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import sha256
from ostinato.folders import Aside
from ostinato.midi.duplicates import Families, onsets, pitches, same_onsets, same_tunes, sketch
from ostinato.midi.encoding import every_word
from ostinato.midi.metadata import Known, printable
from ostinato.midi.notes import read_midi
from ostinato.midi.reading import each
from ostinato.midi.tokens import Tokenizer
from ostinato.midi.vocabulary import Said, said, why_wordless, wordless
from ostinato.params.blocks import SPLITS, Split
from ostinato.params.midi import Pieces, Tokens, Words

Row = dict[str, Any]


def summary(pieces: list[Row], files: int) -> str:
    """A line on what was found."""
    compositions = {split: len({row["composition"] for row in pieces if row["split"] == split}) for split in SPLITS}
    parts = ", ".join(f"{split} {count}" for split, count in compositions.items())
    hours, notes = sum(row["seconds"] for row in pieces) / 3600, sum(row["notes"] for row in pieces)
    return f"{len(pieces)} pieces, {notes} notes, {hours:.1f} h; compositions: {parts}; {files - len(pieces)} files set aside"


def examine_all(paths: list[Path], min_notes: int, words: Tokens, jobs: int) -> tuple[list[Row], list[Aside]]:
    """Rows of the files that can be used, and of those that cannot."""
    rows, aside = [], []
    for path, result in zip(paths, each(partial(examine, min_notes=min_notes, words=words), paths, jobs)):
        if isinstance(result, dict):
            rows.append(result)
        else:
            aside.append(result if isinstance(result, tuple) else unreadable(path, result))
    return rows, aside


def unreadable(path: Path, line: str) -> Aside:
    """The row for a file that cannot be read, from the line that says so."""
    message = line.removeprefix(f"{path}: ")
    return str(path), "empty" if "without notes" in message or (path.exists() and not path.stat().st_size) else "unreadable", message


def examine(path: Path, min_notes: int, words: Tokens) -> Row | Aside:
    """What is in a MIDI file, its words among it, or why it cannot be used. Raises UserError for one that cannot be read."""
    piece = read_midi(path)
    if len(piece.notes) < min_notes:
        return str(path), "too_few_notes", f"{len(piece.notes)} notes, midi.pieces.min_notes is {min_notes}"
    if not any(kinds := said(piece, words)):
        return str(path), "no_words", why_wordless(piece, words)
    spoken = _every_word(words.model_dump_json())
    ids = spoken.encode(piece) if spoken.clock == "seconds" else spoken.encode_file(path)
    return {
        "path": str(path),
        "programs": piece.programs,
        "notes": len(piece.notes),
        "seconds": round(piece.seconds, 2),
        "sha256": sha256(path),
        "pitches": pitches(piece),
        "sketch": sketch(piece),
        "said": kinds,
        "ids": ids.astype(np.uint16),
    }


@lru_cache(maxsize=1)
def _every_word(params: str) -> Tokenizer:
    return every_word(Tokens.model_validate_json(params))


def drop_wordless(pieces: list[Row], said_by: dict[str, Said], words: Words) -> tuple[list[Row], list[Aside]]:
    """Keep the pieces that the vocabulary of the training set has a word for; rows for the others."""
    silent = {piece["path"] for piece in wordless(pieces, said_by, words)}
    return [piece for piece in pieces if piece["path"] not in silent], [
        (path, "no_words", "no piece of the training set has " + ("drums" if said_by[path].drums else "pitches") + ", so there are no words for them") for path in sorted(silent)
    ]


def drop_duplicates(rows: Sequence[Row]) -> tuple[list[Row], list[Aside]]:
    """Keep the first file by path of those with the same notes; rows for the others name it."""
    kept, aside = [], []
    alike: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["path"]):
        alike[row["pitches"]].append(row)
    for group in alike.values():
        different: list[tuple[Row, Any]] = []
        for row in group:
            times: Any = onsets(read_midi(row["path"])) if len(group) > 1 else None  # one alone is compared with no other
            first = next((other for other, their in different if same_onsets(times, their)), None)
            if first:
                aside.append((row["path"], "duplicate", f"same notes as {first['path']}"))
            else:
                different.append((row, times))
        kept += [row for row, _ in different]
    return kept, aside


def name_and_place(rows: Sequence[Row], facts: Mapping[Path, Known], folder: Path, params: Pieces) -> list[Row]:
    """The table of pieces, sorted by id: kin become one composition, which goes to one split."""
    families = Families()
    recordings = {fact.source: fact.composition for fact in facts.values() if fact.split}
    for fact in facts.values():
        if fact.source in recordings:  # ASAP cut performances out of MAESTRO's
            families.join(recordings[fact.source], fact.composition)
        if fact.key:
            families.join(fact.key, fact.composition)
    known = [facts[Path(row["path"])] for row in rows]
    for one, other in same_tunes([tuple(row["sketch"]) for row in rows], [fact.composition for fact in known]):
        families.join(one, other)
    members: defaultdict[Any, list[tuple[Row, Known]]] = defaultdict(list)
    for row, fact in zip(rows, known):
        members[families.head(fact.composition)].append((row, fact))
    ids = _ids([Path(row["path"]) for row in rows], folder)
    pieces = []
    for group in members.values():
        for (row, fact), (composition, split) in zip(group, place([fact for _, fact in group], params.split)):
            pieces.append(
                {key: row[key] for key in ("path", "programs", "notes", "seconds", "sha256", "shard")}
                | {"id": ids[Path(row["path"])], "composer": fact.composer, "genre": fact.genre, "composition": composition, "split": split}
            )
    return sorted(pieces, key=lambda piece: piece["id"])


def place(family: list[Known], split: Split) -> list[tuple[str, str]]:
    """Composition and split of each piece of a family. Two official splits in a family are kept; it is then two compositions, and what has none goes to the later."""
    official = [fact.split for fact in family if fact.split]
    other = max(official, key=SPLITS.index) if official else None
    sides = [fact.split or other for fact in family]
    names = {side: min(fact.composition for fact, theirs in zip(family, sides) if theirs == side) for side in set(sides)}
    return [(names[side], side or split_of(names[side], split)) for side in sides]


def split_of(composition: str, split: Split) -> str:
    """The split of a composition that no table gives one, from its name alone."""
    point = _share(composition)
    if point < split.test:
        return "test"
    return "valid" if point < split.test + split.valid else "train"


def _share(name: str) -> float:
    """A number in [0, 1) from a name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:13], 16) / 16**13


def _ids(paths: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Paths relative to the folder without suffix, where that is unique."""
    names: defaultdict[str, list[Path]] = defaultdict(list)
    for path in paths:
        names[printable(path.relative_to(folder).with_suffix("").as_posix())].append(path)
    return {path: name if len(alike) == 1 else printable(path.relative_to(folder).as_posix()) for name, alike in names.items() for path in alike}
