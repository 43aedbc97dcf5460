"""`ostinato train`: train a language model through submitit."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from ostinato.codec.encoding import CONTENTS
from ostinato.commands import options
from ostinato.files import UserError, atomic, read_json
from ostinato.lm.pretrained import CODEC_FILE, LM_FILE, locate
from ostinato.machine import trained_on
from ostinato.params import Model, Training, part, section
from ostinato.params.blocks import Launch, Plan
from ostinato.sidecars import write_sidecar
from ostinato.train.launch import deliver, each_run, launch
from ostinato.train.plan import refuse_before_queueing
from ostinato.train.signature import signed
from ostinato.train.work import TrainJob


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--name", nargs="+", required=True, help="name of each run; `base` is trained without chords, any other with them")
    parser.add_argument("--params", required=True, help="section `train` without plans and launch, as JSON")
    parser.add_argument("--model", default="params.yaml", help="parameter file, or the section `model` as JSON")
    parser.add_argument(
        "--plan",
        nargs="+",
        required=True,
        help="what to train, for each run: train.base or train.tune with values of the sweep, as JSON, or the summary.json of a run with the same plan",
    )
    parser.add_argument("--seed", nargs="+", type=int, help="seed of each run; train.seed, where it is left out")
    parser.add_argument("--shuffled", nargs="*", default=[], help="names of runs that learn from the chords of other segments: controls")
    options.of_training(parser)
    parser.add_argument("--codec", type=Path, required=True, help="folder of the codec")
    parser.add_argument("--codes", type=Path, required=True, help="table of the codes of all shards")
    parser.add_argument("--init", type=Path, help="folder of the model to go on from")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="folder for each trained model")


def run(args: argparse.Namespace) -> None:
    """Train, or go on training, and export."""
    how = part(Launch, "launch", args.launch)
    runs = each_run(args.name, args.plan, args.out)
    seeds = args.seed or [None] * len(runs)
    if len(seeds) != len(runs):
        raise UserError(f"--seed: {len(seeds)} seeds for {len(runs)} runs; expected one each, or none")
    configs = [configuration(args, name, plan, seed) for (name, plan), seed in zip(runs, seeds)]
    for config in configs:
        refuse_before_queueing(config, how)
    launch([TrainJob(config) for config in configs], how, args.again)
    for config, out in zip(configs, args.out):
        export(config, out, args)


def configuration(args: argparse.Namespace, name: str, plan: str, seed: int | None) -> dict[str, Any]:
    """Everything a job needs, as plain JSON, with its signature and folder. A pretrained model is the base as it is: it is validated, not trained."""
    training = part(Training, "train", args.params)
    training = training if seed is None else training.model_copy(update={"seed": seed})
    what = part(Plan, "plan", plan if plan.lstrip().startswith("{") else json.dumps(read_json(Path(plan))["plan"]))
    model: Model = section("model", args.model)
    config = {
        "task": "ostinato.train.tasks.musicgen",
        "name": name,
        "loop": training.model_dump(),
        "plan": what.model_dump(),
        "model": model.model_dump(),
        "chords": name != "base",
        "adopted": args.init is None and model.pretrained is not None,
        "shuffled": name in args.shuffled,
    }
    init = str(args.init.resolve()) if args.init else model.pretrained
    return signed(config, inputs(args), args.runs) | {"codec": str(args.codec.resolve()), "codes": str(args.codes.resolve()), "init": init}


def inputs(args: argparse.Namespace) -> list[Path]:
    """The files that decide the weights; of the codes, what tells them from others, wherever they lie."""
    pretrained = section("model", args.model).pretrained
    if not args.codes.with_name(CONTENTS).is_file():
        raise UserError(f"{args.codes.parent}: no codes there; expected what `ostinato gather` writes")
    files = [args.codec / CODEC_FILE, args.codes.with_name(CONTENTS)]
    return files + ([locate(args.init or pretrained, LM_FILE)] if args.init or pretrained else [])


def export(config: dict[str, Any], out: Path, args: argparse.Namespace) -> None:
    """Copy a finished run to where the next rules look for it, beside its codec, with a sidecar."""
    folder = Path(config["folder"])
    with atomic(out / CODEC_FILE) as path:
        shutil.copyfile(args.codec / CODEC_FILE, path)
    copied = deliver(folder, out, ["events.jsonl", LM_FILE])
    public = {key: config[key] for key in ("name", "plan", "model", "signature")}
    write_sidecar(
        out / LM_FILE,
        "train",
        inputs(args),
        json.loads(json.dumps(public)),
        config["loop"]["seed"],
        trained_on(read_json(folder / "done.json")),
        beside=[out / CODEC_FILE, *copied],
    )
