"""`ostinato ear`: train an ear through submitit."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from ostinato.commands import options
from ostinato.ears.labels import EARS
from ostinato.files import atomic, read_json
from ostinato.machine import trained_on
from ostinato.params import part
from ostinato.params.blocks import Launch, Loop, Method, Plan
from ostinato.params.ears import EarTraining
from ostinato.sidecars import write_sidecar
from ostinato.train.launch import deliver, launch
from ostinato.train.signature import signed
from ostinato.train.work import TrainJob

#: Tasks (modules of train.tasks) of the ears that learn something else than chords.
TASKS = {"instruments": "instruments", "beats": "beats"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--ear", choices=EARS, required=True)
    parser.add_argument("--params", required=True, help="what section `ears` says about all ears, as JSON")
    parser.add_argument("--plan", required=True, help="the ear's plan, as JSON")
    options.of_training(parser)
    parser.add_argument("--drills", type=Path, required=True, help="folder of the ear's training music")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights of all ears")


def run(args: argparse.Namespace) -> None:
    """Train, or go on training, and export."""
    config = configuration(args)
    launch([TrainJob(config)], part(Launch, "launch", args.launch), args.again)
    folder, weights = Path(config["folder"]), f"{args.ear}.safetensors"
    with atomic(args.out / weights) as path:
        shutil.copyfile(folder / weights, path)
    copied = deliver(folder, args.out / args.ear, ["events.jsonl"])
    public = {key: config[key] for key in ("name", "plan", "signature")}
    write_sidecar(args.out / weights, "ear", [args.drills], public, config["loop"]["seed"], trained_on(read_json(folder / "done.json")), beside=copied)


def configuration(args: argparse.Namespace) -> dict[str, Any]:
    """Everything the job needs, as plain JSON, with its signature and folder."""
    training, plan = part(EarTraining, "ears", args.params), part(Plan, "plan", args.plan)
    loop = Loop.of(training.model_dump()).model_dump() | {"method": method_of(training)}
    config = {"task": f"ostinato.train.tasks.{TASKS.get(args.ear, 'ears')}", "name": f"ear-{args.ear}", "ear": args.ear, "loop": loop, "plan": plan.model_dump()}
    return signed(config, [args.drills], args.runs) | {"drills": str(args.drills.resolve())}


def method_of(training: EarTraining) -> dict[str, Any]:
    """How ears are trained, as plain JSON: whole batches, in the precision that their tasks choose."""
    return Method(optimizer=training.optimizer, precision="bf16", micro_batch=None, checkpointing=False, lora=None, ema=None, deterministic=False).model_dump()
