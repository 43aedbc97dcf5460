"""What a training run needs of a GPU's memory, before it is queued; the largest micro-batch that fits; where none does, what would. And of its node's.

What is not said is taken from params.yaml: its model, its method, its plan. A model is one of MusicGen's sizes (small, medium, large: their weights are not
needed), a folder or a name on the hub, or the fresh model of params.yaml. The arithmetic is in train.memory and train.host. All sizes are printed in GiB, 2**30 bytes,
which is what GPUs are sold by: a GPU of 48 GB has about 48 GiB.
"""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ostinato.files import UserError
from ostinato.params import Codec, Model, Params
from ostinato.params.blocks import Launch, Method
from ostinato.train import host
from ostinato.train.memory import GIB, SPARE, Need, Run, Subject, adapter_parameters, chord_text, parameters, remedy, t5

log = logging.getLogger(__name__)
#: MusicGen's codec: frames per second, codebooks, entries of each.
FRAME_RATE, CODEBOOKS, CARDINALITY = 50.0, 4, 2048
#: Of a number in the files of published models: they are float16.
PUBLISHED_BYTES = 2
#: What is printed, and how it is called.
ROWS = (
    ("trained", "weights, trained"),
    ("frozen", "weights, frozen"),
    ("encoder", "T5"),
    ("gradients", "gradients"),
    ("optimiser", "optimiser"),
    ("average", "moving average"),
    ("activations", "activations"),
    ("recomputed", "a layer computed again"),
    ("transient", "gradients within it"),
    ("copies", "bf16 copies of weights"),
    ("loss", "logits and loss"),
    ("context", "CUDA itself"),
)
MOMENTS = {"backward": "in the backward pass", "optimiser": "in the optimiser's step", "validation": "in validation"}


def configured(
    params: Params,
    which: str,
    source: str | None = None,
    method: Method | None = None,
    seconds: float | None = None,
    batch_size: int | None = None,
    micro_batch: int | None = None,
    gpu: float | None = None,
) -> Run:
    """The run `base` or `tune` of params.yaml, with what else is said in place of what stands there.

    Args:
        source: a published size, a folder, a name on the hub.
        seconds: of the longest example.
        gpu: memory of a GPU, bytes.

    Raises:
        UserError: no such model.
    """
    plan, launch, source = getattr(params.train, which), params.train.launch, source or params.model.pretrained
    subject, adaptable = named(source) if source else fresh(params.model, params.codec), bool(source) or which == "tune"
    method = _suited(method or params.train.method, subject)
    share = _share(batch_size or plan.batch_size, launch)
    return Run(
        subject,
        method if adaptable else _without_adapters(method),
        plan.segment_seconds if seconds is None else seconds,
        share,
        min(micro_batch or method.micro_batch or share, share),
        gpu or gpu_bytes(launch),
        adaptable,
    )


def _suited(method: Method, subject: Subject) -> Method:
    """The method with AdamW where weights are pretrained: params.yaml's Muon is for fresh models."""
    return method.model_copy(update={"optimizer": "adamw"}) if subject.text.apart else method


def _without_adapters(method: Method) -> Method:
    """The method without adapters, as a model is trained that starts from nothing."""
    return method.model_copy(update={"lora": None})


def _share(batch_size: int, launch: Launch) -> int:
    """The most examples of a batch that one process has."""
    return math.ceil(batch_size / (launch.nodes * launch.tasks_per_node))


def gpu_bytes(launch: Launch) -> float:
    """Memory of a GPU of a job, bytes: what `gpu_gb` says, else of the smallest that is here; 0 without one."""
    return launch.gpu_gb * GIB or _present()


def _present() -> float:
    """Memory of the smallest GPU of this machine, bytes; 0 without one."""
    if not shutil.which("nvidia-smi"):
        return 0.0
    said = subprocess.run(["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"], capture_output=True, text=True, check=False).stdout
    return min((float(line) * 2**20 for line in said.split() if line.isdecimal()), default=0.0)


