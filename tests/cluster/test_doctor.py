"""`ostinato doctor` before a Slurm that is none: commands that print what Slurm 22.05 printed, and an sbatch that runs jobs here, at once."""

from __future__ import annotations

import errno
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from ostinato.cli import main
from ostinato.cluster.slurm import gpus, minutes
from project import ROOT

PARTITION = (
    "PartitionName={} AllowGroups=ALL AllowAccounts=ALL Default={} DefaultTime=01:00:00 GraceTime={} MaxNodes=UNLIMITED MaxTime=1-00:00:00 "
    "Nodes=x PreemptMode=REQUEUE State={} TotalCPUs=8 TotalNodes=2\n"
)
CONFIG = "JobRequeue              = 1\nPreemptType             = preempt/partition_prio\nSlurmctldParameters     = preempt_send_user_signal\n"
SCONTROL = """case "$1$2" in
ping) echo "Slurmctld(primary) at here is UP" ;;
showpartition) cat partitions ;;
showconfig) cat config ;;
esac"""
SBATCH = """case "$*" in *--test-only*) cat > tested; exit ;; esac
echo "$*" >> sent
[ ! -e refused ] || { echo "sbatch: error: Batch job submission failed: Invalid account" >&2; exit 1; }
if [ -e busy ]; then cat > /dev/null; else bash -s > /dev/null 2>&1; fi
echo 77"""
COMMANDS = {
    "scontrol": SCONTROL,
    "sbatch": SBATCH,
    "sinfo": 'case "$1" in --version) echo slurm-wlm 22.05.8 ;; *) cat nodes ;; esac',
    "sacct": "exit 0",
    "srun": "",
    "squeue": '[ -e busy ] && echo "PENDING|Resources" || echo "COMPLETED|None"',
    "scancel": 'echo "$*" > cancelled',
    "sacctmgr": 'printf "music|\\nroot|\\n"',
}
PROFILE = {
    "executor": "slurm",
    "configfile": "submitit.yaml",
    "retries": 2,
    "latency-wait": 1,
    "groups": {"codes": "encode", "codec": "encode"},
    "group-components": {"encode": 1000},
    "default-resources": {"slurm_partition": "cpu", "mem_mb": "1000 * attempt", "runtime": 60},
}
LAUNCH = {"cluster": "slurm", "partition": "gpu", "gpus": 1, "gpu_gb": 48, "cpus": 4, "mem_gb": 8, "timeout_min": 720, "signal_delay_s": 120}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A project on a cluster on which all is well."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    for name, body in COMMANDS.items():
        command(name, body)
    command("nvidia-smi", 'echo "NVIDIA L40S, 49140"')
    Path("partitions").write_text(PARTITION.format("cpu", "YES", 0, "UP") + PARTITION.format("gpu", "NO", 5, "UP"))
    Path("nodes").write_text("cpu|cpu1|4|8192|(null)|idle\ncpu|cpu2|4|8192|(null)|mixed\ngpu|gpu1|4|8192|gpu:l40s:1(S:0-1)|idle\n")
    Path("config").write_text(CONFIG)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write("rules/submitit.yaml", {"train": {"launch": LAUNCH}})
    write("rules/profile.yaml", PROFILE)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def command(name, body):
    path = Path("bin", name)
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def write(path, values):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(yaml.safe_dump(values))


def doctor(*options):
    """Exit status, and the findings that are not ok, each as one text."""
    try:
        status = main(["doctor", "--profile", "rules", "--json", "findings.json", *options])
    except SystemExit as end:
        status = end.code
    findings = json.loads(Path("findings.json").read_text())
    assert all(finding["level"] in ("ok", "WARN", "FAIL") for finding in findings)
    return status, [" ".join(finding[key] for key in ("level", "check", "found", "todo")) for finding in findings if finding["level"] != "ok"]


def one(findings, *words):
    """Whether one finding says all the words."""
    return any(all(word in finding for word in words) for finding in findings)


