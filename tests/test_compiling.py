"""First calls of compiled functions: one process at a time."""

import os
import time
from multiprocessing import get_context

from ostinato.compiling import compiled_alone, lock_file


@compiled_alone
def slow(path: str) -> None:
    """Leave a mark for as long as it runs, and fail when another's is there."""
    with open(path, "x"):
        time.sleep(0.2)
    os.remove(path)


def test_first_calls_of_several_processes_do_not_overlap(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    fork = get_context("fork")
    processes = [fork.Process(target=slow, args=(str(tmp_path / "running"),)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file/cache"))
    assert lock_file().parent == lock_file().parent != tmp_path / "file/cache"
    assert os.environ["NUMBA_CACHE_DIR"] == str(lock_file().parent)
