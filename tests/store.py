"""MLflow's store in the present folder: models to import, the options that name it, and what is in it."""

import json
import sqlite3
from pathlib import Path

from ostinato.files import write_json, write_jsonl


def model(name, signature, steps, at=1e9):
    events = [{"event": "start", "step": 0, "at": at, "config": {"model": {"dim": 192}, "lr": 0.001, "words": ["a"]}}]
    events += [{"step": step, "split": "train", "loss": 5 - step / 1000, "lr": 0.001, "seconds": step / 2} for step in range(1, steps + 1)]
    events.append({"step": steps, "split": "valid", "loss": 4.5})
    write_jsonl(f"models/{name}/events.jsonl", events)
    write_json(
        f"models/{name}/summary.json", {"name": name, "signature": signature, "plan": {"lr": 0.001, "steps": steps}, "parameters": 1000, "job": {"id": "4711", "cluster": "local"}}
    )


def store():
    """Absolute, because MLflow keeps one engine per address for as long as the process lives."""
    return f"sqlite:///{Path('mlflow.db').absolute()}"


def section(uri, seconds=0.1):
    return json.dumps({"uri": uri, "experiment": "ostinato", "live_seconds": seconds})


def client():
    from mlflow import MlflowClient  # takes seconds: not when tests are only collected

    return MlflowClient(tracking_uri=store())


def rows():
    with sqlite3.connect("mlflow.db") as store:
        return {table: store.execute(f"select count(*) from {table}").fetchone()[0] for table in ("runs", "metrics", "params", "tags")}
