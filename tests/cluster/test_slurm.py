"""On a real Slurm, which the tests start on this machine (cluster/dev): the pipeline makes the same bytes, and what happens on clusters costs no more than a checkpoint."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from ostinato.files import read_json, read_whole_lines, sha256
from project import REPEATABLE, TINY, copy_project, run, surroundings
from training import LOOP, PLAN, assert_same_end, command, losses, make_codes, run_folder, side_by_side, start, wait_for_step

pytestmark = pytest.mark.slurm
ON_SLURM = {"cluster": "slurm", "partition": "gpu", "gpus": 1, "poll_seconds": 2, "timeout_min": 10, "max_timeouts": 20}
LONG = PLAN.model_copy(update={"steps": 1200})


@pytest.fixture(scope="module")
def codes(tmp_path_factory) -> Path:
    return make_codes(tmp_path_factory.mktemp("codes"))


def ask(*words: str | Path) -> str:
    """What a command of Slurm or cluster/dev says; it must succeed."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def job_of(folder: Path) -> str:
    return read_json(run_folder(folder) / "job.json")["id"]


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


def attempts(folder: Path) -> list[dict]:
    """The starts of a run, as far as its events tell."""
    return [event for event in read_whole_lines(run_folder(folder) / "events.jsonl") if "event" in event]


def test_whatever_happens_to_a_training_job_it_ends_with_the_same_weights(slurm, codes, tmp_path):
    """An undisturbed run; one that reaches its time limit of a minute; one that is requeued, preempted, and loses its node."""
    undisturbed, limited, hit = (tmp_path / name for name in ("undisturbed", "limited", "hit"))
    others = [
        start(command(codes, undisturbed, plan=LONG, launch=ON_SLURM | {"partition": "cpu", "gpus": 0})),
        start(command(codes, limited, plan=LONG, launch=ON_SLURM | {"partition": "cpu", "gpus": 0, "timeout_min": 1, "signal_delay_s": 50})),
    ]
    process = start(command(codes, hit, plan=LONG, launch=ON_SLURM))
    wait_for_step(limited, 20)
    sleep_for_40_seconds(limited)  # in which Slurm, which looks every 30 s, gives notice, however fast the machine is
    wait_for_step(hit, 50)
    job = job_of(hit)
    for blow in (["scontrol", "requeue", job], ["sbatch", "-p", "gpu-urgent", "--gres=gpu:1", "-o", "/dev/null", "--wrap", "sleep 1"], [slurm / "restart", "--crash", "gpu1", "1"]):
        before, reached = len(attempts(hit)), losses(run_folder(hit), steps=True)[-1]
        ask(*blow)
        wait_until(lambda: len(attempts(hit)) > before)
        assert attempts(hit)[-1]["step"] >= reached - LOOP.checkpoint_every
        wait_for_step(hit, attempts(hit)[-1]["step"] + 50)
    for one in (*others, process):
        assert one.wait(300) == 0, one.stderr.read()
    assert len(attempts(limited)) > 1
    for folder in (hit, limited):
        starts = [event for event in assert_same_end(folder, undisturbed) if "event" in event]
        assert {event["job"] for event in starts} == {job_of(folder)} and starts[-1]["restart"] >= len(starts) - 1
    assert {event["node"] for event in attempts(hit)} == {"gpu1"} or not can_name_hosts()


def sleep_for_40_seconds(folder: Path) -> None:
    """Stops the training process of a run, and has it go on later, unless Slurm's notice did; does not wait."""
    process = int((run_folder(folder) / "lock").read_text().split()[0])

    def wake() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)

    os.kill(process, signal.SIGSTOP)
    threading.Timer(40, wake).start()


def can_name_hosts() -> bool:
    """Whether nodes have host names of their own: see cluster/dev/common.sh."""
    return subprocess.run(["unshare", "--uts", "true"], capture_output=True).returncode == 0


def test_two_jobs_on_two_nodes_train_one_model(slurm, codes, tmp_path):
    plan = PLAN.model_copy(update={"steps": 10, "batch_size": 4})
    for name, nodes in (("one", 1), ("two", 2)):
        done = subprocess.run(command(codes, tmp_path / name, plan=plan, launch=ON_SLURM | {"partition": "cpu", "gpus": 0, "nodes": nodes}), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "two/model") == pytest.approx(losses(tmp_path / "one/model"), rel=1e-4)
    assert int(ask("sacct", "-X", "-n", "-P", "-o", "NNodes", "-j", job_of(tmp_path / "two"))) == 2


def process_of(job: str, rank: int) -> psutil.Process:
    """A training process of a task of a job array, on whichever node."""
    wanted = dict(zip(("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"), job.split("_"))) | {"SLURM_PROCID": str(rank)}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "submitit.core._submit" in process.cmdline() and wanted.items() <= process.environ().items():
                return process
    raise AssertionError(f"no process {rank} of job {job}")


