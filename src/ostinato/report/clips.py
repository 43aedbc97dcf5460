"""What a player shows: the sound as text, the chords as coloured blocks, the chromagram as a small picture.

A root's hue turns 30 degrees a semitone, so that chords a fifth apart, which stand side by side in most progressions, contrast (by the
circle of fifths C, F and G came out alike). Major is light with dark letters, minor dark with light letters, both legible (contrast above
4.5) in a dark and in a light page. Places on a timeline are percentages of the clip.
"""

from __future__ import annotations

import base64
import io
import math
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import soundfile

from ostinato.files import UserError
from ostinato.theory import COMMON, Chord, ChordError

#: (libsndfile format, subtype, media type), best first: MP3 plays everywhere; OGG not in old Safari; WAV is ten times as large.
ENCODINGS = (("MP3", "MPEG_LAYER_III", "audio/mpeg"), ("OGG", "VORBIS", "audio/ogg"), ("WAV", "PCM_16", "audio/wav"))
#: 0 is best and largest. At 0.5, 10 s of 16 kHz mono take about 50 kB.
COMPRESSION = 0.5
#: Oklch lightness and chroma of a major and of a minor block.
MAJOR_LIGHTNESS, MINOR_LIGHTNESS, CHROMA = 0.80, 0.43, 0.11
SHORT = {"maj": "", "min": "m", "min7": "m7", "min6": "m6", "min9": "m9", "minmaj7": "mM7", "hdim7": "ø7", "maj6": "6", "dim": "°",
         "dim7": "°7"}
#: Pitch classes as the page spells them, and the rows of a chromagram from the top.
COMMON_NAMES = tuple(name.replace("b", "♭").replace("#", "♯") for name in COMMON)
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


def short(name: str) -> str:
    """A chord as musicians write it: `Bb:min7` -> `B♭m7`, `N` -> `–`. Names that are no chord stay as they are."""
    chord = _chord(name)
    if chord is None:
        return name
    if not chord.is_chord:
        return "–" if chord.root == "N" else "?"
    bass = f"/{name.split('/')[1]}" if "/" in name else ""
    return chord.root.replace("#", "♯").replace("b", "♭") + SHORT.get(chord.quality, chord.quality) + bass


def _chord(name: str) -> Chord | None:
    try:
        return Chord.parse(name)
    except ChordError:  # a recogniser's word outside our vocabulary is still shown, in grey
        return None


def third(name: str) -> tuple[int, bool] | None:
    """(root pitch class, minor third?) of a chord; None for no chord, and for chords without a third."""
    chord = _chord(name)
    if chord is None or not chord.is_chord:
        return None
    steps = {(tone - chord.pitch_class) % 12 for tone in chord.pitch_classes}
    return (chord.pitch_class, 3 in steps) if steps & {3, 4} else None


def colours(name: str) -> tuple[str, str]:
    """(background, letters) of a chord's block, as CSS colours; empty for no chord, which the page's style sheet draws."""
    chord = _chord(name)
    if chord is None or not chord.is_chord:
        return "", ""
    minor = (third(name) or (0, False))[1]
    return (pitch_colour(chord.pitch_class, MINOR_LIGHTNESS), "#fff") if minor else (pitch_colour(chord.pitch_class), "#14110d")


def pitch_colour(pitch_class: int, lightness: float = MAJOR_LIGHTNESS) -> str:
    """#rrggbb of a pitch class (0-11)."""
    return "#" + bytes(_rgb(pitch_class, lightness)).hex()


@cache
def _rgb(pitch_class: int, lightness: float) -> tuple[int, int, int]:
    hue = math.radians(pitch_class * 30 + 35)
    a, b = CHROMA * math.cos(hue), CHROMA * math.sin(hue)
    # Oklab to linear sRGB (Ottosson 2020), then the sRGB curve; what is out of gamut is clipped
    cones = ((0.3963378, 0.2158038), (-0.1055613, -0.0638542), (-0.0894842, -1.2914855))
    long, medium, small = ((lightness + x * a + y * b) ** 3 for x, y in cones)
    linear = (4.0767417 * long - 3.3077116 * medium + 0.2309699 * small, -1.2684380 * long + 2.6097574 * medium - 0.3413194 * small,
              -0.0041961 * long - 0.7034186 * medium + 1.7076147 * small)
    return tuple(_byte(value) for value in linear)  # type: ignore[return-value]


def _byte(value: float) -> int:
    curved = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * min(max(curved, 0.0), 1.0))


def blocks(spans: Sequence[Sequence[Any]], duration: float) -> list[dict[str, Any]]:
    """Chord spans [[start_s, end_s, name]] as blocks: {"left", "width" (%), "label", "name", "background", "ink", "start", "end"}."""
    drawn = []
    for start, end, name in _merged(spans):
        start, end = max(0.0, float(start)), min(float(end), duration)
        if end > start:
            background, ink = colours(name)
            drawn.append({"left": round(100 * start / duration, 2), "width": round(100 * (end - start) / duration, 2), "label": short(name),
                          "name": name, "background": background, "ink": ink, "start": round(start, 2), "end": round(end, 2)})
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


def agreement(asked: Sequence[Sequence[Any]], heard: Sequence[Sequence[Any]], duration: float) -> list[dict[str, float]]:
    """Where root and third are the ones asked: [{"left", "width"}] in percent."""
    strips: list[list[float]] = []
    for start, end, name in asked:
        for other_start, other_end, other in heard:
            left, right = max(start, other_start, 0.0), min(end, other_end, duration)
            if right > left and third(name) is not None and third(name) == third(other):
                if strips and abs(strips[-1][1] - left) < 1e-6:
                    strips[-1][1] = right
                else:
                    strips.append([left, right])
    return [{"left": round(100 * left / duration, 2), "width": round(100 * (right - left) / duration, 2)} for left, right in strips]


def _disputed(entry: Mapping[str, Any], heard: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """What the second ear hears where its root or third differs from `heard`."""
    pieces = [[max(start, a), min(end, b), name] for start, end, name in entry.get("second") or [] for a, b, other in heard
              if min(end, b) > max(start, a) and _triad(name) != _triad(other)]
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
    rows = [b"".join(bytes((*_rgb(pitch, 0.68), round(2.57 * min(99, max(0, value))))) for value in chroma[pitch])
            for pitch in reversed(range(12))]
    return "data:image/png;base64," + base64.b64encode(_png(rows)).decode()


def _png(rows: Sequence[bytes]) -> bytes:
    """RGBA rows of equal length as a PNG file."""
    header = struct.pack(">IIBBBBB", len(rows[0]) // 4, len(rows), 8, 6, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def player(entry: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Everything the page draws for one clip of judgements.json."""
    duration = float(entry.get("duration") or 0) or soundfile.info(os.fsencode(path)).duration or 1.0
    asked, heard = entry.get("asked") or [], entry.get("heard") or []
    return {"which": entry["which"], "seed": entry.get("seed"), "duration": duration, "audio": audio_uri(path), "path": str(path),
            "asked": blocks(asked, duration), "heard": blocks(heard, duration), "second": blocks(_disputed(entry, heard), duration), "agreement": agreement(asked, heard, duration),
            "spoken": f"Asked: {spoken(asked)}. Heard: {spoken(heard)}.", "chroma": chroma_uri(entry.get("chroma") or []),
            "metrics": entry.get("metrics") or {}}
