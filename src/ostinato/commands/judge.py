"""`ostinato judge`: measure how well demos obey their prompts, and what they sound like."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.codec.encoding import Table
from ostinato.dataset.manifests import MANIFEST, described
from ostinato.files import UserError, read_json, write_json
from ostinato.generate.demos import CODES
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge import occurrences
from ostinato.judge.audio_copies import ASKED, SEARCHED, audio_copies
from ostinato.judge.demos import find_demos
from ostinato.judge.hearing import Clip, describe_all, hear_all
from ostinato.judge.scoring import Row, judgement, score_all
from ostinato.judge.sound import MUSIC, Music, add_clap, sound
from ostinato.judge.summary import PAIRS, summarise
from ostinato.params import Listen, section
from ostinato.sampling import evenly
from ostinato.sidecars import sidecar_path, write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `ostinato judge`."""
    parser.add_argument("--params", required=True, help="params.yaml, or its `judge` section as JSON")
    parser.add_argument("--listen", required=True, help="params.yaml, or its `listen` section as JSON")
    parser.add_argument(
        "--demos",
        required=True,
        nargs="+",
        type=Path,
        help="folders of demos: before, after and reference are needed; reference-2, control and after-4 (of the training with that seed) may stand beside them",
    )
    parser.add_argument("--manifests", required=True, type=Path, help="folder of manifests: train names the training labels, test the music that demos are held against")
    parser.add_argument("--codes", type=Path, help="table of the codes of all shards, among which copies are looked for")
    parser.add_argument("--scores", required=True, type=Path, help="scores.json to write")
    parser.add_argument("--judgements", required=True, type=Path, help="judgements.json to write")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="clips heard at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Judge all demos. Raises UserError for missing or empty folders, sidecars that lack a key, clips that cannot be read."""
    judge, listen = section("judge", args.params), section("listen", args.listen)
    demos = find_demos(args.demos)
    training, testing = (args.manifests / split / MANIFEST for split in ("train", "test"))
    found = occurrences.find({demo.prompt for demo in demos if demo.heldout}, occurrences.progressions_of(described(training)))
    heard = hear_all([demo.path for demo in demos], listen, judge.silence_db, args.jobs)
    if unheard := [clip for clip in heard if isinstance(clip, str)]:
        raise UserError(unheard[0])
    rows = score_all(demos, [clip for clip in heard if isinstance(clip, Clip)], judge)
    copied = {"copies": add_copies(rows, args.demos, args.codes)} if args.codes else {}
    if judge.clap:
        add_clap(rows, judge.clap)
    asked = [row for row in rows if row[0].heldout and row[0].prompt not in found.as_they_are]
    music = music_of(testing, float(np.median([clip.duration for _, clip, _ in rows])), listen, args.jobs)
    of_sets = sound(asked, [row for row in rows if not parse(row[0].prompt).chords], music, judge.confidence)
    write_json(args.scores, summarise(rows, found, judge, PAIRS) | {"sound": of_sets, "music": {"repetition": music.repetition(judge.confidence), "n": len(music.songs)}} | copied)
    write_json(args.judgements, [judgement(row, found.as_they_are) for row in rows])
    inputs = [*args.demos, training, testing, *([args.codes] if args.codes else [])]
    for artifact in (args.scores, args.judgements):
        write_sidecar(artifact, "judge", inputs, {"judge": judge.model_dump(), "listen": listen.model_dump()}, judge.seed)
    logging.info("judged %d clips; held-out prompts that occur in training and are not scored: %d", len(demos), len(found.as_they_are))


def music_of(manifest: Path, seconds: float, listen: Listen, jobs: int) -> Music:
    """The beginnings of held-out segments that are as long as the demos."""
    segments = [row for row in described(manifest) if row["frames"] >= seconds * row["sample_rate"]]
    some = list(evenly(segments, MUSIC)) if len(segments) > MUSIC else segments
    described_by = describe_all([row["path"] for row in some], seconds, listen, jobs)
    return Music([embedding for embedding, _ in described_by], [repeated for _, repeated in described_by], [row["song"] for row in some])


def add_copies(rows: Sequence[Row], folders: Sequence[Path], table: Path) -> dict[str, Any]:
    """Note in the metrics of each demo whose codes were kept the longest run that it shares with the training set, s; what held-out music shares, and what was searched."""
    codes: dict[str, np.ndarray] = {}
    rates = set()
    for path in (folder / CODES for folder in folders if (folder / CODES).is_file()):
        with np.load(path) as said:
            codes |= {str(path.with_name(f"{name}.wav")): said[name][0] for name in said.files}
        rates.add(read_json(sidecar_path(path))["about"]["frame_rate"])
    if len(rates) != 1:
        raise UserError(f"--demos {' '.join(map(str, folders))}: {CODES} at {len(rates)} frame rates; expected demos of one codec, as `ostinato demos` writes them")
    segments = Table.load(table)
    found = audio_copies(codes, segments.first_codes(segments.of("train", SEARCHED)), segments.first_codes(segments.of("test", ASKED)), rates.pop())
    for demo, _, metrics in rows:
        metrics["longest_copy"] = found["demos"][demo.path]["seconds"] if demo.path in found["demos"] else None
    return {"chance": found["chance"], "searched": found["training"]["segments"], "segments": int((segments.rows["split"] == 0).sum())}
