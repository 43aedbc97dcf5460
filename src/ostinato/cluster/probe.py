"""Small jobs on the partitions of a run, which say what their nodes see: the project, its environment, the files of `results` and locks on them, GPUs, disks, the time.

A job answers by a file below `results`, one `name=value` a line, the last of them `end=`: what makes a run work is that such files arrive.
All jobs are sent first, then awaited together; whatever happens, none is left behind.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ostinato import __version__
from ostinato.cluster import locks
from ostinato.cluster.demands import Demand
from ostinato.cluster.finding import Finding, fail, ok, warn
from ostinato.cluster.slurm import ask
from ostinato.files import UserError, sha256
from ostinato.train.squeue import ENDED

POLL_SECONDS, ASK_SECONDS = 0.5, 5.0
#: A file that takes longer to arrive is worth a word; clocks that differ by more make Snakemake take new files for old ones. s.
SOON, CLOCK = 5, 5
#: Shared memory and free disk below which there is a word, bytes.
SHM, DISK = 1 << 30, 10 << 30
#: The file, beside the answers, that this machine holds a lock on.
LOCK = "lock"
SCRIPT = """#!/bin/bash
{{
echo "node=$(hostname)"
cd {project} && echo "project=$(pwd)"
echo "params=$(sha256sum < {params} | cut -d' ' -f1)"
echo "python=$({python} -V 2>&1 | tail -n 1)"
echo "version=$({python} -m ostinato.cli --version 2>&1 | tail -n 1)"
size() {{ df -Pk "$1" | awk -v column="$2" 'END {{ print $column * 1024 }}'; }}
echo "shm=$(size /dev/shm 2)"
echo "results_free=$(size {folder} 4)"
echo "tmp=${{TMPDIR:-/tmp}}"
echo "tmp_free=$(size "${{TMPDIR:-/tmp}}" 4)"
command -v nvidia-smi >&2 && nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits | sed 's/^/gpu=/'
echo "lock=$(timeout -s KILL {seconds} {python} -c {attempt} {lock} 2>&1 | tail -n 1)"
echo "at=$(date +%s)"
echo "end="
}} > {answer}.part && mv {answer}.part {answer}
"""


@dataclass
class Probe:
    """A job on its way. `answer`: the file it is to write; `lock`: what this machine got of the lock it tries; times in seconds since 1970."""

    demand: Demand
    answer: Path
    lock: str
    job: str = ""
    refusal: str = ""
    state: str = ""
    left: float = 0.0
    seen: float = 0.0

    @property
    def name(self) -> str:
        """What its lines begin with."""
        return f"probe, partition {self.demand.partition or '(default)'}"


def probes(demands: Sequence[Demand], params: Path, results: Path, wait: float, patience: float, gpu_gb: float) -> Iterator[Finding]:
    """Run a job on the partition of each demand, with its GPUs.

    Args:
        demands: one for each partition.
        params: the parameter file, which the nodes must see.
        results: the folder that the run writes to.
        wait: how long a job may wait or run, s.
        patience: how long a file may take to arrive, s: Snakemake's latency-wait.
        gpu_gb: the memory a GPU is said to have, GB; 0: not said.
    """
    fresh = not results.exists()
    results.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".doctor-", dir=results))
    sent: list[Probe] = []
    try:
        with locks.held(folder / LOCK) as lock:
            sent += [Probe(demand, folder.resolve() / f"answer-{number}", lock) for number, demand in enumerate(demands)]
            for probe in sent:
                _send(probe, params)
            _await(sent, wait, patience)
        for probe in sent:
            yield from _judge(probe, params, patience, gpu_gb)
    finally:
        waiting = [probe.job for probe in sent if probe.job and not probe.left and not probe.seen]
        if waiting:
            subprocess.run(["scancel", *waiting], check=False, capture_output=True, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
        if fresh and not any(results.iterdir()):
            results.rmdir()


def _send(probe: Probe, params: Path) -> None:
    """Submit one; a refusal is kept."""
    demand, folder = probe.demand, probe.answer.parent
    places = {
        "project": Path.cwd(),
        "params": params.resolve(),
        "folder": folder,
        "answer": probe.answer,
        "python": sys.executable,
        "lock": folder / LOCK,
        "attempt": locks.ATTEMPT,
        "seconds": locks.SECONDS,
    }
    quoted = {name: shlex.quote(str(value)) for name, value in places.items()}
    gpus = [f"--gpus-per-node={f'{demand.gpu_type}:' if demand.gpu_type else ''}{demand.gpus}"] if demand.gpus else []
    size = ["--nodes=1", "--ntasks=1", "--cpus-per-task=1", "--mem=1000", "--time=1", *gpus]
    words = ["sbatch", "--parsable", "--job-name=ostinato-doctor", *demand.request, *size, f"--output={probe.answer}.log", f"--chdir={Path.cwd()}"]
    try:
        probe.job = ask(*words, given=SCRIPT.format(**quoted)).strip().split(";")[0]
    except UserError as error:
        probe.refusal = str(error)


def _await(sent: Sequence[Probe], wait: float, patience: float) -> None:
    """Look for the answers until all are there, or their jobs over and nothing has come for `patience`, or the time is up."""
    end, asked = time.time() + wait, 0.0
    while waiting := [probe for probe in sent if probe.job and not probe.seen and not (probe.left and time.time() > probe.left + patience)]:
        for probe in waiting:
            if probe.answer.is_file() and "\nend=" in probe.answer.read_text(errors="replace"):
                probe.seen = time.time()
        if time.time() > end and not any(probe.left for probe in waiting):
            return
        if time.time() > asked + ASK_SECONDS:
            asked = time.time()
            _look(waiting)
        time.sleep(POLL_SECONDS)


def _look(waiting: Sequence[Probe]) -> None:
    """See which jobs have ended, and what the others wait for."""
    for probe in waiting:
        try:
            said = ask("squeue", "--noheader", "--states=all", "--format=%T|%r", f"--jobs={probe.job}").strip()
        except UserError as error:
            said = "gone|" if "Invalid job id" in str(error) else ""
        probe.state = said or probe.state
        if said.split("|")[0] in (*ENDED, "gone"):
            probe.left = probe.left or time.time()


def _judge(probe: Probe, params: Path, patience: float, gpu_gb: float) -> Iterator[Finding]:
    """What a probe says of its partition."""
    state, _, reason = probe.state.partition("|")
    if probe.refusal:
        yield fail(probe.name, f"no job was taken: {probe.refusal}", f"change {probe.demand.key('partition')} or what stands beside it")
    elif not probe.seen and not probe.left:
        found = f"job {probe.job} was cancelled, since it was still {state or 'waiting'} ({reason or 'no reason is known'})"
        yield warn(probe.name, found, "try again with a longer --wait")
    elif not probe.seen:
        found = f"job {probe.job} is over ({state}), and its file did not arrive within {patience:g} s: its node does not write to {probe.answer.parents[1]}"
        yield fail(probe.name, found, "put the project on a file system that all nodes share (and see that the disk is not full)")
    else:
        lines = [line.partition("=") for line in probe.answer.read_text(errors="replace").splitlines()]
        answer = {name: value for name, _, value in lines}
        yield from (_files(probe, answer), *_project(probe, answer, params), _time(probe, answer), *_room(probe, answer))
        yield from locks.finding(probe.name, probe.answer.parents[1], f"node {answer['node']}", probe.lock, answer.get("lock", ""))
        if probe.demand.gpus:
            yield _gpus(probe, [value for name, _, value in lines if name == "gpu"], gpu_gb)


def _files(probe: Probe, answer: dict[str, str]) -> Finding:
    late = probe.seen - probe.left if probe.left else 0.0
    found = f"node {answer['node']} writes to {probe.answer.parents[1]}, its file was seen here" + (f" {late:.0f} s after the job" if late > 1 else "")
    return warn(probe.name, found, "keep latency-wait in the profile well above that") if late > SOON else ok(probe.name, found)


def _project(probe: Probe, answer: dict[str, str], params: Path) -> Iterator[Finding]:
    """Whether the node sees this project and can run this environment."""
    share = "put project and environment on a file system that all nodes share, under the same path"
    if not answer.get("project"):
        yield fail(probe.name, f"node {answer['node']} does not see {Path.cwd()}", share)
    elif answer["params"] != sha256(params):
        yield fail(probe.name, f"node {answer['node']} does not see {params} as it is here", share)
    if answer["version"] != __version__:
        yield fail(probe.name, f"{sys.executable} -m ostinato.cli --version says there {answer['version']!r}, here {__version__}", share)
    else:
        yield ok(probe.name, f"{Path.cwd()} and ostinato {__version__} ({answer['python']}) are there")


def _time(probe: Probe, answer: dict[str, str]) -> Finding:
    """Clocks: the node's when it wrote, against ours when we saw that, which a slow file system makes later."""
    ahead = int(answer["at"]) - probe.seen
    if abs(ahead) <= CLOCK:
        return ok(probe.name, f"clocks agree to {CLOCK} s")
    apart = f"{ahead:.0f} s ahead of this machine's" if ahead > 0 else f"up to {-ahead:.0f} s behind this machine's, or files arrive late"
    return warn(probe.name, f"the node's clock is {apart}", "Snakemake compares dates of files: tell the site's administrators (NTP)")


