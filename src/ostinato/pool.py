"""Work on many files in other processes, of which some may die or hang: libraries that read broken files can do both, and one file must not end the run."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pebble import ProcessExpired, ProcessPool

#: Processes that have not begun after so many seconds never will (a script without `if __name__ == "__main__"`, say).
START_SECONDS = 600
#: What a file may take in its process: this long, and a second more for so many bytes; the slowest decoders read ten times as many.
LEAST_SECONDS, BYTES_PER_SECOND = 60, 20_000


def resilient_map(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    jobs: int,
    dead: Callable[[Any, str], Any],
    seconds: Callable[[Any], float] | None = None,
    begin: Callable[[], Any] = int,
    done: Callable[[], Any] = int,
) -> Iterator[Any]:
    """`function` of every item, in order, each as soon as it and those before it are there. Exceptions of the function are passed on.

    Args:
        jobs: processes at a time. They are new ones (spawn), so that all that is given must be such as can be pickled.
        dead: what stands for an item at which its process dies or hangs, given the item and why, in words.
        seconds: how long an item may take; without, for ever.
        begin: called first in each process, which may take longer; done: called here when any item is through.

    Raises:
        RuntimeError: processes cannot be started.
    """
    # spawn: forking while other threads run can deadlock
    pool = ProcessPool(max(1, min(jobs, len(items))), initializer=begin, context=multiprocessing.get_context("spawn"))
    try:
        _wait_for_start(pool)
        futures = [pool.schedule(function, args=[item], timeout=seconds and seconds(item)) for item in items]
        for future in futures:
            future.add_done_callback(lambda _: done())
        for item, future in zip(items, futures):
            yield _result(future, item, dead)
        pool.close()
    finally:
        pool.stop()
        pool.join()


def _wait_for_start(pool: ProcessPool) -> None:
    # a process that cannot even start is no item's fault
    try:
        pool.schedule(os.getpid).result(timeout=START_SECONDS)
    except (concurrent.futures.TimeoutError, ProcessExpired) as error:
        raise RuntimeError(f"no process to work in could be started ({type(error).__name__})") from error


def _result(future: Any, item: Any, dead: Callable[[Any, str], Any]) -> Any:
    try:
        return future.result()
    except ProcessExpired as error:
        return dead(item, f"died, with exit code {error.exitcode}")
    except concurrent.futures.TimeoutError as error:
        if error.args[:1] != ("Task timeout",):
            raise  # the function's own
        return dead(item, f"took over {error.args[1]:.0f} s")


def seconds_for(path: os.PathLike[str] | str, least: float = LEAST_SECONDS, bytes_per_second: float = BYTES_PER_SECOND) -> float:
    """How long work on a file may take (s), in proportion to its size."""
    return least + os.path.getsize(path) / bytes_per_second


def in_own_process(function: Callable[[Any], Any], path: Any, dead: Callable[[Any, str], Any]) -> Any:
    """`function` of one file, in a process of its own."""
    return next(resilient_map(function, [path], 1, dead, seconds_for))
