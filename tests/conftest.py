"""What several files of tests share and is made once: a finished pipeline, small, and a Slurm on this machine."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from music import PARAMS
from project import ROOT, copy_project, make, run

ETUDES = PARAMS.corpus.model_copy(update={"etudes": PARAMS.corpus.etudes.model_copy(update={"songs": 16, "min_seconds": 30.0, "max_seconds": 50.0})})


#: They share what is made once, and one of them is the longest: side by side with all others (pytest-xdist), it begins first.
FIRST = ("test_pipeline.py", "test_slurm.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests go to one process, since they share fixtures; those of FIRST to one together."""
    items.sort(key=lambda item: item.path.name not in FIRST)
    for item in items:
        item.add_marker(pytest.mark.xdist_group("first" if item.path.name in FIRST else item.path.name))


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def made(recordings, tmp_path_factory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("made"))
    assert "(100%) done" in make(folder, recordings)
    return folder


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