def test_all_is_well(site, capsys):
    status, findings = doctor()
    printed = capsys.readouterr().out
    assert status == 0 and not [finding for finding in findings if "little room" not in finding], findings
    assert "PreemptMode is REQUEUE, GraceTime 5 s" in printed and "#SBATCH --gpus-per-node=1" in Path("tested").read_text()
    assert (
        printed.count("a lock that this machine holds in") == 2
        and "--partition=gpu" in Path("sent").read_text()
        and "--time=1" in Path("sent").read_text()
        and not Path("results").exists()
    )


def test_without_slurm_the_other_checks_go_on(site, monkeypatch):
    (site / "empty").mkdir()
    (site / "empty" / "stat").symlink_to("/usr/bin/stat")
    monkeypatch.setenv("PATH", str(site / "empty"))
    status, findings = doctor()
    assert status == 1 and one(findings, "FAIL commands", "sbatch, squeue", "login node") and one(findings, "FAIL rules", "not checked")
    assert not one(findings, "MLflow") and not one(findings, "please report")


def test_daemons_that_do_not_answer(site):
    command("scontrol", 'echo "slurm_load_partitions: Unable to contact slurm controller (connect failure)" >&2; exit 1')
    command("sacct", 'echo "Slurm accounting storage is disabled" >&2; exit 1')
    status, findings = doctor()
    assert status == 1 and one(findings, "FAIL slurmctld", "Unable to contact") and one(findings, "FAIL accounting", "storage is disabled", "slurmdbd")
    assert not Path("sent").exists()


def test_what_rules_ask_against_what_there_is(site):
    write(
        "rules/profile.yaml",
        PROFILE | {"set-resources": {"etudes": {"mem_mb": "3000 * attempt"}, "check": {"runtime": "1500"}, "judge": {"slurm_partition": "fast"}}, "set-threads": {"listen": 8}},
    )
    status, findings = doctor("--no-jobs")
    assert status == 1 and one(findings, "FAIL rules, partition fast", "no such partition", "judge", "set-resources.judge.slurm_partition in rules/profile.yaml")
    assert one(findings, "WARN rules, partition cpu", "etudes asks 1 CPU, 9000 MB at attempt 3", "lower set-resources.etudes.mem_mb in")
    assert one(findings, "FAIL rules, partition cpu", "check asks 25 h", "MaxTime is 24 h") and one(findings, "FAIL", "listen asks 8 CPUs", "up to 4 CPUs")


def test_jobs_of_a_group_add_up_and_threads_are_those_of_the_rules(site):
    """Seen on Slurm: three jobs of 300 MB in a group, after one, were one job of 900 MB, 3 CPUs and both times."""
    Path("workflow/rules").mkdir(parents=True)
    Path("workflow/rules/codec.smk").write_text((ROOT / "workflow/rules/codec.smk").read_text() + "\nrule big:\n    output:\n        'x'\n    threads: 8\n")
    write("mine.yaml", {"corpus": {"shards": 12}, "train": {"launch": LAUNCH}})
    _, findings = doctor("--no-jobs", "--configfile", "mine.yaml")
    assert one(findings, "big asks 8 CPUs, 1000 MB", "12 x codes", "asks 12 CPUs, 12000 MB", "lower max-threads (of all rules), group-components.encode")
    write("rules/profile.yaml", PROFILE | {"max-threads": 4, "group-components": {"encode": 2}})
    assert doctor("--no-jobs", "--configfile", "mine.yaml") == (0, [])
    one_after_another = {"resources": {"in_turn": 1}, "set-resources": {"codes": {"runtime": 180, "in_turn": 1}}}
    write("rules/profile.yaml", PROFILE | {"max-threads": 4} | one_after_another)
    _, findings = doctor("--no-jobs", "--configfile", "mine.yaml")
    assert len(findings) == 1 and one(findings, "12 x codes", "asks 37 h", "lower group-components.encode or set-resources.codes.runtime")
    write("mine.yaml", {"corpus": {"shards": 1500}, "train": {"launch": LAUNCH}})
    write("rules/profile.yaml", PROFILE | {"groups": {"codes": "codes"}, "group-components": {"codes": 2}})
    _, findings = doctor("--no-jobs", "--configfile", "mine.yaml")
    assert one(findings, "WARN rules, submissions 1500 shards are 750 jobs (codes 750)", "raise group-components.codes in rules/profile.yaml")


