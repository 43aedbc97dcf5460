"""The GPUs of this machine, for jobs that run here: which there are, and which other jobs have.

submitit gives every local job the GPUs 0 to n - 1. Here each run gets n that no run below the same folder has: `job.json` says which are whose, and which process
is at work there, so that jobs of other launchers count, living or dead ones.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import takewhile
from pathlib import Path

from ostinato import processes
from ostinato.files import UserError
from ostinato.params.blocks import Launch
from ostinato.train.jobs import known_of
from ostinato.train.locks import hold, is_held

log = logging.getLogger(__name__)
#: In CUDA_VISIBLE_DEVICES these end the list.
NO_GPU = ("", "-1", "NoDevFiles")


def visible() -> list[str]:
    """The GPUs that programs here may use, in CUDA's words: those that CUDA_VISIBLE_DEVICES names (numbers, UUIDs), or else all that nvidia-smi lists."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return _listed() if named is None else list(takewhile(lambda name: name not in NO_GPU, map(str.strip, named.split(","))))


@cache
def _listed() -> list[str]:
    """All GPUs by their numbers; of one that is divided (MIG) its parts by their UUIDs."""
    if not shutil.which("nvidia-smi"):
        return []
    gpus: list[list[str]] = []
    for line in subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout.splitlines():
        if gpu := re.match(r"GPU (\d+):", line):
            gpus.append([gpu[1]])
        elif part := re.match(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)", line):
            gpus[-1].append(part[1])
    return [name for number, *parts in gpus for name in parts or [number]]


def require(params: Launch) -> None:
    """Raise UserError when a run on this machine asks for more GPUs than it has."""
    if params.cluster == "local" and params.gpus > (count := len(visible())):
        source = "which CUDA_VISIBLE_DEVICES names" if "CUDA_VISIBLE_DEVICES" in os.environ else "as nvidia-smi lists them" if _listed() else "nvidia-smi lists none"
        raise UserError(f"train.launch.gpus: {params.gpus} asked for each run, this machine has {count} ({source}); cluster: slurm asks a cluster for them")


@contextmanager
def reserved(run: Path, params: Launch) -> Iterator[list[str] | None]:
    """The GPUs of a job that is submitted within the block, in the folder of its run; None where too few are free now.

    Launchers of runs below one folder wait here for each other, so that the `job.json` of each is there when the next looks.
    """
    if params.cluster != "local" or not params.gpus:
        yield []
        return
    runs = run.parent.parent
    with hold(runs / ".gpus.lock"):
        taken = {gpu for path in runs.glob("*/*/job.json") for gpu in _held(path)}
        free = [gpu for gpu in visible() if gpu not in taken]
        if len(free) < params.gpus:
            _say_that_all_wait(params.gpus, ", ".join(sorted(taken)))
        yield free[: params.gpus] if len(free) >= params.gpus else None


@cache
def _say_that_all_wait(count: int, taken: str) -> None:
    """Once, not at each look."""
    log.info("waiting for %d GPU%s; other runs have %s", count, "s" * (count > 1), taken)


def _held(path: Path) -> list[str]:
    """The GPUs of a job, by its `job.json`, that is still at work on this machine: submitit's process, or a training that has outlived it."""
    job = known_of(path)
    mark = job.get("process", "")
    works = mark and processes.is_here(mark) and (processes.lives(mark) or is_held(path.with_name("lock")))
    return job.get("gpus", []) if works else []
