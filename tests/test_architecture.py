"""docs/architecture.md is true: every import runs down, there is no circle, and what is cheap stays so."""

import ast
import re
import subprocess
import sys
from functools import cache

import pytest

from ostinato.cli import COMMANDS
from ostinato.sources import command_module
from project import ROOT

HOME = ROOT / "src/ostinato"
MODULES = {".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path for path in HOME.rglob("*.py")}
GROUND, TOP = 0, 99
FLOORS = {
    room: int(floor)
    for floor, rooms in re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs/architecture.md").read_text(), re.M)
    for room in re.findall("`([^`]+)`", rooms)
    if int(floor) != GROUND
}


@cache
def imports(name: str) -> set[str]:
    """The project's modules that one imports, at its top or within functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: import by the full name"
            found |= {node.module if f"{node.module}.{alias.name}" not in MODULES else f"{node.module}.{alias.name}" for alias in node.names}
    return {one for one in found if one in MODULES} - {"ostinato", name}


def room(name: str) -> str:
    """The folder of a module below the package; nothing for those of the ground."""
    return MODULES[name].parent.relative_to(HOME).as_posix().removeprefix(".")


def floor(name: str) -> int:
    return TOP if name == "ostinato.cli" else FLOORS[room(name)] if room(name) else GROUND


def test_every_room_is_on_the_page():
    rooms = {room(name) for name in MODULES} - {""}
    assert rooms == set(FLOORS)
    page = (ROOT / "docs/architecture.md").read_text()
    assert not [name for name in rooms if not re.search(rf"^\*\*.*`{name}`", page, re.M)]


def test_no_import_runs_up():
    assert not [f"{name} imports {other}" for name in MODULES for other in imports(name) if room(name) != room(other) and floor(other) >= floor(name)]


def test_no_circle():
    waiting = {name: imports(name) for name in MODULES}
    while done := {name for name, others in waiting.items() if not others & waiting.keys()}:
        waiting = {name: others for name, others in waiting.items() if name not in done}
    assert not waiting


def test_a_command_is_a_module_of_its_name_and_only_commands_read_options():
    assert {command_module(name) for name in COMMANDS} == {name for name in MODULES if room(name) == "commands"} - {"ostinato.commands", "ostinato.commands.options"}
    with_argparse = {name for name, path in MODULES.items() if re.search(r"^\s*(import|from) argparse", path.read_text(), re.M)}
    assert {room(name) for name in with_argparse - {"ostinato.cli"}} == {"commands"}


@pytest.mark.parametrize(
    "code",
    [
        "import ostinato.graph.inputs, ostinato.graph.sections, ostinato.graph.space, ostinato.train.devices, ostinato.train.sweep",
        "from ostinato.params import load, schema; schema(); load('params.yaml')",
        "from contextlib import suppress; from ostinato.cli import COMMANDS, main\n"
        "for words in [[], *([name] for name in COMMANDS)]:\n with suppress(SystemExit): main([*words, '--help'])",
    ],
    ids=["planning", "schema", "help"],
)
def test_torch_is_not_imported(code):
    done = subprocess.run([sys.executable, "-c", code + "\nimport sys; sys.exit('torch' in sys.modules)"], cwd=ROOT, stdout=subprocess.DEVNULL)
    assert done.returncode == 0
