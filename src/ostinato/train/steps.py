"""What a run computes: a step of the optimiser, and the loss on validation; and what it takes to fit both into memory.

A batch is divided into micro-batches whose gradients add up, and these among the processes of a group. When memory is short the micro-batch is halved, everywhere, and
what was begun is done again. Dropout is seeded by (seed, step, first row of the micro-batch): its masks depend on the size of micro-batches, not on who computes them.
A step whose gradient is no number leaves the weights as they are.

Validation is on one set of examples that does not depend on the run, so that the runs of a sweep can be compared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from ostinato.files import UserError
from ostinato.params.blocks import Loop, Schedule
from ostinato.train.ahead import Ahead
from ostinato.train.average import Average
from ostinato.train.parallel import ProcessGroup

#: What tasks seed the choice of their validation examples with, in place of the run's own seed.
VALIDATION_SEED = 2026
#: So many examples are validated at a time, whatever is trained at a time: texts of a micro-batch are padded to its longest, and padding is attended to. Without
#: gradients they take less memory than one with them.
VALIDATED_AT_A_TIME = 4
#: A run ends after so many steps in a row whose gradient is no number.
MOST_SKIPPED = 10
#: How allocators and libraries say that memory is short: torch on CPU and GPU (also `CUDA error: out of memory`), cuBLAS, cuDNN 8 and 9, NCCL.
SHORT = re.compile(r"out of memory|allocate memory|_STATUS_ALLOC_FAILED|_(DEVICE|HOST)_ALLOCATION_FAILED|Failed to CUDA [\w ]*alloc", re.IGNORECASE)

Tell = Callable[[dict[str, Any]], None]
Found = TypeVar("Found")


class Task(Protocol):
    """What is trained."""

    model: Any
    steps: int

    def batch(self, split: str, step: int) -> Any:
        """Of `train` the batch of `step`, of `valid` all that is validated on, the same for every run; drawn by a thread of its own (see train.ahead).

        Its `len` is the number of rows, its `per_example` how many of them count as one example, where that is not 1.
        """

    def loss(self, batch: Any, rows: range) -> tuple[Any, int]:
        """What rows of a batch add to its mean loss (nats per code), and how many codes they hold."""


@dataclass
class Run:
    """The state of a run. `micro` examples are computed at a time, `asked` as long as memory holds them, `valid_micro` in validation; `skipped` steps in a row had a
    gradient that is no number.
    """

    task: Task
    loop: Loop
    plan: Schedule
    folder: Path
    group: ProcessGroup
    optimizer: Any
    average: Average | None
    asked: int
    micro: int
    batches: Ahead
    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    valid_micro: int = VALIDATED_AT_A_TIME
    valid: Any = None

    @property
    def trained(self) -> list[Any]:
        """The parameters that are trained."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]


def step(run: Run, rate: float, tell: Tell) -> tuple[float, int]:
    """One step of the optimiser: the batch's mean loss and its codes.

    Raises:
        UserError: the loss is no number, nor was the gradient several times, or memory is short for a single example.
    """
    run.task.model.train()
    batch = run.batches.train(run.step)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    loss, codes, room = _fitted(run, "micro", tell, lambda: _accumulate(run, batch))
    loss = run.group.sum(loss)
    if not math.isfinite(loss):
        raise UserError(f"{run.folder}: loss is {loss} at step {run.step + 1}; lower the learning rate ({run.plan.lr:g})")
    _move(run, room, tell)
    return loss, round(run.group.sum(codes))


def seed_of_step(seed: int, step: int, row: int) -> int:
    """The seed of what is random in a micro-batch of a step, as dropout, by its first row: mixed, since torch's generator on the CPU takes the last 32 bits alone, and
    a sum of the three would repeat one step's draws in another's.
    """
    return int(np.random.SeedSequence([seed, step, row]).generate_state(1, np.uint64)[0])


def _accumulate(run: Run, batch: Any) -> tuple[float, int, Any]:
    """Gradients of this process's share of a batch, micro-batch by micro-batch; the share's part of the loss, its codes, and memory to sum gradients in."""
    import torch

    run.optimizer.zero_grad(set_to_none=True)
    total, codes = 0.0, 0
    for rows in _micro_batches(run.group, batch, run.micro):
        torch.manual_seed(seed_of_step(run.loop.seed, run.step, rows.start))
        loss, count = run.task.loss(batch, rows)
        loss.backward()
        total, codes = total + float(loss.detach()), codes + count
    return total, codes, run.group.room_for_sums(run.trained)


