"""The training loop: any task that gives losses; checkpoints, exact resume, events, and what it takes to fit a model into memory.

A run folder holds `checkpoint.pt` (what is trained, optimiser, step), `events.jsonl` and, when done, `summary.json`. Whatever is random at step s is
seeded by (seed, s), so nothing but weights and optimiser needs to be kept, and a run killed at any moment ends with the very weights of an
undisturbed one: it goes on from the last checkpoint, in the middle of an epoch as anywhere, and events after it are dropped and written again.
The learning rate rises linearly, then follows a cosine (Loshchilov & Hutter, 2017); optimisers are in train.optimizers.

A batch is divided among the processes of a crew, and each share into micro-batches whose gradients add up, so the batch that counts stays what the plan says.
When memory is short, the micro-batch is halved, everywhere, and the step done again; that is an event, not an end.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ostinato.files import UserError, atomic, read_jsonl, read_whole_lines, write_json, write_jsonl
from ostinato.sections import Loop, Method, Schedule
from ostinato.train.average import Average
from ostinato.train.parallel import Crew
from ostinato.train.usage import Usage, whereabouts

log = logging.getLogger(__name__)


class Task(Protocol):
    """What is trained."""

    model: Any
    steps: int

    def batch(self, split: str, step: int) -> Any:
        """The batch of `step`; its `len` is the number of examples."""

    def loss(self, batch: Any, rows: range) -> tuple[Any, int]:
        """What examples `rows` of a batch add to its mean loss (nats per code), and how many codes they hold."""


@dataclass
class _Run:
    """The state of a run. `micro` examples are computed at a time."""

    task: Task
    loop: Loop
    plan: Schedule
    folder: Path
    crew: Crew
    optimizer: Any
    average: Average | None
    micro: int
    step: int = 0
    seconds: float = 0.0


def learning_rate(step: int, steps: int, peak: float, loop: Loop) -> float:
    """Learning rate at `step` of `steps`."""
    warmup = max(1, round(loop.warmup_share * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (loop.final_lr_share + (1 - loop.final_lr_share) * 0.5 * (1 + math.cos(math.pi * progress)))


class Preempted(Exception):
    """The job was told to stop; a checkpoint has been written."""


def train(task: Task, loop: Loop, plan: Schedule, folder: Path, notice: Callable[[], str] = lambda: "", method: Method | None = None,
          crew: Crew = Crew()) -> dict[str, Any]:
    """Train until `task.steps`, from the checkpoint in `folder` if there is one; with none to take, validate. Returns the summary.

    Args:
        notice: asked after every step: `stop` writes a checkpoint and ends, `save` writes one and goes on.
        method: how to fit into memory; None: batches whole, no average of weights.
        crew: this process among all.

    Raises:
        Preempted: told to stop before the end.
        UserError: the loss is not finite, or memory is short for a single example; the run folder is kept for a look.
    """
    import torch

    from ostinato.train.optimizers import optimizer_for

    torch.set_num_threads(plan.threads)
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = optimizer_for(task.model, loop, plan, method)
    average = Average(task.model, method.ema) if method and method.ema else None
    micro = (method.micro_batch if method else None) or plan.batch_size
    run = _Run(task, loop, plan, folder, crew, optimizer, average, min(micro, -(-plan.batch_size // crew.size)))
    _resume(run)
    events = _Events(folder / "events.jsonl", run.step, silent=crew.rank > 0)
    begun, usage = time.monotonic() - run.seconds, Usage()
    while run.step < task.steps:
        rate = learning_rate(run.step, task.steps, plan.lr, loop)
        loss, codes = _step(run, rate, events)
        run.step += 1
        if not math.isfinite(loss):  # before the next checkpoint is written
            raise UserError(f"{folder}: loss is {loss} at step {run.step}; lower the learning rate ({plan.lr:g})")
        last = run.step == task.steps
        if run.step % loop.log_every == 0 or last:
            seconds = time.monotonic() - begun
            events.write({"step": run.step, "split": "train", "loss": loss, "lr": rate, "seconds": round(seconds, 2),
                          "codes_per_second": round(codes * run.step / seconds), **usage.read()})
        if run.step % loop.validate_every == 0 or last:
            events.write({"step": run.step, "split": "valid", "loss": validate(run)})
        word = notice()
        told = crew.any(bool(word))
        stopping = told and crew.any(word == "stop")
        if run.step % loop.checkpoint_every == 0 or last or told:
            run.seconds = time.monotonic() - begun
            _save(run)
        if stopping and not last:
            raise Preempted(f"{folder}: stopped at step {run.step} of {task.steps}")
    if task.steps == 0:
        events.write({"step": 0, "split": "valid", "loss": validate(run)})
    if average:
        average.move_in()
    return _summary(folder, task, run.micro)


def seed_of_step(seed: int, step: int, rank: int) -> int:
    """The seed of what is random in a step of one process, as dropout: mixed, since torch's generator on the CPU takes the last 32 bits alone, and a sum
    of the three would repeat one process's draws in another's later steps.
    """
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


def _step(run: _Run, rate: float, events: _Events) -> tuple[float, int]:
    """One step of the optimiser: the batch's mean loss and its codes."""
    import torch

    run.task.model.train()
    batch = run.task.batch("train", run.step)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    while True:
        torch.manual_seed(seed_of_step(run.loop.seed, run.step, run.crew.rank))
        run.optimizer.zero_grad(set_to_none=True)
        try:
            loss, codes = _accumulate(run, batch)
            short = None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            loss, codes, short = 0.0, 0, str(error).splitlines()[0]
        if not run.crew.any(short is not None):
            break
        _halve(run, events, short or "another process is short of memory")
    trained = [p for group in run.optimizer.param_groups for p in group["params"]]
    run.crew.sum_gradients(trained)
    torch.nn.utils.clip_grad_norm_(trained, run.loop.clip_norm)
    try:
        run.optimizer.step()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"{run.folder}: out of memory in the optimiser ({str(error).splitlines()[0][:160]}); `ostinato plan` says what fits") from None
    if run.average:
        run.average.update()
    return run.crew.sum(loss), round(run.crew.sum(codes))


