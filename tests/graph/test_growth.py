"""A folder that grows and changes: which jobs that costs. They are counted in what Snakemake prints while it really runs them, with a stand-in that computes no music."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from planning import planned, put_stand_in, snakemake
from project import copy_project

#: What a change of one shard costs whatever comes of it.
ONE_SHARD = {"check": 1, "listen": 1, "segments": 1, "codes": 1, "songs": 1, "manifests": 1, "gather": 1}
#: What follows when there is something new to learn; the page lists what is set aside, and is written either way.
LEARNT = {"base": 1, "tune": 1, "best": 1, "generate": 2, "judge": 1, "track": 1, "cost": 1}
ONE_MIDI_SHARD = {"check_midi": 1, "pieces": 1, "tokenizer": 1}
COMPOSED = {"pretrain": 1, "best_midi": 1, "finetune": 1, "compositions": 1, "judge_midi": 1, "track": 1, "cost": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project after a whole run on forty songs in eight shards, and as many MIDI files in four."""
    folder = copy_project(tmp_path_factory.mktemp("growth"))
    put_stand_in(folder)
    for number in range(40):
        for name, text in ((f"songs/{number}.wav", f"sound {number}"), (f"midi/{number}.mid", f"notes {number}")):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
    (folder / "songs/7.lab").write_text("chords")
    mine = {"corpus": {"folder": "songs", "shards": 8}, "midi": {"pieces": {"folder": "midi", "shards": 4}}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(mine))
    ran(folder)
    return folder


def ran(folder: Path, slow: str = "") -> dict[str, int]:
    """How many jobs of each rule a run really runs, of which one stage may be slow; afterwards there is nothing left to do."""
    options = ("--cores", "2", "--configfile", "mine.yaml")
    done = snakemake(folder, *options, SLOW=slow)
    assert done.returncode == 0, done.stdout
    again = snakemake(folder, "-n", *options[2:])
    assert "Nothing to be done" in again.stdout, again.stdout
    return Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", done.stdout, re.MULTILINE)) - Counter(["all"])


def write(path: str, text: str):
    return lambda folder: (folder / path).write_text(text)


@pytest.mark.parametrize(
    "change, cost",
    [
        (write("songs/new.wav", "sound of its own"), ONE_SHARD | LEARNT),
        (lambda folder: (folder / "songs/3.wav").unlink(), ONE_SHARD | LEARNT),
        (write("songs/3.wav", "another sound"), ONE_SHARD | LEARNT),
        (write("songs/7.lab", "other chords"), ONE_SHARD | LEARNT),
        (write("songs/copy of 3.wav", "sound 3"), ONE_SHARD),
        (write("songs/notes.md", "read by nobody"), {}),
        (lambda folder: (folder / "songs/3.wav").rename(folder / "songs/renamed.wav"), {rule: 2 if rule in ("check", "listen", "segments", "codes") else 1 for rule in ONE_SHARD}),
    ],
    ids=["added", "removed", "changed", "side file changed", "duplicate", "other file", "renamed"],
)
def test_a_change_of_a_song_costs_its_own_shards_alone_and_training_where_there_is_more_to_learn(finished, tmp_path, change, cost):
    folder = shutil.copytree(finished, tmp_path / "project")
    change(folder)
    assert ran(folder) == (cost | {"page": 1} if cost else {})


@pytest.mark.parametrize(
    "change, cost",
    [
        (write("midi/new.mid", "notes of its own"), ONE_MIDI_SHARD | COMPOSED | {"page": 1}),
        (write("midi/copy of 3.mid", "notes 3"), ONE_MIDI_SHARD | {"page": 1}),
        (lambda folder: (folder / "midi/3.mid").rename(folder / "midi/renamed.mid"), ONE_MIDI_SHARD | {"check_midi": 2}),
    ],
    ids=["added", "duplicate", "renamed"],
)
def test_a_change_of_a_piece_likewise(finished, tmp_path, change, cost):
    folder = shutil.copytree(finished, tmp_path / "project")
    change(folder)
    assert ran(folder) == cost


@pytest.mark.parametrize("slow", ["manifests", "gather"])
def test_what_is_under_way_when_the_graph_is_asked_for_anew_makes_nothing_stale(finished, tmp_path, slow):
    folder = shutil.copytree(finished, tmp_path / "project")
    (folder / "songs/new.wav").write_text("sound of its own")
    assert ran(folder, slow) == ONE_SHARD | LEARNT | {"page": 1}


def test_a_plan_leaves_lists_alone_while_another_snakemake_works(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "project")
    lists = {path: path.read_bytes() for path in folder.glob("results/lists/**/*.jsonl")}
    locks = folder / ".snakemake/locks"
    (locks / "0.input.lock").write_text("")
    (folder / "songs/new.wav").write_text("sound of its own")
    snakemake(folder, "-n", "--configfile", "mine.yaml")
    assert {path: path.read_bytes() for path in lists} == lists
    (locks / "0.input.lock").unlink()
    assert planned(folder, "--configfile", "mine.yaml")["check"] == 1


@pytest.mark.parametrize("lost, checkpoint", [("results/codes/contents.json", "gather"), ("results/midi/tokens/tokenizer.json", "tokenizer")])
def test_what_no_rule_names_is_found_to_be_lost_or_spoilt_and_made_again(finished, tmp_path, lost, checkpoint):
    folder = shutil.copytree(finished, tmp_path / "project")
    whole = (folder / lost).read_bytes()
    (folder / lost).unlink()
    assert ran(folder)[checkpoint] == 1 and (folder / lost).read_bytes() == whole
    (folder / f"{lost}.made.json").write_text('{"sha256": "of what was written"}')
    assert planned(folder, "--configfile", "mine.yaml") == {}  # a dry run removes nothing
    assert ran(folder)[checkpoint] == 1
