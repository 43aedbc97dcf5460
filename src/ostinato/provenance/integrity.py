"""Artifacts held against their sidecars: what is missing, what has changed, and what was made from something that has.

Found are an artifact that is missing or has another hash, and in a folder the very file; what a step wrote beside its artifact (a model's events); an input that
has become another since; what results/tracked.json knows of MLflow's store and is not in it. Files that nobody made are told apart: no command makes a
recording. What follows from a damage is not told again. Sidecars of earlier versions know a folder by one hash: they tell that it changed, not where.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ostinato.escapes import shown
from ostinato.files import SIDECAR
from ostinato.provenance import store
from ostinato.provenance.lineage import Edge, Node, Walker, reachable, within
from ostinato.provenance.remake import RESULTS

#: Snakemake measures anew whenever a rule runs: a table of costs that is older than that is no damage.
MEASURED = f"{RESULTS}/benchmarks/"
#: Steps whose artifacts are removed when they have been used.
TEMPORARY = ("drills",)
WORDS = {"missing": "is missing", "changed": "has changed since", "added": "was not there then"}


@dataclass(frozen=True)
class Finding:
    """A path, what is wrong with it, and the artifact that has to be made anew. `kind`: `damage`, `stale` (made from what has changed since) or `raw`."""

    path: str
    what: str
    artifact: str
    kind: str = "damage"


class Inspector:
    """Inspects a project's artifacts; each file is hashed once. `nodes` are the artifacts inspected, `remarks` what could not be."""

    def __init__(self, project: Path) -> None:
        self.project, self.walker = project, Walker(project, go_on=True)
        self.nodes: dict[str, Node] = {}
        self.remarks: list[str] = []

    def inspect(self, names: Sequence[str]) -> list[Finding]:
        """What is wrong with artifacts and with what they were made from."""
        self.nodes = {name: self.walker.walk(name) for name in names}
        found = [finding for node in self.nodes.values() for finding in self._damages(node)]
        found += [Finding(path := within(sidecar, self.project), what, path.removesuffix(SIDECAR)) for sidecar, what in self.walker.broken.items()]
        damaged = {finding.path for finding in found}
        for node in self.nodes.values():
            found += self._inputs(node, damaged)
        for node in self.nodes.values():
            if node.step == "track" and node.state == "same":
                found += [Finding(within(path, self.project), what, node.path) for path, what in store.missing(self.project, node.path, self.remarks)]
        return found

    def _damages(self, node: Node) -> Iterator[Finding]:
        name = node.path
        if node.sha256 is None:
            yield from [] if node.step in TEMPORARY else [Finding(name, "missing", name)]
        elif node.state == "changed":
            yield from (Finding(path, what, name) for path, what in self._parts(node, node.record.get("files")))
        elif node.state == "unrecorded" and self.project / (name + SIDECAR) not in self.walker.broken:
            yield Finding(name, "its sidecar keeps no hash", name)
        beside = node.record.get("beside")
        for other, recorded in beside.items() if isinstance(beside, Mapping) else ():
            path = os.path.normpath(os.path.join(os.path.dirname(name), other))
            if (present := self.walker.sha256(path)) != recorded:
                yield Finding(path, "changed" if present else "missing", name)

    def _inputs(self, node: Node, damaged: set[str]) -> Iterator[Finding]:
        """Inputs of an artifact that are not what they were when it was made, but for damages told already."""
        for edge, given in zip(node.inputs, node.record["inputs"]):
            if edge.state in ("changed", "missing") and not _expected(edge):
                parts = self._parts(edge.node, given.get("files"))
                yield from (self._input(node, path, what) for path, what in parts if not any(_related(path, other) for other in damaged))

    def _parts(self, node: Node, then: Any) -> list[tuple[str, str]]:
        """The files of a folder that are not as they were, where a sidecar lists them; else the file or folder as a whole."""
        if node.sha256 is None or not isinstance(then, Mapping) or not (self.project / node.path).is_dir():
            return [(node.path, "changed" if node.sha256 else "missing")]
        now = self.walker.contents(node.path)
        states = {name: "missing" if name not in now else "changed" if name in then else "added" for name in sorted(then.keys() | now.keys())}
        return [(f"{node.path}/{name}", state) for name, state in states.items() if then.get(name) != now.get(name)]

    def _input(self, node: Node, path: str, what: str) -> Finding:
        ours = PurePosixPath(path).parts[:1] == (RESULTS,)
        if not ours and self.walker.walk(path).step == "raw":
            return Finding(path, what, node.path, "raw")
        if ours and what == "missing":  # its sidecar is gone as well
            return Finding(path, what, path)
        return Finding(node.path, f"made from {shown(path)}, which {WORDS[what]}", node.path, "stale")

    def step(self, name: str) -> str:
        """What made an artifact; of one that is gone with its sidecar, what made the others in its folder."""
        beside = (node.step for other, node in self.nodes.items() if PurePosixPath(other).parent == PurePosixPath(name).parent)
        return self.nodes[name].step if name in self.nodes else next(beside, "")

    def made_from(self, names: Iterable[str]) -> list[str]:
        """Artifacts, and all that was made from them, in the order of making."""
        reached = set(names)
        while more := {name for name, node in self.nodes.items() if name not in reached and any(_related(edge.node.path, one) for edge in node.inputs for one in reached)}:
            reached |= more
        return self.ordered(reached)

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Artifacts in the order of making; first those that are gone with their sidecars."""
        order = dict.fromkeys(node.path for root in self.nodes.values() for node in reachable(root))
        places = {name: place for place, name in enumerate(order)}
        return sorted(set(names), key=lambda name: (places.get(name, -1), name))


def _related(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _expected(edge: Edge) -> bool:
    return edge.node.path.startswith(MEASURED) or (edge.state == "missing" and edge.node.step in TEMPORARY)
