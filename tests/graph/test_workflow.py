"""The graph and the ledger: what Snakemake and DVC plan for a change, and how they say no. Nothing here computes music.

`project` is a copy of the repository; in `finished` every rule has run, with a stand-in for `ostinato` that writes the files each stage owes.
"""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ostinato import params
from ostinato.train.sweep import plans
from planning import planned, put_stand_in, snakemake
from project import ROOT, copy_project, run, surroundings

#: What DVC does not keep: what a seed makes again, and what tells of a folder as it is.
NOT_KEPT = ["results/corpus/etudes", "results/lists"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the repository, in git, with nothing made yet."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    put_stand_in(folder)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def finished(project, tmp_path_factory) -> Path:
    """The project after a whole run."""
    folder = shutil.copytree(project, tmp_path_factory.mktemp("finished") / "project")
    done = snakemake(folder, "--profile", "cluster/local")
    assert done.returncode == 0 and "(100%) done" in done.stdout, done.stdout
    return folder


def test_a_dry_run_shows_the_whole_graph_and_loads_no_torch(project):
    done = run(project, sys.executable, "-X", "importtime", "-m", "snakemake", "-n", "--profile", "cluster/local")
    assert done.returncode == 0, done.stdout
    for rule, count in {"etudes": 1, "check": 4, "listen": 4, "codes": 4, "base": 1, "tune": 1, "generate": 2, "page": 1}.items():
        assert re.search(rf"^{rule} +{count}$", done.stdout, re.MULTILINE), rule
    assert re.search(r"\| +snakemake$", done.stdout, re.MULTILINE), "no import is listed, so this would see no torch"
    assert not re.search(r"\| +(torch|audiocraft)\b", done.stdout)


def test_the_slurm_profile_sends_training_to_the_gpu_partition(project):
    done = snakemake(project, "-n", "-p", "--profile", "cluster/slurm")
    assert done.returncode == 0, done.stdout
    launch = json.loads(re.search(r"ostinato train --name base .*--launch '(.*?)'", done.stdout)[1])
    assert params.Launch.model_validate(launch).cluster == "slurm" and launch["partition"] == "gpu"


def test_the_schema_for_editors_is_in_step():
    assert (ROOT / "workflow/schemas/params.schema.json").read_text() == params.schema(), "run: python -m ostinato.params"


def stand_in(folder: Path, name: str, text: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}")
    (folder / "bin" / name).chmod(0o755)


def sbatch(folder: Path, *words: str, script: str = "a script") -> subprocess.CompletedProcess:
    """Ours, before the stand-ins in a folder."""
    return subprocess.run([ROOT / "cluster/slurm/bin/sbatch", *words], cwd=folder, env=surroundings(folder), input=script, capture_output=True, text=True)


def test_sbatch_is_asked_again_while_slurm_is_away_and_not_when_it_says_no(tmp_path):
    stand_in(tmp_path, "squeue", "exit 0")
    stand_in(
        tmp_path,
        "sbatch",
        """
case $* in *--here*) ;; *) echo "sbatch: error: invalid partition specified: nowhere" >&2; exit 1;; esac
[ -e asked ] || { touch asked; echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)" >&2; exit 1; }
echo "Submitted batch job 7: $(cat)"
""",
    )
    taken, refused = sbatch(tmp_path, "--here", "/dev/stdin"), sbatch(tmp_path, "--there", "/dev/stdin")
    assert taken.returncode == 0 and taken.stdout == "Submitted batch job 7: a script\n" and "asking again in 2 s" in taken.stderr
    assert "submission failed" not in taken.stderr  # which would be the end for Snakemake's plugin
    assert refused.returncode == 1 and refused.stderr.splitlines() == ["sbatch: error: invalid partition specified: nowhere"]


@pytest.mark.parametrize(
    "words, comment, answer",
    [
        (["--parsable", "--comment", "rule_listen"], "rule_listen", "8"),
        (["--comment=rule_listen", "--clusters", "far"], "rule_listen", "Submitted batch job 8 on cluster far"),
        (["--array=0-3"], "of a script", "Submitted batch job 8"),
    ],
)
def test_a_job_that_was_taken_though_the_answer_was_lost_is_not_submitted_again(tmp_path, words, comment, answer):
    stand_in(
        tmp_path,
        "sbatch",
        """
echo asked >> asked
for word; do [ "$before" = --comment ] && comment=$word; case $word in --comment=*) comment=${word#*=};; esac; before=$word; done
echo "7|another (0123456789abcdef)\n8|$comment" > queue
echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
exit 1
""",
    )
    stand_in(
        tmp_path,
        "squeue",
        """
[ -e away ] || { touch away; echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1; }
cat queue
""",
    )
    done = sbatch(tmp_path, *words, "/dev/stdin", script="#!/bin/sh\n#SBATCH --comment='of a script'\n")
    assert done.returncode == 0 and done.stdout == f"{answer}\n" and (tmp_path / "asked").read_text() == "asked\n"
    assert re.fullmatch(rf"8\|{comment} \([0-9a-f]{{16}}\)", (tmp_path / "queue").read_text().splitlines()[1])


def test_lint_is_clean(project):
    done = snakemake(project, "--lint")
    assert done.returncode == 0 and "good condition" in done.stdout, done.stdout


def of_ones_own(folder: Path) -> tuple[str, ...]:
    """Options for Snakemake: recordings and MIDI files in a folder."""
    return "--config", "corpus=" + json.dumps({"folder": str(folder)}), "midi=" + json.dumps({"pieces": {"folder": str(folder)}})


@pytest.mark.parametrize("name", ["songs", 'it\'s "$HOME" `ls`', "a {b} <c>", "two\nlines", " Für Élise ", "-x", "a,b=c\\d"])
def test_a_folder_of_ones_own_takes_the_place_of_the_etudes(project, tmp_path, name):
    (tmp_path / name).mkdir()
    for file in ["song.wav", "song.lab", "notes.txt", "piece.mid"]:
        (tmp_path / name / file).write_text("")
    made = planned(project, *of_ones_own(tmp_path / name))
    assert made["songs"] == made["pieces"] == 1 and made["check"] == 4 and not made.keys() & {"etudes", "scores"}


def test_files_of_any_name_are_used_and_a_change_of_any_is_seen(project, tmp_path):
    folder, music = shutil.copytree(project, tmp_path / "project"), tmp_path / "music"
    music.mkdir()
    names = [
        b"plain",
        b"{shard}",
        b"<b>",
        b"caf\xe9",
        b"a\nb",
        b"a\tb",
        "a\u2028b".encode(),
        b" lead",
        b"trail ",
        b"st*r?[x]",
        b"it's",
        b'"q"',
        b"$HOME",
        b"a,b",
        b"back\\n",
        b"-rf",
        b"#x",
        b"%s",
        b"a:b",
        b"a;b&c|d",
        b"~",
        b"n" * 250,
    ]
    for name in names:
        for suffix in (b".wav", b".mid"):
            Path(os.fsdecode(os.path.join(os.fsencode(music), name + suffix))).write_text("")
    done = snakemake(folder, "--cores", "1", *of_ones_own(music), "--", "results/corpus/set_aside.tsv", "results/midi/set_aside.tsv")
    assert done.returncode == 0, done.stdout
    assert json.loads((folder / "results/logs/run.json").read_text()) == {
        "profile": "cluster/local",
        "configfiles": [],
        "config": {"corpus": {"folder": str(music)}, "midi": {"pieces": {"folder": str(music)}}},
    }
    assert not planned(folder, *of_ones_own(music)).keys() & {"check", "songs", "check_midi", "pieces"}
    for name in (b"plain.wav", b"caf\xe9.wav", b"a\nb.wav"):
        Path(os.fsdecode(os.path.join(os.fsencode(music), name))).write_text(str(name))
        assert planned(folder, *of_ones_own(music), "--", "results/corpus/set_aside.tsv") == {"check": 1, "songs": 1}, name
        assert snakemake(folder, "--cores", "1", *of_ones_own(music), "--", "results/corpus/set_aside.tsv").returncode == 0


def test_snakemake_from_elsewhere_works_with_a_directory_or_is_one_line(project, tmp_path):
    def plan(*options: str) -> subprocess.CompletedProcess:
        return snakemake(tmp_path, "-n", "--quiet", "all", "--snakefile", str(project / "Snakefile"), *options)

    for options in [(), ("--directory", str(tmp_path))]:
        done = plan(*options)
        assert done.returncode == 1 and len(done.stdout.splitlines()) == 1, done.stdout
        assert f"add --directory {project}" in done.stdout
    assert plan("--directory", str(project)).returncode == 0 and not any(tmp_path.iterdir())


def test_a_home_that_cannot_be_written_is_met_with_a_cache_in_the_project(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "project")
    assert run(folder, "snakemake", "-n", "--quiet", "all", HOME="/dev/null", XDG_CACHE_HOME="").returncode == 0
    assert (folder / ".cache/snakemake").is_dir()
    code = "import os, ostinato; print(*(os.environ.get(name, '-') for name in ('XDG_CACHE_HOME', 'MPLCONFIGDIR', 'NUMBA_CACHE_DIR')))"

    def places(home: Path, here: Path) -> list[str]:
        settings = {name: value for name, value in surroundings(folder).items() if name not in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")}
        return subprocess.run([sys.executable, "-c", code], cwd=here, env=settings | {"HOME": str(home)}, check=True, stdout=subprocess.PIPE, text=True).stdout.split()

    cache = str(folder / ".cache")
    assert places(Path("/dev/null"), folder) == [cache, f"{cache}/matplotlib", f"{cache}/ostinato/librosa-{platform.node()}"]
    assert places(Path("/proc/home"), folder)[0] == cache  # root may write there by its permissions, and cannot
    (tmp_path / "home").mkdir()
    assert places(tmp_path / "home", folder) == ["-", "-", str(tmp_path / f"home/.cache/ostinato/librosa-{platform.node()}")]
    assert not any((tmp_path / "home").iterdir())


@pytest.mark.parametrize(
    "values, expected",
    [
        (
            {"listen": {"chord_swich": 3, "chord_switch": "many"}, "train": {"seed": 1, "tune": {"lr": -1}}},
            ["listen.chord_swich: unknown key", "listen.chord_switch: ", "'many'", "train.tune.lr: ", "-1"],
        ),
        ({"corpus": {"folder": "/not/there"}}, ["corpus.folder: /not/there: no such folder"]),
        ({"corpus": {"folder": "workflow"}}, ["corpus.folder: workflow: no recording in it"]),
        ({"model": {"pretrained": "x"}, "codec": {"kind": "encodec", "pretrained": "x"}}, ["train.method.optimizer is muon", "musicgen.yaml"]),
        ({"corpus": {"etudes": {"songs": 10**9}}}, ["results: ", "GB free on this disk", "GB are needed"]),
        (
            {
                "model": {"pretrained": "facebook/musicgen-large"},
                "codec": {"kind": "encodec", "pretrained": "x"},
                "train": {"method": {"optimizer": "adamw"}},
                "sweep": {"lr": [k / 1000 for k in range(1, 101)]},
            },
            ["results: ", "GB free on this disk", "GB are needed"],
        ),  # 7 TB; the small one's would be 3 GB
    ],
)
def test_what_a_user_can_mend_is_one_line_before_any_work(project, tmp_path, values, expected):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    done = snakemake(project, "--profile", "cluster/local", "--configfile", str(tmp_path / "mine.yaml"))
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("Using profile", "Config file"))]
    assert done.returncode == 1 and len(lines) == 1, done.stdout
    assert all(words in lines[0] for words in expected), lines[0]
    assert {path.name for path in project.glob("results/*")} <= {"lists"}  # of folders that other tests named


