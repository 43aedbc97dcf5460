"""`ostinato judge-midi`: measure compositions and the model on held-out pieces."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from ostinato.files import UserError, write_json
from ostinato.judge.midi.bits import grid
from ostinato.judge.midi.held_out import likelihood
from ostinato.judge.midi.judgement import Training, compare, encode_rows, find_demos, judge_piece, judgement, read_rows, recognised
from ostinato.judge.midi.likelihood import load
from ostinato.params import Judge, part, section
from ostinato.params.midi import Augmentation
from ostinato.sidecars import write_sidecar

log = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", required=True, help="params.yaml, or its `judge` section as JSON")
    parser.add_argument("--augmentation", required=True, help="section `midi.augmentation`, as JSON: what the model was trained on, its baselines may learn from")
    parser.add_argument("--model", type=Path, required=True, help="folder of the pretrained MIDI model")
    parser.add_argument("--pieces", type=Path, required=True, help="pieces.jsonl, as `ostinato pieces` writes it")
    parser.add_argument("--demos", type=Path, required=True, help="folder of compositions")
    parser.add_argument("--scores", type=Path, required=True, help="scores.json to write")
    parser.add_argument("--judgements", type=Path, required=True, help="judgements.json to write")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="files encoded at once; does not change the result")


def run(args: argparse.Namespace) -> None:
    """Judge model and demos."""
    judge: Judge = section("judge", args.params)
    variation: Augmentation = part(Augmentation, "midi.augmentation", args.augmentation)
    rows, (demos, aside) = read_rows(args.pieces), find_demos(args.demos)
    model = load(args.model)
    splits = {split: encode_rows(model.tokenizer, rows[split], args.jobs, aside) for split in ("train", "valid", "test")}
    (trained_rows, trained), (rows_out, heldout) = splits["train"], splits["test"]
    if not trained:
        raise UserError(f"{args.pieces}: no piece of split 'train' can be used; the first: {aside[0]['reason']}")
    training = Training.of(trained_rows, trained)
    judged = [judge_piece(demo.piece, training, demo.composed) for demo in demos]
    scores = {"grid": grid(model.tokenizer), "confidence": judge.confidence} | likelihood(model, splits, variation, judge.confidence)
    scores |= compare(demos, judged, rows_out, heldout, training, judge.confidence)
    scores["style"] = recognised(model.tokenizer, demos, splits, judge.confidence)
    write_json(args.scores, scores)
    write_json(args.judgements, {"demos": [judgement(demo, one) for demo, one in zip(demos, judged)]} | ({"set_aside": aside} if aside else {}))
    for artifact in (args.scores, args.judgements):
        write_sidecar(artifact, "judge-midi", [args.model, args.pieces, args.demos], {"confidence": judge.confidence, "augmentation": variation.model_dump()})
    for row in aside:
        log.warning("set aside: %s", row["reason"])
    log.info("judged %d held-out pieces and %d compositions; %d files set aside", len(heldout), len(demos), len(aside))
