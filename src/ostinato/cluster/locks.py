"""Whether a lock that one machine holds on a file of `results` is refused to another: what keeps two jobs from writing one run (train.locks.hold).

On Linux, flock goes across NFS where the lock service runs, and across Lustre where it is mounted with `flock`; with `localflock`, or `nolock`, each machine has locks
of its own, and elsewhere it fails. A lock service that is away lets who asks wait for ever, even who asked not to wait: on both sides time is limited.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from ostinato.cluster.finding import Finding, fail, ok, warn

#: How long a lock may take to be granted or refused, s.
SECONDS = 10
SILENT, HELD, GOT, REFUSED = "silent", "held", "got", "refused"
#: What a node runs, with the file as its argument: prints one of the words above, or the name of an error.
ATTEMPT = """import errno, fcntl, sys
try:
    fcntl.flock(open(sys.argv[1], "a"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("got")
except BlockingIOError:
    print("refused")
except OSError as error:
    print(errno.errorcode.get(error.errno, error.errno))
"""


@contextmanager
def held(path: Path) -> Iterator[str]:
    """Hold the lock while the block runs. Gives `held`, `silent`, or the name of the error that this machine had."""
    said: list[str] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    waiting = Thread(target=lambda: said.append(_attempt(descriptor)), daemon=True)  # a call that never comes back must not keep us
    waiting.start()
    waiting.join(SECONDS)
    try:
        yield said[0] if said else SILENT
    finally:
        if said:  # else closing would wait for the same answer
            os.close(descriptor)


def _attempt(descriptor: int) -> str:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return HELD
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def finding(name: str, folder: Path, node: str, here: str, there: str) -> Iterator[Finding]:
    """What locks in `folder` are worth: what this machine got, what a node said; nothing where the node could not run the attempt.

    Args:
        name: what the line begins with; here: what `held` gave; there: what ATTEMPT printed, empty when it was stopped.
    """
    todo = "put results on another file system, or have it mounted with locks across nodes (Lustre: -o flock; NFS: its lock service, no nolock)"
    if here != HELD:
        yield fail(name, f"locks on {folder} fail on this machine ({_words(here)})", todo)
    elif there == REFUSED:
        yield ok(name, f"a lock that this machine holds in {folder} is refused to {node}")
    elif there == GOT:
        yield warn(name, f"{node} gets a lock in {folder} that this machine holds: two jobs could write one run", todo)
    elif not there or re.fullmatch("E[A-Z0-9]+", there):
        yield fail(name, f"locks on {folder} fail on {node} ({_words(there or SILENT)})", todo)


def _words(said: str) -> str:
    return f"no answer in {SECONDS} s" if said == SILENT else said
