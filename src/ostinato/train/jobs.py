"""Jobs of training, on this machine or on Slurm: submitted through submitit, found again by another launcher, watched, cancelled.

What Slurm says is in train.squeue.

That a job ended well is read from its run folder (`done.json`), which costs the cluster nothing. That it failed only Slurm can say: squeue is asked at most every
`poll_seconds`, for all jobs of a launcher at once, and believed when it says twice that a job has left: a job that is requeued (time limit, preemption, lost node,
operator) stays in the queue under its id, whatever tracebacks its processes left when they were killed, and a controller that does not answer says nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ostinato import processes
from ostinato.files import UserError, read_json, write_json
from ostinato.params.blocks import Launch
from ostinato.train import squeue
from ostinato.train.locks import holder, is_held
from ostinato.train.squeue import Queue

log = logging.getLogger(__name__)
#: Ends that say nothing against the job: another may go on from its checkpoint. Slurm requeues by itself where it is let; this is for where it is not.
NO_FAULT = {"BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "TIMEOUT"}
#: submitit's words for a job that reached its time limit once more than `max_timeouts` allows.
TOO_OFTEN = "timed-out too many times"
SUBMISSION = "submission.json"


class Job(Protocol):
    """A submitted job."""

    id: str
    logs: Path

    def ended(self) -> bool:
        """Whether it is over, well or not; False while that is unknown."""

    def runs(self) -> bool:
        """Whether its processes run, as far as is known: not while it waits to start, or to start again."""

    def fate(self) -> str:
        """What the cluster says of its end: one of Slurm's states, or nothing."""


class LocalJob:
    """A job on this machine, `submitted` here, or found again after its launcher's death: by the `mark` of submitit's process, or by the lock of the run."""

    def __init__(self, job_id: str, logs: Path, lock: Path, submitted: Any = None, mark: str = "") -> None:
        self.id, self.logs, self.lock, self.submitted, self.mark = job_id, logs, lock, submitted, mark

    def ended(self) -> bool:
        return self.submitted.done() if self.submitted else not self._lives() and not is_held(self.lock)

    def _lives(self) -> bool:
        return bool(self.mark) and processes.is_here(self.mark) and processes.lives(self.mark)

    def cancel(self) -> None:
        """Interrupt submitit's process, which ends those of the training; where it is gone, kill the training, whose checkpoint is whole at any time."""
        alive = not self.submitted.done() if self.submitted else self._lives()
        process, host = holder(self.lock) if not alive and is_held(self.lock) else ("", "")
        if alive:
            os.kill(int(self.id), signal.SIGINT)
        elif host == socket.gethostname():
            os.kill(int(process), signal.SIGKILL)

    def runs(self) -> bool:
        return not self.ended()

    def fate(self) -> str:
        return ""


class SlurmJob:
    """A job, or a task of a job array, on Slurm."""

    def __init__(self, job_id: str, logs: Path, queue: Queue) -> None:
        self.id, self.logs, self.queue = job_id, logs, queue

    def ended(self) -> bool:
        self.queue.look(self.id)
        return self.queue.absences[self.id] >= 2

    def runs(self) -> bool:
        return self.queue.states.get(self.id) == "RUNNING"

    def fate(self) -> str:
        return squeue.fate(self.id)


def submit(work: Sequence[Any], folders: Sequence[Path], name: str, params: Launch, queue: Queue, gpus: Sequence[str] = ()) -> list[Job]:
    """Submit callables, several on Slurm as one job array of which `at_once` run at a time; `job.json` in each one's folder says which job it became.

    A launcher that is killed before it could write that leaves `submission.json`, by which `attach` finds the job.

    Args:
        name: of the job; a token makes it one of its kind.
        gpus: those of this machine that a local job may use, in CUDA's words.

    Raises:
        UserError: the cluster refuses.
    """
    name = f"{name}-{secrets.token_hex(4)}"
    logs = folders[0] / "jobs" if len(folders) == 1 else folders[0].parents[1] / "jobs" / name  # of an array, where no run of it takes them along
    for number, folder in enumerate(folders):
        task = {"task": number} if len(folders) > 1 else {}
        write_json(folder / SUBMISSION, {"cluster": params.cluster, "name": name, "logs": os.path.relpath(logs, folder), **task})
    submitted = _submit(work, logs, name, params, gpus)
    for folder, job in zip(folders, submitted):
        here = {"process": processes.mark(int(job.job_id)), "gpus": list(gpus)} if params.cluster == "local" else {}
        _note(folder, job.job_id, here)
    if params.cluster == "local":
        return [LocalJob(job.job_id, logs, folder / "lock", job) for folder, job in zip(folders, submitted)]
    return [SlurmJob(job.job_id, logs, queue) for job in submitted]


def _submit(work: Sequence[Any], logs: Path, name: str, params: Launch, gpus: Sequence[str]) -> list[Any]:
    """Jobs of submitit."""
    import submitit

    executor = submitit.AutoExecutor(logs, cluster=params.cluster, slurm_max_num_timeout=params.max_timeouts, local_max_num_timeout=params.max_timeouts)
    executor.update_parameters(name=name, **resources(params))
    if gpus:
        executor.parameters["visible_gpus"] = tuple(gpus)  # as an argument submitit takes numbers alone
    try:
        return [executor.submit(work[0])] if len(work) == 1 else executor.submit_array(list(work))
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        raise UserError(f"{name}: sbatch refuses: {str(error).strip().splitlines()[-1]} (train.launch is laid down in cluster/slurm/submitit.yaml)") from error


