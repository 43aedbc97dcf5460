"""Training by several processes: whatever happens to any of them, a run ends with the weights of an undisturbed one, and no run meddles with another."""

import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from forks import begin, settle
from ostinato.files import UserError, read_json, read_jsonl, write_json
from ostinato.train import jobs, launch, squeue
from ostinato.train.locks import hold, is_held
from ostinato.train.parallel import process_group
from ostinato.train.work import TrainJob
from training import LOOP, PLAN, assert_same_end, command, make_codes, run_folder, start, train_here, wait_for_step

SCHEDULE = PLAN.model_copy(update={"steps": 40, "batch_size": 4})


@pytest.fixture(scope="module")
def codes(tmp_path_factory) -> Path:
    return make_codes(tmp_path_factory.mktemp("codes"))


def process_of(folder: Path, rank: int) -> psutil.Process:
    """A process of a run's job on this machine."""
    controller = psutil.Process(int(read_json(run_folder(folder) / "job.json")["id"]))
    return next(one for one in controller.children() if one.environ().get("SUBMITIT_LOCAL_GLOBALID") == str(rank))


@pytest.mark.parametrize("size", [2, 4])
def test_killed_or_told_to_stop_in_any_process_a_run_ends_with_the_same_weights(codes, tmp_path, size):
    words = [command(codes, tmp_path / name, plan=SCHEDULE, launch={"tasks_per_node": size}) for name in ("undisturbed", "hit")]
    assert train_here(words[0]) == 0
    hit = tmp_path / "hit"
    for rank, step in ((size - 1, 5), (0, 15)):
        process = start(words[1])
        wait_for_step(hit, step)
        process_of(hit, rank).kill()
        said = process.communicate(timeout=100)[1]
        assert process.returncode == 2 and "its checkpoint is kept" in said, said
    process = start(words[1])
    wait_for_step(hit, 25)
    process_of(hit, size - 1).send_signal(signal.SIGUSR2)  # before the first process is told
    assert process.wait(200) == 0, process.stderr.read()
    starts = [event["step"] for event in assert_same_end(hit, tmp_path / "undisturbed") if "event" in event]
    assert len(starts) == 4 and starts[-1] >= 25


def together(size: int, folder: Path, work: str, **jobs: str) -> list[str]:
    """The last line that each process of jobs prints, rank by rank and job by job, each a folder and its variables as KEY=VALUE; `work` knows its `us` and `folder`."""
    running = []
    for name, variables in jobs.items():
        (folder / name).mkdir(exist_ok=True)
        for rank in range(size):
            ours = {
                "SLURM_PROCID": str(rank),
                "SLURM_LOCALID": str(rank),
                "SLURM_NTASKS": str(size),
                "SLURM_NNODES": "1",
                "SLURM_NODEID": "0",
                "SLURM_JOB_NODELIST": "localhost",
                "SUBMITIT_EXECUTOR": "slurm",
                "SLURM_JOB_ID": "40",
            } | dict(pair.split("=") for pair in variables.split())
            said = folder / f"said-{name}-{rank}"
            running.append((begin(one_of_several, said, os.environ | ours, dedent(work), folder / name), said))
    for process, _ in running:
        process.join(100)
    return [said.read_text().strip().splitlines()[-1] for _, said in running]


def one_of_several(said: Path, environment: dict[str, str], work: str, folder: Path) -> None:
    with open(said, "w") as output:
        settle(environment, output.fileno(), output.fileno())
    sys.stdout.reconfigure(line_buffering=True)
    with process_group(folder) as us:
        exec(work, {"us": us, "folder": folder, "os": os, "itertools": itertools})


def test_runs_of_a_sweep_on_one_node_do_not_meet_each_other(tmp_path):
    said = together(
        2,
        tmp_path,
        "print(us.sum(int(os.environ['SLURM_ARRAY_TASK_ID']) * 50 + 1))",
        first="SLURM_JOB_ID=40 SLURM_ARRAY_JOB_ID=39 SLURM_ARRAY_TASK_ID=0",
        second="SLURM_JOB_ID=41 SLURM_ARRAY_JOB_ID=39 SLURM_ARRAY_TASK_ID=1",
    )
    assert said == ["2.0", "2.0", "102.0", "102.0"]


#: Trains a task of which so many examples have room in the second process, up to a step, or is told to stop before.
TRAINS = """
from training import LOOP, PLAN, Hungry
from ostinato.train import checkpoints, loop
checkpoints.LATE_SECONDS = 4
task, told = Hungry(room=8 if us.rank == 0 else ROOM), itertools.count(1)
task.steps = STEPS
try:
    summary = loop.train(task, LOOP, PLAN.model_copy(update={"batch_size": 8}), folder if us.rank == 0 else folder / "SEES",
                         lambda: "stop" if next(told) == STOP else "", group=us)
    print(summary.get("micro_batch"), *task.model.weight.flatten().tolist())
except loop.Preempted as stopped:
    print(stopped)
"""


