"""What a run cost: the table from Slurm's accounting and Snakemake's benchmarks, and its section of the page.

ANSWER is what sacct of Slurm 22.05 said (times in seconds since 1970) of a cluster on which a job was requeued by hand (10), one was cancelled before
it began (11), a task of an array failed (12_4), Snakemake ran an array (17) and a group (19), and a node was lost (19, 20).
"""

import csv
import os
import re
from pathlib import Path

import pytest

from fake_results import HELDOUT, OPTIONS, PROMPTS, build, build_midi, report
from ostinato.cli import main
from ostinato.cluster import sacct
from ostinato.files import write_json, write_jsonl, write_text

ANSWER = """\
10|gpu.sh|REQUEUED|0:0|1795641080|1795641089|1795641097|8|00:00.034|8|billing=1,cpu=1,gres/gpu=1,mem=500M,node=1|billing=1,cpu=1,gres/gpu=1,mem=500M,node=1|||gpu1
10.batch|batch|CANCELLED|0:15|1795641089|1795641089|1795641097|8|00:00.026|8||cpu=1,gres/gpu=1,mem=500M,node=1|11137024|cpu=00:00:00,mem=11137024,vmem=224677888|gpu1
10.0|sh|COMPLETED|0:0|1795641089|1795641089|1795641092|3|00:00.008|3||cpu=1,gres/gpu=1,mem=500M,node=1|3182592|cpu=00:00:00,mem=3182592,vmem=5644288|gpu1
11|wrap|CANCELLED by 0|0:0|1795641080|None|1795641137|0|00:00:00|0|billing=1,cpu=1,mem=300M,node=1||||None assigned
12_4|wrap|FAILED|1:0|1795641080|1795641081|1795641082|1|00:00.004|1|billing=1,cpu=1,mem=200M,node=1|billing=1,cpu=1,mem=200M,node=1|||cpu1
12_4.batch|batch|FAILED|1:0|1795641081|1795641081|1795641082|1|00:00.004|1||cpu=1,mem=200M,node=1|3256320|cpu=00:00:00,mem=3256320,vmem=5644288|cpu1
10|gpu.sh|COMPLETED|0:0|1795641097|1795641123|1795641126|3|00:00.019|3|billing=1,cpu=1,gres/gpu=1,mem=500M,node=1|billing=1,cpu=1,gres/gpu=1,mem=500M,node=1|||gpu1
10.batch|batch|COMPLETED|0:0|1795641123|1795641123|1795641126|3|00:00.013|3||cpu=1,gres/gpu=1,mem=500M,node=1|11005952|cpu=00:00:00,mem=11005952,vmem=224677888|gpu1
10.0|sh|COMPLETED|0:0|1795641123|1795641123|1795641126|3|00:00.005|3||cpu=1,gres/gpu=1,mem=500M,node=1|3260416|cpu=00:00:00,mem=3260416,vmem=5644288|gpu1
17_1|598dbd5b|COMPLETED|0:0|1795641160|1795641161|1795641193|32|00:11.882|32|billing=1,cpu=1,mem=401M,node=1|billing=1,cpu=1,mem=401M,node=1|||cpu1
17_1.batch|batch|COMPLETED|0:0|1795641161|1795641161|1795641193|32|00:11.882|32||cpu=1,mem=401M,node=1|349605888|cpu=00:00:11,mem=349605888|cpu1
17_2|598dbd5b|COMPLETED|0:0|1795641160|1795641161|1795641205|44|00:17.214|44|billing=1,cpu=1,mem=401M,node=1|billing=1,cpu=1,mem=401M,node=1|||cpu1
17_2.batch|batch|COMPLETED|0:0|1795641161|1795641161|1795641205|44|00:11.599|44||cpu=1,mem=401M,node=1|359219200|cpu=00:00:11,mem=359219200|cpu1
17_2.0|python|COMPLETED|0:0|1795641188|1795641188|1795641202|14|00:05.614|14||cpu=1,mem=401M,node=1|173121536|cpu=00:00:05,mem=173121536|cpu1
19|e73e3360|NODE_FAIL|1:0|1795641238|1795641239|1795641327|88|00:00:00|88|billing=1,cpu=1,mem=400M,node=1|billing=1,cpu=1,mem=400M,node=1|||cpu1
19.batch|batch|CANCELLED||1795641239|1795641239|1795641327|88|00:00:00|88||cpu=1,mem=400M,node=1|||cpu1
20|e73e3360|NODE_FAIL|1:0|1795641238|1795641239|1795641327|88|00:00:00|88|billing=1,cpu=1,mem=400M,node=1|billing=1,cpu=1,mem=400M,node=1|||cpu1
20.batch|batch|CANCELLED||1795641239|1795641239|1795641327|88|00:00:00|88||cpu=1,mem=400M,node=1|||cpu1
19|e73e3360|COMPLETED|0:0|1795641327|1795641334|1795641362|28|00:12.801|28|billing=1,cpu=1,mem=400M,node=1|billing=1,cpu=1,mem=400M,node=1|||cpu1
19.batch|batch|COMPLETED|0:0|1795641334|1795641334|1795641362|28|00:06.297|28||cpu=1,mem=400M,node=1|184864768|cpu=00:00:05,mem=184864768|cpu1
19.0|python|COMPLETED|0:0|1795641346|1795641346|1795641361|15|00:06.503|15||cpu=1,mem=400M,node=1|175480832|cpu=00:00:06,mem=175480832|cpu1
20|e73e3360|COMPLETED|0:0|1795641327|1795641334|1795641364|30|00:14.444|30|billing=1,cpu=1,mem=400M,node=1|billing=1,cpu=1,mem=400M,node=1|||cpu1
20.batch|batch|COMPLETED|0:0|1795641334|1795641334|1795641364|30|00:05.847|30||cpu=1,mem=400M,node=1|185712640|cpu=00:00:05,mem=185712640|cpu1
20.0|python|COMPLETED|0:0|1795641345|1795641345|1795641362|17|00:08.597|17||cpu=1,mem=400M,node=1|501235712|cpu=00:00:08,mem=501235712|cpu1
"""
LAST_END = 1795641364
RULES = (
    "etudes=results/benchmarks/etudes.tsv",
    r"listen=results/benchmarks/listen/{shard,shard-\d+}.tsv",
    "segments=results/benchmarks/segments/{shard}.tsv",
    "codes=results/benchmarks/codes/{shard}.tsv",
)
SACCT = """#!/bin/sh
echo "$SLURM_TIME_FORMAT $*" > asked
{}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run on this machine: two rules, and a model that was trained with one restart. `sacct` is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    benchmark("etudes", seconds=90, megabytes=512, busy=180)
    benchmark("listen/shard-00", seconds=60, megabytes=2048, busy=54)
    benchmark("train/base", seconds=99, megabytes=999, busy=99)
    model("base", {"cluster": "local", "id": "4711"}, "here")
    return tmp_path


def benchmark(name, seconds, megabytes, busy, made=LAST_END):
    path = Path(f"results/benchmarks/{name}.tsv")
    names = "s h:m:s max_rss max_vms max_uss max_pss io_in io_out mean_load cpu_time"
    write_text(path, f"{names}\n{seconds} 0:01:00 {megabytes} NA 0 - 0 0 0 {busy}\n".replace(" ", "\t"))
    os.utime(path, (made, made))


def model(name, job, node, before=None):
    started = job["id"] if job["cluster"] == "slurm" else None
    write_jsonl(
        f"results/models/{name}/events.jsonl",
        [
            {"event": "start", "step": 0, "at": 1.0, "node": node, "job": before or started, "restart": 0},
            {"step": 10, "split": "train", "loss": 3, "seconds": 100, "rss_gib": 1.5, "cpu_percent": 180},
            {"event": "resume", "step": 10, "at": 2.0, "node": node, "job": started, "restart": 1},
            {"step": 20, "split": "train", "loss": 2, "seconds": 150, "rss_gib": 1.25, "cpu_percent": 90},
        ],
    )
    write_json(f"results/models/{name}/summary.json", {"name": name, "signature": name, "seconds": 150, "job": job})


def slurm(answer=f"cat <<'END'\n{ANSWER}END"):
    """Put an `sacct` on the path that gives an answer."""
    write_text("bin/sacct", SACCT.format(answer))
    os.chmod("bin/sacct", 0o755)
    Path("bin/cat").symlink_to("/bin/cat")


def log(path, *commands):
    lines = [f"  Command: snakemake --snakefile Snakefile --target-jobs {command} --allowed-rules listen --cores all\n" for command in commands]
    write_text(f"results/logs/slurm/{path}.log", "".join(lines))


def cost(*models):
    assert (
        main(
            [
                "cost",
                "--benchmarks",
                "results/benchmarks",
                "--rules",
                *RULES,
                "--logs",
                "results/logs/slurm",
                "--models",
                *(f"results/models/{name}" for name in ("base", *models)),
                "--out",
                "results/cluster.csv",
            ]
        )
        == 0
    )
    with open("results/cluster.csv", newline="") as stream:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(stream)]


def test_without_slurm_the_benchmarks_and_the_trainings_events_are_the_table(folder, capsys):
    done = {"cluster": "local", "state": "COMPLETED", "exit": "0:0"}
    assert cost("absent") == [
        {"kind": "rule", "rule": "etudes", "wall_s": "90.0", "cpu_hours": "0.05", "peak_gb": "0.5", "restarts": "0", **done},
        {"kind": "rule", "rule": "listen", "wildcards": "shard-00", "wall_s": "60.0", "cpu_hours": "0.015", "peak_gb": "2.0", "restarts": "0", **done},
        {"kind": "training", "rule": "base", "job_id": "4711", "node": "here", "wall_s": "150", "cpu_hours": "0.0625", "peak_gb": "1.5", "restarts": "1", **done},
    ]
    assert capsys.readouterr().err == ""
    assert Path("results/cluster.csv.made.json").is_file()


def test_attempts_are_summed_groups_and_arrays_named_and_the_highest_peak_counts(folder):
    slurm()
    log("rule_listen/shard-00/20")
    log("rule_codes/17_1", "codes:shard=shard-00", "codes:shard=shard-00")
    log("rule_codes/17_2", "codes:shard=shard-00", "codes:shard=shard-01")
    log("rule_codes/12_4")
    log("group_pair_listen_segments/19", "segments:shard=shard-01 listen:shard=shard-01", "listen:shard=shard-01", "segments:shard=shard-01")
    log("rule_judge/404")
    benchmark("listen/shard-01", seconds=3, megabytes=100, busy=2)
    benchmark("codes/shard-01", seconds=3, megabytes=100, busy=2, made=LAST_END + 86400)
    model("base", {"cluster": "slurm", "id": "10"}, "gpu1", before="11")
    rows = {(row["rule"], row.get("wildcards"), row.get("job_id")): row for row in cost()}
    assert list(rows) == [
        ("codes", None, "12_4"),
        ("codes", "shard-00", "17_1"),
        ("codes", "shard-01", None),
        ("codes", "shard-01", "17_2"),
        ("etudes", None, None),
        ("judge", None, "404"),
        ("listen", "shard-00", "20"),
        ("listen+segments", "shard-01", "19"),
        ("base", None, "10"),
        ("base", None, "11"),
    ]
    # an attempt lost with its node; the benchmark saw more than Slurm
    assert rows["listen", "shard-00", "20"] == {
        "kind": "rule",
        "rule": "listen",
        "wildcards": "shard-00",
        "job_id": "20",
        "cluster": "slurm",
        "node": "cpu1",
        "state": "COMPLETED",
        "wait_s": "8",
        "wall_s": "118",
        "cpu_hours": "0.004012",
        "allocated_cpu_hours": "0.032778",
        "gpu_hours": "0.0",
        "requested_gb": "0.391",
        "peak_gb": "2.0",
        "share": "5.12",
        "restarts": "1",
        "exit": "0:0",
    }
    group = rows["listen+segments", "shard-01", "19"]
    assert (group["wall_s"], group["peak_gb"], group["share"]) == ("116", "0.172", "0.441")
    # a GPU held for 8 and 3 s; the training's own events saw more memory than Slurm
    training = rows["base", None, "10"]
    assert [training[name] for name in ("wait_s", "wall_s", "gpu_hours", "peak_gb", "restarts")] == ["35", "11", "0.003056", "1.5", "1"]
    never = rows["base", None, "11"]
    assert never["state"] == "CANCELLED" and never["wall_s"] == "0" and not never.keys() & {"wait_s", "node", "peak_gb", "share"}
    assert rows["codes", None, "12_4"]["state"] == "FAILED" and rows["codes", None, "12_4"]["exit"] == "1:0"
    assert rows["codes", "shard-01", None]["cluster"] == "local"  # run here a day later
    assert rows["judge", None, "404"]["state"] == "UNKNOWN"  # Slurm has forgotten it
    asked = Path("asked").read_text()
    assert asked.startswith("%s ") and "--duplicates" in asked and "--jobs=10,11,12_4,17_1,17_2,19,20,404" in asked


@pytest.mark.parametrize("answer, reason", [(None, "not installed"), ("echo 'sacct: error: no slurmdbd' >&2; exit 1", "sacct: error: no slurmdbd")])
def test_when_sacct_does_not_answer_the_benchmarks_alone_are_written_and_it_is_said(folder, capsys, answer, reason):
    if answer:
        slurm(answer)
    log("rule_listen/shard-00/20")
    log("rule_listen/shard-07/21")
    rows = cost()
    found = [(row["rule"], row["cluster"], row["wall_s"]) for row in rows]
    assert found == [("etudes", "local", "90.0"), ("listen", "slurm", "60.0"), ("base", "local", "150")]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "sacct does not answer" in lines[0] and reason in lines[0]


def test_many_tasks_on_several_gpus_for_more_than_a_day():
    line = "5|big|TIMEOUT|0:1|100|200|90200|90000|1-01:00:00|720000|cpu=8,mem=2T,node=2|cpu=8,gres/gpu:a100=4,gres/gpu:t4=2,mem=2T,node=2|||gpu[1-2]\n"
    step = "5.0|python|CANCELLED|0:15|200|200|90200|90000|1-01:00:00|720000||cpu=8|100G|cpu=1,mem=400G|gpu[1-2]\n"
    account = sacct.accounts(line + step)["5"]
    assert (account["gpu_hours"], account["cpu_hours"], account["allocated_cpu_hours"]) == (150, 25, 200)
    assert (account["requested_gb"], account["peak_gb"]) == (2048, 400)  # of all tasks, not of the largest
    older = line.replace("|big|", "|other|").replace("|100|200|", "|10|20|")  # another job, before job ids began anew
    assert sacct.accounts(older + line)["5"]["restarts"] == 0


def test_a_file_that_is_no_benchmark_and_a_bad_pattern_are_named(folder, capsys):
    assert main(["cost", "--benchmarks", "results/benchmarks", "--rules", "listen", "--logs", "none", "--out", "a.csv"]) == 2
    assert "--rules: listen: expected RULE=PATTERN" in capsys.readouterr().err
    write_text("results/benchmarks/etudes.tsv", "nothing\n")
    assert main(["cost", "--benchmarks", "results/benchmarks", "--logs", "none", "--out", "a.csv"]) == 2
    assert "etudes.tsv: expected a benchmark of Snakemake" in capsys.readouterr().err


COLUMNS = "kind,rule,wildcards,job_id,cluster,node,state,wait_s,wall_s,cpu_hours,allocated_cpu_hours,gpu_hours,requested_gb,peak_gb,share,restarts,exit\n"
ON_SLURM = (
    COLUMNS
    + """\
