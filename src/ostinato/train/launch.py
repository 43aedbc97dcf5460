"""Start a training job through submitit, on this machine or on Slurm, follow its log, and survive its launcher's death.

One folder per run. `job.json` there holds the job's id, so that a launcher started again attaches to a job that still runs instead of starting
another; `lock` is held by the training process as long as it lives, so that two never write one run on one machine. When the job reaches its
time limit or is preempted, it ends its step, writes a checkpoint, and submitit requeues it. Interrupted (Ctrl-C, SIGTERM), the launcher cancels the job.
"""

from __future__ import annotations

import fcntl
import importlib
import logging
import os
import re
import shutil
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ostinato.files import UserError, atomic, read_json, write_json
from ostinato.sections import Launch, Loop, Method, Schedule

log = logging.getLogger(__name__)
POLL_SECONDS = 0.5
#: How long the other processes of a requeued job wait for its end, s.
GRACE_SECONDS = 60


class TrainJob:
    """What runs in the job: a picklable callable that builds a task and trains it. `config` is plain JSON."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def __call__(self) -> dict[str, Any]:
        """Train, export the model into the run folder, and return the summary. One of several processes computes its share, and the first of them writes."""
        import torch

        from ostinato.train.loop import Preempted, train
        from ostinato.train.parallel import crew

        folder, plan = Path(self.config["folder"]), Schedule.of(self.config["plan"])
        torch.set_num_threads(plan.threads)
        notice, values = Notice(), dict(self.config["loop"])
        method = Method.model_validate(values.pop("method")) if "method" in values else None
        with crew() as us, hold(folder / "lock") if us.rank == 0 else nullcontext():
            task = importlib.import_module(self.config["task"]).build(self.config, us.device)
            try:
                summary = train(task, Loop.model_validate(values), plan, folder, notice.given, method, us)
            except Preempted:
                notice.answer()  # does not come back in the first process: submitit requeues the job and ends all
                time.sleep(GRACE_SECONDS)
                raise
            if us.rank == 0:
                task.save(folder)
                write_json(folder / "done.json", summary)
        return summary

    def checkpoint(self) -> Any:
        """submitit calls this shortly before the time limit and on preemption: the same job again, which finds its checkpoint."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


class Notice:
    """Puts submitit's signal before the time limit or a preemption off until a step is done and its checkpoint written."""

    def __init__(self) -> None:
        self.received: tuple[int, Any] | None = None
        number = getattr(signal, "SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2"))
        self.handler = signal.signal(number, self._receive)

    def _receive(self, number: int, frame: Any) -> None:
        self.received = (number, frame)

    def given(self) -> bool:
        """Whether the job is to stop."""
        return self.received is not None

    def answer(self) -> None:
        """Let submitit handle the signal."""
        if self.received and callable(self.handler):
            self.handler(*self.received)