def test_two_runs_by_two_processes_each_on_one_node_end_alike_whatever_hits_one_of_them(slurm, codes, tmp_path):
    """The job of one is requeued, then a process of it is told to stop before the first one, then one is killed: that ends this run, and not the other."""
    plan, hit, undisturbed = PLAN.model_copy(update={"steps": 400, "batch_size": 4}), tmp_path / "hit", tmp_path / "undisturbed"
    assert start(command(codes, undisturbed, plan=plan, launch={"tasks_per_node": 2})).wait(300) == 0
    on_cpu1 = ON_SLURM | {"partition": "cpu", "gpus": 0, "tasks_per_node": 2, "mem_gb": 3, "options": {"nodelist": "cpu1"}}
    words = side_by_side(command(codes, hit, plan=plan, launch=on_cpu1), hit)
    process = start(words)
    wait_for_step(hit, 20)
    job = job_of(hit)
    for blow in (lambda: ask("scontrol", "requeue", job), lambda: process_of(job, 1).send_signal(signal.SIGUSR2)):
        before = len(attempts(hit))
        blow()
        wait_until(lambda: len(attempts(hit)) > before)
        wait_for_step(hit, attempts(hit)[-1]["step"] + 20)
    process_of(job, 1).kill()
    said = process.communicate(timeout=200)[1]
    assert process.returncode == 2 and f"chords: job {job} failed" in said and "other:" not in said, said
    assert start(words).wait(200) == 0
    assert len([event for event in assert_same_end(hit, undisturbed) if "event" in event]) == 4
    assert sha256(hit / "other/state_dict.bin") == sha256(undisturbed / "model/state_dict.bin")


def spoilt_model(codes: Path, folder: Path) -> Path:
    """A model that computes no numbers."""
    assert subprocess.run(command(codes, folder, plan=PLAN.model_copy(update={"steps": 1}))).returncode == 0
    saved = torch.load(folder / "model/state_dict.bin")
    next(iter(saved["best_state"].values())).fill_(float("nan"))
    torch.save(saved, folder / "model/state_dict.bin")
    return folder / "model"


def test_a_job_that_fails_ends_with_what_the_node_said(slurm, codes, tmp_path):
    """A loss that is no number, a corrupt file, a process killed as for want of memory, a partition that is none."""
    (tmp_path / "broken/codec").mkdir(parents=True)
    for name in ("codec/compression_state_dict.bin", "shard-00.jsonl", "segments.npz", "contents.json"):
        (tmp_path / "broken" / name).write_bytes((codes / name).read_bytes())
    (tmp_path / "broken/shard-00.npy").write_bytes((codes / "shard-00.npy").read_bytes()[:-5000])
    cut = subprocess.run(command(tmp_path / "broken", tmp_path / "cut", launch=ON_SLURM | {"partition": "cpu", "gpus": 0}), capture_output=True, text=True)
    assert cut.returncode == 2 and "ValueError" in cut.stderr and "jobs/" in cut.stderr and "_log.err" in cut.stderr
    spoilt = subprocess.run(
        command(codes, tmp_path / "spoilt", init=spoilt_model(codes, tmp_path / "init"), launch=ON_SLURM | {"partition": "cpu", "gpus": 0}), capture_output=True, text=True
    )
    assert spoilt.returncode == 2 and "loss is nan at step 1" in spoilt.stderr and "_log.err" in spoilt.stderr
    nowhere = subprocess.run(command(codes, tmp_path / "nowhere", launch=ON_SLURM | {"partition": "nowhere"}), capture_output=True, text=True)
    assert nowhere.returncode == 2 and "invalid partition" in nowhere.stderr and "submitit.yaml" in nowhere.stderr
    killed = start(command(codes, tmp_path / "killed", plan=LONG, launch=ON_SLURM))
    wait_for_step(tmp_path / "killed", 20)
    os.kill(int((run_folder(tmp_path / "killed") / "lock").read_text().split()[0]), signal.SIGKILL)
    assert killed.wait(60) == 2 and "Slurm says" in (said := killed.stderr.read()) and "Killed" in said


@pytest.fixture(scope="module")
def project(slurm, recordings, tmp_path_factory) -> Path:
    """A copy of the repository as a site would edit it: small parameters, and for nodes of four CPUs."""
    folder = copy_project(tmp_path_factory.mktemp("site"))
    edit(folder / "params.yaml", TINY | {"corpus": TINY["corpus"] | {"folder": str(recordings)}})
    edit(folder / "cluster/slurm/submitit.yaml", {"train": {"launch": {"cpus": 1, "mem_gb": 4, "timeout_min": 10, "signal_delay_s": 30, "poll_seconds": 2}}})
    edit(folder / "cluster/slurm/profile.yaml", {"max-threads": 2, "slurm-init-seconds-before-status-checks": 1})
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def edit(path: Path, changes: dict) -> None:
    """Change values of a YAML file."""
    path.write_text(yaml.safe_dump(laid_over(yaml.safe_load(path.read_text()), changes)))


