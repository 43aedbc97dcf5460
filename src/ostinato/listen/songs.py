"""Listen to the songs of a shard: one JAMS file a song; a song that cannot be listened to is listed in `failed.tsv`, and the others go on.

Chords, beats and keys that were given beside a recording are believed before those heard.
"""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path
from typing import Any

from ostinato.corpus.levels import Levels
from ostinato.corpus.side_files import given
from ostinato.listen import jamsfile
from ostinato.listen.hear import Heard, hear_file
from ostinato.params import Listen

log = logging.getLogger(__name__)


def listen(song: dict[str, Any], path: Path, params: Listen) -> Heard:
    """Listen to one song and write its JAMS file."""
    known = given(song)
    heard = hear_file(song["path"], params, Levels.of(song), known)
    jamsfile.write(path, heard, Path(song["path"]).stem, known.within(heard.duration))
    return heard


def give_back_memory() -> None:
    """Let the system have what glibc keeps: spectra of many lengths leave holes that the next song's do not fit, 600 MB after 36 songs of the demo, 1.4 GB after 138.

    To be done now and then: what is given back has to be asked for again, by the next song.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none, and keep less
    if trim:
        trim(0)
