"""What a run cost, one row a job, from what Slurm's accounting and Snakemake's benchmarks wrote down.

Which jobs there were is read from files: the logs that Snakemake's Slurm plugin keeps (`rule_listen/shard-03/123.log`; `rule_listen/123_4.log` of an
array, `group_pair/123.log` of a group), the benchmarks of rules (`listen/shard-03.tsv`), `summary.json` and `events.jsonl` of models. Whatever left a
trace counts, also what failed and was tried again. Without Slurm, of a job only its benchmark is known and of a training only its events: no wait,
request or GPU, and nothing of an attempt that was killed after its last checkpoint.

Durations are in seconds or hours, memory in GB of 2^30 bytes. How the attempts of a requeued job become one row: see `ostinato.cluster.sacct`.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.cluster import sacct
from ostinato.files import UserError, read_json, read_jsonl

COLUMNS = (
    "kind",
    "rule",
    "wildcards",
    "job_id",
    "cluster",
    "node",
    "state",
    "wait_s",
    "wall_s",
    "cpu_hours",
    "allocated_cpu_hours",
    "gpu_hours",
    "requested_gb",
    "peak_gb",
    "share",
    "restarts",
    "exit",
)
#: Digits kept: a hundredth of a second, of a CPU's as well, and a megabyte.
DIGITS = {"wall_s": 2, "cpu_hours": 6, "allocated_cpu_hours": 6, "gpu_hours": 6, "requested_gb": 3, "peak_gb": 3, "share": 3}
#: A benchmark this much younger than the end of its rule's last job on Slurm is of a later run on this machine, s.
LATER_SECONDS = 600
#: What Snakemake's own command in the log of a job says of what it ran: `--target-jobs one:s=s-0 two:s=s-0 --allowed-rules`.
TARGETS = re.compile(r"--target-jobs (.*?) --allowed-rules")
#: Of what has a benchmark or a model, and no account: Snakemake writes these only when the job went well.
WENT_WELL = {"state": "COMPLETED", "restarts": 0, "exit": "0:0"}


class Target(NamedTuple):
    """A rule, and the values of its wildcards joined by `_`, as the Slurm plugin does."""

    rule: str
    wildcards: str


class Job(NamedTuple):
    """A job on Slurm. `known`: columns that are known without Slurm, those of a model that it trained."""

    id: str
    kind: str
    targets: tuple[Target, ...]
    known: Mapping[str, Any] = {}


def collect(benchmarks: Mapping[Path, Target], jobs: Sequence[Job], trainings: Sequence[Job]) -> list[dict[str, Any]]:
    """The rows of the table, sorted. Without an answer of sacct they are what benchmarks and models say."""
    jobs = [*jobs, *(job for job in trainings if job.known.get("cluster") != "local")]
    accounts, trouble = sacct.ask([job.id for job in jobs])
    if trouble:
        print(f"ostinato cost: {trouble}: without it the table holds only what Snakemake's benchmarks and the models say", file=sys.stderr)
    owners = {path: owner(path, target, jobs, accounts) for path, target in benchmarks.items()}
    rows = []
    for job in jobs:
        own = [measured(path) for path, number in owners.items() if number == job.id]
        if job.id in accounts or job.known or own or not trouble:
            rows.append(row(job, own, accounts.get(job.id)))
    rows += [row(Job("", "rule", (target,)), [measured(path)]) for path, target in benchmarks.items() if owners[path] is None]
    rows += [row(job, []) for job in trainings if job.known.get("cluster") == "local"]
    return sorted(rows, key=lambda item: (item["kind"], item["rule"], item["wildcards"], _numbers(item["job_id"])))


def row(job: Job, benchmarks: Sequence[Mapping[str, float | None]], account: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A job's row: its account where Slurm keeps one, otherwise what its benchmarks and its model say. The peak is the highest that anyone saw."""
    sums = {name: sum(item[name] or 0 for item in benchmarks) for name in ("wall_s", "cpu_hours") if benchmarks}
    told = account or ({**WENT_WELL, **sums, **job.known} if benchmarks or job.known else {"state": "UNKNOWN"})
    peaks = [peak for source in (told, job.known, *benchmarks) if (peak := source.get("peak_gb"))]
    rules, wildcards = ("+".join(dict.fromkeys(filter(None, values))) for values in zip(*job.targets))
    values = {"cluster": "slurm" if job.id else "local", "job_id": job.id, **told, "kind": job.kind, "rule": rules, "wildcards": wildcards, "peak_gb": max(peaks, default=None)}
    if values.get("requested_gb") and peaks:
        values["share"] = max(peaks) / values["requested_gb"]
    return {name: _rounded(name, values.get(name)) for name in COLUMNS}


def _rounded(name: str, value: Any) -> Any:
    if value is None:
        return ""
    return round(value, DIGITS[name]) if name in DIGITS else value


def owner(path: Path, target: Target, jobs: Sequence[Job], accounts: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The id of the last job on Slurm that ran what a benchmark measured; None where none did, or this machine ran it later."""
    ends = {job.id: accounts.get(job.id, {}).get("end") for job in jobs if job.kind == "rule" and target in job.targets}
    if not ends:
        return None
    last = max(ends, key=lambda number: (ends[number] or 0, _numbers(number)))
    end = ends[last]
    return None if end and path.stat().st_mtime > end + LATER_SECONDS else last


def _numbers(job_id: str) -> list[int]:
    """`123_4` as [123, 4], to sort by."""
    return [int(part) for part in re.findall(r"\d+", job_id)]


def find_benchmarks(folder: Path, rules: Sequence[str]) -> dict[Path, Target]:
    """What each benchmark below a folder is of. Raises UserError for an option that is no `rule=pattern`."""
    from snakemake.io import regex_from_filepattern  # takes a fifth of a second

    if wrong := [rule for rule in rules if "=" not in rule]:
        raise UserError(f"--rules: {wrong[0]}: expected RULE=PATTERN, such as listen=results/benchmarks/listen/{{shard}}.tsv")
    patterns = {name: re.compile(regex_from_filepattern(pattern)) for name, _, pattern in (rule.partition("=") for rule in rules)}
    targets = {path: _target(path, folder, patterns) for path in sorted(folder.rglob("*.tsv"))}
    return {path: target for path, target in targets.items() if target}


def _target(path: Path, folder: Path, patterns: Mapping[str, re.Pattern[str]]) -> Target | None:
    """What a benchmark is of: by the pattern that it fits, or without patterns by its place."""
    for name, pattern in patterns.items():
        if match := pattern.fullmatch(str(path)):
            return Target(name, _joined(match.groups()))
    name, *values = path.relative_to(folder).with_suffix("").parts
    return None if patterns else Target(name, _joined(values))


def _joined(values: Sequence[str]) -> str:
    """Values of wildcards as the Slurm plugin writes them into a path."""
    return "_".join(values).replace("/", "_")


def measured(path: Path) -> dict[str, float | None]:
    """A benchmark's wall_s and cpu_hours, sums over its repeats, and peak_gb; None where Snakemake saw nothing, as of very short jobs."""
    with path.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream, delimiter="\t"))
    if not lines or not {"s", "max_rss", "cpu_time"} <= lines[0].keys():
        raise UserError(f"{path}: expected a benchmark of Snakemake, with the columns s, max_rss and cpu_time")
    seconds, megabytes, busy = ([float(line[name]) for line in lines if re.fullmatch(r"[\d.]+", line[name] or "")] for name in ("s", "max_rss", "cpu_time"))
    return {"wall_s": sum(seconds) if seconds else None, "cpu_hours": sum(busy) / 3600 if busy else None, "peak_gb": max(megabytes, default=0) / 1024 or None}


def find_jobs(folder: Path) -> list[Job]:
    """The jobs that the logs of the Slurm plugin tell of; none where the folder is not there."""
    jobs = []
    for path in sorted(folder.rglob("*.log")):
        top, *values, name = path.relative_to(folder).parts
        kind, _, rule = top.partition("_")
        if kind in ("rule", "group") and re.fullmatch(r"\d+(_\d+)?", path.stem):
            alone = kind == "rule" and "_" not in path.stem
            jobs.append(Job(path.stem, "rule", (not alone and _targets_in(path, whole=kind == "group")) or (Target(rule, _joined(values)),)))
    return jobs


def _targets_in(log: Path, whole: bool) -> tuple[Target, ...]:
    """What a job ran, by Snakemake's commands in its log: all of them in a group's, where each step may show its own; in that of an array's task the
    last, since it shows the first task's before its own."""
    commands = TARGETS.findall(log.read_text(encoding="utf-8", errors="replace"))
    jobs = [job for command in (commands if whole else commands[-1:]) for job in re.findall(r"(?:^| )(\w+):(.*?)(?= \w+:|$)", command)]
    return tuple(sorted({Target(rule, _joined(_values(wildcards))) for rule, wildcards in jobs}))


def _values(wildcards: str) -> list[str]:
    """`s=s-0,k=1` as ["s-0", "1"]; Snakemake quotes a value with a comma in it."""
    return [part.partition("=")[2].strip('"') for part in re.split(r",(?=\w+=)", wildcards)]


def training_jobs(models: Sequence[Path]) -> list[Job]:
    """The jobs that trained models. A model that stands in two folders (the best of a sweep is copied) counts once."""
    found: dict[str, list[Job]] = {}
    for folder in models:
        summary = read_json(folder / "summary.json")
        events = read_jsonl(folder / "events.jsonl") if (folder / "events.jsonl").is_file() else []
        found.setdefault(str(summary.get("signature") or folder), _jobs_of(str(summary.get("name") or folder.name), summary, events))
    return [job for jobs in found.values() for job in jobs]


def _jobs_of(name: str, summary: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[Job]:
    """The last job of a training, with what its events know, and on Slurm those before it, which ended early and left their ids in the events."""
    job, starts = summary.get("job") or {}, [event for event in events if event.get("event") in ("start", "resume")]
    cluster, number = job.get("cluster") or "local", str(job.get("id") or "")
    known = {
        "cluster": cluster,
        "node": starts[-1].get("node") if starts else None,
        "wall_s": summary.get("seconds"),
        "restarts": sum(event["event"] == "resume" for event in starts),
        **_used([event for event in events if event.get("split") == "train"]),
    }
    earlier = dict.fromkeys(str(event["job"]) for event in starts if event.get("job") and cluster != "local" and str(event["job"]) != number)
    targets = (Target(name, ""),)
    return [Job(number, "training", targets, known), *(Job(other, "training", targets) for other in earlier)]


def _used(lines: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """CPU hours and the highest memory by a training's events; None where these do not tell."""
    spans = [max(0.0, after["seconds"] - before) for before, after in zip([0.0, *(line["seconds"] for line in lines)], lines)]
    busy = [span * line["cpu_percent"] / 100 for span, line in zip(spans, lines) if line.get("cpu_percent") is not None]
    return {"cpu_hours": sum(busy) / 3600 if busy else None, "peak_gb": max((line["rss_gib"] for line in lines if line.get("rss_gib")), default=None)}
