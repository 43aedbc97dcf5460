"""What compositions are like beside held-out music, what they copied, and whether what was given to them is still there.

Reads the table of pieces, and `<demo>.mid` with its sidecar from the folder of demos; held out is the split `test`, copies are looked for in the split `train`, all
as the tokenizer has them. `scores.json` has means over pieces with intervals over compositions (Student's t; exact ones for shares recognised), and what
`held_out` and `style` say; `judgements.json` one entry a demo.

Compositions from nothing (`sample`) are held against held-out pieces cut to the samples' median length, since density, silence and copies depend on length.
What was given to a demo (a beginning, both sides of a gap) is not counted as copied. `copied_notes_any_rhythm` looks at intervals alone: no copy is longer,
at whatever tempo it is played. Shares are 0-1, `composer_wins` and `style` are percent. Pieces and demos that cannot be read, or of which no note has a word, are
listed in judgements.json (`set_aside`, where there are any) and not judged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import UserError, read_json, read_jsonl
from ostinato.judge.intervals import Scale
from ostinato.judge.midi import style
from ostinato.judge.midi.bits import Encoded, named
from ostinato.judge.midi.copies import Copy, TrainingSet, symbols
from ostinato.judge.midi.held_out import Pieces, Row, Splits, mean
from ostinato.judge.midi.likelihood import encode_files
from ostinato.judge.midi.notes import METRICS, melody_notes, melody_recall, note_metrics
from ostinato.judge.midi.overlap import overlap_areas
from ostinato.midi.notes import Piece, read_midi
from ostinato.midi.reading import attempt
from ostinato.sidecars import sidecar_path

log = logging.getLogger(__name__)

KINDS = ("sample", "continuation", "infilling", "style")
COPIED = ("copied_notes", "copied_share", "copied_notes_any_rhythm")
#: Metrics that are shares.
SHARES = ("scale_consistency", "groove_consistency", "copied_share")
SHARE: Scale = (0.0, 1.0)


@dataclass(frozen=True)
class Demo:
    """A composition, what its sidecar says of it, and which of its notes were given."""

    name: str
    kind: str
    composer: str | None
    seed: int | None
    path: str
    piece: Piece
    melody: Piece | None
    in_given_span: np.ndarray

    @property
    def given(self) -> np.ndarray:
        """Which notes lie in spans that were given, or are the melody's: bool [notes]."""
        result = self.in_given_span.copy()
        if self.melody is not None:
            found = melody_notes(self.piece, self.melody)
            result[found[found >= 0]] = True
        return result

    @property
    def composed(self) -> Piece:
        """Without what lies in spans that were given. A melody stays: it is part of what a run of notes is made of."""
        return Piece(self.piece.notes[~self.in_given_span], self.piece.pedals)


@dataclass(frozen=True)
class Training:
    """Where copies are looked for: with the rhythm, and by intervals alone, since augmentation changes tempos and a copy may be in any of them."""

    exact: TrainingSet
    intervals: TrainingSet

    @classmethod
    def of(cls, rows: Sequence[Row], pieces: Sequence[Encoded]) -> Training:
        """The pieces of rows."""
        return cls(*(TrainingSet((row["id"], symbols(piece.piece, rhythm)) for row, piece in zip(rows, pieces)) for rhythm in (True, False)))


@dataclass(frozen=True)
class Judged:
    """A piece or demo with its metrics and the longest copy in it."""

    metrics: dict[str, float | None]
    copy: Copy


def read_rows(path: Path) -> dict[str, list[Row]]:
    """Rows of the table by split. Raises UserError for a row that lacks a key, and where there is nothing to train on or to judge by."""
    splits: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for row in read_jsonl(path):
        missing = [key for key in ("id", "path", "composer", "genre", "composition", "split") if key not in row]
        if missing or row["split"] not in splits:
            raise UserError(f"{path}: a row lacks {', '.join(missing) or 'a split of ' + ', '.join(splits)} ({row.get('id', row)})")
        splits[row["split"]].append(row)
    for name in ("train", "test"):
        if not splits[name]:
            raise UserError(f"{path}: no piece of split '{name}'; bring more pieces or raise midi.pieces.split")
    return splits


def encode_rows(tokenizer: Any, rows: Sequence[Row], jobs: int, aside: list[dict[str, str]]) -> tuple[list[Row], list[Encoded]]:
    """The pieces of rows that can be encoded, and those rows; others are added to `aside`."""
    encoded = encode_files(tokenizer, [row["path"] for row in rows], jobs)
    aside += [{"path": row["path"], "reason": piece} for row, piece in zip(rows, encoded) if isinstance(piece, str)]
    return [row for row, piece in zip(rows, encoded) if not isinstance(piece, str)], [piece for piece in encoded if not isinstance(piece, str)]


def find_demos(folder: Path) -> tuple[list[Demo], list[dict[str, str]]]:
    """All compositions of a folder by name, and those that cannot be read, with the reason. Raises UserError where there are none."""
    paths = sorted(folder.glob("*.mid")) if folder.is_dir() else []
    if not paths:
        raise UserError(f"{folder}: {'no *.mid in this folder' if folder.is_dir() else 'no such folder'}; expected compositions")
    demos = [(path, _read_demo(path)) for path in paths]
    aside = [{"path": str(path), "reason": demo} for path, demo in demos if isinstance(demo, str)]
    if len(aside) == len(paths):
        raise UserError(f"{folder}: none of {len(paths)} compositions can be read; the first: {aside[0]['reason']}")
    return [demo for _, demo in demos if isinstance(demo, Demo)], aside


