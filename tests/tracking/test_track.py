"""The MLflow import: the same runs once, live and afterwards, whatever a requeued job writes again; a killed import repeated, a lost store told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from fake_results import build_scores
from ostinato.cli import main
from ostinato.files import hash_value, read_json, read_jsonl, write_json, write_jsonl, write_text
from ostinato.tracking import imports, runs
from store import client, model, rows, section, store


@pytest.fixture
def results(tmp_path, monkeypatch, empty_store):
    """A results folder with a base and a tuned model, scores and one demo of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "METRICS_PER_BATCH", 250)
    Path("mlflow.db").write_bytes(empty_store)
    model("base", "b", 3)
    model("tune-1", "t", 300)
    model("tuned", "t", 300)
    write_json(
        "scores.json",
        {
            "sets": {"after": {"triads": {"value": 71.0, "low": 60.0, "high": 80.0, "n": 10}, "bass": {"value": None}}},
            "gain": {"value": 40.0, "low": 30.0, "high": 50.0, "n": 10},
            "unit": "percent",
            "heldout": ["x"],
            "seed_prompts": {"before": {"root": {"value": 12.0}}},
        },
    )
    for which in ("before", "after"):
        write_text(f"demos/{which}/one-s1.wav", f"sound {which}")
    return tmp_path


def imported(uri=None, more=()):
    uri = uri or store()
    return main(
        [
            "track",
            "--params",
            section(uri),
            "--models",
            "models/base",
            "models/tune-1",
            "models/tuned",
            "--scores",
            "scores.json",
            "--demos",
            "demos/before",
            "demos/after",
            "--stamp",
            "tracked.json",
            *more,
        ]
    )


def test_parent_children_metrics_and_artifacts(results):
    assert imported() == 0
    stamp = read_json("tracked.json")
    assert stamp["runs"]["tune-1"] == stamp["runs"]["tuned"] != stamp["runs"]["base"]
    parent, child = (client().get_run(run_id) for run_id in (stamp["parent"], stamp["runs"]["tuned"]))
    assert parent.data.metrics == {"after.triads": 71, "gain": 40, "gain.low": 30, "gain.high": 50, "seed_prompts.before.root": 12}
    assert child.data.tags["mlflow.parentRunId"] == stamp["parent"]
    assert (child.data.tags["ostinato.key"], child.data.tags["job.id"], child.data.tags["ostinato.names"]) == ("t", "4711", "tune-1, tuned")
    assert child.data.params["config.model.dim"] == "192" and child.data.params["steps"] == "300"
    assert child.data.metrics["valid.loss"] == 4.5 and child.info.status == parent.info.status == "FINISHED"
    history = client().get_metric_history(child.info.run_id, "train.loss")
    assert [point.step for point in history] == list(range(1, 301))
    assert [item.path for item in client().list_artifacts(stamp["parent"], "demos/after")] == ["demos/after/one-s1.wav"]
    assert list(Path("mlartifacts").rglob("demos/before/one-s1.wav")) and not Path("mlruns").exists()


def test_evidence_stands_beside_the_scores_under_names_that_mlflow_takes(results):
    write_json("scores.json", build_scores(["piano C F"]))
    trained = {"trainings": {"values": {"after": 74.0, "after-5": 70.0}, "mean": 72.0, "deviation": 2.8}}
    write_json("evidence.json", build_scores(["piano C F"]) | trained)
    write_json("midi.json", {"bits_per_note": {"model": {"value": 8.2}}})
    assert imported(more=["--evidence-scores", "evidence.json", "--evidence-midi-scores", "midi.json"]) == 0
    parent = client().get_run(read_json("tracked.json")["parent"])
    for name, value in {
        "after.triads": 74,
        "chance.after.triads": 12,
        "gain_over_chance.high": 54,
        "after_minus_reference": -21,
        "other_orders.before.best": 11,
        "text_only.after.sounding": 99,
        "strata.kind.suspended_diminished_augmented.after": 74,
        "strata.chords.4_chords.chance.reference-2": 3,
        "evidence.trainings.deviation": 2.8,
        "evidence.trainings.values.after-5": 70,
        "evidence.midi.bits_per_note.model": 8.2,
    }.items():
        assert parent.data.metrics[name] == value, name
    assert not [name for name in parent.data.metrics if "confidence" in name or "sets" in name]
    assert [item.path for folder in ("evidence", "evidence/midi") for item in client().list_artifacts(parent.info.run_id, folder) if not item.is_dir] == [
        "evidence/evidence.json",
        "evidence/midi/midi.json",
    ]


