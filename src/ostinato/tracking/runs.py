"""One training run in MLflow, kept in step with its events, while it trains (`ostinato watch`) and when it is done (`ostinato track`).

Runs are found by the tag `ostinato.key`. The tag `ostinato.events` says what is in: the last step of each split, and the hash of the first event, the
start. A job that is requeued goes back to its checkpoint and writes the same events again: those are not sent again, and since its first event
stays, it is the same run; one trained anew under the same key has another start and becomes another run. A metric's time is the run's start
plus the event's seconds, so that a batch sent twice, because the import was killed before the tag was set, is the same rows.

A run is given as {"names", "summary", "events", "mtime" (s since 1970, of the newest of it), "done" (bool)}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ostinato.files import hash_value

#: What MLflow takes in one call, and the longest value of a parameter.
METRICS_PER_BATCH, PARAMS_PER_BATCH, PARAM_LENGTH = 1000, 100, 6000
KEY, EVENTS, NAMES, RUN_NAME = "ostinato.key", "ostinato.events", "ostinato.names", "mlflow.runName"
#: What a run takes of its machine; MLflow's UI shows names that begin with system/ in a tab of their own.
SYSTEM = ("rss_gib", "cpu_percent", "gpu_gib", "gpu_percent")


def find(client: Any, experiment: str, key: str) -> str | None:
    """The id of the run with this key, or None."""
    found = client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
    return found[0].info.run_id if found else None


def create(client: Any, experiment: str, key: str, name: str, tags: Mapping[str, str], start: float | None) -> str:
    """Create a run with its key from the first moment, so that a killed import finds it again. `start` in seconds since 1970."""
    milliseconds = None if start is None else int(1000 * start)
    return client.create_run(experiment, start_time=milliseconds, tags={**tags, KEY: key}, run_name=name).info.run_id


def import_run(client: Any, experiment: str, key: str, run: Mapping[str, Any], tags: Mapping[str, str], parent: str | None = None) -> str:
    """Bring one training run up to its events; returns its id.

    Args:
        client: an MlflowClient.
        experiment: id of the experiment.
        key: what the run is known by.
        run: see above.
        tags: tags of a new run.
        parent: id of the parent run, which gives the run its names as well; None: both stay as they are, and a finished run supersedes no other.
    """
    found = find(client, experiment, key)
    state: Any = client.get_run(found) if found else None
    if found and imported_steps(state.data.tags, run["events"]) is None:
        if run["done"] and parent is None:  # the folder of an earlier training: what is in is newer, or was told to be the one
            return found
        _supersede(client, state, key)
        state = None
    state = state or client.get_run(create(client, experiment, key, run["names"][0], {**tags, **_names(run)}, _started(run)))
    child = state.info.run_id
    _set_tags(client, child, state.data.tags, _job_tags(run) | (_names(run) | {"mlflow.parentRunId": parent} if parent else {}))
    _log_params(client, child, run, state.data.params)
    _log_events(client, child, run["events"], state.data.tags, state.info.start_time)
    if run["done"] and state.info.status != "FINISHED":
        client.set_terminated(child, end_time=int(1000 * run["mtime"]))
    return child


def imported_steps(tags: Mapping[str, str], events: Sequence[Mapping[str, Any]]) -> dict[str, int] | None:
    """Split -> last step that is in; None when what is in is from another start than these events."""
    value = tags.get(EVENTS)
    if value is None:
        return {}
    if value.startswith("{"):
        known = json.loads(value)
        return known["steps"] if known["start"] == _start(events) else None
    # a store from before runs were watched: how many events are in, and their hash
    count, _, digest = value.partition(" ")
    seen = list(events[: int(count)])
    return _last_steps(seen) if len(seen) == int(count) and digest == hash_value(seen) else None


def _start(events: Sequence[Mapping[str, Any]]) -> str:
    return hash_value(list(events[:1]))[:16]


def _last_steps(events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    steps: dict[str, int] = {}
    for event in filter(_counts, events):
        steps[event.get("split", "")] = event["step"]
    return steps


def _supersede(client: Any, state: Any, key: str) -> None:
    """Keep the curves of a run that was trained anew from the start under the same key, apart."""
    client.set_tag(state.info.run_id, KEY, f"superseded {key}")
    if state.info.status == "RUNNING":
        client.set_terminated(state.info.run_id, "KILLED")


def _started(run: Mapping[str, Any]) -> float:
    """When the run began, s since 1970; events from before starts had a time say how long it took."""
    known = next((event["at"] for event in run["events"][:1] if is_number(event.get("at"))), None)
    return known if known is not None else run["mtime"] - max((event.get("seconds", 0) for event in run["events"]), default=0)


def _set_tags(client: Any, child: str, known: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Set what differs. A new name goes with new names only, so that one given in the UI stays."""
    for name, value in wanted.items():
        if known.get(name) != value and (name != RUN_NAME or known.get(NAMES) != wanted[NAMES]):
            client.set_tag(child, name, value)