def _move(run: Run, room: Any, tell: Tell) -> None:
    """Sum the gradients over processes, and follow them unless they are no numbers; the sum is the same for all, so all do alike."""
    import torch

    trained = run.trained
    try:
        run.group.sum_gradients(trained, room)
        norm = float(torch.nn.utils.clip_grad_norm_(trained, run.loop.clip_norm))
        if not math.isfinite(norm):
            return _skip(run, norm, tell)
        run.optimizer.step()
    except (RuntimeError, MemoryError) as error:
        if not (short := shortage(error)):
            raise
        raise UserError(f"{run.folder}: out of memory in the optimiser ({short[:160]}); `ostinato plan` says what fits") from None
    run.skipped = 0
    if run.average:
        run.average.update(run.step)


def _skip(run: Run, norm: float, tell: Tell) -> None:
    """Leave the weights as they are, and say so."""
    run.skipped += 1
    tell({"event": "skipped", "step": run.step + 1, "reason": f"the norm of the gradient is {norm}"})
    if run.skipped == MOST_SKIPPED:
        raise UserError(
            f"{run.folder}: the norm of the gradient is {norm} at step {run.step + 1}, as in the {MOST_SKIPPED - 1} steps before, with a loss that is a "
            f"number; lower the learning rate ({run.plan.lr:g}) or clip_norm ({run.loop.clip_norm:g})"
        )


def validate(run: Run, tell: Tell) -> float:
    """Mean loss over the validation examples; of the average of weights, where there is one."""
    run.task.model.eval()
    if run.valid is None:
        run.valid = run.batches.valid()
    if run.micro < run.asked:  # memory was short, before this start of the run perhaps
        run.valid_micro = min(run.valid_micro, run.micro)
    return run.group.sum(_fitted(run, "valid_micro", tell, lambda: _evaluate(run)))


def _evaluate(run: Run) -> float:
    """This process's part of the loss on validation."""
    import torch

    with torch.no_grad(), run.average.moved_in() if run.average else nullcontext():
        return sum(float(run.task.loss(run.valid, rows)[0]) for rows in _micro_batches(run.group, run.valid, run.valid_micro))


def _micro_batches(group: ProcessGroup, batch: Any, micro: int) -> list[range]:
    """This process's micro-batches, so many examples in each; they begin at the same rows for any number of processes."""
    size = micro * getattr(batch, "per_example", 1)
    firsts = range(0, len(batch), size)
    return [range(firsts[k], min(firsts[k] + size, len(batch))) for k in group.share(len(firsts))]


def _fitted(run: Run, micro: str, tell: Tell, compute: Callable[[], Found]) -> Found:
    """What `compute` gives; as long as any process is short of memory for it, all halve what `micro` names and begin again."""
    while True:
        found: Any = None
        try:
            found, short = compute(), ""
        except (RuntimeError, MemoryError) as error:
            if not (short := shortage(error)):
                raise
        if not run.group.any(bool(short)):
            return found
        _halve(run, micro, tell, short or "another process is short of memory")


def shortage(error: BaseException) -> str:
    """The line of an error that says that memory, of a GPU or of the machine, was wanted; empty where something else is wrong."""
    import torch

    lines = str(error).splitlines() or [type(error).__name__]
    said = next((line for line in lines if SHORT.search(line)), "")
    return said or (lines[0] if isinstance(error, (torch.OutOfMemoryError, MemoryError)) else "")


def _halve(run: Run, micro: str, tell: Tell, why: str) -> None:
    """Half the micro-batch from now on. Raises UserError where it is a single example."""
    import torch

    size = getattr(run, micro)
    if size == 1:
        need = getattr(run.task, "need", lambda micro: "")(1)
        raise UserError(
            f"{run.folder}: out of memory with a single example at a time{need} ({why[:160]}); shorten plan.segment_seconds, set "
            "train.method.checkpointing or lora, or take a larger GPU: `ostinato plan` says what fits"
        )
    run.optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    setattr(run, micro, (size + 1) // 2)
    tell({"event": "out_of_memory", "step": run.step, "micro_batch": (size + 1) // 2, "reason": why[:160]})
