"""The whole path through Snakemake, small: from a folder with good and bad recordings to a page, twice the same, and back to the raw files."""

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from music import PARAMS
from project import copy_project, run

from ostinato.files import read_json, read_jsonl, sha256

TINY_PLAN = {"steps": 4, "batch_size": 2, "segment_seconds": 5, "threads": 1}
TINY = {
    "corpus": {"shards": 2, "min_seconds": 5, "split": {"valid": 0.3, "test": 0.3}},
    "segments": {"min_seconds": 4, "target_seconds": 6, "max_seconds": 12},
    "codec": {"codebooks": 2, "cardinality": 32, "components": 16, "fit_seconds": 60, "kmeans_iterations": 3, "griffin_lim_iterations": 4},
    "model": {"dim": 32, "layers": 1, "heads": 2, "text_dim": 16},
    "train": {"base": TINY_PLAN, "tune": TINY_PLAN, "checkpoint_every": 2, "validate_every": 4, "validation_batches": 1, "log_every": 1},
    "sweep": {"lr": [1e-3, 2e-3]},
    "demos": {"prompts": ["piano CMajor"], "heldout": ["ukulele F#maj, followed by G#min, and Bmaj", "organ Cmaj, followed by Amin"], "seeds": [1, 2], "seconds": 4},
    "judge": {"bootstrap": 20, "permutations": 20},
}
ETUDES = PARAMS.corpus.model_copy(update={"etudes": PARAMS.corpus.etudes.model_copy(update={"songs": 16, "min_seconds": 30.0, "max_seconds": 50.0})})
BAD = {"empty.wav": "empty", "text.flac": "unreadable", "silent.ogg": "silent", "short.wav": "too_short", "cut.mp3": "truncated",
       "z copy.flac": "duplicate"}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Sixteen good songs with their side files, six bad recordings, and what else lies in a folder."""
    folder = tmp_path_factory.mktemp("recordings")
    assert run(folder, "ostinato", "etudes", "--params", ETUDES.model_dump_json(), "--out", "etudes").returncode == 0
    (folder / "etudes.made.json").unlink()  # a user's recordings were made by nobody
    music = folder / "etudes/audio"
    first = sorted(music.glob("*.flac"))[0]
    (music / "empty.wav").write_bytes(b"")
    (music / "text.flac").write_text("no music")
    soundfile.write(music / "silent.ogg", np.zeros(8 * 22050), 22050)
    soundfile.write(music / "short.wav", soundfile.read(first, frames=44100)[0], 22050)
    soundfile.write(music / "whole.mp3", *soundfile.read(first, frames=10 * 44100))
    (music / "cut.mp3").write_bytes((music / "whole.mp3").read_bytes()[:-20000])
    (music / "whole.mp3").unlink()
    shutil.copy(first, music / "z copy.flac")
    (music / "notes.txt").write_text("not for us")
    return music


def make(folder: Path, music: Path) -> str:
    """Run the pipeline in a new copy of the repository; returns what it printed."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY | {"corpus": TINY["corpus"] | {"folder": str(music)}}))
    done = run(folder, "snakemake", "--profile", "cluster/local", "--configfile", "tiny.yaml")
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def made(recordings, tmp_path_factory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("made"))
    assert "(100%) done" in make(folder, recordings)
    return folder


def test_bad_recordings_are_listed_and_the_others_become_a_dataset(made, recordings):
    with (made / "results/corpus/set_aside.tsv").open() as stream:
        aside = {Path(row["path"]).name: row["reason"] for row in csv.DictReader(stream, delimiter="\t")}
    assert aside == BAD
    songs = {row["id"] for path in made.glob("results/corpus/shards/*.jsonl") for row in read_jsonl(path)}
    index = [row for path in made.glob("results/codes/*.jsonl") for row in read_jsonl(path)]
    assert len(songs) == 16 and {row["song"] for row in index} == songs
    assert {row["instrument"] for row in index} == {"piano", "guitar", "ukulele", "strings", "organ"}


def test_it_ends_with_scores_a_page_and_runs_side_by_side(made):
    scores = read_json(made / "results/scores.json")
    for which in ("before", "after", "ceiling", "chance"):
        assert 0 <= scores[which]["majmin"]["low"] <= scores[which]["majmin"]["value"] <= scores[which]["majmin"]["high"] <= 100
    assert scores["ceiling"]["majmin"]["value"] > scores["before"]["majmin"]["value"]
    page = (made / "results/report/index.html").read_text()
    assert "ukulele F#maj, followed by G#min, and Bmaj" in page and page.count("<audio") >= 6
    table = run(made, "ostinato", "scores", "results/scores.json")
    assert table.returncode == 0 and "majmin" in table.stdout
    with sqlite3.connect(made / "mlflow.db") as store:
        names = {name for (name,) in store.execute("select name from runs")}
    assert {"base", "tune-0", "tune-1"} <= names


def test_a_second_run_does_nothing(made, recordings):
    before = {path: path.stat().st_mtime_ns for path in made.glob("results/**/*") if path.is_file()}
    assert "Nothing to be done" in make(made, recordings)
    assert before == {path: path.stat().st_mtime_ns for path in made.glob("results/**/*") if path.is_file()}


def test_the_same_folder_and_seeds_give_the_same_bytes(made, recordings, tmp_path):
    make(copy_project(tmp_path), recordings)
    for name in ("dataset", "codec", "codes", "models/tuned/state_dict.bin", "demos", "judgements.json", "scores.json"):
        assert sha256(tmp_path / "results" / name) == sha256(made / "results" / name), name


def test_a_demo_is_made_again_from_its_side_file_and_no_other_model(made):
    demo = next((made / "results/demos/after").glob("*-s2.wav"))
    again = run(made, "ostinato", "generate", "--like", f"{demo}.made.json", "--out", "again.wav")
    assert again.returncode == 0, again.stdout
    assert sha256(made / "again.wav") == sha256(demo)
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
