"""Batches drawn one step ahead, by a thread, while the step before is computed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class Ahead:
    """The batches of a task (see train.steps), one after another. One thread draws them all, so that no two are ever drawn at once and a task needs no locks.

    What goes wrong while a batch is drawn is raised where that batch is asked for. Leaving the block waits for a batch that is being drawn, and drops it.
    """

    def __init__(self, task: Any) -> None:
        self.task, self.thread = task, ThreadPoolExecutor(1, "batches")
        self.waiting: dict[int, Future[Any]] = {}

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.thread.shutdown(cancel_futures=True)

    def train(self, step: int) -> Any:
        """The batch of a step; that of the next one is begun, if there is to be one."""
        batch = (self.waiting.pop(step, None) or self.thread.submit(self.task.batch, "train", step)).result()
        if step + 1 < self.task.steps:
            self.waiting = {step + 1: self.thread.submit(self.task.batch, "train", step + 1)}
        return batch

    def valid(self) -> Any:
        """What is validated on."""
        return self.thread.submit(self.task.batch, "valid", 0).result()
