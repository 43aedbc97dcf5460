"""Copies of the repository in which tests run `snakemake`, `dvc` and `ostinato` as users do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ["Snakefile", "params.yaml", "dvc.yaml", "workflow", "cluster", "src", ".dvc/config", ".dvcignore", ".gitignore"]


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
