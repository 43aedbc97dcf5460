"""Cut the songs of a shard, write each segment as audio, and describe it in the side file that audiocraft's MusicDataset reads.

A segment `<song>-<number>.flac` has `<song>-<number>.json` beside it: audiocraft's fields (`description` is the prompt; key, bpm, instrument ...)
and ours: `metre` (`3/4`, or null), `song`, `split`, `start`, `end` in the song, `chords` and `bars` relative to the segment, all in seconds, and `confidence` (0-1). What is left
out is listed in `left_out.tsv` with the reason: whole songs that cannot be cut, segments whose chords are doubtful, and music between the cuts.

Side files are for audiocraft and for those who look. What comes after reads `segments.jsonl`: of each segment of the shard, in the order of names, the same and
its audio's `path` in the folder, `sample_rate` and `frames`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ostinato.corpus.levels import Levels
from ostinato.corpus.recordings import read
from ostinato.dataset.cuts import bars_between, confidence, cut
from ostinato.files import hash_value, write_json
from ostinato.harmony.instruments import series
from ostinato.harmony.metres import MetreSpan
from ostinato.harmony.prompts.prompt import Prompt, draw_phrasing, is_instrument
from ostinato.listen import jamsfile
from ostinato.listen.bars import changes, regular
from ostinato.listen.instruments import names_of
from ostinato.listen.key import key_at
from ostinato.params import Segments

log = logging.getLogger(__name__)
#: (start, end, reason), times in seconds.
LeftOut = tuple[float, float, str]
#: Less than this beside a segment (s) is not worth a line.
SHORTEST_LEFT_OUT = 0.5


def write_segments(song: dict[str, Any], jams: Path, folder: Path, params: Segments) -> tuple[list[dict[str, Any]], list[LeftOut]]:
    """Cut one song and write its segments to `folder`; returns their rows of the shard's table, and what is left out."""
    duration = song["duration"]
    if not jams.is_file():
        return [], [(0.0, duration, "could not be listened to")]
    heard = jamsfile.read(jams)
    bars = regular(heard.downbeats)
    pieces = cut(bars, heard.chords, heard.sections, [time for time, _ in heard.cadences], duration, params, changes(heard.metres, bars))
    if not pieces:
        return [], [(0.0, duration, f"no stretch of {params.min_seconds:g}-{params.max_seconds:g} s begins and ends where the music breaks")]
    samples, rate = read(song["path"], sample_rate=params.sample_rate, mono=True, levels=Levels.of(song))
    samples = samples / max(1.0, np.abs(samples).max())  # nothing is clipped; all segments of a song are as loud as they were beside each other
    rows, left_out = [], between(pieces, duration)
    for number, (start, end) in enumerate(pieces):
        trust = confidence(start, end, heard.chords, heard.confidences)
        if trust < params.min_confidence:
            left_out.append((start, end, f"chords are doubtful: confidence {trust:.2f}, wanted {params.min_confidence:g}"))
            continue
        name = f"{song['id']}-{number:03d}"
        sound = samples[round(start * rate) : round(end * rate)]
        about = describe(name, song, heard, start, end) | {"confidence": round(trust, 3)}
        soundfile.write(folder / f"{name}.flac", sound, rate, subtype="PCM_16")
        write_json(folder / f"{name}.json", about)
        rows.append(about | {"path": f"{name}.flac", "sample_rate": rate, "frames": len(sound)})
    return rows, sorted(left_out)


def between(pieces: list[tuple[float, float]], duration: float) -> list[LeftOut]:
    """What lies before, between and after the segments, where it lasts."""
    edges = [0.0, *(time for piece in pieces for time in piece), duration]
    return [(start, end, "beside the segments") for start, end in zip(edges[::2], edges[1::2]) if end - start > SHORTEST_LEFT_OUT]


def describe(name: str, song: dict[str, Any], heard: jamsfile.Description, start: float, end: float) -> dict[str, Any]:
    """The side file of one segment: audiocraft's MusicInfo fields and ours. The instrument is that of the song's side file, else what is heard here; null where nothing is sure."""
    bars = bars_between(start, end, regular(heard.downbeats), heard.chords)
    instrument = instrument_of(song, series([name for name, _ in names_of(heard.instruments, start, end)]))
    prompt = Prompt(instrument, tuple(tuple(chords) for _, _, chords in bars))
    rng = np.random.default_rng(int(hash_value(name)[:8], 16))
    tags = {key: song["tags"].get(key) for key in ("title", "artist", "genre", "moods", "keywords")}  # audiocraft wants every key there
    return tags | {
        "title": tags["title"] or Path(song["path"]).stem,
        "name": name,
        "description": draw_phrasing(prompt, rng),
        "instrument": instrument or None,
        "key": str(key_at(heard.keys, (start + end) / 2)).replace(":", " "),
        "bpm": round(float(heard.tempo), 2),
        "metre": metre_between(start, end, heard.metres),
        "song": song["id"],
        "split": song["split"],
        "start": round(start, 4),
        "end": round(end, 4),
        "bars": [[round(left, 4), round(right, 4), [chord.harte for chord in chords]] for left, right, chords in bars],
        "chords": _within(start, end, heard.chords),
    }


def metre_between(start: float, end: float, metres: list[MetreSpan]) -> str | None:
    """The metre of most of a segment, such as `3/4`; None where no beats were heard."""
    shares = {span: min(end, span[1]) - max(start, span[0]) for span in metres}
    return str(max(shares, key=lambda span: shares[span])[2]) if shares else None


def instrument_of(song: dict[str, Any], heard: str) -> str:
    """The instrument of a song's side file, in words that a prompt can say; else what is heard, which may be nothing."""
    said = " ".join(str(song["tags"].get("instrument") or "").split())
    if said and not is_instrument(said):
        log.warning("%s: the instrument of its side file, '%s', reads as harmony; %s, which is heard, takes its place", song["path"], said, heard or "nothing sure")
        return heard
    return said or heard


def _within(start: float, end: float, chords: Any) -> list[list[Any]]:
    """The chords that sound in a segment, clipped to it and relative to it."""
    clipped = [(max(left, start) - start, min(right, end) - start, chord.harte) for left, right, chord in chords]
    return [[round(left, 4), round(right, 4), name] for left, right, name in clipped if right - left > 1e-3]
