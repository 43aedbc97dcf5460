"""Copies of the repository in which tests run `snakemake`, `dvc` and `ostinato` as users do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PARTS = ["Snakefile", "params.yaml", "dvc.yaml", "workflow", "cluster", "src", ".dvc/config", ".dvcignore", ".gitignore"]
#: What one folder and one set of seeds always make the same, wherever.
REPEATABLE = (
    "dataset",
    "codec",
    "codes",
    "models/tuned/state_dict.bin",
    "demos",
    "judgements.json",
    "scores.json",
    "midi/pieces.jsonl",
    "midi/tokens",
    "midi/models/pretrained/state_dict.bin",
    "midi/models/Bach/state_dict.bin",
    "midi/demos",
    "midi/scores.json",
)
#: A pipeline of minutes, laid over params.yaml.
TINY_PLAN = {"steps": 4, "batch_size": 2, "segment_seconds": 5, "threads": 1}
TINY = {
    "corpus": {"shards": 2, "min_seconds": 5, "split": {"valid": 0.3, "test": 0.3}},
    "segments": {"min_seconds": 4, "target_seconds": 6, "max_seconds": 12},
    "codec": {"codebooks": 2, "cardinality": 32, "components": 16, "fit_seconds": 60, "kmeans_iterations": 3, "griffin_lim_iterations": 4},
    "model": {"dim": 32, "layers": 1, "heads": 2, "text_dim": 16},
    "train": {"base": TINY_PLAN, "tune": TINY_PLAN, "checkpoint_every": 2, "validate_every": 4, "validation_examples": 2, "log_every": 1},
    "sweep": {"lr": [1e-3, 2e-3]},
    "demos": {
        "prompts": ["piano CMajor"],
        "heldout_set": None,
        "heldout": ["ukulele F#maj, followed by G#min, and Bmaj", "organ Cmaj, followed by Amin"],
        "text_only": ["piano"],
        "seeds": [1, 2],
        "seconds": 4,
        "batch_size": 3,
    },
    "judge": {"permutations": 20},
    "evidence": {"train_seeds": [5], "demo_seeds": [1]},
    "midi": {
        "pieces": {"per_collection": 6, "split": {"valid": 0.2, "test": 0.2}},
        "model": {"dim": 32, "layers": 1, "heads": 2, "context": 128},
        "train": {"pretrain": {"steps": 6}, "finetune": {"steps": 3}, "validate_every": 3, "validation_examples": 2, "checkpoint_every": 3, "log_every": 1},
        "demos": {"seeds": [1], "seconds": 3, "particles": 2},
    },
}


def copy_project(folder: Path) -> Path:
    """Copy what a clone holds, as it is now, into an existing folder."""
    for part in PARTS:
        (folder / part).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    return folder


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess:
    """A command in a project; stdout and stderr together."""
    settings = surroundings(folder) | environment
    return subprocess.run(command, cwd=folder, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)


def surroundings(folder: Path) -> dict[str, str]:
    """The environment, with the project's `bin` (a stand-in, where a test puts one) before the installed commands."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE_")}
    return outside | {"PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def make(folder: Path, music: Path) -> str:
    """Run the pipeline in a new copy of the repository; returns what it printed."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY | {"corpus": TINY["corpus"] | {"folder": str(music)}}))
    done = run(folder, "snakemake", "--profile", "cluster/local", "--configfile", "tiny.yaml")
    assert done.returncode == 0, done.stdout
    return done.stdout
