"""Run training jobs to their end through submitit, on this machine or on Slurm: follow their logs, and survive their launcher's death.

One folder per run. `run.json` there says what it is; `job.json` which job works on it, so that a launcher started again attaches to a job that still runs instead of
starting another; `lock` is held by the training process as long as it lives, so that two never write one run. Runs of a sweep go as one job array.

A job has failed when Slurm is through with it and there is no `done.json`. A traceback before that is not believed: a process that was killed before the others may
have left it while Slurm requeues the job. Only when the other processes go on for GIVE_UP seconds without the one that failed is the job cancelled.

A job that Slurm ended through no fault of its own and did not requeue is submitted anew. Interrupted (Ctrl-C, SIGTERM), the launcher cancels its jobs. What runs in them
is in train.work.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.files import UserError, read_json, write_json
from ostinato.params.blocks import Launch
from ostinato.train import devices, jobs
from ostinato.train.delivery import copy_model
from ostinato.train.jobs import Job
from ostinato.train.squeue import Queue
from ostinato.train.work import TrainJob

log = logging.getLogger(__name__)
POLL_SECONDS = 0.5
#: How long a job may go on after one of its processes has failed, s.
GIVE_UP = 180
#: A disk with less than this free is full, bytes: what else has happened could not be written.
FULL = 1 << 20
#: How long what an ended job wrote may take to be seen from here, s: by Slurm's word for its end, and by none.
LATE = {"COMPLETED": 120, "FAILED": 5, "": 5}
#: What `run.json` says of a run.
PUBLIC = ("name", "signature", "code", "composer", "plan", "model")


@dataclass
class _Run:
    """A run on its way. `position`: how much of its log has been shown, bytes; `doubted`, `ended`: since when a process of its job has failed, since when the job has
    ended, s of the monotonic clock.
    """

    work: TrainJob
    job: Job | None = None
    position: int = 0
    attempts: int = 0
    failure: str | None = None
    doubted: float | None = None
    ended: float | None = None
    fate: str = ""

    @property
    def folder(self) -> Path:
        return self.work.folder

    @property
    def name(self) -> str:
        return self.work.config["name"]

    @property
    def done(self) -> bool:
        return (self.folder / "done.json").is_file()

    @property
    def over(self) -> bool:
        return self.failure is not None or (self.job is None and self.done)

    def begin(self, job: Job) -> None:
        """Follow a new job."""
        self.job, self.position, self.attempts = job, 0, self.attempts + 1
        self.doubted, self.ended, self.fate = None, None, ""


def launch(work: Sequence[TrainJob], params: Launch, again: bool = False) -> None:
    """Run training jobs to their end: attach to those that still run, submit the others. Each run folder then holds `done.json`.

    Args:
        again: train anew what was trained already, or begun; what was made is set aside, into `earlier` beside the run's folder.

    Raises:
        UserError: a job failed, after the others came to their end; carries the end of its traceback and the path of its log.
    """
    _heed_signals()
    runs, queue = list(map(_Run, work)), Queue(params.poll_seconds)
    try:
        for run in runs:
            _find(run, queue, again)
        if any(not run.over for run in runs):
            devices.require(params)
        while any(not run.over for run in runs):
            _submit_waiting(runs, params, queue)
            for run in runs:
                _look_after(run, params, queue, several=len(runs) > 1)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):  # a second one must not come between
            signal.signal(number, signal.SIG_IGN)
        running = {run.folder: job for run in runs if not run.over and (job := run.job or jobs.attach_in_time(run.folder, queue))}
        jobs.cancel(running)
        log.warning("cancelled %s", ", ".join(f"job {job.id}" for job in running.values()) or "nothing: no job was submitted yet")
        raise
    if failures := [run.failure for run in runs if run.failure]:
        raise UserError(*(line for failure in failures for line in failure.split("\n")))


def _find(run: _Run, queue: Queue, again: bool) -> None:
    """The run's job, if it has one that still runs; `run.json` for a run that is yet to come to its end."""
    run.job = None if run.done else jobs.attach(run.folder, queue)
    if again and run.job:
        log.warning("%s: job %s still trains it, and is waited for; it is not trained again", run.folder, run.job.id)
    elif again:
        _set_aside(run.folder)
    if run.over:
        log.info("%s: trained already, and delivered as it is; its log is in there", os.path.relpath(run.folder))
    else:
        write_json(run.folder / "run.json", {key: run.work.config[key] for key in PUBLIC if key in run.work.config})


def _set_aside(folder: Path) -> None:
    """Move a run's folder out of the way, where nobody takes it for the run."""
    if folder.exists():
        place = folder.parent / "earlier"
        place.mkdir(exist_ok=True)
        number = next(number for number in itertools.count(1) if not (place / f"{folder.name}-{number}").exists())
        folder.rename(place / f"{folder.name}-{number}")
        log.warning("%s: training again; what was there is now %s", folder, place / f"{folder.name}-{number}")


def each_run(names: Sequence[str], plans: Sequence[str], outs: Sequence[Path]) -> list[tuple[str, str]]:
    """Name and plan of each run of a command. Raises UserError when there are not as many names as plans and folders."""
    if not len(names) == len(plans) == len(outs):
        raise UserError(f"--name, --plan and --out: expected as many of each, got {len(names)}, {len(plans)} and {len(outs)}")
    return list(zip(names, plans))


