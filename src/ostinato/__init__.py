"""Ostinato: from a folder of music to models that obey chord names, and the evidence of how well they do."""

import os
import platform
from pathlib import Path

__version__ = "0.1.0"

# Where numba keeps what it compiles for librosa: read when numba is imported, so set before. A folder for each machine, because machines that
# share a home need not share a processor, and file locks need not reach from one to the other (see ostinato.compiling).
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ostinato" / f"librosa-{platform.node()}"))
