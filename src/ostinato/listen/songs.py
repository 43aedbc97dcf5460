"""Listen to the songs of a shard: one JAMS file a song; a song that cannot be listened to is listed in `failed.tsv`, and the others go on.

Chords, beats and keys that were given beside a recording are believed before those heard.
"""

from __future__ import annotations

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
