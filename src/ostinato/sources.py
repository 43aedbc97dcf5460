"""Which of the project's source files are behind a module, and a fingerprint of what they say.

Snakemake sees no imports, so rules name the files behind their stage. And a training run is known by the fingerprint of the modules that decide what it learns:
weights of other code must never be taken for those of this one. Modules are read, never run: torch stays out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from ostinato.files import hash_value

#: Where the package lies.
HOME = Path(__file__).resolve().parents[1]
#: Modules that pass values and files on but do not decide what is computed: a new option of the command line must not retrain a model.
PLUMBING = {
    "ostinato.caches",
    "ostinato.cli",
    "ostinato.commands.options",
    "ostinato.compiling",
    "ostinato.escapes",
    "ostinato.files",
    "ostinato.machine",
    "ostinato.params",
    "ostinato.params.blocks",
    "ostinato.params.demos",
    "ostinato.params.ears",
    "ostinato.params.midi",
    "ostinato.processes",
    "ostinato.scratch",
    "ostinato.sidecars",
    "ostinato.sources",
    "ostinato.tables",
    "ostinato.train.devices",
    "ostinato.train.host",
    "ostinato.train.jobs",
    "ostinato.train.locks",
    "ostinato.train.memory",
    "ostinato.train.plan",
    "ostinato.train.squeue",
    "ostinato.train.usage",
}


def command_module(command: str) -> str:
    """The module of a command: `judge-midi` is ostinato.commands.judge_midi."""
    return f"ostinato.commands.{command.replace('-', '_')}"


def modules(first: Iterable[str], home: Path = HOME) -> list[str]:
    """Modules and all of the project's that they import, at the top, within functions, or by a name in a string; sorted."""
    found, waiting = set[str](), list(first)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports(name, home)
    return sorted(found)


def fingerprint(*first: str, home: Path = HOME) -> str:
    """A hash of what modules and those they import say, but for comments, docstrings and layout: those change nothing that is computed."""
    return hash_value([[name, _said(ast.parse(source_file(name, home).read_text(encoding="utf-8")))] for name in modules(first, home)])


def source_file(name: str, home: Path = HOME) -> Path:
    """Where a module lies. Packages are none: their `__init__.py` decide nothing that is computed."""
    return home.joinpath(*name.split(".")).with_suffix(".py")


@cache
def imports(importer: str, home: Path) -> frozenset[str]:
    """The project's modules that one imports; PLUMBING left out."""
    names = set()
    for node in ast.walk(ast.parse(source_file(importer, home).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ".".join([*(importer.split(".")[: -node.level] if node.level else []), *([node.module] if node.module else [])])
            names |= {package, *(f"{package}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    ours = {name for name in names - PLUMBING if re.fullmatch(r"ostinato(\.\w+)+", name)}
    return frozenset(name for name in ours if source_file(name, home).exists())


def _said(node: Any) -> Any:
    """A syntax tree as plain lists, the same in every Python that can read it: fields that are empty, which later versions have more of, are left out."""
    if isinstance(node, list):
        return [_said(one) for one in node if not _is_remark(one)]
    if not isinstance(node, ast.AST):
        return node if node is None or isinstance(node, (bool, int, str)) else repr(node)
    fields = {name: _said(value) for name, value in ast.iter_fields(node) if name not in ("kind", "type_comment")}
    return [type(node).__name__, {name: value for name, value in fields.items() if value is not None and value != []}]


def _is_remark(node: Any) -> bool:
    """Whether a statement is a text alone, as docstrings are."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