def test_partitions_and_nodes_that_are_down(site):
    Path("partitions").write_text(PARTITION.format("cpu", "YES", 0, "DRAIN") + PARTITION.format("gpu", "NO", 5, "UP"))
    Path("nodes").write_text(Path("nodes").read_text().replace("1)|idle", "1)|down*"))
    _, findings = doctor("--no-jobs")
    assert one(findings, "FAIL rules, partition cpu is DRAIN") and one(findings, "WARN training, partition gpu", "down or drained")


@pytest.mark.parametrize(
    "launch, words",
    [
        ({"mem_gb": 16}, ["FAIL", "16384 MB and 1 GPU", "lower train.launch.mem_gb in rules/submitit.yaml"]),
        ({"gpus": 2}, ["FAIL", "2 GPUs", "GPUs: 1 x l40s", "train.launch.gpus"]),
        ({"gpu_type": "a100"}, ["FAIL", "1 GPU of type a100"]),
        ({"nodes": 2}, ["FAIL", "2 nodes with", "train.launch.nodes"]),
        ({"timeout_min": 3000}, ["FAIL", "50 h", "train.launch.timeout_min"]),
        ({"timeout_min": 2}, ["FAIL", "no time is left to train", "signal_delay_s in rules/submitit.yaml"]),
        ({"signal_delay_s": 5}, ["WARN", "may take longer"]),
        ({"account": "jazz"}, ["FAIL account jazz", "music, root", "train.launch.account"]),
        ({"gpu_gb": 0.01}, ["FAIL memory, train.tune", "nor does a micro-batch of 1"]),
        ({"mem_gb": 2}, ["WARN host memory, train.tune", "fits only where the kernel takes pages of files back", "set train.launch.mem_gb to 3"]),
        ({"tasks_per_node": 12, "gpus": 12, "mem_gb": 6}, ["FAIL host memory, train.base", "by 12 processes", "does not fit", "set train.launch.mem_gb to "]),
        ({"cluster": "local"}, ["WARN training", "would run on this machine", "--configfile rules/submitit.yaml"]),
    ],
)
def test_what_training_asks(site, launch, words):
    write("rules/submitit.yaml", {"train": {"launch": LAUNCH | launch}})
    _, findings = doctor("--no-jobs")
    assert one(findings, *words), findings


def test_slurm_has_the_last_word(site):
    command("sbatch", 'echo "allocation failure: Job violates accounting/QOS policy" >&2; exit 1')
    assert one(doctor("--no-jobs")[1], "FAIL training, request", "QOS policy", "rules/submitit.yaml")


def test_a_node_that_sees_something_else(site):
    """No GPU, another parameter file, a clock that is ahead."""
    (site / "bin" / "nvidia-smi").unlink()
    command("sha256sum", "echo 1234")
    command("date", "echo $(($(/bin/date +%s) + 60))")
    _, findings = doctor()
    assert one(findings, "WARN probe, partition gpu", "no GPU was seen", "train.launch.partition") and not one(findings, "partition cpu", "GPU")
    assert one(findings, "FAIL probe, partition cpu", "does not see params.yaml as it is here") and one(findings, "WARN", "clock is", "s ahead of this machine's")


@pytest.mark.parametrize(
    "answer, words",
    [
        ("open(sys.argv[1]); print('got')", ["WARN probe, partition cpu", "gets a lock in", "that this machine holds: two jobs could write one run"]),
        ("print('ENOLCK')", ["FAIL probe, partition cpu", "fail on node", "(ENOLCK)", "Lustre: -o flock", "another file system"]),
        ("import time; time.sleep(60)", ["FAIL probe, partition cpu", "fail on node", "(no answer in 1 s)"]),
    ],
)
def test_locks_that_do_not_reach_across_nodes(site, monkeypatch, answer, words):
    monkeypatch.setattr("ostinato.cluster.locks.SECONDS", 1)
    monkeypatch.setattr("ostinato.cluster.locks.ATTEMPT", f"import sys; {answer}")
    assert one(doctor()[1], *words)


