"""Whether what is asked exists: partitions, their time limits, nodes of the size, accounts; and how training jobs are warned and preempted."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ostinato.cluster.demands import OTHERS, Demand, says
from ostinato.cluster.finding import Finding, fail, ok, warn
from ostinato.cluster.slurm import Node, Partition, Slurm, as_time, ask
from ostinato.files import UserError
from ostinato.params.blocks import Launch

#: A checkpoint of a small model on a network file system, s.
SHORTEST_WARNING = 30
#: How early before the asked time Slurm may send a signal (man sbatch, --signal), s.
SIGNAL_SLACK = 60


def fits(slurm: Slurm, title: str, demands: Sequence[Demand]) -> Iterator[Finding]:
    """Check demands against their partitions, one after the other. `title` begins each line."""
    for name, group in groupby(sorted(demands, key=lambda one: one.partition or ""), key=lambda one: one.partition):
        asked = list(group)
        where, found = f"{title}, partition {name or '(default)'}", slurm.partition(name)
        if not found:
            there = ", ".join(slurm.partitions) or "none"
            yield fail(where, f"no such partition, asked by {_names(asked)}; there are {there}", f"change {asked[0].key('partition')}")
            continue
        if found.state == "UP":
            yield ok(where, "is UP")
        else:
            yield fail(where, f"is {found.state}: no job starts", f"name another: {asked[0].key('partition')}")
        yield from _time(where, found, asked)
        yield from _size(where, found, asked)


def _time(where: str, partition: Partition, demands: Sequence[Demand]) -> Iterator[Finding]:
    too_long = [one for one in demands if one.minutes > partition.max_minutes]
    if not too_long:
        longest = max(one.minutes for one in demands)
        asked = f"up to {as_time(longest)}" if longest else "for no time (DefaultTime counts)"
        yield ok(where, f"jobs ask {asked}, MaxTime is {as_time(partition.max_minutes)}")
    yield from _not_met(
        where, too_long, lambda one: as_time(one.minutes), lambda one: ["time"], f"MaxTime is {as_time(partition.max_minutes)}, so such jobs wait for ever or are refused"
    )


def _size(where: str, partition: Partition, demands: Sequence[Demand]) -> Iterator[Finding]:
    """Whether there are nodes for every demand, and whether enough of them can be used now."""
    too_large = [one for one in demands if len(_fitting(partition.nodes, one)) < one.nodes]
    yield from _not_met(where, too_large, lambda one: one.size, lambda one: _short(partition.nodes, one), _offer(partition))
    out = [one for one in demands if one not in too_large and sum(node.usable for node in _fitting(partition.nodes, one)) < one.nodes]
    if out:
        yield warn(where, f"nodes large enough for {_names(out)} are down or drained now", f"see sinfo --list-reasons, or change {out[0].key('partition')}")
    elif not too_large:
        yield ok(where, f"jobs ask up to {' or '.join(sorted({max(demands, key=by).size for by in (_cpus, _memory)}))}; {_offer(partition)}")


def _cpus(demand: Demand) -> tuple[int, int]:
    return demand.cpus, demand.memory_mb


def _memory(demand: Demand) -> tuple[int, int]:
    return demand.memory_mb, demand.cpus


def _not_met(where: str, demands: Sequence[Demand], words: Callable[[Demand], str], short: Callable[[Demand], list[str]], limit: str) -> Iterator[Finding]:
    """FAIL for what first attempts ask too much, WARN for what only later ones do. `words` says what one asks, `short` what of it is too much."""
    first: dict[str, Demand] = {}
    for one in sorted(demands, key=lambda one: one.attempt):
        first.setdefault(one.who, one)
    for later in (False, True):
        group = [one for one in first.values() if (one.attempt > 1) == later]
        if group:
            found = f"{_asked(group, words)}; {limit}"
            keys = list(dict.fromkeys(one.keys[name] for one in group for name in short(one)))
            todo = f"lower {_list(keys)} in {group[0].where}, or change {group[0].key('partition')}"
            yield warn(where, found, f"a job that is tried again is lost then: {todo}") if later else fail(where, found, todo)


def _asked(demands: Sequence[Demand], words: Callable[[Demand], str]) -> str:
    """Who asks what, those that ask the same together."""
    same: dict[str, list[Demand]] = {}
    for one in demands:
        same.setdefault(words(one) + (f" at attempt {one.attempt}" if one.attempt > 1 else ""), []).append(one)
    several = {what: len(those) > 1 or those[0].who == OTHERS for what, those in same.items()}
    return "; ".join(f"{_names(those)} {'ask' if several[what] else 'asks'} {what}" for what, those in same.items())


def _fitting(nodes: Sequence[Node], demand: Demand) -> list[Node]:
    return [node for node in nodes if node.cpus >= demand.cpus and node.memory_mb >= demand.memory_mb and node.count(demand.gpu_type) >= demand.gpus]


def _short(nodes: Sequence[Node], demand: Demand) -> list[str]:
    """Which of a demand's quantities no node has; where each alone is there, those that no node has together."""
    if _fitting(nodes, demand):
        return ["nodes"]
    alone = {
        "cpus": all(node.cpus < demand.cpus for node in nodes),
        "memory": all(node.memory_mb < demand.memory_mb for node in nodes),
        "gpus": all(node.count(demand.gpu_type) < demand.gpus for node in nodes),
    }
    return [name for name, short in alone.items() if short] or ["cpus", "memory"]


