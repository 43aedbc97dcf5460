"""From an artifact back to the raw files, along the sidecars.

An artifact's sidecar names the files and folders it was made from, with their hashes at that time. `walk` follows them until files
nobody made: the raw files. A file without a sidecar of its own is traced through the nearest folder above it that has one (a model's
weights through the model's folder), a folder without one through the artifacts inside. Each path is visited and hashed once, so that
hundreds of songs behind dozens of clips stay a graph, not a tree of copies. `state` compares the recorded hash with the present one:
`same`, `changed` (since it was used) or `missing`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ostinato.files import SIDECAR, UserError, read_json, sha256, sidecar_path

#: More inputs alike than this are summed up in one line.
ALIKE = 3


@dataclass
class Node:
    """One file or folder. `step` is the subcommand that made it, "raw" for nobody, "folder" for a gathering of artifacts."""

    path: str
    step: str
    sha256: str | None
    state: str
    record: dict[str, Any] = field(default_factory=dict)
    inputs: list[Edge] = field(default_factory=list)


@dataclass
class Edge:
    """An input as it was recorded, and what has become of it: `same`, `changed`, `missing`, or `unrecorded` (no hash was kept)."""

    node: Node
    recorded: str | None
    state: str


class Walker:
    """Walks with a memory: a path is read and hashed once, however many artifacts come from it."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def walk(self, path: Path | str) -> Node:
        """The node of `path` with everything it was made from. Paths in sidecars are relative to the present folder."""
        name = str(path)
        if name not in self._nodes:
            present = sha256(name) if Path(name).exists() else None
            node = self._nodes[name] = Node(name, "raw", present, _state(None, present))
            self._trace(node)
        return self._nodes[name]

    def _trace(self, node: Node) -> None:
        maker = _maker(Path(node.path))
        if maker is None:
            inside = _artifacts_inside(Path(node.path))
            node.step = "folder" if inside else "raw"
            node.inputs = [self._edge({"path": item}) for item in inside]
        else:
            node.record = _record(maker)
            node.step = str(node.record.get("step", "?"))
            if maker == sidecar_path(node.path):
                node.state = _state(node.record.get("sha256"), node.sha256)
            node.inputs = [self._edge(given) for given in node.record["inputs"]]

    def _edge(self, given: dict[str, Any]) -> Edge:
        node = self.walk(given["path"])
        return Edge(node, given.get("sha256"), _state(given.get("sha256"), node.sha256))


def walk(path: Path | str) -> Node:
    """Follow the sidecars from `path` back to the raw files. Raises UserError when neither it nor its sidecar exists."""
    if not Path(path).exists() and not sidecar_path(path).exists():
        raise UserError(f"{path}: no such file or folder, so it has no lineage")
    return Walker().walk(path)


def _state(recorded: str | None, present: str | None) -> str:
    if present is None:
        return "missing"
    if recorded is None:
        return "unrecorded"
    return "same" if recorded == present else "changed"


def _maker(path: Path) -> Path | None:
    """The sidecar that accounts for `path`: its own, or that of the nearest folder above."""
    folders = [folder for folder in path.parents if folder.name]
    return next((sidecar_path(item) for item in (path, *folders) if item.name and sidecar_path(item).is_file()), None)


def _artifacts_inside(path: Path) -> list[str]:
    """The outermost artifacts in a folder that has no sidecar itself."""
    found: dict[Path, None] = {}
    for sidecar in sorted(path.rglob(f"*{SIDECAR}")) if path.is_dir() else []:
        artifact = sidecar.with_name(sidecar.name.removesuffix(SIDECAR))
        if found.keys().isdisjoint(artifact.parents):
            found[artifact] = None
    return [str(artifact) for artifact in found]


def _record(sidecar: Path) -> dict[str, Any]:
    record = read_json(sidecar)
    inputs = record.get("inputs") if isinstance(record, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(given, dict) and "path" in given for given in inputs):
        raise UserError(f"{sidecar}: no sidecar; expected a JSON object with `inputs`, a list of {{path, sha256}}")
    return record


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


