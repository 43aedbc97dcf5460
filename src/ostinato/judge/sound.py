"""What sets of clips sound like, beside held-out music and one another: distances and diversity; see judge.kad, judge.diversity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.judge.clap import Clap
from ostinato.judge.diversity import diversity
from ostinato.judge.embedding import Embedding, read_clip
from ostinato.judge.intervals import Estimate, cluster_mean, estimate, grouped
from ostinato.judge.kad import kad
from ostinato.judge.scoring import Row

#: Held-out segments that stand for music; more say little more, and each takes 40 ms to hear.
MUSIC = 500
#: The parts of an embedding.
PARTS = ("timbre", "harmony")


@dataclass(frozen=True)
class Music:
    """Real music that no model has learnt from: embeddings, shares that are repeated (percent), and the song that each is of."""

    embeddings: Sequence[Embedding]
    repeated: Sequence[float]
    songs: Sequence[str]

    def repetition(self, confidence: float) -> Estimate:
        """What demos' repetition is to be held against, with its interval over songs."""
        return cluster_mean(grouped(zip(self.songs, self.repeated)), confidence)


def sound(rows: Sequence[Row], without_chords: Sequence[Row], music: Music, confidence: float) -> dict[str, dict[str, Estimate]]:
    """{measure: {set: estimate}} over the held-out prompts: distances from held-out music, from the reference and from the base; diversity where there are several seeds;
    and of prompts without chords the distances from held-out music.
    """
    sets = _by_set(rows)
    found: dict[str, dict[str, Estimate]] = {}
    for part in PARTS:
        found[f"kad_{part}"] = {which: _distance(clips, part, music.embeddings, music.songs, confidence) for which, clips in sets.items()}
    for part in PARTS:
        for other in ("reference", "before"):
            if other in sets:
                found[f"kad_{part}_{other}"] = {
                    which: _distance(clips, part, [clip.embedding for _, clip, _ in sets[other]], [demo.prompt for demo, _, _ in sets[other]], confidence)
                    for which, clips in sets.items()
                    if which != other
                }
    found["diversity"] = diversities(rows, confidence)
    for part in PARTS:
        found[f"kad_{part}_no_chords"] = {which: _distance(clips, part, music.embeddings, music.songs, confidence) for which, clips in _by_set(without_chords).items()}
    return found


def add_clap(rows: Sequence[Row], folder: str) -> None:
    """Note in the metrics of each clip how well a CLAP model thinks it fits its prompt. Raises UserError where the folder holds none."""
    model = Clap(folder)
    for demo, _, metrics in rows:
        metrics["clap"] = model.score(*read_clip(demo.path), demo.prompt)


def diversities(rows: Sequence[Row], confidence: float) -> dict[str, Estimate]:
    """How far apart seeds of a prompt are, in each set."""
    return {which: diversity(_pictures(clips), confidence) for which, clips in _by_set(rows).items()}


def _by_set(rows: Sequence[Row]) -> dict[str, list[Row]]:
    sets: dict[str, list[Row]] = {}
    for row in rows:
        sets.setdefault(row[0].which, []).append(row)
    return sets


def _distance(rows: Sequence[Row], part: str, others: Sequence[Embedding], groups: Sequence[str], confidence: float) -> Estimate:
    if not others:
        return estimate(None, None, None, len(rows))
    ours, theirs = (np.stack([getattr(one, part) for one in embeddings]) for embeddings in ([clip.embedding for _, clip, _ in rows], others))
    return kad(ours, theirs, [demo.prompt for demo, _, _ in rows], confidence, groups)


def _pictures(rows: Sequence[Row]) -> dict[str, list[np.ndarray]]:
    pictures: dict[str, list[np.ndarray]] = {}
    for demo, clip, _ in rows:
        pictures.setdefault(demo.prompt, []).append(clip.picture)
    return pictures