def _names(run: Mapping[str, Any]) -> dict[str, str]:
    return {RUN_NAME: run["names"][0], NAMES: ", ".join(run["names"])}


def _job_tags(run: Mapping[str, Any]) -> dict[str, str]:
    """`job.id`, `job.cluster`, ... as the launcher noted them; from the events `job.nodes`, all it ran on, and `job.restarts` of the last job."""
    attempts = [event for event in run["events"] if event.get("event") in ("start", "resume") and "node" in event]
    seen = {"id": attempts[-1].get("job"), "restarts": attempts[-1].get("restart"), "nodes": ", ".join(dict.fromkeys(event["node"] for event in attempts))} if attempts else {}
    job = run["summary"].get("job")
    details = seen | (dict(job) if isinstance(job, Mapping) else {"id": job} if job is not None else {})
    return {f"job.{name}": str(value) for name, value in details.items() if value is not None}


def _log_params(client: Any, child: str, run: Mapping[str, Any], known: Mapping[str, str]) -> None:
    """Plan and configuration; MLflow forbids changing a parameter, so only new ones are sent."""
    from mlflow.entities import Param

    start: Mapping[str, Any] = next((event for event in run["events"] if event.get("event") == "start"), {})
    values = dict(flat({"config": start.get("config") or {}})) | dict(flat(run["summary"].get("plan") or {}))
    values["parameters"] = run["summary"].get("parameters")
    new = [Param(name, str(value)[:PARAM_LENGTH]) for name, value in values.items() if value is not None and name not in known]
    for first in range(0, len(new), PARAMS_PER_BATCH):
        client.log_batch(child, params=new[first : first + PARAMS_PER_BATCH])


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names: {"a": {"b": 1}} -> a.b = 1; lists as JSON."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            # MLflow's names: letters, digits and a few signs, at most 250 of them
            yield re.sub(r"[^\w\-./ ]", "_", f"{prefix}{name}")[:250], json.dumps(value) if isinstance(value, list) else value


def _log_events(client: Any, child: str, events: Sequence[Mapping[str, Any]], tags: Mapping[str, str], start: int) -> None:
    """Send the events beyond the steps that are in, in whole batches; what is in is noted after each. `start` in milliseconds since 1970."""
    steps = dict(imported_steps(tags, events) or {})
    pending: list[Any] = []
    for event, metrics in zip(events, event_metrics(events, start), strict=True):
        split = event.get("split", "")
        if not metrics or event["step"] <= steps.get(split, -1):
            continue
        if pending and len(pending) + len(metrics) > METRICS_PER_BATCH:
            _commit(client, child, pending, _note(events, steps))
            pending = []
        pending += metrics
        steps[split] = event["step"]
    if pending or tags.get(EVENTS) != _note(events, steps):
        _commit(client, child, pending, _note(events, steps))


def _note(events: Sequence[Mapping[str, Any]], steps: Mapping[str, int]) -> str:
    return json.dumps({"start": _start(events), "steps": steps}, sort_keys=True)


def _commit(client: Any, child: str, metrics: Sequence[Any], note: str) -> None:
    log(client, child, metrics)
    client.set_tag(child, EVENTS, note)


def event_metrics(events: Sequence[Mapping[str, Any]], start: int) -> Iterator[list[Any]]:
    """Each event's numbers as MLflow metrics: `train.loss`, `valid.loss`, `train.lr`, `system/rss_gib`. `start` in milliseconds since 1970."""
    seconds = 0.0
    for event in events:
        seconds = event["seconds"] if is_number(event.get("seconds")) else seconds
        numbers = {name: value for name, value in event.items() if name not in ("step", "seconds") and is_number(value)}
        split = f"{event['split']}." if "split" in event else ""
        places = {name: f"system/{name}" if name in SYSTEM else split + name for name in numbers}
        yield [metric(places[name], value, start + int(1000 * seconds), event["step"]) for name, value in numbers.items()] if _counts(event) else []


def _counts(event: Mapping[str, Any]) -> bool:
    """Whether an event is measurements, not something that happened."""
    return "step" in event and "event" not in event


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
        client.log_batch(run_id, metrics=metrics[first : first + METRICS_PER_BATCH])
