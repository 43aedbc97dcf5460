"""What `ostinato track` brought into MLflow and is not there any more, found without MLflow, which takes seconds to import: in SQLite, its own default.

results/tracked.json names the store, and the runs that were brought in. Other stores (a server, another database) are not looked into.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ostinato.files import read_json

SQLITE = "sqlite:///"


def missing(project: Path, stamp: str, remarks: list[str]) -> Iterator[tuple[str, str]]:
    """(path, what is wrong) of a store that lacks what a stamp knows; a remark where the store cannot be looked into."""
    tracked = read_json(project / stamp)
    uri = str(tracked.get("uri", ""))
    if not uri.startswith(SQLITE):
        remarks.append(f"MLflow's store {uri or 'of an earlier version'} was not looked into")
        return
    name = uri.removeprefix(SQLITE).partition("?")[0]
    if not (project / name).is_file():
        yield str(project / name), f"missing; {stamp} names runs in it"
        return
    wanted = {tracked["parent"]: "revision", **{run: name for name, run in tracked.get("runs", {}).items()}}
    try:
        places = _artifacts(project / name, list(wanted))
    except sqlite3.Error as error:
        yield str(project / name), f"cannot be read as MLflow's store ({error})"
        return
    for run, what in wanted.items():
        if run not in places:
            yield str(project / name), f"lacks the run {run} ({what}) that {stamp} names"
    folder = places.get(tracked["parent"])
    if folder and not any(folder.rglob("*")):
        yield str(folder), f"missing; the scores and demos that {stamp} brought in"


def _artifacts(database: Path, runs: list[str]) -> dict[str, Path | None]:
    """The runs of these that are in the store, and the folder of their artifacts, None where that is no folder here."""
    query = f"select run_uuid, artifact_uri from runs where lifecycle_stage = 'active' and run_uuid in ({', '.join('?' * len(runs))})"
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as store:
        return {run: _folder(uri) for run, uri in store.execute(query, runs)}


def _folder(uri: str | None) -> Path | None:
    parts = urlsplit(uri or "")
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
