"""Jobs of training, on this machine or on Slurm: submitted through submitit, found again by another launcher, watched, cancelled.

That a job ended well is read from its run folder (`done.json`), which costs the cluster nothing. That it failed only Slurm can say: squeue is asked at most every
`poll_seconds`, for all jobs of a launcher at once, and believed when it says twice that a job has left: a job that is requeued (time limit, preemption, lost node,
operator) stays in the queue under its id, whatever tracebacks its processes left when they were killed, and a controller that does not answer says nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from ostinato import processes
from ostinato.files import UserError, read_json, write_json
from ostinato.sections import Launch

log = logging.getLogger(__name__)
#: States in which Slurm is through with a job.
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"}
#: Ends that say nothing against the job: another may go on from its checkpoint. Slurm requeues by itself where it is let; this is for where it is not.
NO_FAULT = {"BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "TIMEOUT"}
#: submitit's words for a job that reached its time limit once more than `max_timeouts` allows.
TOO_OFTEN = "timed-out too many times"
FIRST_PAUSE = 2.0
SUBMISSION = "submission.json"
#: How long the lock of a run is waited for, s: a node that is lost holds its locks on a network file system for a minute or two.
LOCK_SECONDS = 600


class hold:
    """Hold an exclusive lock on a file while the block runs, with the process's id and machine in it. The system drops it with the process, however that dies.

    Raises:
        UserError: another process holds it for longer than `seconds`, or the file system knows no locks.
    """

    def __init__(self, path: Path, seconds: float = LOCK_SECONDS) -> None:
        self.path, self.seconds = path, seconds

    def __enter__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = self.path.open("a+")
        end, told = time.monotonic() + self.seconds, False
        while not lock(self.stream):
            if time.monotonic() >= end:
                raise UserError(f"{self.path}: waited {self.seconds:.0f} s for {self._holder()}, which trains this run; when it is gone, start again "
                                "(whether locks work here, `ostinato doctor` says)")
            if not told:
                log.warning("%s: waiting for %s, which holds it", self.path, self._holder())
                told = True
            time.sleep(min(1.0, self.seconds))
        self.stream.truncate(0)
        print(os.getpid(), socket.gethostname(), file=self.stream, flush=True)

    def _holder(self) -> str:
        process, _, host = self.path.read_text(encoding="utf-8").strip().partition(" ")
        return f"process {process} on {host}" if host else "another process"

    def __exit__(self, *_: Any) -> None:
        self.stream.close()


def lock(stream: IO[str]) -> bool:
    """Lock an open file for this process; False where another has it. Raises UserError where the file system knows no locks."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise UserError(f"{stream.name}: this file system does not lock ({error.strerror}); expected one with flock (Lustre: mounted with -o flock), "
                        "since two processes must not write one run") from error
    return True


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    if not path.exists():
        return False
    with path.open("a") as stream:
        return not lock(stream)


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
        if not self.submitted.done() if self.submitted else self._lives():
            os.kill(int(self.id), signal.SIGINT)
        elif is_held(self.lock) and (holder := self.lock.read_text(encoding="utf-8").split())[1:] == [socket.gethostname()]:
            os.kill(int(holder[0]), signal.SIGKILL)

    def runs(self) -> bool:
        return not self.ended()

    def fate(self) -> str:
        return ""


class Queue:
    """What squeue says of the jobs of one launcher. A pause begins short and doubles up to `longest` seconds."""

    def __init__(self, longest: float) -> None:
        self.longest, self.pause, self.asked = longest, FIRST_PAUSE, 0.0
        self.absences: dict[str, int] = {}
        self.states: dict[str, str] = {}

    def look(self, job_id: str) -> None:
        """Ask squeue when it is time to."""
        self.absences.setdefault(job_id, 0)
        if time.monotonic() - self.asked >= self.pause:
            self.pause, self.asked = min(2 * self.pause, self.longest), time.monotonic()
            states = queued(list(self.absences))
            if states is not None:
                self.states = states
                self.absences = {one: 0 if one in states else count + 1 for one, count in self.absences.items()}

    def hurry(self) -> None:
        """Ask sooner from now on: something has happened."""
        self.pause = FIRST_PAUSE


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
        state = ""
        for _ in range(6):  # what is known of it may be behind what squeue says
            said = _ask("sacct", "-X", "-n", "-P", "-o", "State", "-j", self.id)
            state = (said.stdout.split() or [""])[0]
            if said.returncode or state in ENDED:
                break
            time.sleep(5)
        return state


