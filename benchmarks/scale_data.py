"""What benchmarks/scale.py measures on: a corpus of which everything is made up but the form of its files.

It has the tables, codes and sidecars that `check`, `listen`, `segments` and `codes` would have left for a folder of stand-ins: rows as they write them (`describe`,
`index_row`), chords, bars and codes those of a few hundred made-up segments. Sound there is none, so that folders of segments have their tables alone; demos, models
and scores are those of tests/fake_results.py.

`python scale_data.py corpus SHARDS` and `sound`, in a project whose lists are there, make it in a process of its own: what one that measures others holds would count
as theirs.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import fake_results  # noqa: E402
from ostinato import lists  # noqa: E402
from ostinato.codec.codec import save_spectral  # noqa: E402
from ostinato.codec.encoding import index_row  # noqa: E402
from ostinato.codec.fitting import sampled  # noqa: E402
from ostinato.codec.spectral import build  # noqa: E402
from ostinato.dataset.manifests import MANIFEST, SEGMENTS  # noqa: E402
from ostinato.dataset.segments import describe  # noqa: E402
from ostinato.files import read_json, write_jsonl  # noqa: E402
from ostinato.harmony.chords import Chord  # noqa: E402
from ostinato.harmony.keys import Key  # noqa: E402
from ostinato.listen.jamsfile import Description  # noqa: E402
from ostinato.lm.pretrained import CODEC_FILE  # noqa: E402
from ostinato.params import load  # noqa: E402
from ostinato.sidecars import write_sidecar  # noqa: E402
from ostinato.tables import write_set_aside, write_table  # noqa: E402

#: Where the Snakefile keeps the lists of a folder.
LISTED = "results/lists/corpus/folder/{shard}.jsonl"
#: Of a song, and of its segments, s.
BARS, BAR, SEGMENTS_OF_A_SONG = 6, 1.9, 10
RATE, FRAME_RATE, CODEBOOKS, CARDINALITY = 16000, 16.0, 4, 512
#: So many different segments there are; all others repeat their chords.
DIFFERENT = 400
INSTRUMENTS = ("piano", "guitar", "organ", "strings", "ukulele")
PROGRESSIONS = ("C G A:min F", "A:min F C G", "D:min7 G:7 C:maj7", "E:min C G D", "F C/3 B:dim C", "C:min Ab:maj Eb:maj Bb:maj", "N C F C")
#: Shares of songs that are set aside, and of which something odd is said; music left out of a song, in stretches.
ASIDE, ODD, LEFT_OUT = 0.05, 0.1, 5


@dataclass(frozen=True)
class Pool:
    """Descriptions and codes of made-up segments, which those of a corpus are drawn from."""

    rows: list[dict[str, Any]]
    codes: list[np.ndarray]

    @classmethod
    def make(cls, rng: random.Random) -> Pool:
        """A new one."""
        rows = [_described(rng) for _ in range(DIFFERENT)]
        generator = np.random.default_rng(rng.random().as_integer_ratio()[0])
        return cls(rows, [generator.integers(CARDINALITY, size=(CODEBOOKS, round(row["end"] * FRAME_RATE)), dtype=np.int16) for row in rows])


def _described(rng: random.Random) -> dict[str, Any]:
    """What `ostinato segments` says of a segment at the beginning of a song."""
    end, shift = BARS * BAR + rng.uniform(-1, 1), rng.randrange(12)
    names = rng.choice(PROGRESSIONS).split()
    edges = [bar * BAR for bar in range(BARS)] + [end]
    chords = [(left, right, Chord.parse(name).transpose(shift)) for left, right, name in zip(edges, edges[1:], names * BARS)]
    heard = Description(end, rng.uniform(60, 160), edges[:-1], chords, [0.8] * BARS, [(0.0, end, Key.parse("C:major"))], [(0.0, end, "A")], [], rng.choice(INSTRUMENTS))
    song = {"id": "0" * 16, "path": "music/song.mp3", "split": "train", "tags": {}}
    return describe("x", song, heard, 0.0, end) | {"confidence": 0.8, "sample_rate": RATE, "frames": round(end * RATE)}


class Corpus:
    """Made-up results of the first stages for the lists of a project, in the present folder. `shards`: names of the lists."""

    def __init__(self, shards: Sequence[str], listed: str, seed: int = 1) -> None:
        self.shards, self.listed, self.rng = shards, listed, random.Random(seed)
        self.pool = Pool.make(self.rng)
        self.songs = self.segments = 0

    def make(self) -> None:
        """Make it, a shard at a time."""
        for shard in self.shards:
            songs = self._check(shard, lists.read(self.listed.format(shard=shard)).files)
            rows = self._segments(shard, songs)
            self._codes(shard, rows)
            self.songs, self.segments = self.songs + len(songs), self.segments + len(rows)

    def _check(self, shard: str, files: Sequence[Path]) -> list[dict[str, Any]]:
        table, aside, songs = Path(f"results/corpus/shards/{shard}.jsonl"), [], []
        for path in files:
            if (drawn := self.rng.random()) < ASIDE:
                aside.append((str(path), "unreadable", "nothing in it that FFmpeg can decode (17 packets refused)"))
                continue
            if drawn > 1 - ODD:
                aside.append((str(path), "used_truncated", "1.4 % of it are missing at its end"))
            songs.append(self._song(path))
        songs.sort(key=lambda song: song["id"])
        write_jsonl(table, songs)
        write_set_aside(table.with_suffix(".tsv"), sorted(aside), tell=False)
        write_sidecar(table, "check", [song["path"] for song in songs], {"min_seconds": 20}, beside=[table.with_suffix(".tsv")])
        return songs

    def _song(self, path: Path) -> dict[str, Any]:
        split = self.rng.choices(("train", "valid", "test"), (8, 1, 1))[0]
        return {
            "id": f"{self.rng.getrandbits(64):016x}",
            "path": str(path),
            "sha256": f"{self.rng.getrandbits(256):064x}",
            "duration": round(SEGMENTS_OF_A_SONG * BARS * BAR + self.rng.uniform(5, 90), 4),
            "sample_rate": 44100,
            "channels": 2,
            "split": split,
            "lab": None,
            "tags": {},
        }

    def _segments(self, shard: str, songs: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], np.ndarray]]:
        heard, folder = Path(f"results/listen/{shard}"), Path(f"results/dataset/segments/{shard}")
        write_table(heard / "failed.tsv", ("id", "path", "reason"), [])
        write_sidecar(heard, "listen", [f"results/corpus/shards/{shard}.jsonl"])
        rows = [row for song in songs for row in self._of_song(song)]
        write_jsonl(folder / SEGMENTS, (row for row, _ in rows))
        write_table(folder / "left_out.tsv", ("id", "path", "start", "end", "reason"), (row for song in songs for row in _left_out(song)))
        write_sidecar(folder, "segments", [f"results/corpus/shards/{shard}.jsonl", heard], {"min_seconds": 10})
        return rows

    def _of_song(self, song: dict[str, Any]) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        for number in range(SEGMENTS_OF_A_SONG):
            drawn, name, start = self.rng.randrange(DIFFERENT), f"{song['id']}-{number:03d}", number * BARS * BAR
            about = self.pool.rows[drawn]
            place = {"name": name, "title": Path(song["path"]).stem, "song": song["id"], "split": song["split"], "start": start, "end": start + about["end"]}
            yield about | place | {"path": f"{name}.flac"}, self.pool.codes[drawn]

    def _codes(self, shard: str, rows: Sequence[tuple[dict[str, Any], np.ndarray]]) -> None:
        table, starts = Path(f"results/codes/{shard}.npy"), np.cumsum([0, *(codes.shape[1] for _, codes in rows)])
        table.parent.mkdir(parents=True, exist_ok=True)
        np.save(table, np.concatenate([np.zeros((CODEBOOKS, 0), np.int16), *(codes for _, codes in rows)], axis=1))
        write_jsonl(table.with_suffix(".jsonl"), (index_row(row, int(start), codes, FRAME_RATE) for (row, codes), start in zip(rows, starts)))
        for made in (table, table.with_suffix(".jsonl")):
            write_sidecar(made, "codes", [f"results/codec/{CODEC_FILE}", f"results/dataset/segments/{shard}"])


def _left_out(song: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Rows of what was left out of a song: mostly what lies between segments."""
    for number in range(LEFT_OUT):
        start = number * 20.0
        reason = "beside the segments" if number else f"chords are doubtful: confidence 0.{ord(song['id'][0])}, wanted 0.5"
        yield song["id"], song["path"], f"{start:.2f}", f"{start + 6:.2f}", reason


