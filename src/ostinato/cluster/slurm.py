"""What Slurm says of its partitions and nodes, from the outputs of sinfo and scontrol that are meant for programs.

Memory in MB of 2^20 bytes and times in minutes, as Slurm counts them; a limit that is none is infinite.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from ostinato.files import UserError

#: How nodes' states begin on which nothing will start until somebody acts.
UNUSABLE = ("down", "drain", "drng", "fail", "error", "unknown", "inval", "maint", "no_respond")
SINFO = ("sinfo", "--noheader", "--Node", "--all", "--format=%R|%N|%c|%m|%G|%T")


@dataclass(frozen=True)
class Node:
    """A machine. `gpus`: how many of each type, the type empty where Slurm was told none."""

    name: str
    cpus: int
    memory_mb: int
    gpus: Mapping[str, int]
    usable: bool

    def count(self, gpu_type: str | None = None) -> int:
        """GPUs, of one type or of all."""
        return self.gpus.get(gpu_type, 0) if gpu_type else sum(self.gpus.values())


@dataclass(frozen=True)
class Partition:
    """A queue and its nodes. `grace`: what a job has between the word that it is preempted and its end, seconds."""

    name: str
    state: str
    max_minutes: float
    default: bool
    preempt: str
    grace: int
    nodes: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Slurm:
    """A cluster: partitions by name, and `scontrol show config`."""

    partitions: dict[str, Partition]
    config: dict[str, str]

    def partition(self, name: str | None) -> Partition | None:
        """A partition by its name; without one, that which jobs go to that name none."""
        return self.partitions.get(name) if name else next((one for one in self.partitions.values() if one.default), None)


def ask(*words: str, given: str | None = None, timeout: float = 60) -> str:
    """What a command prints. Raises UserError with its last complaint when it fails or does not answer within `timeout` seconds."""
    try:
        said = subprocess.run(words, input=given, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError:
        raise UserError(f"{words[0]}: not found") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{words[0]} does not answer within {timeout:g} s") from None
    if said.returncode:
        complaints = (said.stderr.strip() or said.stdout.strip()).splitlines()
        raise UserError(f"{words[0]}: {complaints[-1].removeprefix(words[0] + ': ') if complaints else f'exit status {said.returncode}'}")
    return said.stdout


def survey() -> Slurm:
    """Ask Slurm for all. Raises UserError when it does not answer."""
    partitions = {one.name: one for one in map(_partition, ask("scontrol", "show", "partition", "--all", "--oneliner").splitlines()) if one}
    for line in ask(*SINFO).splitlines():
        name, *rest = line.strip().split("|")
        if name in partitions:
            partitions[name].nodes.append(_node(rest))
    config = dict(re.findall(r"^(\S+)\s*= (.*?)\s*$", ask("scontrol", "show", "config"), re.MULTILINE))
    return Slurm(partitions, config)


def _partition(line: str) -> Partition | None:
    said = dict(re.findall(r"(\w+)=(\S*)", line))
    if "PartitionName" not in said:
        return None
    grace = said.get("GraceTime", "0")
    return Partition(
        said["PartitionName"],
        said.get("State", "?"),
        minutes(said.get("MaxTime", "UNLIMITED")),
        said.get("Default") == "YES",
        said.get("PreemptMode", "OFF"),
        int(grace) if grace.isdecimal() else 0,
    )


def _node(said: list[str]) -> Node:
    name, cpus, memory, generic, state = said
    return Node(name, int(cpus), int(memory.rstrip("+")), gpus(generic), not (state.lower().startswith(UNUSABLE) or state.endswith("*")))


def gpus(generic: str) -> dict[str, int]:
    """GPUs by type of a node's generic resources: `gpu:a100:4(S:0-1),shard:8` is {"a100": 4}, `gpu:2` is {"": 2}."""
    found: dict[str, int] = {}
    for kind, count in re.findall(r"(?:^|,)gpu(?::([^:,(]*[^\d:,(][^:,(]*))?:(\d+)", generic):
        found[kind] = found.get(kind, 0) + int(count)
    return found


def minutes(text: str) -> float:
    """Slurm's times, `1-12:00:00` (days, hours, minutes, seconds), `90:00` or `UNLIMITED`, in minutes."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    return sum(int(part or 0) * size for part, size in zip(found.groups(), (1440, 60, 1, 1 / 60))) if found else math.inf


def as_time(value: float) -> str:
    """Minutes in words."""
    return "without limit" if math.isinf(value) else f"{value:g} min" if value < 180 else f"{value / 60:.4g} h"