def test_locks_that_this_machine_does_not_get(site, monkeypatch):
    monkeypatch.setattr("ostinato.cluster.locks.SECONDS", 0.2)
    with monkeypatch.context() as patch:
        patch.setattr("ostinato.cluster.locks.fcntl.flock", unsupported)
        assert one(doctor()[1], "FAIL probe, partition cpu", "fail on this machine (ENOTSUP)")
    monkeypatch.setattr("ostinato.cluster.locks.fcntl.flock", lambda *_: time.sleep(2))  # and with that it is over, not when it answers
    assert one(doctor()[1], "FAIL probe, partition cpu", "fail on this machine (no answer in 0.2 s)")


def unsupported(*_):
    raise OSError(errno.ENOTSUP, "Operation not supported")


def test_an_environment_that_is_not_there(site, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert one(doctor()[1], "FAIL probe, partition cpu", "/nowhere/python", "under the same path")


def test_a_gpu_smaller_than_said(site):
    command("nvidia-smi", 'echo "NVIDIA A100, 40960"; echo "NVIDIA A100, 40960"')
    assert one(doctor()[1], "FAIL probe, partition gpu", "40.0 GB; train.launch.gpu_gb says 48", "set train.launch.gpu_gb to 40 in rules/submitit.yaml")


def test_files_that_do_not_arrive(site):
    command("sbatch", "cat > /dev/null; echo 77")
    status, findings = doctor()
    assert status == 1 and one(findings, "FAIL probe, partition cpu", "job 77 is over (COMPLETED", "all nodes share")


def test_jobs_that_wait_are_cancelled_and_refusals_passed_on(site):
    Path("busy").touch()
    status, findings = doctor("--wait", "0.2")
    assert status == 0 and one(findings, "WARN probe, partition gpu", "still PENDING (Resources)") and Path("cancelled").read_text() == "77 77\n"
    Path("refused").touch()
    assert one(doctor()[1], "FAIL probe, partition cpu", "Invalid account")


def test_where_mlflow_writes(site):
    write("mine.yaml", {"train": {"launch": LAUNCH}, "track": {"uri": "sqlite:///mlflow.db"}})
    command("stat", "echo nfs")
    assert one(doctor("--no-jobs", "--configfile", "mine.yaml")[1], "WARN MLflow", "nfs", "track.uri in mine.yaml")
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    Thread(target=server.serve_forever, daemon=True).start()
    write("mine.yaml", {"train": {"launch": LAUNCH}, "track": {"uri": f"http://127.0.0.1:{server.server_port}"}})
    assert doctor("--no-jobs", "--configfile", "mine.yaml")[0] == 0
    server.shutdown()
    server.server_close()
    assert one(doctor("--no-jobs", "--configfile", "mine.yaml")[1], "FAIL MLflow", "does not answer", "track.uri in mine.yaml")


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_pretrained_models_that_cannot_be_fetched(site, monkeypatch):
    monkeypatch.setattr("ostinato.cluster.outside.urllib.request.urlopen", refuse)
    monkeypatch.setenv("HF_HOME", str(site / "cache"))
    preset = str(ROOT / "workflow/presets/musicgen.yaml")
    _, findings = doctor("--no-jobs", "--configfile", "rules/submitit.yaml", preset)
    assert one(findings, "WARN model hub, facebook/musicgen-small", "hf download facebook/musicgen-small") and one(findings, "WARN model hub, t5-base")


def refuse(*_, **__):
    raise OSError("no network")


def test_a_profile_that_is_none_and_parameters_that_are_wrong(site):
    write("rules/profile.yaml", {"cores": 4})
    assert one(doctor("--no-jobs")[1], "FAIL rules rules/profile.yaml: executor is None")
    write("rules/profile.yaml", PROFILE)
    write("rules/submitit.yaml", {"train": {"launch": {"gpu": 1}}})
    assert one(doctor("--no-jobs")[1], "FAIL training", "train.launch.gpu: unknown key")


def test_what_slurm_writes():
    assert gpus("gpu:a100:4(S:0-1),gpu:1g.5gb:7,shard:8") == {"a100": 4, "1g.5gb": 7} and gpus("gpu:2") == {"": 2} and gpus("(null)") == {}
    assert [minutes(text) for text in ("1-12:00:00", "01:30:00", "90:00", "UNLIMITED")] == [2160, 90, 90, float("inf")]