def made_up(shards: int) -> None:
    """Results of before the commands that see all songs, and of what they need beside."""
    params = load("params.yaml").codec
    assert (params.codebooks, params.cardinality) == (CODEBOOKS, CARDINALITY)
    fake_results.build(fake_results.PROMPTS, fake_results.HELDOUT, 4.0)
    for entry in read_json("results/judgements.json"):
        about = {key: entry[key] for key in ("which", "demo", "prompt", "heldout")}
        write_sidecar(entry["path"], "demos", ["results/models/" + {"before": "base"}.get(entry["which"], "tuned")], {}, entry["seed"], about)
    for folder in map(Path, ("results/codec", "results/models/base")):  # both are made anew
        shutil.rmtree(folder)
        folder.with_name(f"{folder.name}.made.json").unlink()
    save_spectral(Path("results/codec"), build(params), params)
    write_sidecar(f"results/codec/{CODEC_FILE}", "codec", [], params.model_dump(), params.seed)
    corpus = Corpus([f"shard-{number:02d}" for number in range(shards)], LISTED)
    corpus.make()
    print(json.dumps({"songs": corpus.songs, "segments": corpus.segments}))


def sound() -> None:
    """Noise for the segments that the codec is fitted on."""
    rng = np.random.default_rng(1)
    for row in sampled(Path("results/dataset/manifests/train", MANIFEST), load("params.yaml").codec.fit_seconds)[0]:
        soundfile.write(row["path"], 0.1 * rng.standard_normal(round(row["duration"] * RATE)), RATE, subtype="PCM_16")


if __name__ == "__main__":
    made_up(int(sys.argv[2])) if sys.argv[1] == "corpus" else sound()