def queued(job_ids: Sequence[str]) -> dict[str, str] | None:
    """The states of the jobs that wait or run on Slurm; None when its controller does not answer. A job that is COMPLETING may yet be requeued."""
    return _states("-j", ",".join(job_ids))


def _states(*which: str) -> dict[str, str] | None:
    said = _ask("squeue", "--noheader", "--array", "--states=all", "-o", "%i|%T", *which)
    if said.returncode and "Invalid job id" not in said.stderr:
        log.warning("squeue does not answer (%s), asked again later", said.stderr.strip().splitlines()[-1] if said.stderr.strip() else f"status {said.returncode}")
        return None
    rows = [line.split("|") for line in said.stdout.splitlines() if "|" in line]
    return {job_id: state for job_id, state in rows if state not in ENDED}


def _ask(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise UserError(f"{words[0]}: not found here; train.launch.cluster is slurm, which wants Slurm's commands on this machine") from None
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", "no answer in 60 s")


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
    return [LocalJob(job.job_id, logs, folder / "lock", job) if params.cluster == "local" else SlurmJob(job.job_id, logs, queue) for folder, job in zip(folders, submitted)]


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
        while (found := _states("--me", f"--name={asked['name']}")) is None:
            time.sleep(5)
        mine = [job_id for job_id in found if "task" not in asked or job_id.endswith(f"_{asked['task']}")]
        if mine:
            log.warning("%s: job %s was submitted by a launcher that did not live to note it", folder, mine[0])
            _note(folder, mine[0], {})


def resources(params: Launch) -> dict[str, Any]:
    """`train.launch` in submitit's words."""
    shared = {"timeout_min": params.timeout_min, "cpus_per_task": params.cpus, "tasks_per_node": params.tasks_per_node, "nodes": params.nodes, "mem_gb": params.mem_gb}
    if params.cluster == "local":
        return shared | {"gpus_per_node": params.gpus}
    if params.gpus:  # an explicit 0 is an error on clusters without GPUs
        shared["slurm_gpus_per_node"] = f"{params.gpu_type}:{params.gpus}" if params.gpu_type else params.gpus
    named = {"slurm_partition": params.partition, "slurm_account": params.account}
    return shared | {key: value for key, value in named.items() if value} | {
        "slurm_signal_delay_s": params.signal_delay_s, "slurm_array_parallelism": params.at_once, "slurm_additional_parameters": {"requeue": True} | params.options,
        "slurm_srun_args": ["--kill-on-bad-exit=1"]}  # the others would wait for a process that is no more


def attach(folder: Path, queue: Queue) -> Job | None:
    """The job of an earlier launcher, when it still runs or waits; None otherwise, and where it was cancelled."""
    _hear_of(folder)
    known, job = known_of(folder / "job.json"), None
    logs = folder / known.get("logs", "jobs")
    if known.get("cluster") == "slurm":
        job = SlurmJob(known["id"], logs, queue) if not known.get("cancelled") and _is_queued(known["id"]) else None
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


def _is_queued(job_id: str) -> bool:
    """Whether Slurm still has a job; waits for the answer, since a second job beside a living one would be worse."""
    while (found := queued([job_id])) is None:
        time.sleep(5)
    return job_id in found


def cancel(jobs: Mapping[Path, Job]) -> None:
    """Cancel the jobs of runs, by their folders, and note it there: a job takes a while to end. Says so when Slurm does not take it."""
    for job in jobs.values():
        if isinstance(job, LocalJob):
            job.cancel()
    on_slurm = {folder: job for folder, job in jobs.items() if isinstance(job, SlurmJob)}
    if on_slurm:
        ids = [job.id for job in on_slurm.values()]
        said = _ask("scancel", *ids)
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