def test_a_sweep_is_every_combination_and_an_empty_list_keeps_the_plan():
    whole = params.load(ROOT / "params.yaml")
    tune = whole.train.tune
    assert plans(tune, params.AudioSweep(lr=[], batch_size=[], epochs=[], segment_seconds=[])) == [tune]
    found = plans(tune, params.AudioSweep(lr=[1e-3, 2e-3], batch_size=[4, 8], epochs=[], segment_seconds=[]))
    assert [(plan.lr, plan.batch_size) for plan in found] == [(1e-3, 4), (1e-3, 8), (2e-3, 4), (2e-3, 8)]
    assert {plan.steps for plan in found} == {tune.steps}
    longer = plans(tune, params.AudioSweep(lr=[], batch_size=[], epochs=[2.5], segment_seconds=[]))
    assert [(plan.steps, plan.epochs) for plan in longer] == [(None, 2.5)]


def test_a_change_reruns_what_depends_on_it_and_nothing_else(finished):
    assert planned(finished) == {}
    # where a model is trained does not change it
    assert planned(finished, "--configfile", "cluster/slurm/submitit.yaml") == {}
    composed = {"compositions": 1, "judge_midi": 1, "track": 1, "cost": 1, "page": 1}
    assert planned(finished, "--config", "midi={train: {finetune: {steps: 9}}}") == {"finetune": 1, **composed}
    assert planned(finished, "--config", "midi={demos: {seeds: [5]}}") == composed
    after_tuning = {"best": 1, "generate": 1, "judge": 1, "track": 1, "cost": 1, "page": 1}
    assert planned(finished, "--config", "train={tune: {steps: 9}}") == {"tune": 1, **after_tuning}
    assert planned(finished, "--config", "sweep={lr: [0.1, 0.2], batch_size: [4, 8]}") == {"tune": 1, **after_tuning}
    heard = planned(finished, "--config", "listen={chord_switch: 9}")
    assert heard["listen"] == 4 and heard["segments"] == 4 and heard["judge"] == 1 and not heard.keys() & {"etudes", "check"}


