"""What runs in a training job: each of its processes builds the task and trains it, and heeds what the scheduler says by signals.

A job that reaches its time limit ends its step, writes a checkpoint, and submitit requeues it. SIGTERM, which Slurm sends before it preempts, requeues or cancels a
job, makes a checkpoint and no more: what follows is for Slurm to decide.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ostinato.files import read_json, write_json
from ostinato.machine import machine
from ostinato.params.blocks import Loop, Method, Schedule
from ostinato.sidecars import commit
from ostinato.train.determinism import make_deterministic
from ostinato.train.locks import hold
from ostinato.train.signature import refuse_changes

log = logging.getLogger(__name__)
#: How long the other processes of a requeued job wait for the end of the first one, which requeues it, s.
GRACE_SECONDS = 600


class TrainJob:
    """What runs in the job: a picklable callable that builds a task and trains it. `config` is plain JSON."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def __call__(self) -> dict[str, Any]:
        """Train, export the model into the run folder, and return the summary. One of several processes computes its share, and the first of them writes."""
        import submitit
        import torch

        from ostinato.train.loop import Preempted, train
        from ostinato.train.parallel import process_group

        environment: Any = submitit.JobEnvironment()
        environment.paths.result_pickle.unlink(missing_ok=True)  # what an earlier attempt left says nothing of this one
        refuse_changes(self.config, inputs=environment.global_rank == 0)
        folder, plan = self.folder, Schedule.of(self.config["plan"])
        torch.set_num_threads(plan.threads)
        notice, values = Notice(), dict(self.config["loop"])
        method = Method.model_validate(values.pop("method")) if "method" in values else None
        if method and method.deterministic:
            make_deterministic()
        with process_group(folder) as us, hold(folder / "lock") if us.rank == 0 else nullcontext():
            if us.agree((folder / "done.json").is_file()):  # the job of a launcher that believed this one lost
                return read_json(folder / "done.json") if us.rank == 0 else {}
            task = importlib.import_module(self.config["task"]).build(self.config, us.device)
            try:
                summary = train(task, Loop.of(values), plan, folder, notice.latest, method, us)
            except Preempted:
                if us.rank:
                    us.outlive_first(GRACE_SECONDS)  # it asks for another attempt, and one that left before it would end the job
                    sys.exit(1)
                notice.answer()
                raise
            if us.rank == 0:
                task.save(folder)
                summary |= machine(task.device, task.precision) | {"commit": commit()}
                write_json(folder / "done.json", summary)
        return summary

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.config["folder"])

    def checkpoint(self) -> Any:
        """submitit calls this shortly before the time limit and on preemption: the same job again, which finds its checkpoint."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


class Notice:
    """What the scheduler has said by signals, for the training loop to ask after each step: submitit's signal before the time limit means `stop`, SIGTERM `save`."""

    def __init__(self) -> None:
        self.word, self.number = "", getattr(signal, "SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2"))
        self.handler = signal.signal(self.number, self._stop)
        signal.signal(signal.SIGTERM, self._save)

    def _stop(self, number: int, frame: Any) -> None:
        self.word = "stop"

    def _save(self, number: int, frame: Any) -> None:
        self.word = self.word or "save"

    def latest(self) -> str:
        """`stop`, `save` or nothing; `save` is said once."""
        word = self.word
        if word == "save":
            self.word = ""
        return word

    def answer(self) -> None:
        """Let submitit handle the signal, whichever process it reached: it requeues the job and ends this process. While Slurm does not take the request, ask again: the
        limit ends that.
        """
        while callable(self.handler):
            try:
                return self.handler(self.number, None)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                log.warning("not requeued (%s), asking again", error)
                time.sleep(5)
