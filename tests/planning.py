"""Snakemake on copies of the repository in which `tests/stand_in.py` takes the place of `ostinato`."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from forks import begin, settle
from project import ROOT, surroundings


def put_stand_in(folder: Path) -> None:
    """Let the rules of a copy run the stand-in."""
    command = folder / "bin/ostinato"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\n" + (ROOT / "tests/stand_in.py").read_text())
    command.chmod(0o755)


def snakemake(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    """`run` for snakemake, without its start."""
    with tempfile.NamedTemporaryFile("r") as output:
        process = begin(in_fork, options, folder, surroundings(folder) | environment, output.name)
        process.join(300)
        return subprocess.CompletedProcess(options, process.exitcode, output.read())


def in_fork(options: tuple[str, ...], folder: Path, settings: dict[str, str], output: str) -> None:
    from snakemake.cli import main

    stream = os.open(output, os.O_WRONLY | os.O_APPEND)
    settle(settings, stream, stream)
    os.chdir(folder)
    sys.argv = ["snakemake", *options]
    main()


def planned(folder: Path, *options: str) -> dict[str, int]:
    """How many jobs of each rule a dry run plans."""
    done = snakemake(folder, "-n", *options)
    assert done.returncode == 0, done.stdout
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE) if rule not in ("all", "total")}
