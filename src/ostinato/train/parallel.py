"""Several processes that train one model: who is which, and what they must agree on.

Every process holds the whole model and computes its share of each batch; gradients are summed over processes after the last micro-batch. torch's
DistributedDataParallel sums them while the last micro-batch is still computed, and then a process that runs out of memory leaves the others waiting for
good; here all are asked first whether theirs went well. Processes are submitit's tasks; one process needs none of this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

#: Gradients are summed in pieces of this many numbers: one call for each of a thousand small tensors would wait a thousand times.
BUCKET = 2**24


@dataclass(frozen=True)
class Crew:
    """This process's number `rank` of `size`; `device` is where it computes."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

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
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total)

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
def crew() -> Iterator[Crew]:
    """The processes of this submitit job, connected while the block runs."""
    import submitit

    environment: Any = submitit.JobEnvironment()
    device = f"cuda:{environment.local_rank % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu"
    if device != "cpu":
        torch.cuda.set_device(device)
    if environment.num_tasks == 1:
        yield Crew(device=device)
        return
    os.environ |= {"MASTER_ADDR": environment.hostnames[0], "MASTER_PORT": str(20_000 + int(str(environment.job_id).split("_")[0]) % 20_000)}
    distributed.init_process_group("gloo" if device == "cpu" else "nccl", rank=environment.global_rank, world_size=environment.num_tasks)
    try:
        yield Crew(environment.global_rank, environment.num_tasks, device)
    finally:
        distributed.destroy_process_group()
