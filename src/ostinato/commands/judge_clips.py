"""`ostinato judge-clips`: measure how well any model's clips obey their prompts."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from ostinato.commands import options
from ostinato.files import UserError, write_json
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge.hearing import Clip, hear_all
from ostinato.judge.others import between, find_clips
from ostinato.judge.scoring import judgement, score_all
from ostinato.judge.sound import add_clap, diversities
from ostinato.judge.summary import summarise
from ostinato.judge.table import table
from ostinato.params import section
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `ostinato judge-clips`."""
    parser.add_argument("folder", type=Path, help="folder with the clips: wav, flac, ogg or mp3")
    parser.add_argument("prompts", type=Path, help="table (.tsv, .csv) with the columns clip and prompt, and where they are known model, seed, seconds, tempo")
    parser.add_argument("--params", default="params.yaml", help="params.yaml, or its `judge` section as JSON")
    parser.add_argument("--listen", default="params.yaml", help="params.yaml, or its `listen` section as JSON")
    parser.add_argument("--out", type=Path, help="scores.json to write, with scores.judgements.json beside it")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="clips heard at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Judge, print the table, say what was set aside. Raises UserError when nothing can be judged."""
    judge, listen = section("judge", args.params), section("listen", args.listen)
    if args.out:
        options.writable(args.out, [".json"])
    demos, aside = find_clips(args.folder, args.prompts)
    heard = hear_all([demo.path for demo in demos], listen, judge.silence_db, args.jobs)
    aside += [(demo.path, clip) for demo, clip in zip(demos, heard) if isinstance(clip, str)]
    pairs = [(demo, clip) for demo, clip in zip(demos, heard) if isinstance(clip, Clip)]
    for _, reason in aside:
        logging.warning("set aside: %s", reason)
    if not pairs:
        raise UserError(f"{args.folder}: none of {len(demos)} clips can be heard; the first: {aside[0][1]}")
    for prompt in dict.fromkeys(demo.prompt for demo, _ in pairs):
        for remark in parse(prompt).remarks:
            logging.info("%s: %s", prompt, remark)
    rows = score_all([demo for demo, _ in pairs], [clip for _, clip in pairs], judge)
    if judge.clap:
        add_clap(rows, judge.clap)
    beside = {"between": between(rows, judge.confidence), "sound": {"diversity": diversities(rows, judge.confidence)}}
    scores = summarise(rows, None, judge, {}) | beside | {"set_aside": [{"clip": clip, "reason": reason} for clip, reason in aside]}
    if args.out:
        judgements = args.out.with_suffix(".judgements.json")
        write_json(args.out, scores)
        write_json(judgements, [judgement(row, set()) for row in rows])
        inputs = [args.prompts, *(Path(demo.path) for demo, _ in pairs)]
        write_sidecar(args.out, "judge-clips", inputs, {"judge": judge.model_dump(), "listen": listen.model_dump()}, judge.seed, beside=[judgements])
    print(table(scores, all_strata=True))
    if aside:
        print(f"Set aside, and not judged: {len(aside)}; named on standard error" + f" and in {args.out}" * bool(args.out))
