"""`ostinato plan`: say what a training run needs of a GPU's memory."""

from __future__ import annotations

import argparse
import json
import math

from ostinato.files import UserError
from ostinato.params import Params, load
from ostinato.params.blocks import Lora, Method
from ostinato.train import host
from ostinato.train.memory import GIB, Run
from ostinato.train.plan import as_json, configured, host_as_json, refuse, table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: params.yaml)")
    parser.add_argument("--model", help="small, medium, large, a folder, or a name on the hub (default: the model of the parameters)")
    parser.add_argument("--run", choices=("base", "tune"), default="tune", dest="which", help="which of the two trainings (default: tune)")
    parser.add_argument("--micro-batch", type=_positive, help="examples computed at a time")
    parser.add_argument("--batch-size", type=_positive, help="examples per step")
    parser.add_argument("--segment-seconds", type=float, help="longest training example, seconds")
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    parser.add_argument("--checkpointing", action=argparse.BooleanOptionalAction, help="compute activations twice instead of keeping them")
    parser.add_argument("--lora-rank", type=int, help="rank of adapters; 0: train all weights")
    parser.add_argument("--gpu-gb", type=float, help="memory of a GPU, GB (default: train.launch.gpu_gb, else the GPU that is here)")
    parser.add_argument("--mem-gb", type=_positive, help="memory of a node that the job asks for, GB (default: train.launch.mem_gb)")
    parser.add_argument("--check", action="store_true", help="fail when not even a micro-batch of 1 fits, or on Slurm or with --mem-gb the node is too small")
    parser.add_argument("--json", action="store_true", help="print JSON, sizes in bytes")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> None:
    """Print the plan."""
    params = load(args.params)
    planned, launch = _configured(args, params), params.train.launch
    node = host.of(planned, launch.model_copy(update={"mem_gb": args.mem_gb or launch.mem_gb}))
    if args.check and not planned.gpu:
        raise UserError("--check: no GPU is here and train.launch.gpu_gb is 0; say --gpu-gb")
    print(json.dumps(as_json(planned) | {"host": host_as_json(node)}, indent=1) if args.json else f"{table(planned)}\n{host.line(node)}")
    if args.check:
        refuse(planned)
        if args.mem_gb or launch.cluster == "slurm":  # nobody holds a job on this machine to what it asks for
            host.refuse(planned.subject.name, node)


def _configured(args: argparse.Namespace, params: Params) -> Run:
    """The run that options and parameters describe."""
    if args.segment_seconds is not None and not 0 < args.segment_seconds < math.inf:
        raise UserError(f"--segment-seconds: expected seconds above 0, got {args.segment_seconds:g}")
    if args.gpu_gb is not None and not 0 < args.gpu_gb < math.inf:
        raise UserError(f"--gpu-gb: expected GB above 0, got {args.gpu_gb:g}")
    gpu = args.gpu_gb * GIB if args.gpu_gb else None
    return configured(params, args.which, args.model, _method(params.train.method, args), args.segment_seconds, args.batch_size, args.micro_batch, gpu)


def _method(method: Method, args: argparse.Namespace) -> Method:
    said = {name: value for name in ("precision", "checkpointing") if (value := getattr(args, name)) is not None}
    if args.lora_rank is not None:
        if args.lora_rank < 0:
            raise UserError(f"--lora-rank: expected 0 or more, got {args.lora_rank}")
        said["lora"] = Lora(rank=args.lora_rank, alpha=2 * args.lora_rank, dropout=method.lora.dropout if method.lora else 0.0) if args.lora_rank else None
    return method.model_copy(update=said)
