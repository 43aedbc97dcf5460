"""From an artifact back to the raw files, along the sidecars.

An artifact's sidecar names the files and folders it was made from, with their hashes at that time. `walk` follows them until files
nobody made: the raw files. A file without a sidecar of its own is traced through the nearest folder above it that has one (a model's
weights through the model's folder), a folder without one through the artifacts inside. Each path is visited and hashed once, so that
hundreds of songs behind dozens of clips stay a graph, not a tree of copies. `state` compares the recorded hash with the present one:
`same`, `changed` (since it was used) or `missing`.

Paths in sidecars are relative to the project; `home` finds it from an artifact, so that one can ask from any folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ostinato.files import SIDECAR, UserError, contents, hash_contents, read_json, sha256
from ostinato.sampling import evenly
from ostinato.sidecars import sidecar_path


@dataclass
class Node:
    """One file or folder. `step` is the subcommand that made it, "raw" for nobody, "folder" for a gathering of artifacts; `sampled`: `inputs` are some of them."""

    path: str
    step: str
    sha256: str | None
    state: str
    record: dict[str, Any] = field(default_factory=dict)
    inputs: list[Edge] = field(default_factory=list)
    sampled: bool = False


@dataclass
class Edge:
    """An input as it was recorded, and what has become of it: `same`, `changed`, `missing`, or `unrecorded` (no hash was kept)."""

    node: Node
    recorded: str | None
    state: str


class Walker:
    """Walks with a memory: a path is read and hashed once, however many artifacts come from it. Paths are relative to `project`.

    A sidecar that is none raises UserError, or with `go_on` is noted in `broken` (sidecar -> what is wrong), and what it is of has no lineage.

    `sample`: of more inputs of an artifact than so many, no more are followed, spread evenly over them; and of a folder with more files, its names and so many of the
    files are held against its sidecar. Behind a model there may be a million songs.
    """

    def __init__(self, project: Path | str = "", go_on: bool = False, sample: int | None = None) -> None:
        self.project, self.go_on, self.sample = Path(project), go_on, sample
        self.broken: dict[Path, str] = {}
        self._nodes: dict[str, Node] = {}
        self._hashes: dict[Path, str] = {}
        self._contents: dict[Path, dict[str, str]] = {}

    def walk(self, path: Path | str) -> Node:
        """The node of `path` with everything it was made from."""
        name = str(path)
        if name not in self._nodes:
            present = self.sha256(name)
            node = self._nodes[name] = Node(name, "raw", present, _state(None, present))
            self._trace(node)
        return self._nodes[name]

    def sha256(self, name: str) -> str | None:
        """The present hash of a file or folder; None where there is none."""
        path = self.project / name
        if not path.is_dir():
            return self._hash(path) if path.exists() else None
        return self._of_sample(path) or hash_contents(self.contents(name))

    def contents(self, name: str) -> dict[str, str]:
        """The present hash of each file in a folder, by its relative path."""
        path = self.project / name
        if path not in self._contents:
            self._contents[path] = contents(path, self._hash)
        return self._contents[path]

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = sha256(path)
        return self._hashes[path]

    def _of_sample(self, folder: Path) -> str | None:
        """What the sidecar of a folder with many files says is its hash, or where its names or some of its files are others, another; None where all files are to be hashed."""
        if not self.sample or not sidecar_path(folder).is_file():
            return None
        record = self._record(sidecar_path(folder))
        known = record.get("files") or {}
        if len(known) <= self.sample:
            return None
        some = evenly(sorted(known), self.sample)
        present = contents(folder, lambda path: "")
        if present.keys() == known.keys():
            present = {name: self._hash(folder / name) for name in some}
        return record.get("sha256") if present == {name: known[name] for name in some} else hash_contents(present)

    def _trace(self, node: Node) -> None:
        maker = _maker(self.project, node.path)
        if maker is None:
            inside = _artifacts_inside(self.project, node.path)
            node.step = "folder" if inside else "raw"
            given = [{"path": item} for item in inside]
        else:
            node.record = self._record(maker)
            node.step = str(node.record.get("step", "?"))
            if maker == sidecar_path(self.project / node.path):
                node.state = _state(node.record.get("sha256"), node.sha256)
            project = _left_of(_artifact(maker), node.record) or self.project
            given = [{**one, "path": within(project / one["path"], self.project)} for one in node.record["inputs"]]
        followed = evenly(given, self.sample or len(given))
        node.sampled = len(followed) < len(given)
        node.inputs = [self._edge(one) for one in followed]

    def _record(self, sidecar: Path) -> dict[str, Any]:
        try:
            return record(sidecar)
        except UserError as error:
            if not self.go_on:
                raise
            self.broken[sidecar] = str(error).removeprefix(f"{sidecar}: ")
            return {"inputs": []}

    def _edge(self, given: dict[str, Any]) -> Edge:
        node = self.walk(given["path"])
        return Edge(node, given.get("sha256"), _state(given.get("sha256"), node.sha256))


def walk(path: Path | str) -> Node:
    """Follow the sidecars from `path` back to the raw files. Raises UserError when neither it nor its sidecar exists."""
    if not Path(path).exists() and not sidecar_path(path).exists():
        raise UserError(f"{path}: no such file or folder, so it has no lineage")
    project = home(path)
    return Walker(project).walk(within(path, project))


def home(path: Path | str) -> Path:
    """The project that an artifact lies in; Path() where that is the present folder.

    It is what is left of the artifact's place when the path in its sidecar, or in that of a folder above, is taken from its end; without such, the nearest
    folder above with a Snakefile, or the present folder.
    """
    place = Path(os.path.abspath(path))
    project = next((folder for item in (place, *place.parents) if item.name and (folder := _recorded_home(item))), None)
    project = project or next((folder for folder in (place, *place.parents) if (folder / "Snakefile").is_file()), Path.cwd())
    return Path() if project == Path.cwd() else project


def _recorded_home(artifact: Path) -> Path | None:
    try:
        return _left_of(artifact, record(sidecar_path(artifact))) if sidecar_path(artifact).is_file() else None
    except UserError:  # who follows it says so
        return None


def _left_of(artifact: Path, found: dict[str, Any]) -> Path | None:
    """What is left of an artifact's place without the path in its sidecar; None where it was moved since."""
    if "folder" in found:
        return Path(str(found["folder"]))
    parts, place = Path(str(found.get("artifact", "/"))).parts, Path(os.path.abspath(artifact))
    return Path(*place.parts[: -len(parts)]) if parts and parts[0] != "/" and place.parts[-len(parts) :] == parts else None


