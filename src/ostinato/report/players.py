"""What a player shows: the sound as text, the chords as coloured blocks, the chromagram as a small picture. Places on a timeline are percentages of the clip."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import soundfile

from ostinato.files import UserError
from ostinato.harmony.chords import Chord, ChordError
from ostinato.harmony.colours import colours, rgb, short, third
from ostinato.judge.adherence import compared

#: (libsndfile format, subtype, media type), best first: MP3 plays everywhere; OGG not in old Safari; WAV is ten times as large.
ENCODINGS = (("MP3", "MPEG_LAYER_III", "audio/mpeg"), ("OGG", "VORBIS", "audio/ogg"), ("WAV", "PCM_16", "audio/wav"))
#: 0 is best and largest. At 0.5, 10 s of 16 kHz mono take about 50 kB.
COMPRESSION = 0.5
#: The rows of a chromagram from the top.
ROWS = ("B", "", "", "", "G", "", "", "E", "", "", "", "C")


def find(path: Path, folders: Sequence[Path], named_by: Path | str) -> Path:
    """A clip's file: where `named_by` says, or of that name in one of `folders`. Raises UserError when it is in none."""
    places = [path, *[folder / path.name for folder in folders]]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(f"{path}: no such clip; {named_by} names it, looked in {', '.join(str(place.parent) for place in places)}")
    return found


def audio_uri(path: Path | str) -> str:
    """The recording as a data URI, in the best format this libsndfile can write. Raises UserError when it cannot be read."""
    try:
        samples, rate = soundfile.read(os.fsencode(path), dtype="float32")
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: cannot be read as audio ({error})") from None
    container, subtype, media = _encoding()
    stream = io.BytesIO()
    options = {} if container == "WAV" else {"compression_level": COMPRESSION}
    soundfile.write(stream, samples, rate, format=container, subtype=subtype, **options)
    return f"data:{media};base64,{base64.b64encode(stream.getvalue()).decode()}"


@cache
def _encoding() -> tuple[str, str, str]:
    known = soundfile.available_formats()
    return next(item for item in ENCODINGS if item[0] in known and item[1] in soundfile.available_subtypes(item[0]))


def blocks(spans: Sequence[Sequence[Any]], duration: float) -> list[dict[str, Any]]:
    """Chord spans [[start_s, end_s, name]] as blocks: {"left", "width" (%), "label", "name", "background", "ink", "start", "end"}."""
    drawn = []
    for start, end, name in _merged(spans):
        start, end = max(0.0, float(start)), min(float(end), duration)
        if end > start:
            background, ink = colours(name)
            drawn.append(
                {
                    "left": round(100 * start / duration, 2),
                    "width": round(100 * (end - start) / duration, 2),
                    "label": short(name),
                    "name": name,
                    "background": background,
                    "ink": ink,
                    "start": round(start, 2),
                    "end": round(end, 2),
                }
            )
    return drawn


def _merged(spans: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Neighbours of the same name as one span."""
    merged: list[list[Any]] = []
    for start, end, name in spans:
        if merged and merged[-1][2] == name and merged[-1][1] == start:
            merged[-1][1] = end
        else:
            merged.append([start, end, name])
    return merged


def agreement(asked: Sequence[Sequence[Any]], heard: Sequence[Sequence[Any]], duration: float, metric: str) -> list[dict[str, float]]:
    """Where what is heard counts as what is asked by a metric of the judge: [{"left", "width"}] in percent."""
    strips: list[list[float]] = []
    for start, end, name in asked:
        for other_start, other_end, other in heard:
            left, right = max(start, other_start, 0.0), min(end, other_end, duration)
            if right > left and is_chord(name) and is_chord(other) and compared(metric, name, other) > 0:
                if strips and abs(strips[-1][1] - left) < 1e-6:
                    strips[-1][1] = right
                else:
                    strips.append([left, right])
    return [{"left": round(100 * left / duration, 2), "width": round(100 * (right - left) / duration, 2)} for left, right in strips]


def is_chord(name: str) -> bool:
    """Whether a name is a chord's, or that of none; a recogniser may have words of its own."""
    try:
        Chord.parse(name)
    except ChordError:
        return False
    return True


def _disputed(entry: Mapping[str, Any], heard: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """What the second ear hears where its root or third differs from `heard`."""
    pieces = [
        [max(start, a), min(end, b), name]
        for start, end, name in entry.get("second") or []
        for a, b, other in heard
        if min(end, b) > max(start, a) and _triad(name) != _triad(other)
    ]
    return pieces


def _triad(name: str) -> Any:
    return third(name) or short(name)


def spoken(spans: Sequence[Sequence[Any]]) -> str:
    """A timeline for those who do not see it: `C from 0.0 s, Fm from 2.5 s`."""
    return ", ".join(f"{short(name)} from {float(start):.1f} s" for start, _, name in spans) or "nothing"


def chroma_uri(chroma: Sequence[Sequence[int]]) -> str | None:
    """A chromagram (12 rows x frames, 0-99) as a PNG data URI, C at the bottom; loud tones are opaque in their pitch's colour."""
    if len(chroma) != 12 or not chroma[0]:
        return None
    rows = [b"".join(bytes((*rgb(pitch, 0.68), round(2.57 * min(99, max(0, value))))) for value in chroma[pitch]) for pitch in reversed(range(12))]
    return "data:image/png;base64," + base64.b64encode(_png(rows)).decode()


def _png(rows: Sequence[bytes]) -> bytes:
    """RGBA rows of equal length as a PNG file."""
    header = struct.pack(">IIBBBBB", len(rows[0]) // 4, len(rows), 8, 6, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def player(entry: Mapping[str, Any], path: Path, metric: str) -> dict[str, Any]:
    """Everything the page draws for one clip of judgements.json; `metric`: by which chords count as those asked."""
    duration = float(entry.get("duration") or 0) or soundfile.info(os.fsencode(path)).duration or 1.0
    asked, heard = entry.get("asked") or [], entry.get("heard") or []
    return {
        "which": entry["which"],
        "seed": entry.get("seed"),
        "duration": duration,
        "audio": audio_uri(path),
        "path": str(path),
        "asked": blocks(asked, duration),
        "heard": blocks(heard, duration),
        "second": blocks(_disputed(entry, heard), duration),
        "agreement": agreement(asked, heard, duration, metric),
        "spoken": f"Asked: {spoken(asked)}. Heard: {spoken(heard)}.",
        "chroma": chroma_uri(entry.get("chroma") or []),
    }
