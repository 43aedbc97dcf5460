"""What tells a training run from others: a hash of everything that decides what it learns, its code included (as in dora, which leaves the code out).

The run's folder is `<runs>/<name>/<signature>`, so a run goes on exactly when nothing of that has changed, and earlier runs are kept. What only says how a run is
watched or fitted into a machine is left out: a run that was short of memory goes on from its checkpoint with what it was told to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ostinato.files import UserError, hash_value, sha256
from ostinato.sources import fingerprint

#: Keys of `loop` and of `loop.method` that do not decide what is learnt (but for the last bits, and which units a dropout drops).
UNDECISIVE = {"loop": {"log_every", "checkpoint_every"}, "method": {"micro_batch", "checkpointing"}}


def signed(config: Mapping[str, Any], inputs: Iterable[Path], runs: Path) -> dict[str, Any]:
    """A job's configuration, with the fingerprint of its code (`code`), the hashes of its inputs by their paths, its signature, and its folder below `runs`, whose name is no
    part of what it learns.

    Args:
        config: what decides what is learnt, as plain JSON, with the module of its `task`, and the run's `name`.
        inputs: the files and folders that decide it as well.
    """
    code = learning_code(config["task"])
    decisive = {key: value for key, value in config.items() if key != "name"}
    decisive["loop"] = _without(config["loop"], UNDECISIVE["loop"])
    if "method" in config["loop"]:
        decisive["loop"]["method"] = _without(config["loop"]["method"], UNDECISIVE["method"])
    hashes = {str(path.resolve()): sha256(path) for path in inputs}
    signature = hash_value([decisive, code, list(hashes.values())])[:12]
    return {**config, "code": code, "inputs": hashes, "signature": signature, "folder": str((runs / config["name"] / signature).resolve())}


def _without(values: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def learning_code(task: str) -> str:
    """The fingerprint of the modules that decide what a task learns."""
    return fingerprint(task, "ostinato.train.loop", "ostinato.train.determinism")


def refuse_changes(config: Mapping[str, Any], inputs: bool = True) -> None:
    """Raise UserError in a job when its code or its inputs are no longer those of its signature: it waited or was requeued while somebody worked on them.

    `inputs`: whether to hash these, which of several processes one has to do.
    """
    if (found := learning_code(config["task"])) != config["code"]:
        _refuse(config, f"the code of {config['task']} and what it imports", config["code"], found)
    for path, known in config["inputs"].items() if inputs else ():
        if (found := sha256(path) if Path(path).exists() else "gone") != known:
            _refuse(config, path, known, found)


def _refuse(config: Mapping[str, Any], what: str, known: str, found: str) -> None:
    raise UserError(
        f"{config['name']}: {what} has changed since this run was submitted (from {known[:12]} to {found[:12]}); start it again: it will be a run of its own, "
        "and this one's checkpoint is kept for what was"
    )
