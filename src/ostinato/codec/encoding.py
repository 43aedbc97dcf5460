"""Encode every segment once: codes in one memory-mapped array per shard, and an index.

`shard-00.npy` is int16 [K, total frames]; a line of `shard-00.jsonl` says which columns are a segment's (`start`, `frames`), its `split`, `song`,
`instrument`, `bars` as [start frame, end frame, [chords]] relative to the segment, and its `prompt`.
"""

from __future__ import annotations

from typing import Any


def index_row(info: dict[str, Any], start: int, frames: int, frame_rate: float) -> dict[str, Any]:
    """The index line of a segment, from its side file."""
    bars = [[round(left * frame_rate), min(round(right * frame_rate), frames), chords] for left, right, chords in info["bars"]]
    return {
        "id": info["name"],
        "start": start,
        "frames": frames,
        "split": info["split"],
        "song": info["song"],
        "instrument": info["instrument"],
        "bars": bars,
        "prompt": info["description"],
    }
