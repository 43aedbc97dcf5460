"""What several files of tests share and is made once: a finished pipeline, small, and a Slurm on this machine."""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch: two processes test side by side, and what is small is slower by several threads

import numpy as np
import pytest
import soundfile
from filelock import FileLock

from forks import pools_of_forks
from music import PARAMS
from project import ROOT, copy_project, make, run

ETUDES = PARAMS.corpus.model_copy(update={"etudes": PARAMS.corpus.etudes.model_copy(update={"songs": 10, "min_seconds": 20.0, "max_seconds": 30.0})})


#: The longest begin, where two processes test side by side (pytest-xdist).
FIRST = ("test_slurm.py", "test_pipeline.py", "test_train.py", "test_several_processes.py", "test_workflow.py", "test_codec.py", "test_ears.py", "test_decoder.py", "test_model.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order of FIRST, then all others."""
    items.sort(key=lambda item: (*FIRST, item.path.name).index(item.path.name))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Any:
    """What a process that tests tells of a test: names that are no UTF-8, which pytest-xdist cannot pass on, as a table of files has them."""
    return printable((yield))


def printable(told: Any) -> Any:
    """A text, or all texts of what holds some, without lone surrogates."""
    if isinstance(told, str):
        return told.encode("utf-8", "backslashreplace").decode()
    if isinstance(told, dict):
        return {printable(key): printable(value) for key, value in told.items()}
    return type(told)(map(printable, told)) if type(told) in (list, tuple) else told


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first process to ask for it makes, and the other waits for."""
    root = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    folder, done = root / name, root / f"{name}.done"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session", autouse=True)
def pools() -> Iterator[None]:
    """Pools work in forks, but for those of commands in processes of their own."""
    with pools_of_forks():
        yield


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> Path:
    """Ten good songs with their side files, six bad recordings, and what else lies in a folder."""
    return made_once(tmp_path_factory, "recordings", make_recordings) / "etudes/audio"


def make_recordings(folder: Path) -> None:
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


@pytest.fixture(scope="session")
def made(recordings, tmp_path_factory) -> Path:
    """A finished pipeline."""

    def finish(folder: Path) -> None:
        assert "(100%) done" in make(copy_project(folder), recordings)

    return made_once(tmp_path_factory, "made", finish)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> bytes:
    """A migrated, empty database of MLflow's; creating one takes seconds, so it is copied."""

    def migrate(folder: Path) -> None:
        from mlflow import MlflowClient  # takes seconds: not when tests are only collected

        logging.getLogger("alembic").setLevel(logging.WARNING)
        MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db").search_experiments()

    return (made_once(tmp_path_factory, "store", migrate) / "mlflow.db").read_bytes()


@pytest.fixture(scope="session")
def slurm() -> Path:
    """The folder of commands of a real Slurm on this machine, which is up; its down, after all tests, if it was down before."""
    commands = ROOT / "cluster/dev"
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip("cluster/dev/up wants root and apt-get to start a Slurm on this machine")
    was_up = subprocess.run([commands / "status"], stdout=subprocess.DEVNULL).returncode == 0
    said = subprocess.run([commands / "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    broken = re.search("does not answer|stopped at once|could not be made", said.stdout)
    if said.returncode and not broken:  # it refuses this machine: another Slurm, no packages, a host name that is not loopback's
        pytest.skip(said.stdout.strip())
    assert said.returncode == 0, said.stdout
    yield commands
    if not was_up:
        subprocess.run([commands / "down"], check=True)