def _read_demo(path: Path) -> Demo | str:
    sidecar = sidecar_path(path)
    record = read_json(sidecar)
    try:
        about, seed = record["about"], record["seed"]
        name, kind, composer, melody = (about[key] for key in ("demo", "kind", "composer", "melody"))
        spans = [(float(start), float(end)) for start, end in about["given"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{sidecar}: lacks a key or has a wrong one ({error}); expected seed and about: demo, kind, composer, melody, given") from None
    if kind not in KINDS:
        raise UserError(f"{sidecar}: about.kind is '{kind}'; expected one of {', '.join(KINDS)}")
    piece, tune = attempt(read_midi, path), attempt(read_midi, melody) if melody else None
    if isinstance(piece, str):
        return piece
    if isinstance(tune, str):
        return tune
    starts = piece.notes["start"]
    inside: Any = np.array([(starts >= start - 1e-6) & (starts < end - 1e-6) for start, end in spans], bool).reshape(len(spans), len(starts)).any(axis=0)
    return Demo(name, kind, composer, seed, str(path), piece, tune, inside)


def judge_piece(piece: Piece, training: Training, composed: Piece | None = None) -> Judged:
    """Metrics of a piece; what is copied in it, or in the part of it that was composed, and its share of that part's pitched notes."""
    told, intervals = (symbols(piece if composed is None else composed, rhythm) for rhythm in (True, False))
    copy, bound = training.exact.longest_copy(told), training.intervals.longest_copy(intervals)
    share = copy.notes / (len(told) + 1) if len(told) else None
    return Judged(note_metrics(piece) | {"copied_notes": copy.notes, "copied_share": share, "copied_notes_any_rhythm": bound.notes}, copy)


def compare(demos: Sequence[Demo], judged: Sequence[Judged], rows: Sequence[Row], heldout: Sequence[Encoded], training: Training, confidence: float) -> dict[str, Any]:
    """What compositions are like beside held-out pieces of their length; what they copied; whether melodies are still there."""
    samples = [(demo, one) for demo, one in zip(demos, judged) if demo.kind == "sample"]
    excerpts, pieces = cut([piece.piece for piece in heldout], length(demos)), Pieces(rows, confidence)
    references = [judge_piece(piece, training) for piece in excerpts]
    scales = {name: SHARE if name in SHARES else None for name in (*METRICS, *COPIED)}
    values = {
        name: {
            "generated": mean(((demo.name, one.metrics[name]) for demo, one in samples), confidence, scale),
            "heldout": pieces.mean([one.metrics[name] for one in references], scale),
        }
        for name, scale in scales.items()
    }
    areas = overlap_areas([demo.piece for demo, _ in samples], excerpts)
    longest = max(zip(demos, judged), key=lambda row: row[1].copy.notes)
    recalls = [(demo.name, melody_recall(demo.piece, demo.melody)) for demo in demos if demo.melody is not None]
    return {
        "metrics": values,
        "overlap_area": {name: None if area is None else round(area, 4) for name, area in areas.items()},
        "overlap_pieces": {"generated": len(samples), "heldout": len(heldout)},
        "longest_copy": {"notes": longest[1].copy.notes, "demo": longest[0].name, "from": longest[1].copy.source},
        "melody_recall": mean(recalls, confidence, SHARE),
    }


def recognised(tokenizer: Any, demos: Sequence[Demo], splits: Splits, confidence: float) -> dict[str, Any]:
    """What `style` says of compositions from nothing, and of held-out pieces of their length"""
    samples, seconds = [demo for demo in demos if demo.kind == "sample"], length(demos)

    def asked(split: str, shorten: bool = False) -> style.Asked:
        rows, pieces = splits[split][0], [piece.piece for piece in splits[split][1]]
        return style.Asked(cut(pieces, seconds) if shorten else pieces, [named(tokenizer.composers, row["composer"]) for row in rows], [row["composition"] for row in rows])

    written = style.Asked([demo.piece for demo in samples], [named(tokenizer.composers, demo.composer) for demo in samples], [demo.name for demo in samples])
    return style.style(asked("train"), asked("valid"), asked("test", True), written, splits["train"][0], seconds, confidence)


def length(demos: Sequence[Demo]) -> float:
    """The median length of compositions from nothing, s; infinite where there are none."""
    seconds = [demo.piece.seconds for demo in demos if demo.kind == "sample"]
    return float(np.median(seconds)) if seconds else np.inf


def cut(pieces: Sequence[Piece], seconds: float) -> list[Piece]:
    """The beginnings of pieces; what sounds at the end is ended there."""
    excerpts = [piece.between(0, seconds) for piece in pieces]
    for piece in excerpts:
        piece.notes["end"] = np.minimum(piece.notes["end"], seconds)
    return excerpts


def judgement(demo: Demo, judged: Judged) -> dict[str, Any]:
    """One entry of judgements.json."""
    metrics = dict(judged.metrics) | ({} if demo.melody is None else {"melody_recall": melody_recall(demo.piece, demo.melody)})
    return {
        "demo": demo.name,
        "kind": demo.kind,
        "composer": demo.composer,
        "seed": demo.seed,
        "path": demo.path,
        "notes": len(demo.piece.notes),
        "seconds": round(demo.piece.seconds, 3),
        "metrics": {name: None if value is None else round(value, 4) for name, value in metrics.items()},
        "copied_from": judged.copy.source,
        "roll": [
            [round(float(note["start"]), 3), round(float(note["end"]), 3), int(note["pitch"]), int(note["velocity"]), int(note["program"]), int(given)]
            for note, given in zip(demo.piece.notes, demo.given)
        ],
    }
