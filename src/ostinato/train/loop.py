"""The training loop: any task that gives losses; checkpoints, exact resume, events.

A run folder holds `checkpoint.pt` (weights, optimiser, step), `events.jsonl` and, when done, `summary.json`. Whatever is random at step s is
seeded by (seed, s), so nothing but weights and optimiser needs to be kept, and a run killed at any moment ends with the very weights of an
undisturbed one: it goes on from the last checkpoint, and events after it are dropped and written again.
The learning rate rises linearly, then follows a cosine (Loshchilov & Hutter, 2017); AdamW with betas 0.9, 0.95.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ostinato.files import UserError, atomic, read_jsonl, write_json, write_jsonl
from ostinato.params import Loop, Plan

log = logging.getLogger(__name__)


class Task(Protocol):
    """What is trained."""

    model: Any
    steps: int

    def loss(self, split: str, step: int) -> tuple[Any, int]:
        """Mean loss (nats per code) of the batch of `step`, and the number of codes in it."""


def learning_rate(step: int, steps: int, peak: float, loop: Loop) -> float:
    """Learning rate at `step` of `steps`."""
    warmup = max(1, round(loop.warmup_share * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (loop.final_lr_share + (1 - loop.final_lr_share) * 0.5 * (1 + math.cos(math.pi * progress)))


class Preempted(Exception):
    """The job was told to stop; a checkpoint has been written."""


def train(task: Task, loop: Loop, plan: Plan, folder: Path, told_to_stop: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Train until `task.steps`, from the checkpoint in `folder` if there is one. Returns the summary.

    Args:
        told_to_stop: asked after every step.

    Raises:
        Preempted: told to stop before the end.
        UserError: the loss is not finite; the run folder is kept for a look.
    """
    import torch

    torch.set_num_threads(plan.threads)
    optimizer = torch.optim.AdamW(_groups(task.model, loop.weight_decay), lr=plan.lr, betas=(0.9, 0.95))
    folder.mkdir(parents=True, exist_ok=True)
    step, spent = _resume(task, optimizer, folder)
    events = _Events(folder / "events.jsonl", step)
    begun = time.monotonic() - spent
    while step < task.steps:
        rate = learning_rate(step, task.steps, plan.lr, loop)
        loss, codes = _step(task, optimizer, loop, step, rate)
        step += 1
        if not math.isfinite(loss):  # before the next checkpoint is written
            raise UserError(f"{folder}: loss is {loss} at step {step}; lower the learning rate ({plan.lr:g})")
        if step % loop.log_every == 0 or step == task.steps:
            seconds = time.monotonic() - begun
            events.write({"step": step, "split": "train", "loss": loss, "lr": rate, "seconds": round(seconds, 2),
                          "codes_per_second": round(codes * step / seconds)})
        if step % loop.validate_every == 0 or step == task.steps:
            events.write({"step": step, "split": "valid", "loss": validate(task, loop)})
        stopping = told_to_stop()
        if step % loop.checkpoint_every == 0 or step == task.steps or stopping:
            _save(task, optimizer, step, time.monotonic() - begun, folder)
        if stopping and step < task.steps:
            raise Preempted(f"{folder}: stopped at step {step} of {task.steps}")
    return _summary(folder, task)


def _groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, gains and biases do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [{"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0}]


def _step(task: Task, optimizer: Any, loop: Loop, step: int, rate: float) -> tuple[float, int]:
    import torch

    task.model.train()
    torch.manual_seed(loop.seed * 1_000_003 + step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss, codes = task.loss("train", step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(task.model.parameters(), loop.clip_norm)
    optimizer.step()
    return float(loss.detach()), codes


def validate(task: Task, loop: Loop) -> float:
    """Mean loss over the validation batches; always the same ones."""
    import torch

    task.model.eval()
    with torch.no_grad():
        pairs = [task.loss("valid", number) for number in range(loop.validation_batches)]
    return sum(float(loss) * codes for loss, codes in pairs) / sum(codes for _, codes in pairs)


def _save(task: Task, optimizer: Any, step: int, seconds: float, folder: Path) -> None:
    import torch

    with atomic(folder / "checkpoint.pt") as path:
        torch.save({"step": step, "seconds": seconds, "model": task.model.state_dict(), "optimizer": optimizer.state_dict()}, path)


def _resume(task: Task, optimizer: Any, folder: Path) -> tuple[int, float]:
    import torch

    path = folder / "checkpoint.pt"
    if not path.is_file():
        return 0, 0.0
    saved = torch.load(path, map_location="cpu", weights_only=True)
    task.model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    log.info("%s: going on from step %d", folder, saved["step"])
    return saved["step"], saved["seconds"]


class _Events:
    """events.jsonl, appended line by line; what lies beyond the checkpoint is dropped on opening."""

    def __init__(self, path: Path, step: int) -> None:
        kept = [event for event in _whole_lines(path) if event.get("step", 0) <= step]
        write_jsonl(path, [*kept, {"event": "resume" if step else "start", "step": step}])
        self.path = path

    def write(self, event: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event, sort_keys=True) + "\n")
        print(" ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in event.items()), flush=True)


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The events of a file whose last line a kill may have cut short."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _summary(folder: Path, task: Task) -> dict[str, Any]:
    events = read_jsonl(folder / "events.jsonl")
    last = {split: [event for event in events if event.get("split") == split][-1] for split in ("train", "valid")}
    summary = {"steps": task.steps, "train_loss": last["train"]["loss"], "valid_loss": last["valid"]["loss"], "seconds": last["train"]["seconds"],
               "parameters": sum(p.numel() for p in task.model.parameters())}
    write_json(folder / "summary.json", summary)
    return summary
