"""Checkpoints of a run, from which every process of it goes on at one and the same step."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from ostinato.files import UserError, atomic
from ostinato.train.steps import Run

log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
#: How long a file of another node is waited for, s: NFS keeps what it knows of a folder for up to a minute.
LATE_SECONDS = 120


def trained_state(model: Any) -> dict[str, Any]:
    """A model's state but for its frozen weights."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def save(run: Run) -> None:
    """Write the checkpoint, in the first process: what is trained, the optimiser's state, the moving average, the step."""
    import torch

    if run.group.rank == 0:
        with atomic(run.folder / CHECKPOINT) as path:
            torch.save(
                {
                    "step": run.step,
                    "seconds": run.seconds,
                    "model": trained_state(run.task.model),
                    "optimizer": run.optimizer.state_dict(),
                    "asked": run.asked,
                    "micro": run.micro,
                    "average": run.average.weights if run.average else None,
                },
                path,
            )


def resume(run: Run) -> None:
    """Go on from the first process's checkpoint, if it has one: every process from the same."""
    path = run.folder / CHECKPOINT
    step = run.group.agree(_read_checkpoint(path, mapped=True)["step"] if run.group.rank == 0 and path.is_file() else -1)
    if step < 0:
        return
    saved = _checkpoint_of(path, step, run.group.device)
    missing, unexpected = run.task.model.load_state_dict(saved["model"], strict=False)
    wrong = sorted({*unexpected, *(set(missing) & trained_state(run.task.model).keys())})
    if wrong:
        raise UserError(f"{path}: not of this model: {', '.join(wrong[:3])}{' ...' * (len(wrong) > 3)} missing or not expected; remove it, and training starts anew")
    run.optimizer.load_state_dict(saved["optimizer"])
    run.step, run.seconds = saved["step"], saved["seconds"]
    if saved["asked"] == run.asked:  # halved since, maybe; where another size is asked for by now, that counts
        run.micro = saved["micro"]
    if run.average:
        run.average.weights = {name: value.to(run.group.device) for name, value in saved["average"].items()}
    log.info("%s: going on from step %d", run.folder, run.step)


def _checkpoint_of(path: Path, step: int, device: str) -> dict[str, Any]:
    """The checkpoint of a step, which a network file system may show late."""
    end, found = time.monotonic() + LATE_SECONDS, None
    while time.monotonic() < end:
        if path.is_file():
            saved = _read_checkpoint(path, mapped=device != "cpu")
            if saved["step"] == step:
                return saved
            found = saved["step"]
        time.sleep(0.5)
    raise UserError(
        f"{path}: seen from here it is of {'no step' if found is None else f'step {found}'}, the first process goes on from step {step}; "
        f"waited {LATE_SECONDS} s: expected a folder that all nodes see"
    )


def _read_checkpoint(path: Path, mapped: bool) -> dict[str, Any]:
    """A checkpoint, its tensors on the CPU: from there AdamW's count of steps stays, and all else goes to its place one by one.

    `mapped`: read when it is used, as what goes to a GPU at once. What stays on the CPU is read whole: another node may replace the file, and then a mapping ends in SIGBUS.
    """
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises whatever its unpickler and its zip reader do
        raise UserError(f"{path}: not a checkpoint that torch can read ({' '.join(str(error).split())[:160]}); remove it, and training starts anew") from None
