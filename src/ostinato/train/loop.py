"""The training loop: any task that gives losses; checkpoints, exact resume, events.

A run folder holds `checkpoint.pt` (train.checkpoints), `events.jsonl` and, when done, `summary.json`. Whatever is random at step s is
seeded by (seed, s), so nothing but weights and optimiser needs to be kept, and a run killed at any moment ends with the very weights of an
undisturbed one: it goes on from the last checkpoint, in the middle of an epoch as anywhere, and events after it are dropped and written again.
The learning rate rises linearly, then follows a cosine (Loshchilov & Hutter, 2017); optimisers are in train.optimizers.

What a step and a validation compute, and how they are fitted into memory, is in train.steps.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ostinato.files import read_jsonl, write_json, write_jsonl
from ostinato.params.blocks import Loop, Method, Schedule
from ostinato.train.ahead import Ahead
from ostinato.train.average import Average
from ostinato.train.checkpoints import resume, save
from ostinato.train.parallel import ProcessGroup
from ostinato.train.steps import Run, Task, step, validate
from ostinato.train.usage import Usage, whereabouts


def learning_rate(step: int, steps: int, peak: float, loop: Loop) -> float:
    """Learning rate at `step` of `steps`."""
    warmup = max(1, round(loop.warmup_share * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (loop.final_lr_share + (1 - loop.final_lr_share) * 0.5 * (1 + math.cos(math.pi * progress)))


class Preempted(Exception):
    """The job was told to stop; a checkpoint has been written."""


def train(
    task: Task, loop: Loop, plan: Schedule, folder: Path, notice: Callable[[], str] = lambda: "", method: Method | None = None, group: ProcessGroup = ProcessGroup()
) -> dict[str, Any]:
    """Train until `task.steps`, from the checkpoint in `folder` if there is one; with none to take, validate. Returns the summary, in the first process.

    Args:
        notice: asked after every step: `stop` writes a checkpoint and ends, `save` writes one and goes on.
        method: how to fit into memory; None: batches whole, no average of weights.
        group: this process among all.

    Raises:
        Preempted: told to stop before the end.
        UserError: the loss is not finite, nor was the gradient several times, or memory is short for a single example; the run folder is kept for a look.
    """
    from ostinato.products import fast_products

    with Ahead(task) as batches, fast_products(group.device):
        return _train(task, loop, plan, folder, notice, method, group, batches)


def _train(task: Task, loop: Loop, plan: Schedule, folder: Path, notice: Callable[[], str], method: Method | None, group: ProcessGroup, batches: Ahead) -> dict[str, Any]:
    """See `train`."""
    import torch

    from ostinato.train.optimizers import optimizer_for

    torch.set_num_threads(plan.threads)
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = optimizer_for(task.model, loop, plan, method)
    average = Average(task.model, method.ema) if method and method.ema else None
    micro = (method.micro_batch if method else None) or plan.batch_size
    asked = min(micro, -(-plan.batch_size // group.size))
    run = Run(task, loop, plan, folder, group, optimizer, average, asked, asked, batches)
    resume(run)
    events = _Events(folder / "events.jsonl", run.step, silent=group.rank > 0)
    begun, usage = time.monotonic() - run.seconds, Usage()
    while run.step < task.steps:
        rate = learning_rate(run.step, task.steps, plan.lr, loop)
        loss, codes = step(run, rate, events.write)
        run.step += 1
        last = run.step == task.steps
        if run.step % loop.log_every == 0 or last:
            seconds = time.monotonic() - begun
            events.write(
                {"step": run.step, "split": "train", "loss": loss, "lr": rate, "seconds": round(seconds, 2), "codes_per_second": round(codes * run.step / seconds), **usage.read()}
            )
        if run.step % loop.validate_every == 0 or last:
            events.write({"step": run.step, "split": "valid", "loss": validate(run, events.write)})
        word = notice()
        told = group.any(bool(word))
        stopping = told and group.any(word == "stop")
        if run.step % loop.checkpoint_every == 0 or last or told:
            run.seconds = time.monotonic() - begun
            events.settle()
            save(run)
        if stopping and not last:
            raise Preempted(f"{folder}: stopped at step {run.step} of {task.steps}")
    if not group.agree(events.validated == task.steps):  # nothing was trained, or the end of the events was lost
        events.write({"step": task.steps, "split": "valid", "loss": validate(run, events.write)})
    if average:
        average.move_in()
    return _summary(run) if group.rank == 0 else {}


class _Events:
    """events.jsonl, appended line by line; what lies beyond the checkpoint is dropped on opening. `validated`: the last step that was."""

    def __init__(self, path: Path, step: int, silent: bool) -> None:
        self.path, self.silent, self.validated = path, silent, -1
        if not silent:
            # without a checkpoint the first start stays, and is what `ostinato track` knows the run by; see ostinato.tracking.runs
            kept = [event for event in _written(path) if event.get("step", 0) <= step]
            self.validated = max((event["step"] for event in kept if event.get("split") == "valid"), default=-1)
            write_jsonl(path, [*kept, {"event": "resume" if step else "start", "step": step, **whereabouts()}])

    def write(self, event: dict[str, Any]) -> None:
        """Append an event, and print it."""
        if self.silent:
            return
        if event.get("split") == "valid":
            self.validated = event["step"]
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event, sort_keys=True) + "\n")
        print(" ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in event.items()), flush=True)

    def settle(self) -> None:
        """Have the disk take what is written: a checkpoint must not outlast the events before it."""
        if not self.silent:
            with self.path.open("rb") as stream:
                os.fsync(stream.fileno())


def _written(path: Path) -> list[dict[str, Any]]:
    """The events of earlier attempts, up to a line that a crash of the machine has spoilt."""
    events = []
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
        try:
            events.append(json.loads(line if line.endswith(b"\n") else b""))
        except ValueError:
            break
    return events


def _summary(run: Run) -> dict[str, Any]:
    events = read_jsonl(run.folder / "events.jsonl")
    last = {event["split"]: event for event in events if "split" in event}
    parameters = list(run.task.model.parameters())
    summary = {
        "steps": run.task.steps,
        "train_loss": last.get("train", {}).get("loss"),
        "valid_loss": last["valid"]["loss"],
        "seconds": last.get("train", {}).get("seconds", 0.0),
        "parameters": sum(p.numel() for p in parameters),
        "trained_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "micro_batch": run.micro,
        "processes": run.group.size,
    }
    write_json(run.folder / "summary.json", summary)
    return summary