def _note(folder: Path, job_id: str, here: Mapping[str, Any]) -> None:
    """Write `job.json`: which job works on a run; of one on this machine its process, and the GPUs that are its."""
    asked = known_of(folder / SUBMISSION)
    write_json(folder / "job.json", {"cluster": asked["cluster"], "id": job_id, "logs": asked["logs"], "submitted": round(time.time(), 1), **here})
    (folder / SUBMISSION).unlink()


def known_of(path: Path) -> dict[str, Any]:
    """What a `job.json` or `submission.json` says; nothing where it is missing, or was lost with its contents."""
    try:
        return dict(read_json(path)) if path.is_file() else {}
    except (UserError, TypeError, ValueError) as error:
        log.warning("%s: of no use, and not believed (%s)", path, error)
        return {}


def _hear_of(folder: Path) -> None:
    """Note the job of a launcher that was killed, or interrupted, before it could: found by its name, if Slurm has taken it and not yet ended it."""
    asked = known_of(folder / SUBMISSION)
    if asked.get("cluster") == "slurm":
        mine = [job_id for job_id in squeue.surely_queued("--me", f"--name={asked['name']}") if "task" not in asked or job_id.endswith(f"_{asked['task']}")]
        if mine:
            log.warning("%s: job %s was submitted by a launcher that did not live to note it", folder, mine[0])
            _note(folder, mine[0], {})


def resources(params: Launch) -> dict[str, Any]:
    """`train.launch` in submitit's words."""
    shared: dict[str, Any] = {
        "timeout_min": params.timeout_min,
        "cpus_per_task": params.cpus,
        "tasks_per_node": params.tasks_per_node,
        "nodes": params.nodes,
        "mem_gb": params.mem_gb,
    }
    if params.cluster == "local":
        return shared | {"gpus_per_node": params.gpus}
    if params.gpus:  # an explicit 0 is an error on clusters without GPUs
        shared["slurm_gpus_per_node"] = f"{params.gpu_type}:{params.gpus}" if params.gpu_type else params.gpus
    named = {"slurm_partition": params.partition, "slurm_account": params.account}
    return (
        shared
        | {key: value for key, value in named.items() if value}
        | {
            "slurm_signal_delay_s": params.signal_delay_s,
            "slurm_array_parallelism": params.at_once,
            "slurm_additional_parameters": {"requeue": True} | params.options,
            "slurm_srun_args": ["--kill-on-bad-exit=1"],
        }
    )  # the others would wait for a process that is no more


def attach(folder: Path, queue: Queue) -> Job | None:
    """The job of an earlier launcher, when it still runs or waits; None otherwise, and where it was cancelled."""
    _hear_of(folder)
    known = known_of(folder / "job.json")
    logs = folder / known.get("logs", "jobs")
    job: Job | None
    if known.get("cluster") == "slurm":
        job = SlurmJob(known["id"], logs, queue) if not known.get("cancelled") and known["id"] in squeue.surely_queued("-j", known["id"]) else None
    else:
        found = LocalJob(known.get("id", "of an unknown number"), logs, folder / "lock", mark=known.get("process", ""))
        job = None if found.ended() else found
    if job:
        log.info("%s: attached to job %s, which still runs", folder, job.id)
    return job


def attach_in_time(folder: Path, queue: Queue) -> Job | None:
    """As `attach`, with patience for a submission that was interrupted before it was noted: Slurm may name its job some seconds later."""
    for _ in range(5):
        if (job := attach(folder, queue)) or not (folder / SUBMISSION).is_file():
            return job
        time.sleep(2)
    return None


def cancel(jobs: Mapping[Path, Job]) -> None:
    """Cancel the jobs of runs, by their folders, and note it there: a job takes a while to end. Says so when Slurm does not take it."""
    for job in jobs.values():
        if isinstance(job, LocalJob):
            job.cancel()
    on_slurm = {folder: job for folder, job in jobs.items() if isinstance(job, SlurmJob)}
    if on_slurm:
        ids = [job.id for job in on_slurm.values()]
        said = squeue.ask("scancel", *ids)
        if said.returncode:
            log.error("scancel %s failed: %s; cancel them by hand", " ".join(ids), said.stderr.strip())
            return
        for folder in on_slurm:
            write_json(folder / "job.json", known_of(folder / "job.json") | {"cancelled": True})


def error_log(job: Job) -> Path:
    """Where the job's first process writes its errors."""
    return job.logs / f"{job.id}_0_log.err"


def output_log(job: Job) -> Path:
    """Where the job's first process writes its progress."""
    return job.logs / f"{job.id}_0_log.out"


def traceback_of(job: Job) -> str | None:
    """The traceback of the process of a job that failed first; None when none left one. A process that was killed leaves none."""
    from submitit.core.utils import pickle_load

    failures = []
    for path in job.logs.glob(f"{job.id}_*_result.pkl"):
        with contextlib.suppress(FileNotFoundError):  # a job that starts again removes what it left
            outcome, result = pickle_load(path)
            if outcome == "error":
                failures.append((path.stat().st_mtime, str(result)))
    return min(failures)[1] if failures else None


def tail_of_trace(trace: str, lines: int = 6) -> str:
    """What a person needs of a traceback: the message of a UserError, or else its last lines."""
    last = trace.strip().splitlines()
    ours = re.match(rf"{UserError.__module__}\.{UserError.__name__}: (.*)", last[-1])
    return ours[1] if ours else "\n  ".join(["", *last[-lines:]])
