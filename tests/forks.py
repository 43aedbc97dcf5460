"""Processes that begin with torch and Snakemake imported, which takes seconds: a server imports them once, and forks itself for each."""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TextIO

import pytest

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "pytest",
        "snakemake.cli",
        "submitit.local.local",
        "torch._dynamo",
        "training",
        "librosa.beat",
        "librosa.effects",
        "librosa.feature",
        "librosa.onset",
        "ostinato.listen.batch",
        "ostinato.listen.songs",
        "ostinato.train.tasks.ears",
        "ostinato.train.tasks.midigpt",
        "ostinato.train.tasks.musicgen",
    ]
)


def begin(target: Callable[..., None], *args: Any) -> Any:
    """A process that calls a function of a module."""
    process = FORKS.Process(target=target, args=args)
    process.start()
    return process


def settle(environment: Mapping[str, str], stdout: int, stderr: int) -> None:
    """Have this process, just forked, write to these files, and see this environment and no other."""
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.environ.clear()
    os.environ.update(environment)


@contextmanager
def pools_of_forks() -> Iterator[None]:
    """Have `ostinato.pool` work in forks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ostinato.pool.multiprocessing", SimpleNamespace(get_context=lambda kind: FORKS))
        yield


@contextmanager
def jobs_in_forks() -> Iterator[None]:
    """Have submitit fork the processes of jobs on this machine, and put the signals back that a launcher heeds."""
    from submitit.local import local

    heeded = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "subprocess", SimpleNamespace(Popen=Controller))
        yield
    for number, handler in heeded.items():
        signal.signal(number, handler)


class Controller:
    """In place of `python -m submitit.local._local FOLDER`, as far as submitit looks at it."""

    def __init__(self, command: list[str], shell: bool, env: Mapping[str, str]) -> None:
        self.process = begin(control, command[-1], env)
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode


def control(folder: str, environment: Mapping[str, str]) -> None:
    from submitit.local import local

    os.environ.clear()
    os.environ.update(environment)
    local.subprocess = SimpleNamespace(Popen=Task)
    local.Controller(folder).run()


class Task:
    """In place of `python -m submitit.core._submit FOLDER`."""

    def __init__(self, command: list[str], env: Mapping[str, str], stdout: TextIO, stderr: TextIO, **_: Any) -> None:
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            settle(env, stdout.fileno(), stderr.fileno())
            os._exit(work(command[-1]))

    def poll(self) -> int | None:
        if self.status is None and (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.status = os.waitstatus_to_exitcode(ended[1])
        return self.status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def work(folder: str) -> int:
    """Do what submitit has pickled; the exit status."""
    from submitit.core.submission import process_job

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the controller's, which passes it on
    try:
        process_job(folder)
        return 0
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
