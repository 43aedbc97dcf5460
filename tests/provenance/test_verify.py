"""`ostinato verify`: every damage is found, told once, with the command that mends it; and sidecars are followed from any folder."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ostinato.cli import main
from ostinato.files import read_json, write_json, write_text
from ostinato.provenance import lineage, remake, summary
from ostinato.sidecars import sidecar_path, write_sidecar
from ostinato.tables import write_set_aside

SNAKEMAKE = "to make it anew: snakemake {} --force --profile cluster/local"
JAMS = "results/listen/shard-00/b.jams"


def test_what_is_lost_is_made_by_the_rule_of_what_it_belongs_to():
    for name in ("results/models/tuned", "results/models/tuned/compression_state_dict.bin", "results/models/tuned/summary.json"):
        assert remake.target(name, "best") == "results/models/tuned/state_dict.bin"
    assert remake.target("results/midi/models/Bach", "midi-train") == "results/midi/models/Bach/state_dict.bin"
    assert remake.target("results/codes/contents.json", "gather") == "results/codes/segments.npz"  # which names it


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small finished project, which is the present folder: songs -> listen -> model -> demos -> scores -> page, and MLflow's store."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("Snakefile", "songs/a.flac", "songs/b.flac"):
        write_text(name, name)
    write_text("results/corpus/shards/shard-00.jsonl", "songs")
    write_sidecar("results/corpus/shards/shard-00.jsonl", "check", ["songs/a.flac", "songs/b.flac"])
    write_set_aside(Path("results/corpus/set_aside.tsv"), [])
    write_sidecar("results/corpus/set_aside.tsv", "check", [])
    for name in "abc":
        write_text(f"results/listen/shard-00/{name}.jams", name)
    write_sidecar("results/listen/shard-00", "listen", ["results/corpus/shards/shard-00.jsonl", "songs/a.flac", "songs/b.flac"])
    model = Path("results/models/base")
    for name in ("state_dict.bin", "events.jsonl", "summary.json"):
        write_text(model / name, name)
    write_sidecar(model / "state_dict.bin", "train", ["results/listen/shard-00"], beside=[model / "events.jsonl", model / "summary.json"])
    for name in "xy":
        write_text(f"results/demos/after/{name}.wav", name)
        write_sidecar(f"results/demos/after/{name}.wav", "demos", [model / "state_dict.bin"], seed=1)
    write_text("results/benchmarks/judge.tsv", "1 s")
    write_text("results/scores.json", "1")
    write_sidecar("results/scores.json", "judge", ["results/demos/after", "results/benchmarks/judge.tsv"])
    write_text("results/report/index.html", "page")
    write_sidecar("results/report/index.html", "report", ["results/scores.json", "results/demos/after", model])
    track()
    return folder


def track() -> None:
    with sqlite3.connect("mlflow.db") as store:
        store.execute("create table runs (run_uuid, artifact_uri, lifecycle_stage)")
        store.executemany("insert into runs values (?, ?, 'active')", [(run, Path(f"mlartifacts/{run}").absolute().as_uri()) for run in ("parent", "child")])
    write_text("mlartifacts/parent/scores.json", "1")
    write_json("results/tracked.json", {"uri": "sqlite:///mlflow.db", "parent": "parent", "runs": {"base": "child"}})
    write_sidecar("results/tracked.json", "track", ["results/scores.json"])


def verify(capsys, *paths: str) -> tuple[int, list[str]]:
    try:
        status = main(["verify", *paths])
    except SystemExit as error:
        status = error.code
    return status, capsys.readouterr().out.splitlines()


def test_what_is_whole_is_a_line(project, capsys):
    assert verify(capsys) == (0, ["9 artifacts are whole, and what was used is as it was"])
    write_text("results/benchmarks/judge.tsv", "2 s")  # measured again whenever a rule runs
    assert verify(capsys)[0] == 0
    assert verify(capsys, "results/models", JAMS) == (0, ["2 artifacts are whole, and what was used is as it was"])


@pytest.mark.parametrize(
    "path, change, told, targets",
    [
        (JAMS, None, "missing", "results/listen/shard-00"),
        (JAMS, "x", "changed", "results/listen/shard-00"),
        ("results/listen/shard-00/new\n.jams", "x", "added", "results/listen/shard-00"),
        ("results/listen/shard-00", None, "missing", "results/listen/shard-00"),
        ("results/demos/after/x.wav", None, "missing", "results/demos/after"),
        ("results/demos/after/x.wav", "x y", "changed", "results/demos/after"),
        ("results/models/base/events.jsonl", None, "missing", "results/models/base/state_dict.bin"),
        ("results/models/base/summary.json", "x", "changed", "results/models/base/state_dict.bin"),
        ("results/corpus/set_aside.tsv", None, "missing", "results/corpus/set_aside.tsv"),
        ("results/report/index.html", "x", "changed", "results/report/index.html"),
        ("results/scores.json", None, "missing", "results/scores.json"),
        ("results/scores.json.made.json", "{", "not JSON", "results/scores.json"),
        ("results/scores.json.made.json", "[]", "no sidecar", "results/scores.json"),
        ("mlflow.db", None, "missing; results/tracked.json names runs in it", "results/tracked.json"),
        ("mlflow.db", "no store", "cannot be read as MLflow's store", "results/tracked.json"),
        ("mlartifacts/parent", None, "missing; the scores and demos", "results/tracked.json"),
    ],
)
def test_a_damage_is_told_once_with_its_place_and_its_command(project, capsys, path, change, told, targets):
    if change is not None:
        write_text(path, change)
    elif Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink()
    status, lines = verify(capsys)
    assert status == 1 and len(lines) == 2, lines
    assert lines[0].startswith(f"{path}: {told}".replace("\n", "\\n")) and lines[1] == SNAKEMAKE.format(targets)


def test_an_artifact_that_is_gone_with_its_sidecar_is_missed_by_what_was_made_from_it(project, capsys):
    for path in (Path("results/demos/after/x.wav"), Path("results/listen/shard-00")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        sidecar_path(path).unlink()
    assert verify(capsys) == (1, ["results/listen/shard-00: missing", "results/demos/after/x.wav: missing", SNAKEMAKE.format("results/demos/after results/listen/shard-00")])


def test_what_was_made_from_something_else_is_made_anew_with_all_that_follows(project, capsys):
    write_text("results/models/base/state_dict.bin", "trained anew")
    write_sidecar("results/models/base/state_dict.bin", "train", ["results/listen/shard-00"], beside=["results/models/base/events.jsonl", "results/models/base/summary.json"])
    status, lines = verify(capsys)
    assert lines[:2] == [f"results/demos/after/{name}.wav: made from results/models/base/state_dict.bin, which has changed since" for name in "xy"]
    assert status == 1 and lines[-1] == SNAKEMAKE.format("results/demos/after results/scores.json results/report/index.html results/tracked.json")


def test_raw_files_are_told_apart(project, capsys):
    write_text("songs/a.flac", "another take")
    Path("songs/b.flac").unlink()
    assert verify(capsys) == (
        1,
        [
            "songs/a.flac: changed (a raw file: nothing here makes it)",
            "songs/b.flac: missing (a raw file: nothing here makes it)",
            "when the raw files are as they should be, to make anew what comes of them: snakemake --forcerun results/corpus/shards/shard-00.jsonl --profile cluster/local",
        ],
    )


def test_runs_that_are_not_in_the_store_any_more(project, capsys):
    with sqlite3.connect("mlflow.db") as store:
        store.execute("update runs set lifecycle_stage = 'deleted' where run_uuid = 'child'")
    assert verify(capsys)[1][0] == "mlflow.db: lacks the run child (base) that results/tracked.json names"
    write_json("results/tracked.json", read_json("results/tracked.json") | {"uri": "http://mlflow:5000"})
    write_sidecar("results/tracked.json", "track", ["results/scores.json"])
    assert verify(capsys) == (0, ["9 artifacts are whole, and what was used is as it was; MLflow's store http://mlflow:5000 was not looked into"])


def test_sidecars_of_earlier_versions_tell_that_a_folder_changed(project, capsys):
    for sidecar in Path("results").rglob("*.made.json"):
        old = {key: value for key, value in read_json(sidecar).items() if key not in ("files", "beside", "command")}
        write_json(sidecar, old | {"inputs": [{key: given[key] for key in ("path", "sha256")} for given in old["inputs"]]})
    assert verify(capsys)[0] == 0
    Path(JAMS).unlink()
    assert verify(capsys) == (1, ["results/listen/shard-00: changed", SNAKEMAKE.format("results/listen/shard-00")])


def test_the_command_has_the_configuration_of_the_last_run(project, capsys):
    Path(JAMS).unlink()
    write_json("results/logs/run.json", {"profile": "cluster/slurm", "configfiles": ["cluster/slurm/submitit.yaml", "my songs.yaml"], "config": {"judge": {"permutations": 10}}})
    assert verify(capsys)[1][-1] == (
        "to make it anew: snakemake results/listen/shard-00 --force --profile cluster/slurm "
        "--configfile cluster/slurm/submitit.yaml 'my songs.yaml' --config 'judge={\"permutations\": 10}'"
    )


def test_what_was_made_by_hand_is_made_again_by_hand(project, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/ostinato", "generate", "piano C G", "--out", "my clip.wav"])
    write_text("my clip.wav", "sound")
    write_sidecar("my clip.wav", "generate", ["results/models/base"])
    assert verify(capsys, "my clip.wav") == (0, ["my clip.wav is whole, and what was used is as it was"])
    Path("my clip.wav").unlink()
    assert verify(capsys, "my clip.wav.made.json") == (1, ["my clip.wav: missing", "to make it anew: ostinato generate 'piano C G' --out 'my clip.wav'"])


def test_a_command_with_any_name_in_it_is_what_a_shell_takes():
    words = ["ostinato", "my clip", os.fsdecode(b"caf\xe9's\\\n.wav"), "x\u2028", "é"]
    line = remake.typed(words)
    assert line == "ostinato 'my clip' $'caf\\xe9\\'s\\\\\\x0a.wav' $'x\\xe2\\x80\\xa8' 'é'" and "\n" not in line
    said = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], stdout=subprocess.PIPE, check=True).stdout
    assert [os.fsdecode(word) for word in said.split(b"\0")[:-1]] == words


def test_many_alike_are_counted_after_the_first(project, capsys):
    for number in range(40):
        write_text(f"results/listen/shard-00/{number}.jams", "x")
    lines = verify(capsys)[1]
    assert len(lines) == 12 and lines[10] == "results/listen/shard-00/*.jams: 30 more added"


def test_it_can_be_asked_from_any_folder(project, capsys, tmp_path, monkeypatch):
    Path(JAMS).unlink()
    monkeypatch.chdir(tmp_path)
    found = [f"in {project}:", f"{JAMS}: missing", SNAKEMAKE.format("results/listen/shard-00")]
    assert verify(capsys, "project") == verify(capsys, str(project / "results")) == verify(capsys, f"project/{JAMS}") == (1, found)
    assert main(["verify"]) == 2 and "results: no such file or folder; name artifacts, or go to the project" in capsys.readouterr().err
    monkeypatch.chdir(project / "results/demos")
    assert verify(capsys, "after") == (0, [f"{project}: 2 artifacts are whole, and what was used is as it was"])
    assert main(["lineage", "after/x.wav"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["results/demos/after/x.wav  [demos, seed 1]", "  <- results/models/base/state_dict.bin  [train]"]


def test_lineage_goes_on_in_the_project_that_a_clip_was_made_in(project, capsys, tmp_path, monkeypatch):
    clip = tmp_path / "clip.wav"
    write_text(clip, "sound")
    write_sidecar(clip, "generate", ["results/models/base/state_dict.bin"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    root = lineage.walk("../clip.wav")
    assert [step["step"] for step in summary.chain(root)] == ["raw", "check", "listen", "train", "generate"] and summary.troubles(root) == []


def test_each_file_is_hashed_once_and_torch_stays_out(project, monkeypatch, capsys):
    hashed = []
    one_file = lineage.sha256
    monkeypatch.setattr(lineage, "sha256", lambda path: hashed.append(path) or one_file(path))
    assert verify(capsys)[0] == 0
    assert len(hashed) == len(set(hashed)) > 10
    code = "import sys, ostinato.provenance.verify; sys.exit(bool({'torch', 'mlflow', 'librosa'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_names_that_are_no_utf8_are_verified_and_shown(project, capsys):
    name = os.fsdecode(b"songs/caf\xe9\n.flac")
    write_text(name, "sound")
    write_text("results/codes/shard-00.npy", "codes")
    write_sidecar("results/codes/shard-00.npy", "codes", [name])
    assert verify(capsys)[0] == 0
    Path(name).unlink()
    assert verify(capsys)[1][0] == "songs/caf\\udce9\\n.flac: missing (a raw file: nothing here makes it)"
    assert main(["lineage", "results/codes/shard-00.npy"]) == 0 and "songs/caf\\udce9\\n.flac  [raw]  !! missing" in capsys.readouterr().out
    assert json.loads(Path("results/codes/shard-00.npy.made.json").read_bytes())["inputs"][0]["path"] == name