def trained(folder: Path, size: int, steps: int, room: int = 8, sees: str = ".", stop: int = 0) -> list[str]:
    """What processes print that train so far; all but the first look for files in another folder, as if a network file system showed them that."""
    return together(size, folder, TRAINS.replace("ROOM", str(room)).replace("STEPS", str(steps)).replace("SEES", sees).replace("STOP", str(stop)), run="")


def weights(said: str) -> list[float]:
    return [float(word) for word in said.split()[1:]]


def test_all_go_on_from_the_step_of_the_first_process(tmp_path):
    (tmp_path / "alone").mkdir()
    at_once = weights(trained(tmp_path / "alone", 1, 20)[0])
    assert all(said.endswith("stopped at step 7 of 20") for said in trained(tmp_path, 2, 20, stop=7))
    (tmp_path / "run/late").mkdir()
    assert "checkpoint.pt: seen from here it is of no step, the first process goes on from step 7" in trained(tmp_path, 2, 20, sees="late")[1]
    (tmp_path / "run/late/checkpoint.pt").write_bytes((tmp_path / "run/checkpoint.pt").read_bytes())
    said = trained(tmp_path, 2, 20, sees="late")
    assert weights(said[0]) == weights(said[1]) == pytest.approx(at_once, abs=1e-5)


def test_a_model_that_is_not_trained_is_validated_by_all_and_written_by_the_first(tmp_path):
    assert [one.split()[0] for one in trained(tmp_path, 2, 0, sees="elsewhere")] == ["4", "None"]
    assert not (tmp_path / "run/elsewhere/events.jsonl").exists() and read_json(tmp_path / "run/summary.json")["steps"] == 0


def test_short_of_memory_in_one_process_all_compute_less_at_a_time(tmp_path):
    (tmp_path / "room").mkdir()
    said, roomy = trained(tmp_path, 2, 4, room=1), trained(tmp_path / "room", 2, 4)
    assert said[0].split()[0] == "1" and roomy[0].split()[0] == "4"
    assert weights(said[1]) == pytest.approx(weights(roomy[1]), abs=1e-5)
    events = [event for event in read_jsonl(tmp_path / "run/events.jsonl") if event.get("event") == "out_of_memory"]
    assert [event["micro_batch"] for event in events] == [2, 1] and "another process" in events[0]["reason"]


class Cluster:
    """What a Slurm says: of a job `7`, `states` one after the other, the last for ever; nothing once it has left."""

    def __init__(self, monkeypatch, states: Sequence[str], fate: str = "FAILED") -> None:
        self.states, self.fate, self.cancelled = list(states), fate, False
        monkeypatch.setattr(squeue, "ask", self.ask)
        monkeypatch.setattr(squeue, "FIRST_PAUSE", 0.05)

    def ask(self, *words: str) -> subprocess.CompletedProcess:
        if words[0] == "scancel":
            self.cancelled, self.states = True, [""]
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        said = {"squeue": f"7|{state}\n" if state else "", "sacct": self.fate}.get(words[0], "")
        return subprocess.CompletedProcess(words, 0, said, "")


def follow(folder: Path, monkeypatch, when: Callable[[int], None] = lambda look: None) -> None:
    """Launch a run that is job 7, in whose second process something has failed; `when` is called at each look with its number."""
    logs = folder / "jobs"
    logs.mkdir()
    write_json(folder / "job.json", {"cluster": "slurm", "id": "7", "logs": "jobs"})
    (logs / "7_1_result.pkl").write_bytes(pickle.dumps(("error", "Traceback\nRuntimeError: Connection closed by peer")))
    looks = itertools.count()
    monkeypatch.setattr(launch.time, "sleep", lambda seconds, sleep=time.sleep: (when(next(looks)), sleep(0.02)))
    work = TrainJob({"name": "run", "folder": str(folder), "signature": "s"})
    launch.launch([work], LOOP.launch.model_copy(update={"cluster": "slurm", "poll_seconds": 1, "max_timeouts": 0}))