def _room(probe: Probe, answer: dict[str, str]) -> Iterator[Finding]:
    """Shared memory and disks."""
    room = {
        "/dev/shm": (answer["shm"], SHM, "loaders of data use it: set num_workers to 0 where they fail, or ask for more"),
        f"{probe.answer.parents[1]} (free)": (answer["results_free"], DISK, "make room there"),
        f"{answer['tmp']} (free)": (answer["tmp_free"], DISK, "set TMPDIR to a larger disk"),
    }
    short = [f"{place} {_gb(size)}" for place, (size, least, _) in room.items() if float(size or 0) < least]
    if not short:
        yield ok(probe.name, ", ".join(f"{place} {_gb(size)}" for place, (size, _, _) in room.items()))
    else:
        yield warn(probe.name, f"little room: {', '.join(short)}", "; ".join(todo for size, least, todo in room.values() if float(size or 0) < least))


def _gpus(probe: Probe, gpus: Sequence[str], gpu_gb: float) -> Finding:
    """The GPUs that nvidia-smi shows, as `name, MiB`, against train.launch.gpu_gb."""
    if not gpus:
        return warn(probe.name, "no GPU was seen: nvidia-smi is not there, or fails", f"see that {probe.demand.key('partition')} has GPUs with a driver")
    found = f"GPUs: {'; '.join(gpu.strip() for gpu in gpus)} MiB"
    sizes = [int(size) / 1024 for gpu in gpus if (size := gpu.rsplit(",", 1)[-1].strip()).isdecimal()]
    smaller = gpu_gb and sizes and min(sizes) < 0.99 * gpu_gb
    if not smaller:
        return ok(probe.name, found)
    said = f"{found}, {min(sizes):.1f} GB; train.launch.gpu_gb says {gpu_gb:g}", f"set train.launch.gpu_gb to {int(min(sizes))} in {probe.demand.where}"
    return fail(probe.name, *said) if min(sizes) < 0.9 * gpu_gb else warn(probe.name, *said)  # a card sold as 48 GB shows 45 where it corrects errors


def _gb(size: str) -> str:
    return f"{float(size) / (1 << 30):.1f} GB" if size else "not there"
