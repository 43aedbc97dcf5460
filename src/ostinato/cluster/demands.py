"""What a run will ask of Slurm: by its rules, from a Snakemake profile, and by its training, from `train.launch`.

A rule that fails is tried again with another `attempt`, and asks as the profile says for that. Jobs of a group become one job: those of one rule run
are asked for as if side by side, so that their CPUs and memory add up, but for what a resource with a limit in the profile keeps apart; rules follow one
another, and their times add up (seen with Snakemake 9.27; rules of a group that do not need each other are taken one after the other here).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from ostinato.files import UserError
from ostinato.params.blocks import Launch

#: What Snakemake calls a profile's file, in the order in which it looks.
PROFILES = ("profile.yaml", "config.v9+.yaml", "config.yaml")
#: The rules that the profile says nothing of.
OTHERS = "other rules"


@dataclass(frozen=True)
class Demand:
    """What one job asks. `keys`: the keys that say so, of cpus, memory, time, partition, account, gpus and nodes, in the file `where`."""

    who: str
    attempt: int
    partition: str | None
    account: str | None
    cpus: int
    memory_mb: int
    minutes: int
    where: str
    keys: Mapping[str, str]
    options: tuple[str, ...] = ()
    gpus: int = 0
    gpu_type: str | None = None
    nodes: int = 1

    @property
    def request(self) -> tuple[str, ...]:
        """The options of sbatch that say where the job goes: partition, account, quality of service and their like."""
        named = {"--partition": self.partition, "--account": self.account}
        return (*(f"{option}={value}" for option, value in named.items() if value), *self.options)

    def key(self, quantity: str) -> str:
        """What to change, as a person would say it."""
        return f"{self.keys[quantity]} in {self.where}"

    @property
    def size(self) -> str:
        """What it takes of its nodes, in words."""
        nodes = f"{self.nodes} nodes with " if self.nodes > 1 else ""
        gpus = f" and {self.gpus} GPU{'s' * (self.gpus > 1)}" + (f" of type {self.gpu_type}" if self.gpu_type else "") if self.gpus else ""
        return f"{nodes}{self.cpus} CPU{'s' * (self.cpus > 1)}, {self.memory_mb} MB{gpus}"


@dataclass(frozen=True)
class Rule:
    """What a rule's file says of its jobs; `per_shard`: there is one for each shard."""

    threads: int = 1
    per_shard: bool = False