def test_a_failure_is_believed_of_a_job_that_has_left_the_queue(tmp_path, monkeypatch):
    Cluster(monkeypatch, ["RUNNING", "COMPLETING", "PENDING", "RUNNING"])
    follow(tmp_path, monkeypatch, lambda look: write_json(tmp_path / "done.json", {}) if look == 30 else None)  # requeued, it comes to its end
    (tmp_path / "left").mkdir()
    Cluster(monkeypatch, ["RUNNING", "COMPLETING", ""])
    with pytest.raises(UserError, match="(?s)job 7 failed: .*Connection closed by peer"):
        follow(tmp_path / "left", monkeypatch)


def test_a_job_that_goes_on_without_one_of_its_processes_is_cancelled(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "GIVE_UP", 0.5)
    cluster = Cluster(monkeypatch, ["RUNNING"])
    with pytest.raises(UserError, match="(?s)Connection closed by peer.*its other processes went on, and were cancelled"):
        follow(tmp_path, monkeypatch)
    assert cluster.cancelled


def test_what_a_finished_job_wrote_may_be_seen_late(tmp_path, monkeypatch):
    Cluster(monkeypatch, ["RUNNING", ""], fate="COMPLETED")
    (tmp_path / "jobs").mkdir()
    write_json(tmp_path / "job.json", {"cluster": "slurm", "id": "7", "logs": "jobs"})
    monkeypatch.setattr(launch.time, "sleep", lambda seconds, sleep=time.sleep: sleep(0.02))
    threading.Timer(2, write_json, (tmp_path / "done.json", {})).start()
    launch.launch([TrainJob({"name": "run", "folder": str(tmp_path), "signature": "s"})], LOOP.launch.model_copy(update={"cluster": "slurm", "poll_seconds": 1}))


def test_a_job_that_a_launcher_did_not_live_to_note_is_found_by_its_name(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(squeue, "ask", lambda *words: asked.append(words) or subprocess.CompletedProcess(words, 0, "12_1|PENDING\n12_0|RUNNING\n", ""))
    for task, folder in enumerate(folders := [tmp_path / name for name in "ab"]):
        write_json(folder / "job.json", {"cluster": "slurm", "id": "9"})  # an earlier one
        write_json(folder / "submission.json", {"cluster": "slurm", "name": "ostinato-a-0123", "logs": "../jobs", "task": task})
    assert [jobs.attach(folder, squeue.Queue(1)).id for folder in reversed(folders)] == ["12_1", "12_0"]
    assert [read_json(folder / "job.json")["id"] for folder in folders] == ["12_0", "12_1"] and "--name=ostinato-a-0123" in asked[0]
    assert not any((folder / "submission.json").exists() for folder in folders)


def test_a_job_that_was_cancelled_is_not_waited_for_by_the_next_launcher(tmp_path, monkeypatch):
    cluster = Cluster(monkeypatch, ["COMPLETING"])
    write_json(tmp_path / "job.json", {"cluster": "slurm", "id": "7", "logs": "jobs"})
    job = jobs.attach(tmp_path, squeue.Queue(1))
    assert job.id == "7"
    jobs.cancel({tmp_path: job})
    assert cluster.cancelled and jobs.attach(tmp_path, squeue.Queue(1)) is None


def test_an_interruption_while_sbatch_is_at_work_leaves_no_job_behind(tmp_path, monkeypatch):
    cluster = Cluster(monkeypatch, ["PENDING"])

    def interrupted(*_) -> list:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "_submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        launch.launch([TrainJob({"name": "run", "folder": str(tmp_path), "signature": "s"})], LOOP.launch.model_copy(update={"cluster": "slurm", "poll_seconds": 1}))
    assert cluster.cancelled


def test_training_that_outlives_submitit_is_found_and_can_be_stopped(codes, tmp_path):
    words = command(codes, tmp_path, plan=PLAN.model_copy(update={"steps": 5000}))
    process = start(words)
    wait_for_step(tmp_path, 5)
    training = process_of(tmp_path, 0)
    psutil.Process(int(read_json(run_folder(tmp_path) / "job.json")["id"])).kill()
    assert process.wait(60) == 2 and training.is_running()
    process = start(words)
    assert any("attached to job" in line for line in process.stderr)
    process.terminate()
    assert process.wait(60) == 130
    deadline = time.monotonic() + 20
    while is_held(run_folder(tmp_path) / "lock"):  # which goes with the process
        assert time.monotonic() < deadline, "it trains on"
        time.sleep(0.1)


def test_a_lock_is_waited_for_so_long_and_then_says_whose_it_is(tmp_path):
    with hold(tmp_path / "lock"), pytest.raises(UserError, match=f"lock: waited 0 s for process {os.getpid()} on {socket.gethostname()}, which trains this run"):
        with hold(tmp_path / "lock", seconds=0.2):
            pass
    with hold(tmp_path / "lock", seconds=0.2):
        pass