def _offer(partition: Partition) -> str:
    """The partition's nodes, in words."""
    if not partition.nodes:
        return "it has no nodes"
    kinds = sorted({f"{count} x {kind}" if kind else f"{count}" for node in partition.nodes for kind, count in node.gpus.items()})
    count, cpus, memory = len(partition.nodes), max(node.cpus for node in partition.nodes), max(node.memory_mb for node in partition.nodes)
    return f"its {f'{count} nodes have' if count > 1 else 'node has'} up to {cpus} CPUs, {memory} MB, GPUs: {', '.join(kinds) or 'none'}"


def _names(demands: Sequence[Demand]) -> str:
    return _list(list(dict.fromkeys(one.who for one in demands)))


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def accounts(demands: Sequence[Demand]) -> Iterator[Finding]:
    """Whether the accounts that are named are this user's."""
    named = {one.account: one.key("account") for one in demands if one.account}
    if not named:
        return
    todo, user = "ask the site which account is yours", getpass.getuser()
    try:
        said = ask("sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={user}", "format=account")
        known = {line.split("|")[0].lower() for line in said.split()}
    except UserError as error:
        yield warn("account", f"{', '.join(named)} not checked: {error}", todo)
        return
    for account, key in named.items():
        if not known:
            yield warn(f"account {account}", f"not checked: sacctmgr shows no accounts of {user}", todo)
        elif account.lower() in known:
            yield ok(f"account {account}", f"is one of {user}'s")
        else:
            yield fail(f"account {account}", f"is none of {user}'s, who has {', '.join(sorted(known))}", f"change {key}")


def warning(launch: Launch, paths: Sequence[Path]) -> Finding:
    """Whether a training job is warned early enough before its time limit, and not absurdly early."""
    limit, delay = launch.timeout_min * 60, launch.signal_delay_s
    found = f"a checkpoint is written {delay} s before the limit of {as_time(launch.timeout_min)}"
    key = f"train.launch.signal_delay_s in {says(paths, 'train', 'launch', 'signal_delay_s')}"
    if delay + SIGNAL_SLACK >= limit:
        found += f", and Slurm may signal {SIGNAL_SLACK} s earlier: no time is left to train"
        return fail("training, time limit", found, f"lower {key}, or raise timeout_min")
    if delay > limit / 4:
        return warn("training, time limit", f"{found}: more than a quarter of each job is not used", f"lower {key}, or raise timeout_min")
    if delay < SHORTEST_WARNING:
        found += ": a step and the writing of a checkpoint may take longer"
        return warn("training, time limit", found, f"raise {key} to {SHORTEST_WARNING} or more")
    return ok("training, time limit", found)


def preemption(slurm: Slurm, launch: Launch) -> Iterator[Finding]:
    """For information: what becomes of a training job that is preempted or whose node is lost."""
    config, partition = slurm.config, slurm.partition(launch.partition)
    requeue = launch.options.get("requeue", True) and not launch.options.get("no-requeue", False)
    yield ok(
        "training, requeueing",
        f"JobRequeue is {config.get('JobRequeue', 'not said')}; training asks "
        + ("--requeue, which goes before it" if requeue else "for none: a job that ends so is submitted anew while the pipeline runs"),
    )
    if not partition or config.get("PreemptType", "preempt/none") == "preempt/none" or partition.preempt == "OFF":
        yield ok("training, preemption", "jobs of this partition are not preempted")
        return
    ours = "preempt_send_user_signal" in config.get("SlurmctldParameters", "")
    signal = "the signal that means: checkpoint, requeue" if ours else "SIGTERM, which means: checkpoint"
    yield ok(
        "training, preemption",
        f"PreemptMode is {partition.preempt}, GraceTime {partition.grace} s, and jobs are sent {signal}; "
        "a checkpoint that takes longer is lost, and what came after the one before is done again",
    )
