"""GPUs of this machine: runs side by side have different ones, whoever started them. No GPU is needed: a stand-in for nvidia-smi lists some."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from music import PARAMS
from ostinato.files import read_json
from ostinato.params.blocks import Launch
from ostinato.train import devices
from training import command, make_codes

#: Launches runs that say which GPUs they see and when they ran, and last until there is a file `go`.
LAUNCHER = """
import json, os, sys, time
from pathlib import Path
from ostinato.files import write_json
from ostinato.params.blocks import Launch
from ostinato.train.launch import launch
from ostinato.train.work import TrainJob

class Looks(TrainJob):
    def __call__(self):
        begun = time.monotonic()
        write_json(self.folder / "sees.json", os.environ["CUDA_VISIBLE_DEVICES"])
        while not (self.folder.parents[2] / "go").exists() or time.monotonic() < begun + 0.5:
            time.sleep(0.05)
        write_json(self.folder / "done.json", [begun, time.monotonic()])

runs = Path(sys.argv[1]) / "runs"
launch([Looks({"name": name, "signature": "0", "folder": str(runs / name / "0")}) for name in sys.argv[3:]], Launch.model_validate_json(sys.argv[2]))
"""
WHOLE = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aa)\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bb)\n"
DIVIDED = "GPU 0: NVIDIA A100 (UUID: GPU-aa)\n  MIG 3g.20gb     Device  0: (UUID: MIG-cc)\n  MIG 3g.20gb     Device  1: (UUID: MIG-dd)\nGPU 1: NVIDIA A100 (UUID: GPU-bb)\n"


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    """Has nvidia-smi list some GPUs."""

    def there(listed: str) -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/nvidia-smi").write_text(f"#!/bin/sh\ncat <<'END'\n{listed}END\n")
        (tmp_path / "bin/nvidia-smi").chmod(0o755)
        devices._listed.cache_clear()

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield there
    devices._listed.cache_clear()


def launcher(folder: Path, *names: str, **environment: str) -> subprocess.Popen:
    launch = PARAMS.train.launch.model_copy(update={"gpus": 1, "at_once": 8}).model_dump_json()
    return subprocess.Popen([sys.executable, "-c", LAUNCHER, str(folder), launch, *names], env=os.environ | environment, start_new_session=True)


def seen(folder: Path, *names: str) -> list[str]:
    """The GPUs that runs see, when all have begun."""
    files, deadline = [folder / "runs" / name / "0/sees.json" for name in names], time.monotonic() + 60
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline, "they did not begin"
        time.sleep(0.05)
    return [read_json(file) for file in files]


def test_runs_of_a_sweep_have_different_gpus_and_wait_for_one(tmp_path, gpus):
    gpus(WHOLE)
    (tmp_path / "go").touch()
    assert launcher(tmp_path, "a", "b", "c").wait(100) == 0
    assert seen(tmp_path, "a", "b") == ["0", "1"]
    (a, b, c), last = ([read_json(tmp_path / "runs" / name / "0/done.json") for name in "abc"], seen(tmp_path, "c")[0])
    begun, ended = c[0], {"0": a, "1": b}[last][1]
    assert begun >= ended


def test_other_launchers_and_the_jobs_of_dead_ones_are_reckoned_with(tmp_path):
    named = {"CUDA_VISIBLE_DEVICES": "GPU-aa,MIG-dd,2"}
    first = launcher(tmp_path, "a", **named)
    assert seen(tmp_path, "a") == ["GPU-aa"]
    first.kill()
    first.wait()
    others = [launcher(tmp_path, name, **named) for name in "bc"]
    assert sorted(seen(tmp_path, "b", "c")) == ["2", "MIG-dd"]
    (tmp_path / "go").touch()
    assert [other.wait(100) for other in others] == [0, 0]
    assert read_json(tmp_path / "runs/b/0/job.json")["gpus"] == seen(tmp_path, "b")


@pytest.mark.parametrize(
    "listed, named, expected",
    [
        (WHOLE, None, ["0", "1"]),
        (DIVIDED, None, ["MIG-cc", "MIG-dd", "1"]),
        ("No devices were found\n", None, []),
        (WHOLE, "3, 1", ["3", "1"]),
        (WHOLE, "", []),
        (WHOLE, "1,-1,0", ["1"]),
        (WHOLE, "GPU-aa", ["GPU-aa"]),
    ],
)
def test_which_gpus_there_are(gpus, monkeypatch, listed, named, expected):
    gpus(listed)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert devices.visible() == expected


def test_more_gpus_than_there_are_is_one_line_before_any_work(tmp_path, gpus):
    gpus(WHOLE)
    done = subprocess.run(command(make_codes(tmp_path), tmp_path, launch={"gpus": 3}), capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.splitlines() == [
        "ostinato train: train.launch.gpus: 3 asked for each run, this machine has 2 (as nvidia-smi lists them); cluster: slurm asks a cluster for them"
    ]
    with pytest.raises(ValidationError, match="tasks_per_node: at most gpus, 1, since each process wants a GPU of its own; got 2"):
        Launch.model_validate(PARAMS.train.launch.model_dump() | {"gpus": 1, "tasks_per_node": 2})