def laid_over(values: dict, changes: dict) -> dict:
    return values | {key: laid_over(values[key], value) if isinstance(values.get(key), dict) else value for key, value in changes.items()}


def snakemake(folder: Path, *targets: str) -> subprocess.Popen:
    """`snakemake TARGET ... --profile cluster/slurm` as in a terminal: a Ctrl-C there reaches it and all it started."""
    with (folder / "output.txt").open("a") as output:  # to which what a killed one leaves behind may still write
        return subprocess.Popen(["snakemake", *targets, "--profile", "cluster/slurm"], cwd=folder, env=surroundings(folder), start_new_session=True, stdout=output, stderr=output)


def training_job(folder: Path, name: str, steps: int) -> str:
    """Waits until the run of so many steps trains; its job's id."""

    def trains() -> list[Path]:
        runs = [path.parent for path in folder.glob(f"results/runs/{name}/*/events.jsonl") if read_json(path.parent / "run.json")["plan"]["steps"] == steps]
        return [one for one in runs if any(event.get("step", 0) >= 20 for event in read_whole_lines(one / "events.jsonl"))]

    wait_until(trains)
    return read_json(trains()[0] / "job.json")["id"]


def test_the_pipeline_makes_the_same_bytes_as_on_one_machine(project, made):
    done = snakemake(project)
    assert done.wait(900) == 0, (project / "output.txt").read_text()
    for name in REPEATABLE:
        assert sha256(project / "results" / name) == sha256(made / "results" / name), name
    jobs = {path.stem for path in project.glob("results/logs/slurm/**/*.log")}
    trained = {read_json(path)["job"]["id"] for path in project.glob("results/models/tune-*/summary.json")}
    assert len(jobs) >= 8 and {job.split("_")[1] for job in trained} == {"0", "1"} and len({job.split("_")[0] for job in trained}) == 1
    costs = (project / "results/cluster.csv").read_text()
    assert all(job in costs for job in trained) and "What it cost" in (project / "results/report/index.html").read_text()


def test_dvc_runs_it_there_and_the_ledger_is_clean(project):
    edit(project / "params.yaml", {"judge": {"permutations": 21}})
    done = run(project, "dvc", "repro", SNAKEMAKE_PROFILE="cluster/slurm")
    assert done.returncode == 0 and "has been submitted with SLURM jobid" in done.stdout, done.stdout
    assert "up to date" in run(project, "dvc", "status").stdout and (project / "dvc.lock").exists()


def refuse_three_times(folder: Path) -> Path:
    """Has sbatch refuse its next three calls; returns the file of its refusals."""
    (folder / "bin").mkdir()
    (folder / "bin/sbatch").write_text(f"""#!/bin/sh
[ -e {folder}/refusals ] && [ $(wc -l < {folder}/refusals) -ge 3 ] && exec {shutil.which("sbatch")} "$@"
date +%s >> {folder}/refusals
echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)" >&2
exit 1
""")
    (folder / "bin/sbatch").chmod(0o755)
    return folder / "refusals"


def test_killed_it_finds_its_job_again_and_a_controller_that_is_away_is_waited_for(slurm, project):
    nobody = {"train": {"composers": ["Nobody"]}, "demos": {"composers": ["Nobody"]}}
    edit(project / "params.yaml", {"train": {"base": {"steps": 2500}}, "midi": nobody})
    first = snakemake(project, "train", "midi")
    job = training_job(project, "base", 2500)
    first.kill()
    first.wait()
    assert run(project, "snakemake", "--profile", "cluster/slurm", "--unlock").returncode == 0
    refusals = refuse_three_times(project)
    before = len((project / "output.txt").read_text())
    second = snakemake(project, "train", "midi")
    wait_until(lambda: f"attached to job {job}" in (project / "output.txt").read_text())
    ask(slurm / "restart", "slurmctld", "20")
    assert second.wait(600) == 1 and len(refusals.read_text().splitlines()) >= 3  # several ask at once
    said = (project / "output.txt").read_text()[before:]
    # one branch fails, and says why and where; the others go on
    assert "no piece of split 'train' by Nobody" in said and "_log.err" in said and "(100%) done" not in said
    summary = read_json(project / "results/models/base/summary.json")
    assert summary["steps"] == 2500 and summary["job"]["id"] == job
    assert read_json(project / "results/models/tuned/summary.json")["steps"] == 4


def test_interrupted_it_leaves_no_job_behind(slurm, project):
    edit(project / "params.yaml", {"train": {"base": {"steps": 3000}}})
    process = snakemake(project, "train")
    job = training_job(project, "base", 3000)
    assert job in ask("squeue", "--noheader", "--format=%A")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) != 0
    wait_until(lambda: not ask("squeue", "--noheader"), 30)