def _submit_waiting(runs: Sequence[_Run], params: Launch, queue: Queue) -> None:
    """Submit what waits: on Slurm all of it, as an array that keeps to `at_once` by itself; here as many as may run, each on GPUs of its own."""
    waiting = [run for run in runs if not run.job and not run.over]
    if params.cluster == "local":
        waiting = waiting[: max(0, params.at_once - sum(run.job is not None for run in runs))]
    groups = [[run] for run in waiting] if params.cluster == "local" else [waiting] if waiting else []
    for group in groups:
        with devices.reserved(group[0].folder, params) as gpus:
            if gpus is None:
                return
            submitted = jobs.submit([run.work for run in group], [run.folder for run in group], f"ostinato-{group[0].name}", params, queue, gpus)
        for run, job in zip(group, submitted):
            run.begin(job)


def _look_after(run: _Run, params: Launch, queue: Queue, several: bool) -> None:
    """Show what a run's job has printed since, and see whether it is over."""
    if not run.job:
        return
    run.position = _print_from(jobs.output_log(run.job), run.position, f"{run.name}: " if several else "")
    if params.cluster == "slurm" and run.done:
        run.job = None
    elif run.job.ended():
        _await_files(run, params)
    elif jobs.traceback_of(run.job):
        queue.hurry()
        _doubt(run)
    else:
        run.doubted = None


def _await_files(run: _Run, params: Launch) -> None:
    """A job has ended: conclude, when what it wrote is seen or has had its time."""
    assert run.job
    now = time.monotonic()
    if run.ended is None:
        run.ended, run.fate = now, run.job.fate()
    patience = LATE.get(run.fate, 0) if params.cluster == "slurm" else 0
    if run.done or jobs.traceback_of(run.job) or now - run.ended >= patience:
        _conclude(run, params)


def _doubt(run: _Run) -> None:
    """A process has failed, and its job is not over: it may be requeued, or end by itself; a job whose other processes go on is cancelled after a while."""
    assert run.job
    if not run.job.runs():
        run.doubted = None
        return
    run.doubted = run.doubted or time.monotonic()
    if time.monotonic() - run.doubted >= GIVE_UP:
        jobs.cancel({run.folder: run.job})
        _fail(run, jobs.tail_of_trace(jobs.traceback_of(run.job) or "") + f"; its other processes went on, and were cancelled after {GIVE_UP} s")


def _conclude(run: _Run, params: Launch) -> None:
    """A job is over: with a model, without one through no fault of its own, or failed."""
    assert run.job
    if not run.done:
        trace = jobs.traceback_of(run.job) or ""
        if jobs.TOO_OFTEN in trace:
            _fail(run, _how_it_died(run, "TIMEOUT", params))
        elif run.fate in jobs.NO_FAULT and run.attempts <= params.max_timeouts:
            log.warning("%s: Slurm ended job %s (%s) and did not requeue it; submitting another, which goes on from the checkpoint", run.folder, run.job.id, run.fate)
        elif trace:
            _fail(run, jobs.tail_of_trace(trace))
        else:
            _fail(run, _how_it_died(run, run.fate, params))
    run.job = None


def _how_it_died(run: _Run, fate: str, params: Launch) -> str:
    assert run.job
    hints = {
        "OUT_OF_MEMORY": f"out of memory, {params.mem_gb} GB asked; raise train.launch.mem_gb",
        "CANCELLED": "somebody cancelled it",
        "COMPLETED": f"but its done.json is not seen here after {LATE['COMPLETED']} s; expected a folder that all nodes see",
        "TIMEOUT": f"it reached its limit of {params.timeout_min} min more than {params.max_timeouts} times; raise train.launch.timeout_min or max_timeouts",
    }
    path = jobs.error_log(run.job)
    if shutil.disk_usage(run.folder).free < FULL:
        return f"its disk is full ({run.folder}); make room and start again"
    said = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][-3:] if path.is_file() else []
    reason = f"Slurm says {fate}" + (f": {hints[fate]}" if fate in hints else "") if fate else "the process ended without a result (killed, or out of memory)"
    return "\n  ".join([reason, *said])


def _fail(run: _Run, reason: str) -> None:
    assert run.job
    run.failure = f"{run.name}: job {run.job.id} failed: {reason} (log: {os.path.relpath(jobs.error_log(run.job))}; its checkpoint is kept, the next run goes on from it)"
    run.job = None


def _heed_signals() -> None:
    """SIGTERM (from Snakemake or a scheduler) ends like Ctrl-C; and Ctrl-C is heeded here and in the job, though a shell has them ignore it in the background."""

    def interrupt(signum: int, _: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _print_from(path: Path, position: int, prefix: str) -> int:
    """Print a log's lines of progress from a position on; returns the next."""
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as stream:
            stream.seek(position)
            for line in stream:
                if line.startswith("step "):  # submitit's own lines are kept in the file
                    print(prefix + line, end="", flush=True)
            position = stream.tell()
    return position


def deliver(folder: Path, out: Path, names: Sequence[str]) -> list[Path]:
    """Copy what a finished run made to where the next rules look for it, with its summary; returns what it wrote."""
    copied = copy_model(folder, out, names)
    write_json(out / "summary.json", read_json(folder / "done.json") | read_json(folder / "run.json") | {"job": jobs.known_of(folder / "job.json") or None})
    return [*copied, out / "summary.json"]
