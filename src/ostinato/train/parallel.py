"""Several processes that train one model: who is which, and what they must agree on.

Every process holds the whole model and computes its share of each batch; gradients are summed over processes after the last micro-batch. torch's
DistributedDataParallel sums them while the last micro-batch is still computed, and then a process that runs out of memory leaves the others waiting for
good; here all are asked first whether theirs went well. Processes are submitit's tasks; one process needs none of this.

What is asked goes from CPU to CPU (gloo), which notices at once when a process has died; only gradients go from GPU to GPU (NCCL), which waits for LONGEST.
The processes of a job meet at a port that the first of them found free, and that it names in the run's folder: jobs of a sweep that start on one node cannot meet
one another's.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from ostinato.files import UserError, read_json, write_json

#: How long processes of a job wait for the first of them, s: on a cluster nodes may start apart, and files are seen late.
MEETING, MEETING_HERE = 600, 120
#: How long a process waits for what another has to say, s: the first one may be writing a large checkpoint.
LONGEST = 900
#: Gradients are summed in pieces of this many numbers: one call for each of a thousand small tensors would wait a thousand times.
BUCKET = 2**24


@dataclass(frozen=True)
class ProcessGroup:
    """This process's number `rank` of `size`; `device` is where it computes; `store`: what all of them can read, kept by the first."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    store: Any = None

    def share(self, count: int) -> range:
        """Which of `count` examples are this process's."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def any(self, flag: bool) -> bool:
        """Whether it is true for any process."""
        return self.sum(float(flag)) > 0

    def sum(self, value: float) -> float:
        """Sum over processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total)

    def agree(self, number: int) -> int:
        """The number that the first process has, whatever the others think."""
        return round(self.sum(number if self.rank == 0 else 0))

    def outlive_first(self, seconds: float) -> None:
        """Wait until the first process has ended, at most so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.store.check(["here"])
            except RuntimeError:  # torch's DistNetworkError among them: who kept the store is gone
                return
            time.sleep(0.2)

    def room_for_sums(self, parameters: list[torch.nn.Parameter]) -> torch.Tensor | None:
        """All the memory that `sum_gradients` takes, asked for before processes agree that theirs went well: one that fails later leaves the others waiting.

        That is a place for the largest bucket, and zeros for gradients that there are none of, since this process has no share of the batch.
        """
        if self.size == 1:
            return None
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        return gradients[0].new_empty(max(sum(one.numel() for one in bucket) for bucket in _buckets(gradients)))

    def sum_gradients(self, parameters: list[torch.nn.Parameter], room: torch.Tensor | None) -> None:
        """Replace gradients by their sums over processes, within `room_for_sums`."""
        if room is None:
            return
        for bucket in _buckets([parameter.grad for parameter in parameters if parameter.grad is not None]):
            sizes = [gradient.numel() for gradient in bucket]
            flat = room[: sum(sizes)]
            places = [part.view_as(gradient) for part, gradient in zip(flat.split(sizes), bucket)]
            for place, gradient in zip(places, bucket):
                place.copy_(gradient)
            distributed.all_reduce(flat)
            for place, gradient in zip(places, bucket):
                gradient.copy_(place)


def _buckets(gradients: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    held: list[torch.Tensor] = []
    for gradient in gradients:
        if held and sum(one.numel() for one in held) + gradient.numel() > BUCKET:
            yield held
            held = []
        held.append(gradient)
    if held:
        yield held


@contextmanager
def process_group(folder: Path) -> Iterator[ProcessGroup]:
    """The processes of this submitit job, connected while the block runs. One that fails leaves at once, and is missed by the others.

    Raises:
        UserError: there are more processes than GPUs, or they do not meet.
    """
    import submitit

    environment: Any = submitit.JobEnvironment()
    device = _device(environment)
    if environment.num_tasks == 1:
        yield ProcessGroup(device=device)
        return
    rank, size = environment.global_rank, environment.num_tasks
    store = _keep_store(environment, folder) if rank == 0 else _find_store(environment, folder)
    backend = "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, store=distributed.PrefixStore("group", store), rank=rank, world_size=size, timeout=timedelta(seconds=LONGEST))
    if device != "cpu":
        distributed.all_reduce(torch.zeros(1, device=device))  # what NCCL takes of the GPU, it takes now
    yield ProcessGroup(rank, size, device, store)
    distributed.destroy_process_group()


def _device(environment: Any) -> str:
    """Where this process computes: each has a GPU of its own, since NCCL knows no other way."""
    if not torch.cuda.is_available():
        return "cpu"
    here, there = environment.num_tasks // environment.num_nodes, torch.cuda.device_count()
    if here > there:
        raise UserError(f"train.launch: {here} processes (tasks_per_node) on a machine whose GPUs are {there} (gpus); expected a GPU for each")
    device = f"cuda:{environment.local_rank}"
    torch.cuda.set_device(device)
    return device


def _keep_store(environment: Any, folder: Path) -> Any:
    """The first process's store, at a port that is free; where it is stands in the run's folder."""
    store = distributed.TCPStore(environment.hostnames[0], 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=LONGEST))
    token = secrets.token_hex(8)
    store.set("here", token)
    write_json(folder / "meeting.json", {"host": environment.hostnames[0], "port": store.port, "attempt": _attempt(environment), "token": token})
    return store


def _find_store(environment: Any, folder: Path) -> Any:
    """The first process's store, for any other. What an earlier attempt left in the folder, or keeps at its port by now, is not taken for it."""
    seconds, met = MEETING if environment.name() == "slurm" else MEETING_HERE, "nothing there"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = read_json(folder / "meeting.json") if (folder / "meeting.json").is_file() else {}
        if said.get("attempt") == _attempt(environment):
            try:
                store = distributed.TCPStore(said["host"], said["port"], is_master=False, timeout=timedelta(seconds=10))
                if store.check(["here"]) and store.get("here").decode() == said["token"]:
                    store.set_timeout(timedelta(seconds=LONGEST))
                    return store
                met = "another job's"
            except RuntimeError as error:
                met = " ".join(str(error).split())[:160]
        time.sleep(0.2)
    raise UserError(
        f"{folder / 'meeting.json'}: process {environment.global_rank} of {environment.num_tasks} did not meet the first one within {seconds} s ({met}); "
        "expected a folder that all nodes see, and a network between them"
    )


def _attempt(environment: Any) -> str:
    """The job and how often Slurm has requeued it."""
    return f"{environment.job_id}.{os.environ.get('SLURM_RESTART_COUNT', 0)}"
