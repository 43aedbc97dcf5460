"""Where libraries keep what they compute or fetch once: in the user's home, or in the project where that home cannot be written.

A home is missing or closed in many containers, for service accounts and on nodes of some clusters; Snakemake then ends before it reads a Snakefile,
numba compiles anew in each process, and others warn. `XDG_CACHE_HOME` names the place to Snakemake, Hugging Face, torch and numba (by `settle`), and to
all processes started from this one. A home that can be written is used as ever, and so is a variable that is set already.
"""

from __future__ import annotations

import os
import platform
import stat
import tempfile
from pathlib import Path

#: The folders in a cache that are written to, and the cache itself.
WRITTEN = ("", "ostinato", "snakemake", "huggingface", "matplotlib")


def settle() -> None:
    """Choose a cache that can be written, and a part of it for what numba compiles for librosa.

    The latter is read when numba is imported, so this comes before. It is a folder for each machine, because machines that share a home need not share a
    processor, and file locks need not reach from one to the other (see ostinato.compiling).
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if not all(writable(cache / name) for name in WRITTEN):
        cache = substitute()
        os.environ["XDG_CACHE_HOME"] = str(cache)
        os.environ.setdefault("MPLCONFIGDIR", str(cache / "matplotlib"))  # for its settings, too, matplotlib wants a home
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache / "ostinato" / f"librosa-{platform.node()}"))


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder and those above it be made."""
    if not folder.is_absolute():  # `~/.cache` of a user whom the system does not know
        return False
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryDirectory(prefix=".ostinato-", dir=existing):  # permissions lie: to root on /proc or NFS, on a full disk
            return True
    except OSError:  # also folders that one may not even look into, or a name that no file can have
        return False


def substitute() -> Path:
    """`.cache` in the project: the present folder or the one this code lies in; where neither can be written, a folder for this user among the temporary ones."""
    for project in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (project / "Snakefile").is_file() and writable(project / ".cache"):
            return project / ".cache"
    folder = Path(tempfile.gettempdir()) / f"ostinato-{os.getuid()}"
    return folder if _mine(folder) else Path(tempfile.mkdtemp(prefix="ostinato-"))


def _mine(folder: Path) -> bool:
    """Whether a folder is this user's alone; it is made where there is none. Among the temporary folders anyone can make one of that name."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
