"""A lineage told: as a tree of text, as the steps of its way, as a table for machines, and what in it is not as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ostinato.escapes import shown
from ostinato.provenance.lineage import Edge, Node, Walker, reachable

#: More inputs alike than this are summed up in one line.
ALIKE = 3
#: States of inputs that are troubles, in words.
_WORDS = {"changed": "changed since", "missing": "missing"}


def troubles(root: Node) -> list[str]:
    """One line for each input that is not what it was, sorted."""
    lines = {f"{shown(edge.node.path)}: {_WORDS[edge.state]}" for node in reachable(root) for edge in node.inputs if edge.state in _WORDS}
    if root.state in _WORDS:
        lines.add(f"{shown(root.path)}: {_WORDS[root.state]}")
    return sorted(lines)


def chain(root: Node) -> list[dict[str, Any]]:
    """The way from the raw files to `root`, one entry a step: {"step", "count", "paths" (the first three), "seeds", "commits", "sampled": whether there are more}."""
    steps: dict[str, list[Node]] = {}
    some = {edge.node.path for node in reachable(root) if node.sampled for edge in node.inputs}
    for node in sorted(reachable(root), key=lambda node: node.step != "raw"):  # stable: raw first, then the order of making
        if node.step != "folder":
            steps.setdefault(node.step, []).append(node)
    return [
        {
            "step": step,
            "count": len(nodes),
            "paths": [node.path for node in nodes[:ALIKE]],
            "seeds": _all(nodes, "seed"),
            "commits": _all(nodes, "commit"),
            "sampled": any(node.path in some for node in nodes),
        }
        for step, nodes in steps.items()
    ]


def origin(path: Path, walker: Walker) -> dict[str, Any]:
    """What a player says of where its clip comes from: {"chain", "troubles", "sample": how many inputs were followed where there are more, or None}."""
    node = walker.walk(path)
    steps = chain(node)
    return {"chain": steps, "troubles": troubles(node), "sample": walker.sample if any(step["sampled"] for step in steps) else None}


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
    return f"{shown(place)}  [{node.step}{seed}]{trouble}"


def as_json(root: Node) -> dict[str, Any]:
    """A flat table of nodes, so that shared inputs stand once: {"root": path, "troubles": [...], "nodes": {path: {...}}}."""
    nodes = {
        node.path: {
            "step": node.step,
            "sha256": node.sha256,
            "state": node.state,
            "seed": node.record.get("seed"),
            "commit": node.record.get("commit"),
            "params": node.record.get("params"),
            "inputs": [{"path": edge.node.path, "sha256": edge.recorded, "state": edge.state} for edge in node.inputs],
        }
        for node in reachable(root)
    }
    return {"root": root.path, "troubles": troubles(root), "nodes": nodes}
