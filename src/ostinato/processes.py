"""Which process: one that wrote its mark into a file is told from all others, those of other hosts and containers, and those that get its number later.

A mark is `PLACE-PROCESS-BEGIN`. PLACE stands for the host since its last start and, in a container, for that: within one, a number means one process at a time, and
when it began tells it from the next.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path

MARK = r"[0-9a-f]{8}-\d+-\d+"


def mark(process: int) -> str:
    """The mark of a process of this place."""
    return f"{_place()}-{process}-{_state(process)[1]}"


def is_here(mark: str) -> bool:
    """Whether a mark is of this place. Of others nobody can tell whether their processes live."""
    return mark.partition("-")[0] == _place()


def lives(mark: str) -> bool:
    """Whether the process of this place that has a mark is still there."""
    _, process, begin = mark.split("-")
    try:
        with contextlib.suppress(PermissionError):  # another user's
            os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    state, now = _state(int(process))
    return state != "Z" and now in (begin, "0")


@cache
def _place() -> str:
    """Where the kernel does not say, each process is a place of its own, and nobody's death is taken for granted."""
    namespace = Path("/proc/self/ns/pid")
    told = [os.uname().nodename, _said_by("/proc/sys/kernel/random/boot_id"), str(namespace.readlink()) if namespace.exists() else ""]
    return hashlib.sha256("\n".join(told).encode() if all(told) else os.urandom(8)).hexdigest()[:8]


def _state(process: int) -> tuple[str, str]:
    """A process's state (Z: it is over, and nobody has asked how it ended), and when it began, in the kernel's ticks since the host's start; 0 where that is not told."""
    words = _said_by(f"/proc/{process}/stat").rpartition(")")[2].split()  # what stands before is its name, which may hold anything
    return (words[0], words[19]) if len(words) > 19 else ("", "0")


def _said_by(path: str) -> str:
    """What a file of the kernel says; nothing where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