def within(path: Path | str, project: Path) -> str:
    """A path as sidecars name it: relative to the project where it lies in that."""
    place, root = Path(os.path.abspath(path)), Path(os.path.abspath(project))
    return str(place.relative_to(root)) if place.is_relative_to(root) else str(path if project == Path() else place)


def _state(recorded: str | None, present: str | None) -> str:
    if present is None:
        return "missing"
    if recorded is None:
        return "unrecorded"
    return "same" if recorded == present else "changed"


def _maker(project: Path, name: str) -> Path | None:
    """The sidecar that accounts for a path: its own, or that of the nearest folder above."""
    path = Path(name)
    folders = [folder for folder in path.parents if folder.name]
    return next((sidecar_path(project / item) for item in (path, *folders) if item.name and sidecar_path(project / item).is_file()), None)


def _artifacts_inside(project: Path, name: str) -> list[str]:
    """The outermost artifacts in a folder that has no sidecar itself."""
    found: dict[Path, None] = {}
    for artifact in artifacts(project / name):
        if found.keys().isdisjoint(artifact.parents):
            found[artifact] = None
    return [str(Path(name) / artifact.relative_to(project / name)) for artifact in found]


def artifacts(folder: Path) -> list[Path]:
    """What has a sidecar in a folder, sorted, whether it is there or not."""
    return [_artifact(sidecar) for sidecar in sorted(folder.rglob(f"*{SIDECAR}"))] if folder.is_dir() else []


def _artifact(sidecar: Path) -> Path:
    return sidecar.with_name(sidecar.name.removesuffix(SIDECAR))


def record(sidecar: Path) -> dict[str, Any]:
    """What a sidecar says. Raises UserError when it is none."""
    found = read_json(sidecar)
    inputs = found.get("inputs") if isinstance(found, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(given, dict) and isinstance(given.get("path"), str) for given in inputs):
        raise UserError(f"{sidecar}: no sidecar; expected a JSON object with `inputs`, a list of {{path, sha256}}")
    return found


def reachable(root: Node) -> Iterator[Node]:
    """Every node once, inputs before what is made from them, `root` last."""
    seen: set[str] = set()

    def visit(node: Node) -> Iterator[Node]:
        if node.path not in seen:
            seen.add(node.path)
            for edge in node.inputs:
                yield from visit(edge.node)
            yield node

    return visit(root)
