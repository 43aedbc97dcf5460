"""Training runs appear in MLflow while they train.

Runs only write files, `<runs>/<name>/<signature>/events.jsonl`, from whatever node they are on. One process, the watcher, looks at these every
`track.live_seconds` and imports the runs whose files have changed, as `ostinato track` does when all is done, and under the same lock (one
writer, see `ostinato.tracking.imports`). A run is RUNNING from its first event to its done.json; one whose events stand still is left as it is: whether
it waits in a queue again or has died, its job knows. A store that cannot be reached is told once and asked again at every look: training and pipeline
never wait for it. A second watcher of a store leaves at once.
"""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from ostinato.files import UserError, read_json, read_whole_lines
from ostinato.params import Track
from ostinato.tracking.imports import experiment_id, guarded, provenance
from ostinato.tracking.runs import import_run

log = logging.getLogger(__name__)


class Watcher:
    """Imports the runs below a folder that have changed since it last looked."""

    def __init__(self, params: Track, runs: Path) -> None:
        self.params, self.runs = params, runs
        self.seen: dict[Path, Any] = {}
        self.experiment: str | None = None
        self.failed = False

    def look(self) -> None:
        """Import what has changed; when the store fails, say so the first time, and send it all at a later look."""
        states = {folder: _state(folder) for folder in newest(self.runs.glob("*/*/events.jsonl"))}
        changed = {folder: state for folder, state in states.items() if self.seen.get(folder) != state}
        runs = {folder: run for folder in changed if (run := self._read(folder, changed[folder]))}
        if not runs:
            return
        try:
            guarded(self.params.uri, lambda: self._import(runs, changed))
        except UserError as error:
            if not self.failed:
                log.warning("watch: %s; trying again every %g s", error, self.params.live_seconds)
            self.failed, self.experiment = True, None
        else:
            if self.failed:
                log.info("watch: %s is there again", self.params.uri)
            self.failed = False

    def _read(self, folder: Path, state: Any) -> dict[str, Any] | None:
        """A run's files, or None, told once, when one of them cannot be read."""
        try:
            return as_run(folder)
        except (UserError, OSError, UnicodeDecodeError) as error:
            log.warning("watch: %s is left out: %s", folder, error)
            self.seen[folder] = state
            return None

    def _import(self, runs: Mapping[Path, dict[str, Any]], states: Mapping[Path, Any]) -> None:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.params.uri)
        self.experiment = self.experiment or experiment_id(client, self.params)
        for folder, run in runs.items():
            if run["events"]:
                import_run(client, self.experiment, folder.name, run, provenance())
            self.seen[folder] = states[folder]


def newest(events: Iterable[Path]) -> list[Path]:
    """The runs' folders. Of several with one signature (a sweep whose runs were numbered anew) the one that started last is what is looked at."""
    folders: dict[str, tuple[float, Path]] = {}
    for path in sorted(events):
        begun = (_first_time(path), path.parent)
        folders[path.parent.name] = max(begun, folders.get(path.parent.name, begun))
    return [folder for _, folder in folders.values()]


def _first_time(events: Path) -> float:
    """When a run started, s since 1970; 0 where its first event does not say."""
    try:
        with events.open(encoding="utf-8") as stream:
            return float(json.loads(stream.readline()).get("at", 0))
    except (OSError, TypeError, ValueError):  # what is wrong is told when the whole is read
        return 0.0


def as_run(folder: Path) -> dict[str, Any]:
    """A run's files as `ostinato.tracking.runs` takes them. done.json is looked for first, since it is written after the last event."""
    done = _read_if_there(folder / "done.json")
    summary = (done or {}) | (_read_if_there(folder / "run.json") or {}) | {"job": _read_if_there(folder / "job.json")}
    mtime = (folder / ("events.jsonl" if done is None else "done.json")).stat().st_mtime
    events = read_whole_lines(folder / "events.jsonl")
    return {"names": [folder.parent.name], "summary": summary, "events": events, "mtime": mtime, "done": done is not None}


def _read_if_there(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _state(folder: Path) -> list[tuple[int, int] | None]:
    """What tells whether a run has changed: time (ns) and size of its files."""
    paths = [folder / name for name in ("events.jsonl", "run.json", "job.json", "done.json")]
    return [(path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None for path in paths]


def follow(watcher: Watcher, seconds: float, told: threading.Event, alive: Callable[[], bool]) -> None:
    """Look every so many seconds, until told to stop or what it is for has ended; look a last time then."""
    print(f"{watcher.params.uri}: watching {watcher.runs} every {seconds:g} s", flush=True)
    while True:
        last = told.is_set() or not alive()
        watcher.look()
        if last:
            return
        until = time.monotonic() + seconds
        while alive() and time.monotonic() < until and not told.is_set():
            told.wait(min(seconds, 1))


def told_to_stop() -> threading.Event:
    """Set by SIGTERM and Ctrl-C, the latter though a shell has processes in the background ignore it."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told


def is_alive(pid: int | None) -> Callable[[], bool]:
    """Whether a process, and not a later one with its number, still runs; without a number always."""
    try:
        process = psutil.Process(pid) if pid is not None else None
    except psutil.NoSuchProcess:
        return lambda: False

    def alive() -> bool:
        try:
            return process is None or (process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    return alive
