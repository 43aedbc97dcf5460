"""The whole path through Snakemake, small: from a folder with good and bad recordings to a page, twice the same, and back to the raw files."""

import csv
import json
import os
import shlex
import shutil
import sqlite3
from pathlib import Path

import pytest
import soundfile

from ostinato.files import read_json, read_jsonl, sha256
from project import REPEATABLE, copy_project, make, run

BAD = {"empty.wav": "empty", "text.flac": "unreadable", "silent.ogg": "silent", "short.wav": "too_short", "cut.mp3": "truncated", "z copy.flac": "duplicate"}


def test_bad_recordings_are_listed_and_the_others_become_a_dataset(made, recordings):
    with (made / "results/corpus/set_aside.tsv").open() as stream:
        aside = {Path(row["path"]).name: row["reason"] for row in csv.DictReader(stream, delimiter="\t")}
    assert aside == BAD
    songs = {row["id"] for path in made.glob("results/corpus/shards/*.jsonl") for row in read_jsonl(path)}
    index = [row for path in made.glob("results/codes/*.jsonl") for row in read_jsonl(path)]
    assert len(songs) == 10 and {row["song"] for row in index} == songs
    assert {row["instrument"] for row in index} == {"piano", "guitar", "ukulele", "strings", "organ"}


def test_it_ends_with_scores_a_page_and_runs_side_by_side(made):
    scores = read_json(made / "results/scores.json")
    for which in ("before", "after", "reference", "reference-2"):
        assert all(0 <= one["low"] <= one["value"] <= one["high"] <= 100 for one in (scores["sets"][which]["triads"], scores["chance"][which]["triads"]))
    assert scores["sets"]["reference"]["triads"]["value"] > scores["sets"]["before"]["triads"]["value"]
    page = (made / "results/report/index.html").read_text()
    assert "ukulele F#maj, followed by G#min, and Bmaj" in page and page.count("<audio") >= 6
    table = run(made, "ostinato", "scores", "results/scores.json")
    assert table.returncode == 0 and "triads" in table.stdout
    with sqlite3.connect(made / "mlflow.db") as store:
        names = {name for (name,) in store.execute("select name from runs")}
    assert {"base", "tune-0", "tune-1"} <= names


def test_a_second_run_does_nothing(made, recordings):
    before = {path: path.stat().st_mtime_ns for path in made.glob("results/**/*") if path.is_file()}
    assert "Nothing to be done" in make(made, recordings)
    assert before == {path: path.stat().st_mtime_ns for path in made.glob("results/**/*") if path.is_file()}


@pytest.mark.skipif(not os.geteuid() and bool(shutil.which("apt-get")), reason="tests/cluster/test_slurm.py makes the same bytes through Slurm")
def test_the_same_folder_and_seeds_give_the_same_bytes(made, recordings, tmp_path):
    make(copy_project(tmp_path), recordings)
    for name in REPEATABLE:
        assert sha256(tmp_path / "results" / name) == sha256(made / "results" / name), name


def test_a_lost_file_is_found_and_made_again_by_the_command_that_is_named(made, tmp_path):
    assert run(made, "ostinato", "verify").stdout.endswith("artifacts are whole, and what was used is as it was\n")
    folder = shutil.copytree(made, tmp_path / "project", symlinks=True)
    lost = next((folder / "results/listen/shard-00").glob("*.jams"))
    lost.unlink()
    done = run(folder, "ostinato", "verify")
    told, command = done.stdout.splitlines()
    assert done.returncode == 1 and told == f"{lost.relative_to(folder)}: missing"
    assert command == "to make it anew: snakemake results/listen/shard-00 --force --profile cluster/local --configfile tiny.yaml"
    assert "(100%) done" in run(folder, *shlex.split(command.partition(": ")[2])).stdout
    assert sha256(lost) == sha256(made / lost.relative_to(folder)) and run(folder, "ostinato", "verify").returncode == 0


def test_a_demo_is_made_again_from_its_side_file_anywhere_and_by_no_other_model(made, tmp_path):
    demo = next((made / "results/demos/after").glob("*-s2.wav"))
    again = run(tmp_path, "ostinato", "generate", "--like", f"{demo}.made.json", "--out", "again.wav")
    assert again.returncode == 0, again.stdout
    assert sha256(tmp_path / "again.wav") == sha256(demo)
    wrong = run(made, "ostinato", "generate", "--like", f"{demo}.made.json", "--model", "results/models/base")
    assert wrong.returncode == 2 and "give the right --model" in wrong.stdout and "Traceback" not in wrong.stdout


def test_a_clip_of_ones_own(made):
    done = run(made, "ostinato", "generate", "guitar Amin, followed by Fmaj", "--seconds", "3", "--out", "mine.wav")
    assert done.returncode == 0, done.stdout
    assert soundfile.info(made / "mine.wav").duration == pytest.approx(3, abs=0.1)
    wrong = run(made, "ostinato", "generate", "guitar Hmaj")
    assert wrong.returncode == 2 and "Hmaj" in wrong.stdout and "Traceback" not in wrong.stdout


def test_a_demo_leads_back_to_the_recordings(made, recordings):
    demo = next((made / "results/demos/after").glob("*-s1.wav")).relative_to(made)
    done = run(made, "ostinato", "lineage", str(demo), "--json")
    assert done.returncode == 0, done.stdout
    nodes = json.loads(done.stdout)["nodes"]
    raw = {path for path, node in nodes.items() if node["step"] == "raw" and path.startswith(str(recordings))}
    assert {Path(path).name for path in raw if path.endswith(".flac")} >= {path.name for path in recordings.glob("etude-*.flac")}
