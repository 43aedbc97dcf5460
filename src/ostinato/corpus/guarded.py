"""Work on many files in other processes, of which some may die: libraries that read broken files can crash, and one file must not end the run."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

#: Items handed to a process at once. When it dies, each of them is tried alone.
CHUNK = 32


def guarded_map(function: Callable[[Any], Any], items: Sequence[Any], jobs: int, dead: Callable[[Any], Any]) -> list[Any]:
    """`function` of every item, in order; `dead` of an item at which the process dies. Other exceptions are passed on.

    Raises:
        BrokenProcessPool: processes cannot be started at all.
    """
    pools = threading.local()
    opened: list[ProcessPoolExecutor] = []

    def work(chunk: Sequence[Any]) -> list[Any]:
        if not hasattr(pools, "mine"):
            # spawn: forking while other threads run can deadlock
            pools.mine = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
            opened.append(pools.mine)
            pools.mine.submit(_each, function, []).result()  # a process that cannot even start is no item's fault
        try:
            return pools.mine.submit(_each, function, chunk).result()
        except BrokenProcessPool:
            del pools.mine
            return [dead(chunk[0])] if len(chunk) == 1 else [result for item in chunk for result in work([item])]

    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    try:
        with ThreadPoolExecutor(max(1, min(jobs, len(chunks)))) as threads:
            return [result for results in threads.map(work, chunks) for result in results]
    finally:
        for pool in opened:
            pool.shutdown()


def _each(function: Callable[[Any], Any], chunk: Sequence[Any]) -> list[Any]:
    return [function(item) for item in chunk]