def test_evidence_is_more_of_what_the_demo_has_and_touches_none_of_it(finished, tmp_path):
    judged = {"evidence_judge": 1, "evidence_judge_midi": 1, "evidence_page": 1, "evidence_track": 1, "evidence": 1}
    assert planned(finished, "evidence") == {"repeats": 1, "evidence_demos": 5, "evidence_reference": 2, "evidence_compositions": 1, **judged}
    fewer = planned(finished, "evidence", "--config", "evidence={train_seeds: []}")
    assert fewer["repeats"] == 1 and fewer["evidence_demos"] == 3  # the control
    (tmp_path / "mine.tsv").write_text("prompt\npiano Cmaj, followed by Gmaj\n")
    other = planned(finished, "--config", "demos=" + json.dumps({"heldout_set": str(tmp_path / "mine.tsv")}))
    assert other == {"generate": 2, "reference": 2, "judge": 1, "track": 1, "cost": 1, "page": 1}
    missing = snakemake(finished, "-n", "--config", "demos={heldout_set: none.tsv}")
    assert missing.returncode == 1 and "ostinato: none.tsv: no such file; expected a table with the columns prompt" in missing.stdout


def test_a_failure_after_a_change_does_not_pass_for_done(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "project")
    change = ["--config", "train={base: {steps: 9}}"]
    done = snakemake(folder, "--cores", "1", *change, FAILING="train")
    assert done.returncode == 1 and "ostinato train: told to fail" in done.stdout.splitlines()
    assert planned(folder, *change) == {"base": 1, "tune": 1, "best": 1, "generate": 2, "judge": 1, "track": 1, "cost": 1, "page": 1}
    left = folder / "results/dataset/manifests/.ostinato.train.0badcafe-1-1.abcdefgh"  # by a process that was killed, a long time ago
    left.mkdir()
    os.utime(left, (0, 0))
    done = snakemake(folder, "--cores", "1", "-R", "codec", FAILING="codec")
    assert done.returncode == 1 and "ostinato codec: told to fail" in done.stdout.splitlines() and not left.exists()


