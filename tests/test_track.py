"""The MLflow import: the same runs once, grown events added, killed imports repeated, an unreachable store told in one line."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

import pytest

from ostinato.cli import main
from ostinato.files import read_json, write_json, write_jsonl, write_text
from ostinato.report import runs, track


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A migrated, empty database; creating one takes seconds, so it is made once and copied."""
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture
def results(tmp_path, monkeypatch, empty_store):
    """A results folder with a base and a tuned model, scores and one demo of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "METRICS_PER_BATCH", 250)
    Path("mlflow.db").write_bytes(empty_store)
    model("base", "b", 3)
    model("tune-1", "t", 300)
    model("tuned", "t", 300)
    write_json("scores.json", {"after": {"majmin": {"value": 71.0, "low": 60.0, "high": 80.0, "n": 10}, "bass": {"value": None}},
                               "gain": {"value": 40.0, "low": 30.0, "high": 50.0, "n": 10}, "unit": "percent", "heldout": ["x"],
                               "seed_prompts": {"before": {"root": {"value": 12.0}}}})
    for which in ("before", "after"):
        write_text(f"demos/{which}/one-s1.wav", f"sound {which}")
    return tmp_path


def model(name, signature, steps):
    events = [{"event": "start", "config": {"model": {"dim": 192}, "lr": 0.001, "words": ["a"]}}]
    events += [{"step": step, "split": "train", "loss": 5 - step / 1000, "lr": 0.001, "seconds": step / 2} for step in range(1, steps + 1)]
    events.append({"step": steps, "split": "valid", "loss": 4.5})
    write_jsonl(f"models/{name}/events.jsonl", events)
    write_json(f"models/{name}/summary.json", {"name": name, "signature": signature, "plan": {"lr": 0.001, "steps": steps},
                                               "parameters": 1000, "job": {"id": "4711", "cluster": "local"}})


def store():
    """Absolute, because MLflow keeps one engine per address for as long as the process lives."""
    return f"sqlite:///{Path('mlflow.db').absolute()}"


def imported(uri=None):
    uri = uri or store()
    return main(["track", "--params", json.dumps({"uri": uri, "experiment": "ostinato"}), "--models", "models/base", "models/tune-1",
                 "models/tuned", "--scores", "scores.json", "--demos", "demos/before", "demos/after", "--stamp", "tracked.json"])


def client():
    from mlflow import MlflowClient  # takes seconds: not when tests are only collected

    return MlflowClient(tracking_uri=store())


def rows():
    with sqlite3.connect("mlflow.db") as store:
        return {table: store.execute(f"select count(*) from {table}").fetchone()[0] for table in ("runs", "metrics", "params", "tags")}


def test_parent_children_metrics_and_artifacts(results):
    assert imported() == 0
    stamp = read_json("tracked.json")
    assert stamp["runs"]["tune-1"] == stamp["runs"]["tuned"] != stamp["runs"]["base"]
    parent, child = (client().get_run(run_id) for run_id in (stamp["parent"], stamp["runs"]["tuned"]))
    assert parent.data.metrics == {"after.majmin": 71, "gain": 40, "gain.low": 30, "gain.high": 50, "seed_prompts.before.root": 12}
    assert child.data.tags["mlflow.parentRunId"] == stamp["parent"]
    assert (child.data.tags["ostinato.key"], child.data.tags["job.id"], child.data.tags["ostinato.names"]) == ("t", "4711", "tune-1, tuned")
    assert child.data.params["config.model.dim"] == "192" and child.data.params["steps"] == "300"
    assert child.data.metrics["valid.loss"] == 4.5 and child.info.status == parent.info.status == "FINISHED"
    history = client().get_metric_history(child.info.run_id, "train.loss")
    assert [point.step for point in history] == list(range(1, 301))
    assert [item.path for item in client().list_artifacts(stamp["parent"], "demos/after")] == ["demos/after/one-s1.wav"]
    assert list(Path("mlartifacts").rglob("demos/before/one-s1.wav")) and not Path("mlruns").exists()


def test_importing_again_changes_nothing(results):
    imported()
    before, stamp = rows(), read_json("tracked.json")
    assert imported() == 0
    assert rows() == before and read_json("tracked.json") == stamp


def test_grown_events_add_only_what_is_new(results, monkeypatch):
    imported()
    events = Path("models/base/events.jsonl")
    events.write_text(events.read_text() + json.dumps({"step": 4, "split": "train", "loss": 3.0, "lr": 1e-3, "seconds": 9}) + "\n")
    sent = []
    monkeypatch.setattr(runs, "log", lambda client, run_id, metrics: sent.extend(metrics))
    imported()
    assert [(metric.key, metric.step) for metric in sent] == [("train.loss", 4), ("train.lr", 4)]


@pytest.mark.parametrize("survived", [1, 2, 3, 4])
def test_a_killed_import_can_be_repeated(results, monkeypatch, survived):
    """The import dies at the fourth call or so, between sending a batch and noting it."""
    calls, log = [], runs.log

    def dies(*arguments):
        calls.append(log(*arguments))
        if len(calls) == survived:
            raise KeyboardInterrupt

    for module in (runs, track):
        monkeypatch.setattr(module, "log", dies)
    with pytest.raises(KeyboardInterrupt):
        imported()
    for module in (runs, track):
        monkeypatch.setattr(module, "log", log)
    assert imported() == 0
    assert rows()["runs"] == 3
    assert rows()["metrics"] == 3 * 2 + 1 + 300 * 2 + 1 + 5


def test_new_scores_are_a_new_revision_over_the_same_runs(results):
    imported()
    first = read_json("tracked.json")
    write_json("scores.json", {"after": {"majmin": {"value": 80.0}}})
    imported()
    second = read_json("tracked.json")
    assert first["parent"] != second["parent"] and first["runs"] == second["runs"]
    assert client().get_run(first["runs"]["base"]).data.tags["mlflow.parentRunId"] == second["parent"]


def test_a_run_trained_anew_keeps_the_old_curves_apart(results):
    imported()
    first = read_json("tracked.json")["runs"]["base"]
    model("base", "b", 2)
    imported()
    assert read_json("tracked.json")["runs"]["base"] != first
    assert client().get_run(first).data.tags["ostinato.key"] == "superseded b"


def test_a_broken_store_is_one_line_and_leaves_no_stamp(results, capsys):
    Path("mlflow.db").write_text("this is no database " * 100)
    assert imported() == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith(f"ostinato track: track.uri: {store()}: MLflow's store failed") and "not a database" in told[-1]
    assert not Path("tracked.json").exists()


def test_a_server_that_is_not_there_is_told_soon(results, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert imported("http://127.0.0.1:9") == 2
    assert "track.uri: http://127.0.0.1:9: MLflow's store failed" in capsys.readouterr().err
