"""Import runs, scores and demos into MLflow, so that they can be compared in its UI.

The truth is `events.jsonl`; MLflow is a copy with one writer (six processes on one fresh SQLite: five failed). A pipeline revision, known
by the hash of its models' signatures and its scores, is a parent run with the scores as metrics (the MIDI track's begin with `midi.`) and the
demos as artifacts; each training run, known by its signature, is a child of the newest revision that uses it. `ostinato watch` may have brought
it in while it trained; here it gets parent and names, and is finished. The import can be killed and repeated at any point: runs are found by the
tag `ostinato.key`, and what is in already is not sent again (see `ostinato.tracking.runs`). Whoever writes to the store holds a lock on a file.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ostinato.files import UserError, hash_value, read_json, read_jsonl, sha256
from ostinato.params import Track
from ostinato.sidecars import commit
from ostinato.tracking.runs import create, find, import_run, is_number, log, metric

COMPLETE = "ostinato.complete"
ARTIFACTS = Path("mlartifacts")


@dataclass(frozen=True)
class Revision:
    """What came out of the pipeline once: training runs by key (see `training_runs`), tables of scores and folders of demos by their place
    among the artifacts, and the scores by name."""

    runs: dict[str, dict[str, Any]]
    tables: dict[str, Path]
    demos: dict[str, Path]
    scores: dict[str, float]

    @property
    def key(self) -> str:
        """What it is known by; without the MIDI track as before there was one."""
        return hash_value({"models": sorted(self.runs)} | {f"{place} scores".strip(): sha256(path) for place, path in self.tables.items()})


def training_runs(folders: Sequence[Path], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Key -> {"names", "summary", "events", "mtime" (s), "done"}, see `ostinato.tracking.runs`. The best of a sweep is a copy: it has the same signature and is the same run.

    `prefix` is put before the folders' names.
    """
    runs: dict[str, dict[str, Any]] = {}
    for folder in folders:
        path, summary = folder / "events.jsonl", read_json(folder / "summary.json")
        if not isinstance(summary, Mapping):
            raise UserError(f"{folder / 'summary.json'}: expected an object, got {type(summary).__name__}")
        events = read_jsonl(path)
        key = str(summary.get("signature") or hash_value({"name": folder.name, "plan": summary.get("plan"), "start": events[:1]}))
        run = runs.setdefault(key, {"names": [], "summary": summary, "events": events, "mtime": path.stat().st_mtime, "done": True})
        run["names"].append(prefix + folder.name)
    return runs


def guarded(uri: str, work: Callable[[], Any]) -> Any:
    """Do the MLflow work quietly and as the only writer; what the store says when it fails becomes one line, a UserError."""
    _quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with FileLock(lock_file(uri, "lock")):
            return work()
    except (MlflowException, SQLAlchemyError, OSError) as error:  # requests' errors are OSErrors
        reason = re.sub(r"\s+", " ", str(error))[:300]
        raise UserError(
            f"track.uri: {uri}: MLflow's store failed ({type(error).__name__}: {reason}); events, scores and demos are safe in their files: mend the store and run this step again"
        ) from error


def lock_file(uri: str, purpose: str) -> Path:
    """The file that is locked while one writes to a store: beside a database file, so that all who can write it see it; else on this machine."""
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///").partition("?")[0]).absolute()
        return database.with_name(f"{database.name}.{purpose}")
    return Path(tempfile.gettempdir()) / f"ostinato-{os.getuid()}-{hash_value(uri)[:12]}.{purpose}"