def test_importing_again_changes_nothing(results):
    imported()
    before, stamp = rows(), read_json("tracked.json")
    assert imported() == 0
    assert rows() == before and read_json("tracked.json") == stamp


def test_artifacts_that_were_deleted_are_missed_and_brought_in_again(results, capsys):
    imported()
    assert main(["verify", "tracked.json"]) == 0 and capsys.readouterr().out.endswith("tracked.json is whole, and what was used is as it was\n")
    shutil.rmtree("mlartifacts")
    with pytest.raises(SystemExit, match="1"):
        main(["verify", "tracked.json"])
    assert "/artifacts: missing; the scores and demos that tracked.json brought in" in capsys.readouterr().out
    assert imported() == main(["verify", "tracked.json"]) == 0
    assert list(Path("mlartifacts").rglob("demos/before/one-s1.wav"))


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

    for module in (runs, imports):
        monkeypatch.setattr(module, "log", dies)
    assert imported() == 130
    for module in (runs, imports):
        monkeypatch.setattr(module, "log", log)
    assert imported() == 0
    assert rows()["runs"] == 3
    assert rows()["metrics"] == 3 * 2 + 1 + 300 * 2 + 1 + 5


def test_new_scores_are_a_new_revision_over_the_same_runs(results):
    imported()
    first = read_json("tracked.json")
    write_json("scores.json", {"sets": {"after": {"triads": {"value": 80.0}}}})
    imported()
    second = read_json("tracked.json")
    assert first["parent"] != second["parent"] and first["runs"] == second["runs"]
    assert client().get_run(first["runs"]["base"]).data.tags["mlflow.parentRunId"] == second["parent"]


def test_a_run_trained_anew_keeps_the_old_curves_apart(results):
    imported()
    first = read_json("tracked.json")["runs"]["base"]
    model("base", "b", 3, at=2e9)
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


def test_a_store_from_before_runs_were_watched_is_gone_on_with(results):
    imported()
    run, events = read_json("tracked.json")["runs"]["base"], read_jsonl("models/base/events.jsonl")
    client().set_tag(run, "ostinato.events", f"{len(events)} {hash_value(events)}")
    before = rows()
    imported()
    assert rows() == before and read_json("tracked.json")["runs"]["base"] == run
    assert json.loads(client().get_run(run).data.tags["ostinato.events"])["steps"] == {"train": 3, "valid": 3}


RUN = Path("runs/base/b")