def troubles(root: Node) -> list[str]:
    """One line for each input that is not what it was, sorted."""
    lines = {f"{edge.node.path}: {_WORDS[edge.state]}" for node in reachable(root) for edge in node.inputs if edge.state in _WORDS}
    if root.state in _WORDS:
        lines.add(f"{root.path}: {_WORDS[root.state]}")
    return sorted(lines)


_WORDS = {"changed": "changed since", "missing": "missing"}


def chain(root: Node) -> list[dict[str, Any]]:
    """The way from the raw files to `root`, one entry a step: {"step", "count", "paths" (the first three), "seeds", "commits"}."""
    steps: dict[str, list[Node]] = {}
    for node in sorted(reachable(root), key=lambda node: node.step != "raw"):  # stable: raw first, then the order of making
        if node.step != "folder":
            steps.setdefault(node.step, []).append(node)
    return [{"step": step, "count": len(nodes), "paths": [node.path for node in nodes[:ALIKE]], "seeds": _all(nodes, "seed"),
             "commits": _all(nodes, "commit")} for step, nodes in steps.items()]


def origin(path: Path, walker: Walker) -> dict[str, Any]:
    """What a player says of where its clip comes from: {"chain", "troubles"}."""
    node = walker.walk(path)
    return {"chain": chain(node), "troubles": troubles(node)}


def _all(nodes: list[Node], key: str) -> list[Any]:
    return list(dict.fromkeys(node.record[key] for node in nodes if node.record.get(key) is not None))


def text(root: Node) -> str:
    """An indented tree; what was shown before is not shown again, and inputs alike share a line."""
    lines = [_line([Edge(root, None, root.state)])]
    _describe([root], "", lines, set())
    return "\n".join(lines)


def _describe(nodes: list[Node], indent: str, lines: list[str], shown: set[tuple[str, ...]]) -> None:
    for group in _groups(nodes):
        key = tuple(edge.node.path for edge in group)
        deeper = any(edge.node.inputs for edge in group)
        again = deeper and key in shown
        lines.append(f"{indent}  <- {_line(group)}{' (see above)' if again else ''}")
        if deeper and not again:
            shown.add(key)
            _describe([edge.node for edge in group], indent + "  ", lines, shown)


def _groups(nodes: list[Node]) -> list[list[Edge]]:
    """The inputs of `nodes`, each once; those of one folder, step, kind and state together when there are many."""
    edges = {(edge.node.path, edge.state): edge for node in nodes for edge in node.inputs}
    alike: dict[tuple[str, ...], list[Edge]] = {}
    for edge in edges.values():
        path = Path(edge.node.path)
        alike.setdefault((str(path.parent), path.suffix, edge.node.step, edge.state), []).append(edge)
    return [part for group in alike.values() for part in ([group] if len(group) > ALIKE else [[edge] for edge in group])]


def _line(group: list[Edge]) -> str:
    first, node = group[0], group[0].node
    place = node.path if len(group) == 1 else f"{Path(node.path).parent}/*{Path(node.path).suffix} ({len(group)} of them)"
    seed = f", seed {node.record['seed']}" if node.record.get("seed") is not None and len(group) == 1 else ""
    trouble = f"  !! {_WORDS[first.state]}" if first.state in _WORDS else ""
    return f"{place}  [{node.step}{seed}]{trouble}"


def as_json(root: Node) -> dict[str, Any]:
    """A flat table of nodes, so that shared inputs stand once: {"root": path, "troubles": [...], "nodes": {path: {...}}}."""
    nodes = {node.path: {"step": node.step, "sha256": node.sha256, "state": node.state, "seed": node.record.get("seed"),
                         "commit": node.record.get("commit"), "params": node.record.get("params"),
                         "inputs": [{"path": edge.node.path, "sha256": edge.recorded, "state": edge.state} for edge in node.inputs]}
             for node in reachable(root)}
    return {"root": root.path, "troubles": troubles(root), "nodes": nodes}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("file", type=Path, help="an artifact, such as results/demos/after/<demo>-s1.wav")
    parser.add_argument("--json", action="store_true", help="print every file with its hashes, for machines")


def run(args: argparse.Namespace) -> None:
    """Print where a file comes from."""
    root = walk(args.file)
    print(json.dumps(as_json(root), indent=1) if args.json else text(root))