def _accumulate(run: _Run, batch: Any) -> tuple[float, int]:
    """Gradients of this process's share of a batch, micro-batch by micro-batch; the share's part of the loss, and its codes."""
    total, codes = 0.0, 0
    for rows in _micro_batches(run, batch):
        loss, count = run.task.loss(batch, rows)
        loss.backward()
        total, codes = total + float(loss.detach()), codes + count
    return total, codes


def _micro_batches(run: _Run, batch: Any) -> list[range]:
    """This process's share of a batch, as many rows at a time as memory holds."""
    share = run.crew.share(len(batch))
    return [share[first : first + run.micro] for first in range(0, len(share), run.micro)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of a GPU or of the machine, is what was wanted."""
    import torch

    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)


def _halve(run: _Run, events: _Events, why: str) -> None:
    import torch

    if run.micro == 1:
        need = getattr(run.task, "need", lambda micro: "")(1)
        raise UserError(f"{run.folder}: out of memory with a single example at a time{need} ({why[:160]}); shorten plan.segment_seconds, set "
                        "train.method.checkpointing or lora, or take a larger GPU: `ostinato plan` says what fits")
    run.optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    run.micro = (run.micro + 1) // 2
    events.write({"event": "out_of_memory", "step": run.step, "micro_batch": run.micro, "reason": why[:160]})


def validate(run: _Run) -> float:
    """Mean loss over the validation batches, always the same ones; of the average of weights, where there is one."""
    import torch

    run.task.model.eval()
    if run.average:
        run.average.move_in()
    total, codes = 0.0, 0.0
    with torch.no_grad():
        for number in range(run.loop.validation_batches):
            batch = run.task.batch("valid", number)
            parts = [run.task.loss(batch, rows) for rows in _micro_batches(run, batch)]
            held = run.crew.sum(sum(count for _, count in parts))
            total, codes = total + run.crew.sum(sum(float(loss) for loss, _ in parts)) * held, codes + held
    if run.average:
        run.average.move_out()
    return total / codes


def trained_state(model: Any) -> dict[str, Any]:
    """A model's state but for its frozen weights."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def _save(run: _Run) -> None:
    import torch

    if run.crew.rank == 0:
        with atomic(run.folder / "checkpoint.pt") as path:
            torch.save({"step": run.step, "seconds": run.seconds, "model": trained_state(run.task.model), "optimizer": run.optimizer.state_dict(),
                        "micro": run.micro, "average": run.average.weights if run.average else None}, path)


def _resume(run: _Run) -> None:
    import torch

    path = run.folder / "checkpoint.pt"
    if not path.is_file():
        return
    saved = torch.load(path, map_location=run.crew.device, weights_only=True)
    run.task.model.load_state_dict(saved["model"], strict=False)
    run.optimizer.load_state_dict(saved["optimizer"])
    run.step, run.seconds, run.micro = saved["step"], saved["seconds"], saved["micro"]
    if run.average:
        run.average.weights = saved["average"]
    log.info("%s: going on from step %d", run.folder, run.step)


class _Events:
    """events.jsonl, appended line by line; what lies beyond the checkpoint is dropped on opening."""

    def __init__(self, path: Path, step: int, silent: bool) -> None:
        self.path, self.silent = path, silent
        if not silent:
            # without a checkpoint the first start stays, and is what `ostinato track` knows the run by; see ostinato.report.runs
            kept = [event for event in (read_whole_lines(path) if path.is_file() else []) if event.get("step", 0) <= step]
            write_jsonl(path, [*kept, {"event": "resume" if step else "start", "step": step, **whereabouts()}])

    def write(self, event: dict[str, Any]) -> None:
        if self.silent:
            return
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event, sort_keys=True) + "\n")
        print(" ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in event.items()), flush=True)


def _summary(folder: Path, task: Task, micro: int) -> dict[str, Any]:
    events = read_jsonl(folder / "events.jsonl")
    last = {event["split"]: event for event in events if "split" in event}
    parameters = list(task.model.parameters())
    summary = {"steps": task.steps, "train_loss": last.get("train", {}).get("loss"), "valid_loss": last["valid"]["loss"],
               "seconds": last.get("train", {}).get("seconds", 0.0), "parameters": sum(p.numel() for p in parameters),
               "trained_parameters": sum(p.numel() for p in parameters if p.requires_grad), "micro_batch": micro}
    write_json(folder / "summary.json", summary)
    return summary
