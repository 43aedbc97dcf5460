"""How long a run of a demo was copied, code for code, from the training set.

What a model says is codes; looked at are those of the first codebook, which say most of what is heard. The longest run that a demo shares with any training segment is found
exactly (see judge.runs). A run is as long as it is by chance as well: music repeats itself, silence and held notes are runs of one code. So the same is asked of real
music that no model has learnt from, held-out segments cut to the demos' length. Runs beyond those are what was learnt by heart.

A copy that is not exact, a frame late by a fraction or one code astray, ends a run: this bounds from below what was copied. Runs in frames, in seconds in the result.
The training set is gone through CHUNK codes at a time, some 300 MB, however large it is; a million segments of 500 codes take about 2 s a clip, and 2 min.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ostinato.judge.runs import Run, Sequences

#: Codes that are searched at once.
CHUNK = 4_000_000
#: So many training segments are searched, and so many held-out ones asked, spread evenly where there are more.
SEARCHED, ASKED = 1_000_000, 200


def audio_copies(demos: Mapping[str, np.ndarray], training: Iterable[tuple[str, np.ndarray]], heldout: Iterable[tuple[str, np.ndarray]], frame_rate: float) -> dict[str, Any]:
    """The longest run of each demo in the training set, and those of held-out music.

    Args:
        demos: codes of the first codebook by name, whole numbers [T]; training, heldout: (id, codes [T]) of segments; of held-out ones those count that are as long as the
            longest demo, and of these their beginning. frame_rate: frames per second.

    Returns:
        `demos`: {name: {"frames", "seconds", "start" (s, in the demo), "source" (id of a training segment, or None)}}; `chance`: {"mean", "p95" (s; None without any), "n"};
        `training`: {"segments", "frames"}, what was searched.
    """
    length = max((len(codes) for codes in demos.values()), default=0)
    others = {f"heldout {name}": codes[:length] for name, codes in heldout if len(codes) >= length}
    clips = {**{f"demo {name}": codes for name, codes in demos.items()}, **others}
    longest, searched = longest_runs(clips, training)
    chance = np.array([longest[name].length for name in others]) / frame_rate
    return {
        "demos": {name: _told(longest[f"demo {name}"], frame_rate) for name in demos},
        "chance": {"mean": round(float(chance.mean()), 3), "p95": round(float(np.percentile(chance, 95)), 3), "n": len(chance)}
        if len(chance)
        else {"mean": None, "p95": None, "n": 0},
        "training": searched,
    }


def _told(run: Run, frame_rate: float) -> dict[str, Any]:
    return {"frames": run.length, "seconds": round(run.length / frame_rate, 3), "start": round(run.start / frame_rate, 3), "source": run.source}


def longest_runs(clips: Mapping[str, np.ndarray], training: Iterable[tuple[str, np.ndarray]]) -> tuple[dict[str, Run], dict[str, int]]:
    """The longest run of each clip in the training set, the first of equally long ones; and how much was searched: {"segments", "frames"}."""
    longest, searched = {name: Run(0) for name in clips}, {"segments": 0, "frames": 0}
    for chunk in _chunks(training):
        searched = {"segments": searched["segments"] + len(chunk), "frames": searched["frames"] + sum(len(codes) for _, codes in chunk)}
        sequences = Sequences(chunk)
        for name, codes in clips.items():
            found = sequences.longest_run(codes, beyond=longest[name].length)
            longest[name] = found if found.length else longest[name]
    return longest, searched


def _chunks(training: Iterable[tuple[str, np.ndarray]]) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Segments that have together CHUNK codes, or one segment more."""
    chunk, held = [], 0
    for name, codes in training:
        chunk.append((name, codes))
        held += len(codes)
        if held >= CHUNK:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk
