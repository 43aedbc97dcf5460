"""What it cost, on the page: the table of `ostinato cost` summed up by rule and by training run, a line of totals, and hints about memory.

A column that no job has a value in (waits, requests and GPUs without Slurm) is not shown. Memory in GB of 2^30 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.cluster.cost import COLUMNS
from ostinato.tables import read_table

#: A request of more than this many times the peak is waste; a peak of more than this share of the request is a risk.
WASTE, RISK = 4.0, 0.9
#: What is suggested instead of either: this many times the peak.
MARGIN = 1.5
#: Where the requests of a kind of jobs are set.
PLACES = {"rule": "set-resources of cluster/slurm/profile.yaml", "training": "train.launch of cluster/slurm/submitit.yaml"}


class Column(NamedTuple):
    """A column of the tables: heading, explanation, the value of a row (None: unknown) and how it is written."""

    name: str
    text: str
    key: str
    form: Callable[[float], str]


def duration(seconds: float) -> str:
    """`4.2 s`, `12 min` or `3.5 h`."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def hours(value: float) -> str:
    """Hours, with as many digits as a short run needs."""
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def memory(value: float) -> str:
    """GB, for short jobs to a megabyte."""
    return f"{value:.1f} GB" if value >= 1 else f"{value:.2f} GB"


TABLE = (
    Column("Jobs", "", "jobs", "{:.0f}".format),
    Column("Waited", "from submission to start, all jobs together", "wait_s", duration),
    Column("Wall", "all jobs and restarts together, as if one ran after another", "wall_s", duration),
    Column("CPU hours", "used", "cpu_hours", hours),
    Column("allocated", "CPUs held times wall", "allocated_cpu_hours", hours),
    Column("GPU hours", "GPUs held times wall", "gpu_hours", hours),
    Column("Asked for", "memory of the job that came nearest to its request", "requested_gb", memory),
    Column("Peak", "the most memory of that job", "peak_gb", memory),
    Column("Share", "of the request", "share", "{:.0%}".format),
    Column("Restarts", "", "restarts", "{:.0f}".format),
    Column("Ended badly", "jobs, also those that a retry made good", "bad", "{:.0f}".format),
)
#: Columns that are not shown when all they say is 0.
NEEDLESS = ("gpu_hours", "restarts", "bad")
SUMS = ("wait_s", "wall_s", "cpu_hours", "allocated_cpu_hours", "gpu_hours", "restarts")


def content(path: Path) -> dict[str, Any]:
    """Everything the section shows: {"jobs", "path", "total", "tables": [{"title", "heading", "columns", "rows"}], "hints"}."""
    jobs = read(path)
    groups = {
        kind: [summed(name, [job for job in jobs if (job["kind"], job["rule"]) == (kind, name)]) for name in dict.fromkeys(job["rule"] for job in jobs if job["kind"] == kind)]
        for kind in PLACES
    }
    titles = {"rule": ("Rules", "Rule"), "training": ("Training runs", "Run")}
    return {
        "jobs": len(jobs),
        "path": str(path),
        "total": total(jobs),
        "hints": [hint for kind, rows in groups.items() for hint in hints(kind, rows)],
        "tables": [table(*titles[kind], rows) for kind, rows in groups.items() if rows],
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of the table, numbers as numbers, None for what is empty. Raises UserError when it is not there or is another table than `ostinato cost` writes."""
    rows = read_table(path, COLUMNS)
    numbers = (*SUMS, "requested_gb", "peak_gb", "share")
    return [row | {name: float(row[name]) if row[name] else None for name in numbers} for row in rows]


def summed(name: str, jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Jobs as one row: sums, and the memory of the one that came nearest to its request, or without requests of the largest."""
    nearest = max(jobs, key=lambda job: (job["share"] or 0, job["peak_gb"] or 0))
    bad = sum(job["state"] not in ("COMPLETED", "RUNNING", "PENDING", "UNKNOWN") for job in jobs)
    return {
        "name": name,
        "jobs": len(jobs),
        "bad": bad,
        **{key: _sum(job[key] for job in jobs) for key in SUMS},
        **{key: nearest[key] for key in ("requested_gb", "peak_gb", "share")},
    }


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def table(title: str, heading: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as text, with the columns that any of them has a value in."""
    columns = [column for column in TABLE if any(row[column.key] or (row[column.key] == 0 and column.key not in NEEDLESS) for row in rows)]
    cells = [{"name": row["name"], "cells": [_cell(row[column.key], column) for column in columns]} for row in rows]
    return {"title": title, "heading": heading, "columns": columns, "rows": cells}


def _cell(value: float | None, column: Column) -> str:
    return "–" if value is None else column.form(value)


def total(jobs: Sequence[Mapping[str, Any]]) -> str:
    """All jobs in a sentence."""
    sums = {key: _sum(job[key] for job in jobs) for key in SUMS}
    words = [f"{len(jobs)} job{'s' if len(jobs) != 1 else ''}"]
    words += [form.format(duration(spent)) for key, form in (("wait_s", "{} of waiting"), ("wall_s", "{} of work")) if (spent := sums[key]) is not None]
    if sums["cpu_hours"] is not None:
        allocated = f" of {hours(sums['allocated_cpu_hours'])} allocated" if sums["allocated_cpu_hours"] else ""
        words.append(f"{hours(sums['cpu_hours'])} CPU hours{allocated}")
    words += [f"{hours(sums['gpu_hours'])} GPU hours"] if sums["gpu_hours"] else []
    words += [f"{sums['restarts']:.0f} restart{'s' if sums['restarts'] != 1 else ''}"] if sums["restarts"] else []
    return ", ".join(words)


def hints(kind: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What to ask for instead where the memory asked for is far from what was used."""
    found = []
    for row in rows:
        asked, peak = row["requested_gb"], row["peak_gb"]
        if asked and peak and (asked > WASTE * peak or peak > RISK * asked):
            trouble = f"{memory(asked)} asked for, {memory(peak)} used at most"
            found.append(f"{row['name']}: {trouble}; {suggestion(kind, peak)} would {'do' if asked > WASTE * peak else 'be safe'} ({PLACES[kind]})")
    return found


def suggestion(kind: str, peak: float) -> str:
    """The peak with a margin, as the profile names it."""
    return f"mem_mb: {-(-int(1024 * MARGIN * peak) // 100) * 100}" if kind == "rule" else f"mem_gb: {max(1, round(MARGIN * peak + 0.5))}"
