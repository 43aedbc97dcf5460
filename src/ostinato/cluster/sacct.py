"""What Slurm's accounting says of jobs, asked through `sacct`.

The attempts of a job that was requeued (`--duplicates`) are one account: waits, wall, CPU and GPU hours are sums, the peak is the highest; state,
node and exit are those of the last. Durations in seconds or hours, times in seconds since 1970, memory in GB of 2^30 bytes, as Slurm counts. What
Slurm does not say is None: a job that never started has no wait. A peak is of all tasks of a step together, as a request is for all.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from typing import Any

FIELDS = ("JobID", "JobName", "State", "ExitCode", "Submit", "Start", "End", "ElapsedRaw", "TotalCPU", "CPUTimeRAW", "ReqTRES", "AllocTRES", "MaxRSS", "TRESUsageInTot", "NodeList")
#: Jobs asked for in one call, and how long an answer may take, s.
IDS_PER_CALL, TIMEOUT = 300, 120
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
Line = dict[str, Any]


def ask(ids: Sequence[str]) -> tuple[dict[str, dict[str, Any]], str | None]:
    """({id: account} of the jobs that Slurm knows, why sacct could not be asked or None). Ids are `123`, and `123_4` in an array."""
    wanted, answers = sorted(set(filter(None, ids))), []
    for first in range(0, len(wanted), IDS_PER_CALL):
        try:
            answers.append(_call(wanted[first : first + IDS_PER_CALL]))
        except (OSError, subprocess.SubprocessError) as error:
            return {}, f"sacct does not answer ({_reason(error)})"
    found = accounts("".join(answers))
    return {number: found[number] for number in wanted if number in found}, None


def _call(ids: Sequence[str]) -> str:
    command = ["sacct", "--parsable2", "--noconvert", "--noheader", "--duplicates", f"--format={','.join(FIELDS)}", f"--jobs={','.join(ids)}"]
    # times as seconds since 1970: a local time stands for two in the hour when summer time ends
    return subprocess.run(command, env=os.environ | {"SLURM_TIME_FORMAT": "%s"}, capture_output=True, text=True, check=True, timeout=TIMEOUT).stdout


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not installed here"
    lines = (getattr(error, "stderr", None) or "").strip().splitlines()
    return lines[-1] if lines else str(error).partition(" command ")[0] or str(error)


def accounts(text: str) -> dict[str, dict[str, Any]]:
    """sacct's answer as {id: account}. In it the steps of an attempt follow their attempt; the attempts of a job need not follow each other."""
    attempts: dict[str, list[Line]] = {}
    for line in (dict(zip(FIELDS, text_line.split("|"))) for text_line in text.splitlines() if text_line.count("|") == len(FIELDS) - 1):
        number, _, step = line["JobID"].partition(".")
        if not step:
            attempts.setdefault(number, []).append(line | {"steps": []})
        elif number in attempts:
            attempts[number][-1]["steps"].append(line)
    return {number: account(lines) for number, lines in attempts.items()}


def account(attempts: Sequence[Line]) -> dict[str, Any]:
    """One job's attempts, each with its steps, as columns of the table of costs, and its `end`."""
    last = max(attempts, key=lambda one: _count(one["Submit"]) or 0)
    # job ids begin anew with a new accounting database: an attempt of another name is of another job
    mine = [one for one in attempts if one["JobName"] == last["JobName"]]
    walls = [_count(one["ElapsedRaw"]) or 0 for one in mine]
    waits = [start - submit for one in mine if (start := _count(one["Start"])) is not None and (submit := _count(one["Submit"])) is not None]
    peak = max(_peak(line) for one in mine for line in (one, *one["steps"])) / 2**30
    requested = (_tres(last["ReqTRES"], "mem") or _tres(last["AllocTRES"], "mem")) / 2**30
    return {
        "job_id": last["JobID"],
        "cluster": "slurm",
        "node": last["NodeList"].replace("None assigned", ""),
        "state": last["State"].partition(" ")[0],
        "wait_s": sum(waits) if waits else None,
        "wall_s": sum(walls),
        "cpu_hours": sum(seconds(one["TotalCPU"]) for one in mine) / 3600,
        "allocated_cpu_hours": sum(_count(one["CPUTimeRAW"]) or 0 for one in mine) / 3600,
        "gpu_hours": sum(wall * _gpus(one["AllocTRES"]) for wall, one in zip(walls, mine)) / 3600,
        "requested_gb": requested or None,
        "peak_gb": peak or None,
        "restarts": len(mine) - 1,
        "exit": last["ExitCode"],
        "end": _count(last["End"]),
    }


def _count(text: str) -> int | None:
    """A whole number; None for `Unknown`, `None` and nothing."""
    return int(text) if text.isdigit() else None


def seconds(text: str) -> float:
    """`1-02:03:04`, `02:03:04` or `03:04.567` in seconds."""
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + float(part or 0)
    return 86400 * int(days or 0) + total


def _size(text: str) -> float:
    """`4000M`, `12K` or `123` in bytes; 0 for nothing."""
    found = re.fullmatch(r"([\d.]+)([KMGT]?)", text)
    return float(found[1]) * UNITS[found[2]] if found else 0.0


def _tres(text: str, name: str) -> float:
    """A resource of `billing=4,cpu=4,mem=16000M`, in bytes where it has a unit; 0 when it is not there."""
    return _size(dict(item.partition("=")[::2] for item in text.split(",")).get(name, ""))


def _gpus(tres: str) -> float:
    """`gres/gpu=2`; where a cluster counts only the types, the sum of `gres/gpu:a100=2`."""
    types = {item.partition("=")[0] for item in tres.split(",") if item.startswith("gres/gpu:")}
    return _tres(tres, "gres/gpu") or sum(_tres(tres, kind) for kind in types)


def _peak(line: Line) -> float:
    """Bytes that a step held at most: MaxRSS is its largest task, the usage is all of them."""
    return max(_size(line["MaxRSS"]), _tres(line["TRESUsageInTot"], "mem"))