def named(name: str) -> Subject:
    """A published size by its name, without its weights; anything else by its configuration.

    Raises:
        UserError: no such model, or one that is not supported.
    """
    from ostinato.lm.pretrained import SIZES
    from ostinato.lm.shape import Shape

    known = re.fullmatch(f"(?:facebook/musicgen-)?({'|'.join(SIZES)})", name)
    if known and not Path(name).is_dir():
        dim, layers, heads = SIZES[known[1]]
        return Subject(name, Shape(dim, layers, heads, 4 * dim, CARDINALITY, tuple(range(CODEBOOKS))), t5(dim), FRAME_RATE, PUBLISHED_BYTES)
    return _found(name)


def _found(source: str) -> Subject:
    """A model in a folder or on the hub."""
    from ostinato.lm.layout import TEXT
    from ostinato.lm.model import LAYOUT
    from ostinato.lm.pretrained import LM_FILE, locate, read_config, read_package

    path = locate(source, LM_FILE)
    package = read_package(path)
    stored = min((value.element_size() for value in package["best_state"].values()), default=4)
    try:
        config = json.loads(package["xp.cfg"])
    except (json.JSONDecodeError, TypeError):  # audiocraft writes YAML
        shape = read_config(package["xp.cfg"], path)[0]
        projection = package["best_state"].get(f"{TEXT}output_proj.weight")
        return Subject(source, shape, t5(shape.dim) if projection is None else t5(*projection.shape), FRAME_RATE, stored)
    if not isinstance(config, dict) or config.get("layout") != LAYOUT:
        raise UserError(f"{path}: xp.cfg is JSON, but no configuration of ours")
    return replace(_ours(Model.model_validate(config["model"]), config["codebooks"], config["cardinality"], config["frame_rate"]), name=source, stored=stored)


def fresh(model: Model, codec: Codec) -> Subject:
    """The model of the parameters; a pretrained codec is taken for MusicGen's."""
    if codec.kind == "encodec":
        return _ours(model, CODEBOOKS, CARDINALITY, FRAME_RATE)
    from ostinato.codec.spectral import HOP, SAMPLE_RATE

    return _ours(model, codec.codebooks, codec.cardinality, SAMPLE_RATE / HOP)


def _ours(model: Model, codebooks: int, cardinality: int, frame_rate: float) -> Subject:
    from ostinato.lm.shape import Shape

    shape = Shape(model.dim, model.layers, model.heads, model.hidden_scale * model.dim, cardinality, tuple(range(codebooks)), dropout=model.dropout)
    return Subject("a fresh model", shape, chord_text(model), frame_rate)


def refuse_before_queueing(config: dict[str, Any], launch: Launch) -> None:
    """Raise UserError when a training job (its configuration: commands.train) cannot fit the GPU or the node's memory it asks for; warn when its micro-batch will be halved.

    A model that is adopted is not trained, but loaded: its node is looked at alone. Nobody holds jobs on this machine to the memory that they ask for.
    """
    on_gpu = launch.gpus and launch.gpu_gb and not config["adopted"]
    if not on_gpu and launch.cluster == "local":
        return
    planned = of_job(config, launch)
    if launch.cluster == "slurm":
        host.refuse(planned.subject.name, host.of(planned, launch))
    if not on_gpu:
        return
    refuse(planned)
    if (peak := planned.need().peak) > planned.gpu:
        log.warning(
            "a micro-batch of %d needs about %.1f GiB, the GPU has %.1f: it will be halved; `ostinato plan` proposes %d",
            planned.micro,
            peak / GIB,
            planned.gpu / GIB,
            planned.largest() or 1,
        )