def training(steps, attempts=((0, 1000, "one"),), at=0):
    """The events of a job that has come as far as `steps`; an attempt is (from step, time, node). What is written again has other seconds."""
    events = []
    for number, (step, begun, node) in enumerate(attempts):
        events = [event for event in events if event["step"] <= step]
        events.append({"event": "resume" if step else "start", "step": step, "at": begun + at, "node": node, "job": "7", "restart": number})
        events += [{"step": n, "split": "train", "loss": 5 - n / 10, "seconds": n + number / 10, "rss_gib": 1.5} for n in range(step + 1, steps + 1)]
        events += [{"step": n, "split": "valid", "loss": 4.0} for n in range(2 * (step // 2) + 2, steps + 1, 2)]
    write_jsonl(RUN / "events.jsonl", events)


def look():
    """`ostinato watch --once`: the runs that are watched, by key, without those superseded."""
    assert main(["watch", "--params", section(store()), "--runs", "runs", "--once"]) == 0
    experiment = client().get_experiment_by_name("ostinato").experiment_id
    return {run.data.tags["ostinato.key"]: run for run in client().search_runs([experiment])}


def losses(run):
    return [(point.step, point.value) for point in client().get_metric_history(run.info.run_id, "train.loss")]


def test_a_run_is_seen_while_it_trains_and_finished_by_track(results):
    write_json(RUN / "run.json", {"name": "base", "signature": "b", "plan": {"lr": 0.5}})
    write_json(RUN / "job.json", {"cluster": "slurm", "id": "7"})
    training(3)
    with (RUN / "events.jsonl").open("a") as stream:
        stream.write('{"step": 4, "spl')  # being written
    run = look()["b"]
    assert run.info.status == "RUNNING" and run.info.start_time == 1_000_000 and run.data.params["lr"] == "0.5"
    assert {name: value for name, value in run.data.tags.items() if name.startswith("job.")} == {"job.id": "7", "job.cluster": "slurm", "job.nodes": "one", "job.restarts": "0"}
    assert run.data.metrics["system/rss_gib"] == 1.5 and [step for step, _ in losses(run)] == [1, 2, 3]
    training(5)
    assert [step for step, _ in losses(look()["b"])] == [1, 2, 3, 4, 5]
    write_text("models/base/events.jsonl", (RUN / "events.jsonl").read_text())
    imported()
    stamp, before = read_json("tracked.json"), rows()
    tracked = client().get_run(stamp["runs"]["base"])
    assert tracked.info.run_id == run.info.run_id and tracked.info.status == "FINISHED"
    assert tracked.data.tags["mlflow.parentRunId"] == stamp["parent"]
    write_json(RUN / "done.json", {})
    assert look()["b"].data.tags["mlflow.parentRunId"] == stamp["parent"] and rows() == before


@pytest.mark.parametrize("checkpoint", [0, 2])
def test_what_a_requeued_job_writes_again_is_in_once(results, checkpoint):
    """With a checkpoint or from the start, and looked at before it is as far as it was."""
    training(5)
    first = look()["b"]
    attempts = ((0, 1000, "one"), (checkpoint, 2000, "two"))
    for steps in (3, 7):
        training(steps, attempts)
        run = look()["b"]
    assert run.info.run_id == first.info.run_id and losses(run) == [(step, 5 - step / 10) for step in range(1, 8)]
    assert [point.step for point in client().get_metric_history(run.info.run_id, "valid.loss")] == [2, 4, 6]
    assert (run.data.tags["job.nodes"], run.data.tags["job.restarts"]) == ("one, two", "1")
    write_json(RUN / "done.json", {})
    assert look()["b"].info.status == "FINISHED"


def test_trained_anew_it_is_another_run_but_an_old_folder_is_none(results):
    training(5)
    old = look()["b"]
    training(2, at=500)
    runs_now = look()
    assert losses(runs_now["b"]) == [(1, 4.9), (2, 4.8)]
    assert runs_now["superseded b"].info.run_id == old.info.run_id and runs_now["superseded b"].info.status == "KILLED"
    training(5)
    write_json(RUN / "done.json", {})
    assert look()["b"].info.run_id == runs_now["b"].info.run_id


def watching(*more, seconds=0.1):
    return ["watch", "--params", section(store(), seconds), "--runs", "runs", *more]


def test_one_watcher_that_outlives_an_absent_store_and_ends_with_its_job(results, capsys):
    database = Path("mlflow.db").read_bytes()
    Path("mlflow.db").write_text("this is no database " * 100)
    training(2)
    job = subprocess.Popen(["sleep", "100"])
    words = [sys.executable, "-m", "ostinato.cli", *watching("--while", str(job.pid))]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as watcher:
        assert any("store failed" in line for line in watcher.stderr)
        assert main(watching()) == 0 and "another process watches" in capsys.readouterr().out
        Path("mlflow.db").write_bytes(database)
        training(3)
        job.terminate()
        job.wait()
        _, told = watcher.communicate(timeout=60)
        assert watcher.returncode == 0 and "store failed" not in told
    assert [step for step, _ in losses(look()["b"])] == [1, 2, 3]


def test_one_writer_at_a_time(results):
    training(2)
    with FileLock("mlflow.db.lock"):
        waiting = threading.Thread(target=look)
        waiting.start()
        waiting.join(1)
        assert waiting.is_alive() and rows()["runs"] == 0
    waiting.join(60)
    assert rows()["runs"] == 1


def test_told_to_stop_it_looks_once_more(results):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def tell():
        while signal.getsignal(signal.SIGTERM) == before[signal.SIGTERM]:
            time.sleep(0.01)
        training(2)
        os.kill(os.getpid(), signal.SIGTERM)

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        assert main(watching(seconds=60)) == 0
    finally:
        teller.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert rows()["runs"] == 1
