"""Tones as recordings, and `ostinato check` on a folder of them."""

from pathlib import Path

import numpy as np

from music import PARAMS
from ostinato.cli import main
from ostinato.files import read_jsonl, read_table

RATE = 22050
CORPUS = PARAMS.corpus.model_copy(update={"min_seconds": 5.0})


def tone(seconds: float, seed: int = 0, channels: int = 1) -> np.ndarray:
    """A chord with some noise, so that no two seeds sound the same: [T, C]."""
    rng, time = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * 220 * 2 ** (note / 12) * time) for note in (0, 4, 7)) / 6 + 0.01 * rng.standard_normal(len(time))
    return np.repeat(sound[:, None], channels, axis=1).astype(np.float32)


def check(folder: Path, out: Path, params=CORPUS) -> tuple[int, list[dict], dict[str, str]]:
    """Exit status, songs, and reasons by file name."""
    status = main(["check", "--params", params.model_dump_json(), "--folder", str(folder), "--out", str(out)])
    songs = [row for path in sorted(out.glob("shards/*.jsonl")) for row in read_jsonl(path)]
    table = out / "set_aside.tsv"
    rows = read_table(table, {"path", "reason"}) if table.exists() else []
    return status, songs, {Path(row["path"]).name: row["reason"] for row in rows}