def of_job(config: dict[str, Any], launch: Launch) -> Run:
    """The run of a training job."""
    method, plan = Method.model_validate(config["loop"]["method"]), config["plan"]
    if config["init"]:
        subject = named(config["init"])
        method = _suited(method, subject)
    else:
        from ostinato.codec.codec import load_codec

        codec, method = load_codec(config["codec"]), _without_adapters(method)
        subject = _ours(Model.model_validate(config["model"]), codec.num_codebooks, codec.cardinality, codec.frame_rate)
    share = _share(plan["batch_size"], launch)
    return Run(subject, method, plan["segment_seconds"], share, min(method.micro_batch or share, share), gpu_bytes(launch), bool(config["init"]))


def refuse(planned: Run) -> None:
    """Raise UserError when not even a single example at a time fits."""
    if not planned.fits:
        raise UserError(
            f"{planned.subject.name}: a micro-batch of 1 x {planned.seconds:g} s needs about {planned.need(1).peak / GIB:.1f} GiB, the GPU has "
            f"{planned.gpu / GIB:.1f} (gpu_gb); {remedy(planned)}"
        )


def as_json(planned: Run) -> dict[str, Any]:
    """Everything, sizes in bytes."""
    found = planned.need()
    return asdict(found) | {
        "peak": found.peak,
        "when": found.when,
        "gpu": round(planned.gpu) or None,
        "model": planned.subject.name,
        "parameters": _parameters(planned)[0],
        "trained_parameters": _parameters(planned)[1],
        "micro_batch": planned.micro,
        "largest_micro_batch": planned.largest() if planned.gpu else None,
        "batch_size": planned.share,
        "segment_seconds": planned.seconds,
        "method": planned.method.model_dump(),
    }


def host_as_json(node: host.Host) -> dict[str, Any]:
    """The node's memory, sizes in bytes."""
    return asdict(node) | {"peak": node.peak, "when": node.when, "held": node.held}


def table(planned: Run) -> str:
    """The plan as text."""
    found, method, (count, trained) = planned.need(), planned.method, _parameters(planned)
    how = [
        method.precision,
        *(["checkpointing"] if method.checkpointing else []),
        f"LoRA of rank {method.lora.rank}" if method.lora else "all weights",
        *([f"moving average {method.ema:g}"] if method.ema else []),
    ]
    lines = [
        f"{planned.subject.name}: {_millions(count)} parameters, {_millions(trained)} trained; {', '.join(how)}",
        f"micro-batch of {planned.micro} x {planned.seconds:g} s, of a batch of {planned.share}",
        f"{'GiB':>32}",
    ]
    lines += [f"{words:<24}{getattr(found, name) / GIB:>8.2f}" for name, words in ROWS if getattr(found, name)]
    lines.append(f"{'peak':<24}{found.peak / GIB:>8.2f}  {MOMENTS[found.when]}{_others(found)}")
    return "\n".join(lines + ([f"{'GPU':<24}{planned.gpu / GIB:>8.2f}", verdict(planned)] if planned.gpu else ["no GPU is known: say --gpu-gb"]))


def _others(found: Need) -> str:
    return "".join(f", {(size + found.context) / GIB:.2f} {MOMENTS[name]}" for name, size in found.moments.items() if name != found.when)


def verdict(planned: Run) -> str:
    """One line: whether it fits, and what to set."""
    largest = planned.largest()
    if planned.need().peak <= planned.gpu:
        return f"fits; the largest micro-batch that does, with {SPARE:.0%} to spare: {largest or 'none'}"
    if planned.fits:
        return f"does not fit; the largest micro-batch that does, with {SPARE:.0%} to spare: {largest or 'none'} (train.method.micro_batch)"
    return f"does not fit, nor does a micro-batch of 1 ({planned.need(1).peak / GIB:.1f} GiB); {remedy(planned)}"


def _parameters(planned: Run) -> tuple[int, int]:
    """Numbers in the model, and how many of them are trained."""
    count, lora = parameters(planned.subject.shape) + planned.subject.text.parameters, planned.method.lora
    return (count + adapter_parameters(planned.subject.shape, lora.rank), adapter_parameters(planned.subject.shape, lora.rank)) if lora else (count, count)


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"