def _quiet() -> None:
    # Alembic tells every migration of a fresh database; MLflow retries an unreachable server for minutes and would report usage
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name, value in (("MLFLOW_DISABLE_TELEMETRY", "true"), ("MLFLOW_LOGGING_LEVEL", "WARNING"), ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")):
        os.environ.setdefault(name, value)


def import_revision(params: Track, revision: Revision) -> dict[str, Any]:
    """Bring a revision into the store, what is not there yet; returns the ids of its runs."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=params.uri)
    experiment, key = experiment_id(client, params), revision.key
    parent = find(client, experiment, key) or create(client, experiment, key, f"revision {key[:8]}", provenance(), None)
    children = {child: import_run(client, experiment, child, run, provenance(), parent) for child, run in revision.runs.items()}
    named = {name: children[child] for child, run in revision.runs.items() for name in run["names"]}
    if COMPLETE not in client.get_run(parent).data.tags or not client.list_artifacts(parent):  # its folder may have been deleted
        _import_revision(client, parent, revision, {f"ostinato.run.{name}": child for name, child in named.items()})
    return {"uri": params.uri, "experiment": params.experiment, "key": key, "parent": parent, "runs": named}


def experiment_id(client: Any, params: Track) -> str:
    """The experiment's id. A database without server would put artifacts into ./mlruns; `mlflow ui` and dvc know ./mlartifacts."""
    remote, here = params.uri.startswith(("http://", "https://", "databricks")), ARTIFACTS.absolute().as_uri()
    known = client.get_experiment_by_name(params.experiment)
    if known is not None:
        if known.lifecycle_stage == "deleted":
            raise UserError(f"track.experiment: {params.experiment}: deleted in MLflow; restore it there or name another")
        if not remote and known.artifact_location != here:
            logging.warning("track: %s keeps its artifacts in %s, where it was made first, not in %s", params.experiment, known.artifact_location, here)
        return known.experiment_id
    return client.create_experiment(params.experiment, artifact_location=None if remote else here)


def provenance() -> dict[str, str]:
    """Tags of a new run: the commit of the code and the hash of dvc.lock, where there are such."""
    tags = {"mlflow.source.git.commit": commit(), "ostinato.dvc_lock": sha256("dvc.lock") if Path("dvc.lock").is_file() else None}
    return {name: value for name, value in tags.items() if value is not None}


def _import_revision(client: Any, parent: str, revision: Revision, tags: Mapping[str, str]) -> None:
    """Scores as metrics, tables and demos as artifacts; the mark of completion comes last."""
    start = client.get_run(parent).info.start_time
    log(client, parent, [metric(name, value, start, 0) for name, value in revision.scores.items()])
    for name, value in tags.items():
        client.set_tag(parent, name, value)
    for place, path in revision.tables.items():
        client.log_artifact(parent, str(path), place or None)
    for place, folder in revision.demos.items():
        client.log_artifacts(parent, str(folder), place)
    client.set_tag(parent, COMPLETE, "true")
    client.set_terminated(parent)


def score_metrics(scores: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """`after.triads`, `chance.after.triads`, `gain`, `strata.kind.sevenths.after`, ...: every estimate of scores.json by its place, without `sets`; the intervals stay in
    the artifact, but for those of differences.
    """
    for name, entry in scores.items():
        place = prefix if name == "sets" else f"{prefix}{_as_name(name)}."
        if isinstance(entry, Mapping) and "value" in entry:
            wanted = ("value", "low", "high") if "gain" in place or "_minus_" in place else ("value",)
            present = [part for part in wanted if is_number(entry.get(part))]
            yield from ((place[:-1] if part == "value" else f"{place}{part}", entry[part]) for part in present)
        elif isinstance(entry, Mapping):
            yield from score_metrics(entry, place)
        elif name == "strata" and isinstance(entry, list):
            for stratum in entry:
                parts = {part: stratum[part] for part in ("sets", "chance")}
                yield from score_metrics(parts, f"{place}{_as_name(stratum['by'])}.{_as_name(stratum['name'])}.")
        elif prefix and is_number(entry) and not name.endswith("_judged"):  # the ears' scores have no intervals
            yield place[:-1], entry


def _as_name(text: str) -> str:
    """A text as MLflow takes it in the name of a metric: `suspended, diminished, augmented` -> `suspended_diminished_augmented`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)
