"""`ostinato judge`: measure how well demos obey their prompts."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from ostinato.dataset.manifests import described
from ostinato.files import write_json
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge.adherence import seen_prompts
from ostinato.judge.judgement import find_demos, hear_all, judgement, score, summarise, training_progressions
from ostinato.params import section
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `ostinato judge`."""
    parser.add_argument("--params", required=True, help="params.yaml, or its `judge` section as JSON")
    parser.add_argument("--listen", required=True, help="params.yaml, or its `listen` section as JSON")
    parser.add_argument("--demos", required=True, nargs="+", type=Path, help="folders of demos: before, after, ceiling")
    parser.add_argument("--manifests", required=True, type=Path, help="folder of manifests; train/data.jsonl.gz names the training labels")
    parser.add_argument("--scores", required=True, type=Path, help="scores.json to write")
    parser.add_argument("--judgements", required=True, type=Path, help="judgements.json to write")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="clips heard at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Judge all demos. Raises UserError for missing or empty folders, sidecars that lack a key, clips that cannot be read."""
    judge, listen = section("judge", args.params), section("listen", args.listen)
    demos = find_demos(args.demos)
    manifest = args.manifests / "train" / "data.jsonl.gz"
    seen = seen_prompts({demo.prompt for demo in demos if demo.heldout}, training_progressions(described(manifest)))
    clips = hear_all(demos, listen, judge, args.jobs)
    scores = [score(clip, parse(demo.prompt), judge) for demo, clip in zip(demos, clips)]
    write_json(args.scores, summarise([(demo, clip, metrics) for demo, clip, (metrics, _) in zip(demos, clips, scores)], seen, judge))
    write_json(args.judgements, [judgement(*row, seen) for row in zip(demos, clips, scores)])
    for artifact in (args.scores, args.judgements):
        write_sidecar(artifact, "judge", [*args.demos, manifest], {"judge": judge.model_dump(), "listen": listen.model_dump()}, judge.seed)
    logging.info("judged %d clips; held-out prompts that occur in training and are not scored: %d", len(demos), len(seen))