rule,<listen>,shard-00,1,slurm,cpu1,COMPLETED,8,3600,0.5,1,0,4,0.5,0.125,0,0:0
rule,<listen>,shard-01,2,slurm,cpu1,FAILED,2,1800,0.25,0.5,0,4,0.25,0.062,1,1:0
rule,judge,,3,slurm,cpu2,COMPLETED,1,60,0.01,0.02,0,2,1.9,0.95,0,0:0
rule,track,,,local,,COMPLETED,,30,0.01,,,,0.3,,0,0:0
training,base,,4,slurm,gpu1,COMPLETED,60,7200,3,8,2,16,10,0.625,2,0:0
"""
)
ON_THIS_MACHINE = (
    COLUMNS
    + """\
rule,listen,shard-00,,local,,COMPLETED,,60,0.015,,,,2,,0,0:0
training,base,,4711,local,here,COMPLETED,,150,,,,,1.5,,0,0:0
"""
)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A small results folder, which has a page."""
    monkeypatch.chdir(tmp_path)
    build(PROMPTS[:1], HELDOUT, seconds=0.5, seeds=(1,))
    return tmp_path


def section(text, name):
    """A section of the page as text, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.search(rf'<section id="{name}">(.*?)</section>', text, re.DOTALL)[1]))


def page(*options):
    assert report(*options) == 0
    return Path("results/report/index.html").read_text()


def test_the_page_says_what_it_cost_by_rule_and_run_and_what_to_ask_for(results):
    write_text("results/cluster.csv", ON_SLURM)
    text = section(page("--cost", "results/cluster.csv"), "cost")
    assert "5 jobs, 1.2 min of waiting, 3.5 h of work, 3.770 CPU hours of 9.520 allocated, 2.000 GPU hours, 3 restarts" in text
    assert "&lt;listen&gt; 2 10.0 s 1.5 h 0.750 1.500 4.0 GB 0.50 GB 12% 1 1" in text
    assert "track 1 – 30.0 s 0.010 – – 0.30 GB – 0 0" in text
    assert "4.0 GB asked for, 0.50 GB used at most; mem_mb: 800 would do (set-resources of cluster/slurm/profile.yaml)" in text
    assert "judge: 2.0 GB asked for, 1.9 GB used at most; mem_mb: 3000 would be safe" in text
    assert text.count("used at most") == 2


def test_the_page_of_a_run_on_this_machine_leaves_out_what_only_a_cluster_knows(results):
    write_text("results/cluster.csv", ON_THIS_MACHINE)
    text = section(page("--cost", "results/cluster.csv"), "cost")
    assert "2 jobs, 3.5 min of work, 0.015 CPU hours." in text
    assert "Rule Jobs Wall CPU hours Peak listen 1 1.0 min 0.015 2.0 GB" in text and "Run Jobs Wall Peak base 1 2.5 min 1.5 GB" in text
    write_text("results/cluster.csv", COLUMNS)
    assert "No job left a trace" in section(page("--cost", "results/cluster.csv"), "cost")
    assert 'id="cost"' not in page()


def test_a_table_of_another_kind_is_named(results, capsys):
    write_text("results/cluster.csv", "kind,rule\n")
    assert report("--cost", "results/cluster.csv") == 2
    said = capsys.readouterr().err
    assert "results/cluster.csv: expected the columns allocated_cpu_hours, " in said and "wildcards missing" in said


def test_the_page_lists_midi_files_that_were_set_aside(results):
    build_midi()
    write_text("results/midi/set_aside.tsv", "path\treason\tdetail\nbroken.mid\tunreadable\tno header\n")
    text = section(page(*OPTIONS, "--midi-set-aside", "results/midi/set_aside.tsv"), "set-aside")
    assert "2 files of the corpus were not used" in text and "broken.mid" in text
    assert "MIDI files 1 file of the MIDI corpus was not used: unreadable 1" in text
    assert "MIDI files" not in section(page(), "set-aside")