def test_dvc_adopts_what_snakemake_made(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "project")
    assert run(folder, "dvc", "status").returncode == 0
    made = (folder / "results/corpus/shards/shard-00.jsonl").stat().st_mtime_ns
    done = run(folder, "dvc", "repro", "corpus", SNAKEMAKE_PROFILE="cluster/local")
    assert done.returncode == 0 and "Nothing to be done" in done.stdout, done.stdout
    assert (folder / "results/corpus/shards/shard-00.jsonl").stat().st_mtime_ns == made
    being_written = folder / "results/corpus/shards/.ostinato.shard-00.jsonl.0badcafe-1-1.abcdefgh"
    being_written.mkdir()
    (being_written / "shard-00.jsonl").write_text("")
    assert "up to date" in run(folder, "dvc", "status", "corpus").stdout
    assert planned(folder) == {}


def test_dvc_stages_agree_with_the_rules(finished):
    """Each rule belongs to one stage; a stage's deps are its rules' inputs from elsewhere, its params the sections they are given."""
    rules = read_rules(finished)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    outs = {name: [next(iter(out)) for out in [*stage["outs"], *stage.get("metrics", [])]] for name, stage in stages.items()}
    ours = {name: {rule for rule, row in rules.items() if any(covers(outs[name], file) for file in row["outputs"])} for name in stages}
    assert sorted(rule for some in ours.values() for rule in some) == sorted(rules.keys() - {"etudes", "list", "list_midi"})
    ours["corpus"] |= {"etudes", "list"}  # made again from its seed, not kept
    ours["midi"].add("list_midi")
    wrong = set()
    for name, stage in stages.items():
        rows = [rules[rule] for rule in ours[name]]
        assert stage["cmd"] == f"snakemake --cores all {name}"
        assert all(out.get("persist") for entry in [*stage["outs"], *stage.get("metrics", [])] for out in entry.values())
        assert all(covers(outs[name], file) for row in rows for file in row["outputs"] if not covers(NOT_KEPT, file))
        elsewhere = {file for row in rows for file in row["inputs"] if not covers([*outs[name], *NOT_KEPT], file)}
        wrong |= {f"{name}.deps: {file} is missing" for file in elsewhere if not covers(stage["deps"], file)}
        wrong |= {f"{name}.deps: no rule reads {dep}" for dep in stage["deps"] if not any(covers([dep], file) for file in elsewhere)}
        wrong |= {f"{name}.params: {key} is missing or too much" for key in set(stage["params"]) ^ {key for row in rows for key in row["params"]}}
    assert wrong == set(), "\n".join(sorted(wrong))


