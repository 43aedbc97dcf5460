"""One process at a time compiles librosa's functions.

Problem: librosa has numba compile them, some at their first call and generalised ufuncs when their module is imported, and cache the result on disk. Two
processes that do so at the same moment, as two jobs do right after an installation, can leave a cache that makes every later process die of a
segmentation fault (seen with librosa 0.11 and numba 0.68, two times of three, in `librosa.estimate_tuning` and `librosa.beat.beat_track`: a ufunc is cached in two
parts, and those of two processes do not fit together). So each process imports these modules, and makes its first call of a function, under a
lock, and finds the cache whole or empty.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TextIO, TypeVar

log = logging.getLogger(__name__)
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")
#: Waiting so long (s) is not worth a word.
SILENT_SECONDS = 5
#: librosa's modules with generalised ufuncs. librosa itself imports them when something of them is first used, which may be songs later. librosa.beat is not among
#: them: one of its functions is compiled anew in each process, which takes half a second and is seldom called; who calls it is decorated as well.
COMPILED = ("librosa.core.audio", "librosa.core.pitch", "librosa.util.utils")
#: The process that has the lock, in its own memory: what is called within needs no second one.
_holder: list[int] = []


def compiled_alone(function: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """Decorate a function that calls compiled ones: its first call in a process waits until no other process is in its first call."""
    called_in: set[int] = set()  # process ids: a forked process inherits this set, but may still have to compile

    @functools.wraps(function)
    def wrapper(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        if os.getpid() in called_in or os.getpid() in _holder:
            return function(*args, **kwargs)
        with lock_file().open("a") as stream:
            _wait_for(stream)
            _holder[:] = [os.getpid()]
            try:
                for module in COMPILED:
                    importlib.import_module(module)
                result = function(*args, **kwargs)
            finally:
                _holder.clear()
        called_in.add(os.getpid())
        return result

    return wrapper


def _wait_for(stream: TextIO) -> None:
    """Take the lock; say so when that takes long."""
    for _ in range(round(SILENT_SECONDS / 0.1)):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.1)
    log.warning("waiting for another process that compiles librosa's functions, or listens to its first song (lock %s)", stream.name)
    fcntl.flock(stream, fcntl.LOCK_EX)


def lock_file() -> Path:
    """The lock, in numba's cache. Where that cannot be written, both move to a temporary folder, which this process then has to itself."""
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="ostinato-numba-"))
        os.environ["NUMBA_CACHE_DIR"] = str(folder)  # in time: librosa imports numba at the first call of a function
    return folder / "lock"
