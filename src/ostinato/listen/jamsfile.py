"""What was heard, as a JAMS file (Humphrey et al., ISMIR 2014), and back.

Namespaces: `beat` (value 1 is a downbeat; confidence 0-1), `beat_position` (the same with the number of the bar and the metre; a beat of 6/8 is three of its
units), `chord` (Harte syntax, confidence 0-1), `key_mode` (one observation a key), `segment_open`, `tempo`, `tag_open` (`instrument: piano` for as long as it is
heard, with its confidence; `metre: 3/4` while it lasts; `cadence: authentic` at the end of its phrase). Times in seconds. The file holds no clock time: the same listening
gives the same bytes. Where chords were given, a second annotation `chord`, the last in the file, has all their notes, and in its sandbox how they were written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jams
import numpy as np

from ostinato.corpus.side_files import Given
from ostinato.files import UserError, write_text
from ostinato.harmony.chords import Chord
from ostinato.harmony.keys import Key
from ostinato.harmony.metres import Metre, MetreSpan
from ostinato.listen.bars import counted
from ostinato.listen.chords import Interval
from ostinato.listen.hear import Heard
from ostinato.listen.instruments import Playing
from ostinato.listen.key import longest


@dataclass(frozen=True)
class Description:
    """What a JAMS file says about a song: times in seconds, tempo in beats per minute; `instruments` are spans (start, end, name, confidence).

    `metres` are spans (start, end, metre, sureness 0-1): as they are told, else as the places of the beats have it; none where there are no beats.
    """

    duration: float
    tempo: float
    downbeats: list[float]
    metres: list[MetreSpan]
    chords: list[Interval]
    confidences: list[float]
    keys: list[tuple[float, float, Key]]
    sections: list[tuple[float, float, str]]
    cadences: list[tuple[float, str]]
    instruments: list[Playing]

    @property
    def key(self) -> Key:
        """The key that lasts longest."""
        return longest(self.keys)


def write(path: Path, heard: Heard, title: str, given: Given = Given()) -> None:
    """Write `heard`, atomically.

    Args:
        title: what the recording is called in the file's metadata.
        given: what of it was not heard but believed; its chords cover the song.
    """
    document = jams.JAMS(file_metadata=jams.FileMetadata(title=title, duration=heard.duration))
    rows: dict[str, list[tuple[Any, ...]]] = {
        "beat": [(time, 0.0, int(position), sure) for time, position, sure in zip(heard.beats, heard.positions, heard.sureness)],
        "beat_position": _beat_positions(heard),
        "chord": [(start, end - start, chord.harte, confidence) for (start, end, chord), confidence in zip(heard.chords, heard.confidences)],
        "key_mode": [(start, end - start, str(key), None) for start, end, key in heard.keys],
        "segment_open": [(start, end - start, letter, None) for start, end, letter in heard.sections],
        "tempo": [(0.0, heard.duration, heard.tempo, 1.0)],
        "tag_open": [
            *((start, end - start, f"instrument: {name}", confidence) for start, end, name, confidence in heard.instruments),
            *((start, end - start, f"metre: {metre}", sure) for start, end, metre, sure in heard.metres if len(heard.beats)),
            *((cadence.time, 0.0, f"cadence: {cadence.kind}", None) for cadence in heard.cadences),
        ],
    }
    for namespace, observations in rows.items():
        source = given.sources.get(namespace.removesuffix("_position"), "ostinato listen")
        document.annotations.append(_annotation(namespace, observations, heard.duration, source))
    if given.chords:
        written = [(label.start, label.end - label.start, label.reading.harte or "X", label.confidence) for label in given.chords]
        document.annotations.append(_annotation("chord", written, heard.duration, given.sources["chord"]))
        document.annotations[-1].sandbox = jams.Sandbox(written=[label.reading.name for label in given.chords])
    write_text(path, json.dumps(document.__json__, indent=1, sort_keys=True) + "\n")


def _beat_positions(heard: Heard) -> list[tuple[Any, ...]]:
    """Beats with their place in a numbered bar, in the units of the metre as it is written; bar 0 is what comes before the first."""
    rows = []
    for time, position, bar, sure in zip(heard.beats, heard.positions, np.cumsum(heard.positions == 1), heard.sureness):
        metre = next((metre for start, end, metre, _ in heard.metres if start <= time < end), heard.metres[-1][2])
        units, per_beat = (8, 3) if metre.division == 3 else (4, 1)
        rows.append((time, 0.0, {"position": per_beat * (int(position) - 1) + 1, "measure": int(bar), "num_beats": per_beat * metre.beats, "beat_units": units}, sure))
    return rows


def _annotation(namespace: str, observations: list[tuple[Any, ...]], duration: float, source: str) -> jams.Annotation:
    """Observations (start, s; length, s; value; confidence or None) of a song of `duration` s as an annotation."""
    annotation = jams.Annotation(namespace, duration=duration)
    annotation.annotation_metadata = jams.AnnotationMetadata(data_source=source)
    for start, length, value, confidence in observations:
        annotation.append(
            time=round(float(start), 4), duration=round(float(length), 4), value=_plain(value), confidence=None if confidence is None else round(float(confidence), 3)
        )
    return annotation


def _plain(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def read(path: Path | str) -> Description:
    """Read a JAMS file with the namespaces above, ours or another's.

    Raises:
        UserError: it cannot be read, or a namespace is missing.
    """
    try:
        document = jams.load(str(path), validate=False)
    except (OSError, ValueError, jams.JamsError) as error:
        raise UserError(f"{path}: no readable JAMS file ({' '.join(str(error).split())[:200]})") from None
    found = {name: document.search(namespace=f"{name}$") for name in ("beat", "chord", "key_mode", "segment_open", "tempo")}
    missing = [name for name, annotations in found.items() if not annotations]
    if missing:
        raise UserError(f"{path}: no annotation of namespace {', '.join(missing)}")
    data = {name: annotations[0].data for name, annotations in found.items()}
    tags = [(row, *row.value.partition(": ")[::2]) for annotation in document.search(namespace="tag_open$") for row in annotation.data]
    duration = float(document.file_metadata.duration)
    return Description(
        duration,
        float(data["tempo"][0].value),
        [row.time for row in data["beat"] if row.value == 1],
        _metres(document) or counted([row.time for row in data["beat"]], [row.value for row in data["beat"]], duration),
        [(row.time, row.time + row.duration, Chord.parse(row.value)) for row in data["chord"]],
        [1.0 if row.confidence is None else float(row.confidence) for row in data["chord"]],
        [(row.time, row.time + row.duration, Key.parse(row.value)) for row in data["key_mode"]],
        [(row.time, row.time + row.duration, row.value) for row in data["segment_open"]],
        [(row.time, value) for row, tag, value in tags if tag == "cadence"],
        [_playing(row, value, duration) for row, tag, value in tags if tag == "instrument"],
    )


def _metres(document: jams.JAMS) -> list[MetreSpan]:
    """The metres that tags tell, rising; those that cannot be read are left out."""
    rows = [row for annotation in document.search(namespace="tag_open$") for row in annotation.data if str(row.value).startswith("metre: ")]
    spans = [(row, _parsed(row.value.removeprefix("metre: "))) for row in rows]
    return [(row.time, row.time + row.duration, metre, 1.0 if row.confidence is None else float(row.confidence)) for row, metre in spans if metre]


def _parsed(text: str) -> Metre | None:
    try:
        return Metre.parse(text)
    except UserError:
        return None


def _playing(row: Any, name: str, duration: float) -> Playing:
    """A tag with its time; one of no length is said of the whole song, which lasts `duration` s."""
    start, end = (float(row.time), float(row.time + row.duration)) if row.duration else (0.0, duration)
    return start, end, name, 1.0 if row.confidence is None else float(row.confidence)