class Profile:
    """A Snakemake profile for Slurm. `where`: its file."""

    def __init__(self, path: Path) -> None:
        """Read a profile's folder or file. Raises UserError when there is none, or none for Slurm."""
        found = [path / name for name in PROFILES if (path / name).is_file()] if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise UserError(f"--profile {path}: no such profile; expected a folder with {PROFILES[0]}")
        self.where = found[0]
        self.values = _read(self.where)
        if self.values.get("executor") != "slurm":
            raise UserError(f"{self.where}: executor is {self.values.get('executor')}; what is checked here is a profile with executor: slurm")
        self.defaults = self._section("default-resources")
        self.rules = {rule: _mapping(values, self.where, f"set-resources.{rule}") for rule, values in self._section("set-resources").items()}

    @property
    def configfiles(self) -> list[Path]:
        """What the profile lays over params.yaml."""
        named = self.values.get("configfile") or []
        return [self.where.parent / name for name in ([named] if isinstance(named, str) else named)]

    @property
    def attempts(self) -> int:
        """How often a job is tried at most."""
        return 1 + int(self.values.get("retries") or 0)

    @property
    def patience(self) -> float:
        """How long Snakemake waits for a job's files to show, seconds."""
        return float(self.values.get("latency-wait") or 5)

    def demands(self, rules: Mapping[str, Rule], shards: int) -> Iterator[Demand]:
        """What each rule or group of rules asks at each attempt. Rules with nothing of their own are one."""
        threads, groups = self._threads(rules), self._groups()
        large = {rule for rule, count in threads.items() if count > 1}
        alone = [*sorted({*self.rules, *large} - {rule for members in groups.values() for rule in members}), OTHERS]
        for attempt in range(1, self.attempts + 1):
            ask = {rule: self._demand(rule, threads.get(rule, 1), attempt) for rule in {*alone, *chain(*groups.values())}}
            yield from (ask[rule] for rule in alone)
            for group, members in groups.items():
                most = min(shards, int(self._section("group-components").get(group, 1)))
                counts = {rule: most if rules.get(rule, Rule()).per_shard else 1 for rule in members}
                yield _together(group, [(ask[rule], count, self._beside(rule, count)) for rule, count in counts.items()])

    def submissions(self, rules: Mapping[str, Rule], shards: int) -> dict[str, int]:
        """How many jobs Slurm is sent for rules of which there is one a shard: by group, or by rule where one is in none."""
        groups, together = self._section("groups"), self._section("group-components")
        names = {str(groups.get(rule, rule)) for rule, about in rules.items() if about.per_shard}
        return {name: -(-shards // int(together.get(name, 1))) for name in sorted(names)}

    def _beside(self, rule: str, count: int) -> int:
        """How many jobs of a rule in a group are asked for as if side by side: as many as a resource with a limit allows."""
        limits = self.values.get("resources") or {}
        limits = limits if isinstance(limits, Mapping) else dict(str(one).split("=", 1) for one in limits)
        said = self.defaults | self.rules.get(rule, {})
        return max(1, min([count, *(int(limit) // int(said[name]) for name, limit in limits.items() if str(said.get(name)).isdigit() and int(said[name]))]))

    def _threads(self, rules: Mapping[str, Rule]) -> dict[str, int]:
        said = {rule: rules[rule].threads for rule in rules} | {rule: int(count) for rule, count in self._section("set-threads").items()}
        return {rule: min(count, int(self.values.get("max-threads") or count)) for rule, count in said.items()}

    def _groups(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for rule, group in self._section("groups").items():
            found.setdefault(group, []).append(rule)
        return found

    def _section(self, key: str) -> dict[str, Any]:
        return _mapping(self.values.get(key), self.where, key)

    def _demand(self, rule: str, threads: int, attempt: int) -> Demand:
        said = self.defaults | self.rules.get(rule, {})
        value = {name: evaluated(name, text, attempt, threads, f"{self.where}: {self._key(rule, name)}") for name, text in said.items()}
        flags = [f"--{name}={value[name]}" for name in ("qos", "constraint") if value.get(name) is not None]
        keys = {"partition": "slurm_partition", "account": "slurm_account", "memory": "mem_mb", "time": "runtime"}
        return Demand(
            rule,
            attempt,
            value.get("slurm_partition"),
            value.get("slurm_account"),
            threads,
            int(value.get("mem_mb") or value.get("mem") or (value.get("mem_mb_per_cpu") or 0) * threads),
            int(value.get("runtime") or 0),
            str(self.where),
            {name: self._key(rule, key) for name, key in keys.items()} | {"cpus": "max-threads (of all rules)"},
            (*flags, *shlex.split(str(value.get("slurm_extra") or ""))),
        )

    def _key(self, rule: str, name: str) -> str:
        return f"set-resources.{rule}.{name}" if name in self.rules.get(rule, {}) else f"default-resources.{name}"


def _together(group: str, members: Sequence[tuple[Demand, int, int]]) -> Demand:
    """The one job of a group's rules, each with the number of its jobs, and how many of them are asked for as if side by side."""
    largest, _, beside = max(members, key=lambda one: one[0].memory_mb * one[2])
    longest, times, _ = max(members, key=lambda one: one[0].minutes * one[1])
    shared = f"group-components.{group}"
    keys = {"cpus": shared, "memory": f"{shared} or {largest.keys['memory']}"} if beside > 1 else {}
    keys |= {"time": f"{shared} or {longest.keys['time']}"} if times > 1 else {}
    names = " + ".join(f"{count} x {one.who}" if count > 1 else one.who for one, count, _ in members)
    return replace(
        largest,
        who=f"group {group} ({names})",
        keys={**largest.keys, **keys},
        cpus=max(one.cpus * side for one, _, side in members),
        memory_mb=largest.memory_mb * beside,
        minutes=sum(one.minutes * -(-count // side) for one, count, side in members),
    )


def evaluated(name: str, text: Any, attempt: int, threads: int, where: str) -> Any:
    """A resource as Snakemake itself evaluates it, `8000 * attempt` for instance; None where that takes the job's input files."""
    from snakemake.resources import Resource
    from snakemake_interface_common.exceptions import WorkflowError

    if isinstance(text, str) and re.search(r"\b(input|wildcards)\b", text):
        return None
    try:
        resource = Resource.from_cli_expression(name, str(text))
        return resource.evaluate(None, input=[], attempt=attempt, threads=threads, rulename="", async_run=None).value
    except (WorkflowError, ValueError) as error:
        raise UserError(f"{where} is {text!r}, which Snakemake cannot evaluate ({' '.join(str(error).split())[:160]})") from None


def training(launch: Launch, where: str) -> Demand:
    """What a training job asks; `where` names the file that says so."""
    names = {name: name for name in ("partition", "account", "cpus", "gpus", "nodes")} | {"memory": "mem_gb", "time": "timeout_min"}
    options = tuple(f"--{name}" if value is True else f"--{name}={value}" for name, value in launch.options.items() if value is not False)
    return Demand(
        "training",
        1,
        launch.partition,
        launch.account,
        launch.cpus * launch.tasks_per_node,
        launch.mem_gb * 1024,
        launch.timeout_min,
        where,
        {name: f"train.launch.{key}" for name, key in names.items()},
        options,
        launch.gpus,
        launch.gpu_type,
        launch.nodes,
    )


def read_rules(folder: Path) -> dict[str, Rule]:
    """The rules of a workflow's files. A number of threads is taken where one is written: rules that only wait for training have none."""
    found: dict[str, Rule] = {}
    for path in sorted(folder.glob("*.smk")):
        for rule, body in re.findall(r"^rule (\w+):\n((?:[ \t].*\n|\n)*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            threads = re.search(r"^\s+threads: (\d+)$", body, re.MULTILINE)
            found[rule] = Rule(int(threads[1]) if threads else 1, bool(re.search(r"^\s+log:\s+\S*\{shard\}", body, re.MULTILINE)))
    return found


def says(paths: Sequence[Path], *keys: str) -> Path:
    """The last of the parameter files that says a key, which counts; the first where none does."""

    def has(path: Path) -> bool:
        value: Any = _read(path)
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value is not None

    return next((path for path in reversed(paths) if has(path)), paths[0])


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    return _mapping(values, path, "the file")


def _mapping(value: Any, where: Path, key: str) -> dict[str, Any]:
    """A mapping, also of the form [key=value] that the command line has."""
    if isinstance(value, list) and all(isinstance(item, str) and "=" in item for item in value):
        return dict(item.split("=", 1) for item in value)
    if value is not None and not isinstance(value, dict):
        raise UserError(f"{where}: {key}: expected a mapping, got {value!r}")
    return value or {}
