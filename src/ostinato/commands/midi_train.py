"""`ostinato midi-train`: train the MIDI GPT through submitit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ostinato.commands import options
from ostinato.files import UserError, read_json
from ostinato.lm.pretrained import LM_FILE
from ostinato.machine import trained_on
from ostinato.midi.encoding import CONTENTS
from ostinato.params import part
from ostinato.params.blocks import Launch, Schedule
from ostinato.params.midi import Augmentation, Gpt, Studied
from ostinato.sidecars import write_sidecar
from ostinato.train.launch import deliver, each_run, launch
from ostinato.train.signature import signed
from ostinato.train.work import TrainJob


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--name", nargs="+", required=True, help="name of each run")
    parser.add_argument("--params", required=True, help="what section `midi.train` says about all runs, as JSON")
    parser.add_argument("--model", required=True, help="section `midi.model`, as JSON")
    parser.add_argument("--augmentation", required=True, help="section `midi.augmentation`, as JSON")
    parser.add_argument("--plan", nargs="+", required=True, help="what to train, for each run, as JSON: midi.train.pretrain with values of the sweep, or midi.train.finetune")
    options.of_training(parser)
    parser.add_argument("--tokens", type=Path, required=True, help="folder of tokenizer.json and the index of words")
    parser.add_argument("--shards", type=Path, required=True, help="folder of the shards' words")
    parser.add_argument("--composer", help="learn this composer's pieces alone")
    parser.add_argument("--init", type=Path, help="folder of the model to go on from")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="folder for each trained model")


def run(args: argparse.Namespace) -> None:
    """Train, or go on training, and export."""
    configs = [configuration(args, name, plan) for name, plan in each_run(args.name, args.plan, args.out)]
    launch([TrainJob(config) for config in configs], part(Launch, "launch", args.launch), args.again)
    for config, out in zip(configs, args.out):
        folder = Path(config["folder"])
        copied = deliver(folder, out, ["events.jsonl", LM_FILE, "tokenizer.json"])
        public = {key: config[key] for key in ("name", "composer", "plan", "model", "signature")}
        write_sidecar(out / LM_FILE, "midi-train", inputs(args), public, config["loop"]["seed"], trained_on(read_json(folder / "done.json")), beside=copied)


def configuration(args: argparse.Namespace, run_name: str, plan: str) -> dict[str, Any]:
    """Everything a job needs, as plain JSON, with its signature and folder."""
    sections = {
        "loop": part(Studied, "midi.train", args.params),
        "model": part(Gpt, "midi.model", args.model),
        "augmentation": part(Augmentation, "midi.augmentation", args.augmentation),
        "plan": part(Schedule, "plan", plan),
    }
    config = {"task": "ostinato.train.tasks.midigpt", "name": f"midi-{run_name}", "composer": args.composer} | {name: value.model_dump() for name, value in sections.items()}
    return signed(config, inputs(args), args.runs) | {
        "tokens": str(args.tokens.resolve()),
        "shards": str(args.shards.resolve()),
        "init": str(args.init.resolve()) if args.init else None,
    }


def inputs(args: argparse.Namespace) -> list[Path]:
    """The files that decide the weights; of the words, what tells them from others, wherever they lie. Raises UserError where there are none."""
    if not (args.tokens / CONTENTS).is_file():
        raise UserError(f"{args.tokens}: no words there; expected what `ostinato tokenizer` writes")
    return [args.tokens / "tokenizer.json", args.tokens / CONTENTS, *([args.init / LM_FILE] if args.init else [])]
