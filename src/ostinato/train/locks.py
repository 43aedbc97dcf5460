"""Locks on runs, so that two processes never write one: held by the training process as long as it lives, on whichever machine."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from pathlib import Path
from typing import IO, Any

from ostinato.files import UserError

log = logging.getLogger(__name__)
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
                raise UserError(
                    f"{self.path}: waited {self.seconds:.0f} s for {self._holder()}, which trains this run; when it is gone, start again "
                    "(whether locks work here, `ostinato doctor` says)"
                )
            if not told:
                log.warning("%s: waiting for %s, which holds it", self.path, self._holder())
                told = True
            time.sleep(min(1.0, self.seconds))
        self.stream.truncate(0)
        print(os.getpid(), socket.gethostname(), file=self.stream, flush=True)

    def _holder(self) -> str:
        process, host = holder(self.path)
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
        raise UserError(
            f"{stream.name}: this file system does not lock ({error.strerror}); expected one with flock (Lustre: mounted with -o flock), since two processes must not write one run"
        ) from error
    return True


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    if not path.exists():
        return False
    with path.open("a") as stream:
        return not lock(stream)


def holder(path: Path) -> tuple[str, str]:
    """The process and the machine that hold a lock, or held it last; empty where nobody did."""
    process, _, host = path.read_text(encoding="utf-8").strip().partition(" ")
    return process, host
