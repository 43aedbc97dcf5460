"""First calls of compiled functions: one process at a time."""

import os
import re
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import librosa

from ostinato import compiling
from ostinato.compiling import compiled_alone, lock_file


@compiled_alone
def slow(path: str) -> None:
    """Leave a mark for as long as it runs, and fail when another's is there."""
    with open(path, "x"):
        time.sleep(0.2)
    os.remove(path)


def test_first_calls_of_several_processes_do_not_overlap(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compiling, "COMPILED", ())  # into an empty cache it would take half a minute
    fork = get_context("fork")
    processes = [fork.Process(target=slow, args=(str(tmp_path / "running"),)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]


def test_a_first_call_within_another_does_not_wait_for_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compiling, "COMPILED", ())
    assert compiled_alone(lambda: compiled_alone(lambda: "inner")())() == "inner"


def test_modules_that_compile_when_imported_are_imported_with_the_first_call():
    """All at once under the lock, not each when a song first needs it; but librosa.beat, whose one caller waits for the lock by itself."""
    root = Path(librosa.__file__).parent
    modules = {
        ".".join(("librosa", *path.relative_to(root).with_suffix("").parts))
        for path in root.rglob("*.py")
        if re.search(r"^ *@(numba\.)?guvectorize", path.read_text(), re.MULTILINE)
    }
    call = "import sys; from ostinato.compiling import compiled_alone; compiled_alone(int)(); print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", call], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert modules - {"librosa.beat"} and modules - {"librosa.beat"} <= set(imported)


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file/cache"))
    assert lock_file().parent == lock_file().parent != tmp_path / "file/cache"
    assert os.environ["NUMBA_CACHE_DIR"] == str(lock_file().parent)
