"""One training run in MLflow, kept in step with its events.

Runs are found by the tag `ostinato.key`. The tag `ostinato.events` says how many events are in and what their hash is: the rest is sent,
and a run trained anew under the same key is told from one that went on. A metric's time is the run's start plus the event's seconds, so
that a batch sent twice, because the import was killed before the tag was set, is the same rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ostinato.files import hash_value

#: What MLflow takes in one call, and the longest value of a parameter.
METRICS_PER_BATCH, PARAMS_PER_BATCH, PARAM_LENGTH = 1000, 100, 6000
KEY, EVENTS = "ostinato.key", "ostinato.events"


def find(client: Any, experiment: str, key: str) -> str | None:
    """The id of the run with this key, or None."""
    found = client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
    return found[0].info.run_id if found else None


def create(client: Any, experiment: str, key: str, name: str, tags: Mapping[str, str], start: float | None) -> str:
    """Create a run with its key from the first moment, so that a killed import finds it again. `start` in seconds since 1970."""
    milliseconds = None if start is None else int(1000 * start)
    return client.create_run(experiment, start_time=milliseconds, tags={**tags, KEY: key}, run_name=name).info.run_id


def import_run(client: Any, experiment: str, key: str, run: Mapping[str, Any], tags: Mapping[str, str], parent: str) -> str:
    """Bring one training run up to its events, below `parent`; returns its id.

    Args:
        client: an MlflowClient.
        experiment: id of the experiment.
        key: what the run is known by.
        run: {"names", "summary", "events", "mtime" (s)}, see `ostinato.report.track.training_runs`.
        tags: tags of a new run.
        parent: id of the parent run.
    """
    found = find(client, experiment, key)
    if found and not _continues(client.get_run(found).data.tags, run["events"]):
        # trained anew from the start under the same signature: keep the old curves, apart
        client.set_tag(found, KEY, f"superseded {key}")
        found = None
    started = run["mtime"] - max((event.get("seconds", 0) for event in run["events"]), default=0)
    child = found or create(client, experiment, key, run["names"][0], {**tags, **_run_tags(run)}, started)
    state = client.get_run(child)
    if state.data.tags.get("mlflow.parentRunId") != parent:
        client.set_tag(child, "mlflow.parentRunId", parent)
    _log_params(client, child, run, state.data.params)
    _log_events(client, child, run["events"], _imported(state.data.tags)[0], state.info.start_time)
    if state.info.status != "FINISHED":
        client.set_terminated(child, end_time=int(1000 * run["mtime"]))
    return child


def _imported(tags: Mapping[str, str]) -> tuple[int, str]:
    """How many events are in, and their hash; one tag, so that the two cannot part."""
    count, _, digest = tags.get(EVENTS, "0 ").partition(" ")
    return int(count), digest


def _continues(tags: Mapping[str, str], events: Sequence[Mapping[str, Any]]) -> bool:
    """Do the events begin with those imported so far?"""
    count, digest = _imported(tags)
    return count == 0 or (count <= len(events) and digest == hash_value(list(events[:count])))


def _run_tags(run: Mapping[str, Any]) -> dict[str, str]:
    job = run["summary"].get("job")
    details = job if isinstance(job, Mapping) else {"id": job}
    tags = {f"job.{name}": str(value) for name, value in details.items() if value is not None}
    return {**tags, "ostinato.names": ", ".join(run["names"])}


def _log_params(client: Any, child: str, run: Mapping[str, Any], known: Mapping[str, str]) -> None:
    """Plan and configuration; MLflow forbids changing a parameter, so only new ones are sent."""
    from mlflow.entities import Param

    start = next((event for event in run["events"] if event.get("event") == "start"), {})
    values = dict(flat({"config": start.get("config") or {}})) | dict(flat(run["summary"].get("plan") or {}))
    values["parameters"] = run["summary"].get("parameters")
    new = [Param(name, str(value)[:PARAM_LENGTH]) for name, value in values.items() if value is not None and name not in known]
    for first in range(0, len(new), PARAMS_PER_BATCH):
        client.log_batch(child, params=new[first:first + PARAMS_PER_BATCH])


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names: {"a": {"b": 1}} -> a.b = 1; lists as JSON."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            # MLflow's names: letters, digits and a few signs, at most 250 of them
            yield re.sub(r"[^\w\-./ ]", "_", f"{prefix}{name}")[:250], json.dumps(value) if isinstance(value, list) else value


def _log_events(client: Any, child: str, events: Sequence[Mapping[str, Any]], done: int, start: int) -> None:
    """Send the events after the first `done` in whole batches; the count of what is in goes up after each."""
    metrics = list(event_metrics(events, start))
    pending: list[Any] = []
    for index in range(done, len(events)):
        if len(pending) + len(metrics[index]) > METRICS_PER_BATCH:
            _commit(client, child, pending, events, index)
            pending = []
        pending += metrics[index]
    if done < len(events):
        _commit(client, child, pending, events, len(events))


def _commit(client: Any, child: str, metrics: Sequence[Any], events: Sequence[Mapping[str, Any]], count: int) -> None:
    log(client, child, metrics)
    client.set_tag(child, EVENTS, f"{count} {hash_value(list(events[:count]))}")


def event_metrics(events: Sequence[Mapping[str, Any]], start: int) -> Iterator[list[Any]]:
    """Each event's numbers as MLflow metrics: `train.loss`, `valid.loss`, `train.lr`. `start` in milliseconds since 1970."""
    seconds = 0.0
    for event in events:
        seconds = event["seconds"] if is_number(event.get("seconds")) else seconds
        numbers = {name: value for name, value in event.items() if name not in ("step", "seconds") and is_number(value)}
        split = f"{event['split']}." if "split" in event else ""
        counts = "step" in event and "event" not in event
        yield [metric(split + name, value, start + int(1000 * seconds), event["step"]) for name, value in numbers.items()] if counts else []


def is_number(value: Any) -> bool:
    """An int or float, not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def metric(name: str, value: float, milliseconds: int, step: int) -> Any:
    """An MLflow metric; imported late, because MLflow takes seconds."""
    from mlflow.entities import Metric

    return Metric(name, float(value), milliseconds, int(step))


def log(client: Any, run_id: str, metrics: Sequence[Any]) -> None:
    """Send metrics in calls of a size MLflow takes."""
    for first in range(0, len(metrics), METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[first:first + METRICS_PER_BATCH])
