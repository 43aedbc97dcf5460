"""Which command makes an artifact anew, as one would type it in the project.

What rules of the pipeline make, Snakemake makes: it must be forced, since it asks whether an output is there, not whether it is whole, and takes a folder with
one file missing for the folder. A rule's output is the artifact, or for clips and compositions the folder they lie in. Everything else was made by hand, by
the command that its sidecar keeps.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from ostinato.escapes import shown
from ostinato.files import read_json

RESULTS = "results"
#: What the last run of Snakemake was started with (workflow/common.smk writes it).
LAST_RUN = f"{RESULTS}/logs/run.json"
#: Steps whose artifacts lie in the folder that their rule makes.
IN_FOLDERS = ("demos", "reference", "compositions")
#: Steps whose rules name one of their outputs; the others are left as they are when they would not change, and so cannot be asked for.
GATHERED = {"gather": "segments.npz", "tokenizer": "words.jsonl"}
#: Steps that no rule takes.
BY_HAND = ("generate", "compose", "export", "melody")


def target(name: str, step: str) -> str | None:
    """The output of a rule that an artifact is or lies in; None where it was made by hand."""
    parts = PurePosixPath(name).parts
    if parts[:1] != (RESULTS,) or step in BY_HAND:
        return None
    if "models" in parts[1:3] and parts[-1] != "models":  # beside its weights a model's folder has copies that no rule names
        return "/".join([*parts[: parts.index("models") + 2], "state_dict.bin"])
    if step in GATHERED:
        return str(PurePosixPath(name).with_name(GATHERED[step]))
    return str(PurePosixPath(name).parent) if step in IN_FOLDERS else name


def by_snakemake(targets: Iterable[str], project: Path, how: str) -> str:
    """Snakemake's command for targets, with the configuration of its last run; a --configfile takes all words after it for files, and so comes last.

    `how` is --force, these targets alone, or --forcerun, with all that comes of them.
    """
    return typed(["snakemake", *([how, *targets] if how == "--forcerun" else [*targets, how]), *options(project)])


def options(project: Path) -> list[str]:
    """The profile and the configuration of Snakemake's last run in a project, as its options."""
    last = project / LAST_RUN
    run = read_json(last) if last.is_file() else {}
    words = ["--profile", run.get("profile", "cluster/local")]
    words += ["--configfile", *run["configfiles"]] if run.get("configfiles") else []
    return words + (["--config", *(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in run["config"].items())] if run.get("config") else [])


def by_hand(record: dict[str, Any]) -> str:
    """The command that a sidecar keeps. Sidecars of earlier versions keep none."""
    words = record.get("command")
    return typed(words) if words else f"ostinato {record.get('step', '?')} (its sidecar keeps no command; it has the parameters)"


def typed(words: Iterable[str]) -> str:
    """Words as a shell takes them, on one line; bytes that are no text as bash, zsh and ksh have them: $'caf\\xe9'."""
    return " ".join(shlex.quote(word) if shown(word) == word else f"$'{''.join(map(_escaped, word))}'" for word in words)


def _escaped(character: str) -> str:
    if shown(character) == character:
        return f"\\{character}" if character in "\\'" else character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