class hold:
    """Hold an exclusive lock on a file while the block runs, with the process's id in it. The system drops it with the process, however that dies."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = self.path.open("a+")
        fcntl.flock(self.stream, fcntl.LOCK_EX)
        self.stream.truncate(0)
        print(os.getpid(), file=self.stream, flush=True)

    def __exit__(self, *_: Any) -> None:
        self.stream.close()


def is_held(path: Path) -> bool:
    """Whether a living process on this machine holds the lock."""
    if not path.exists():
        return False
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def launch(job: TrainJob, params: Launch) -> None:
    """Run `job` to its end: attach to one that still runs, or submit a new one. The run folder then holds `done.json`.

    Raises:
        UserError: the job failed; carries the last line of its traceback and the path of its log.
    """
    folder = Path(job.config["folder"])
    if (folder / "done.json").is_file():
        return
    _heed_signals()
    submitted = _attach(folder, params) or _submit(job, params, folder)
    try:
        _follow(submitted, folder)
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):  # a second one must not come between
            signal.signal(number, signal.SIG_IGN)
        submitted.cancel(check=False)
        log.warning("%s: cancelled job %s", folder, submitted.job_id)
        raise
    _raise_failure(submitted, folder)


def _submit(job: TrainJob, params: Launch, folder: Path) -> Any:
    import submitit

    executor = submitit.AutoExecutor(folder / "jobs", cluster=params.cluster, slurm_max_num_timeout=params.max_timeouts,
                                     local_max_num_timeout=params.max_timeouts)
    executor.update_parameters(
        name=f"ostinato-{job.config['name']}", timeout_min=params.timeout_min, gpus_per_node=params.gpus, cpus_per_task=params.cpus,
        tasks_per_node=params.tasks_per_node, nodes=params.nodes, mem_gb=params.mem_gb, slurm_signal_delay_s=params.signal_delay_s,
        **({"slurm_partition": params.partition} if params.partition else {}))
    submitted = executor.submit(job)
    write_json(folder / "job.json", {"cluster": params.cluster, "id": submitted.job_id})
    return submitted


def _attach(folder: Path, params: Launch) -> Any:
    """The job of an earlier launcher, when it still runs; None otherwise."""
    import submitit

    if not (folder / "job.json").is_file():
        return None
    known = read_json(folder / "job.json")
    if known["cluster"] == "local":
        if not is_held(folder / "lock"):
            return None
        submitted = _OrphanedLocalJob(folder / "jobs", known["id"], folder / "lock")
    else:
        submitted = submitit.SlurmJob(folder / "jobs", known["id"])
        if submitted.done(force_check=True):
            return None
    log.info("%s: attached to job %s, which still runs", folder, known["id"])
    return submitted


class _OrphanedLocalJob:
    """A local job whose launcher has died: it runs as long as its lock is held."""

    def __init__(self, folder: Path, job_id: str, lock: Path) -> None:
        import submitit

        self.job_id, self.lock = job_id, lock
        self.paths = submitit.core.utils.JobPaths(folder, job_id, 0)

    def done(self) -> bool:
        return not is_held(self.lock)

    def cancel(self, check: bool = True) -> None:
        os.kill(int(self.job_id), signal.SIGINT)

    def exception(self) -> None:
        return None


def _heed_signals() -> None:
    """SIGTERM (from Snakemake or a scheduler) ends like Ctrl-C; and Ctrl-C is heeded here and in the job, though a shell has them ignore it in the background."""

    def interrupt(signum: int, _: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _follow(submitted: Any, folder: Path) -> None:
    """Print the job's output as it comes, until the job is done."""
    position = 0
    while True:
        done = submitted.done()
        position = _print_from(submitted.paths.stdout, position)
        if done:
            return
        time.sleep(POLL_SECONDS)


def _print_from(path: Path, position: int) -> int:
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as stream:
            stream.seek(position)
            for line in stream:
                if line.startswith("step "):  # submitit's own lines are kept in the file
                    print(line, end="", flush=True)
            position = stream.tell()
    return position


def _raise_failure(submitted: Any, folder: Path) -> None:
    if (folder / "done.json").is_file():
        return
    error = submitted.exception()
    reason = _last_of_trace(str(error)) if error else "the process ended without a result (killed, or out of memory)"
    raise UserError(f"job {submitted.job_id} failed: {reason} (log: {submitted.paths.stderr}; its checkpoint is kept, the next run goes on from it)")


def _last_of_trace(text: str) -> str:
    """The last line of the traceback that submitit quotes between two lines of dashes, or of the text when it quotes none."""
    quoted = re.search(r"^-{10,}\n(.*?)^-{10,}$", text, re.DOTALL | re.MULTILINE)
    return (quoted[1] if quoted else text).strip().splitlines()[-1].removeprefix(f"{UserError.__module__}.{UserError.__name__}: ")


def deliver(folder: Path, out: Path, names: Sequence[str], public: dict[str, Any]) -> None:
    """Copy what a finished run made to where the next rules look for it, with its summary."""
    for name in names:
        with atomic(out / name) as path:
            shutil.copytree(folder / name, path) if (folder / name).is_dir() else shutil.copyfile(folder / name, path)
    write_json(out / "summary.json", read_json(folder / "done.json") | public | {"job": read_json(folder / "job.json")})