def test_every_file_of_the_package_that_is_read_is_watched(project):
    """A rule's inputs have what its modules name beside themselves, and what those files name; and what comes with the package is somebody's input."""
    drawn = re.findall(r'size="18">(\w+)<(.*?)(?:output</font>|</table>)', snakemake(project, "--filegraph", "all", "ears").stdout, re.DOTALL)
    rules = {rule: set(re.findall(r'"monospace">([^<]*)<', files)) for rule, files in drawn}
    for rule, inputs in rules.items():
        modules = [ROOT / file for file in inputs if file.startswith("src/") and file.endswith(".py")]
        assert modules or rule in ("all", "ears"), rule
        assert not {file.relative_to(ROOT).as_posix() for module in modules for file in named_by(module)} - inputs, rule
    code = "".join(path.read_text() for path in ROOT.glob("src/ostinato/**/*.py"))
    data = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("src/ostinato/**/*.*")
        if path.suffix not in (".py", ".pyc") and (path.suffix == ".j2" or f'"{path.name}"' in code or f'}}{path.suffix}"' in code)
    }
    assert data and "card" in rules and not data - set().union(*rules.values())


def named_by(file: Path) -> set[Path]:
    """The files beside one that stand in its text in quotes, and those that they name."""
    beside = {file.with_name(name) for name in re.findall(r"""["']([\w-]+(?:\.\w+)+)["']""", file.read_text())}
    found = {path for path in beside if path.is_file() and path.suffix != ".py" and path != file}
    return found.union(*map(named_by, found))


def covers(paths: list[str], file: str) -> bool:
    return any(file == path or file.startswith(f"{path}/") for path in paths)


def read_rules(folder: Path) -> dict[str, dict[str, set[str]]]:
    """Outputs, inputs and keys of params.yaml of each rule, from Snakemake's own summary."""
    rows = [line.split("\t") for line in snakemake(folder, "--detailed-summary").stdout.splitlines() if line.count("\t") == 7]
    rules: dict[str, dict[str, set[str]]] = {}
    for output, _, rule, _, inputs, command, *_ in rows[1:]:
        row = rules.setdefault(rule, {"outputs": set(), "inputs": set(), "params": set()})
        row["outputs"].add(output)
        row["inputs"] |= set(inputs.split(","))
        words = shlex.split(command)
        row["params"] |= {key for option, word in zip(words, words[1:]) if word.startswith("{") and option != "--launch" for key in keys(json.loads(word), rule)}
    return rules


def keys(given: dict, rule: str) -> set[str]:
    """The keys of params.yaml that a JSON object on a command line comes from."""
    for name, field in params.Params.model_fields.items():
        if given.keys() == field.annotation.model_fields.keys():
            return {name}
    if any(given.keys() == field.annotation.model_fields.keys() for field in params.Midi.model_fields.values()) or rule in ("pieces", "pretrain", "finetune"):
        return {"midi"}
    if given.keys() == params.Plan.model_fields.keys():
        return {"train.base"} if rule == "base" else {"train.tune", "sweep"}
    assert given.keys() < params.Train.model_fields.keys(), given
    return {f"train.{key}" for key in given}


def test_a_rule_that_is_forced_by_its_name_trains_anew_and_one_forced_by_a_file_delivers(project):
    for words, asked in ((("-R", "base"), "--again"), (("--force", "results/models/base/state_dict.bin"), "--no-again")):
        said = snakemake(project, "-n", "-p", *words).stdout
        assert re.findall(r"ostinato train --name base .*? (--\S*again)", said) == [asked] and "--name tune-0" not in said.partition("--again")[0]


def test_gpus_that_are_not_there_are_missed_before_any_work(project):
    said = run(project, "snakemake", "--profile", "cluster/local", "--config", 'train={"launch": {"gpus": 1}}', CUDA_VISIBLE_DEVICES="").stdout
    assert "ostinato: train.launch.gpus: 1 asked for each run, this machine has 0" in said and not re.search(r"^Job \d", said, re.MULTILINE) and "Traceback" not in said
