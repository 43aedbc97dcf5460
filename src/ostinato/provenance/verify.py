"""Whether every artifact is there and what its sidecar says, and which command makes anew what is not (see ostinato.provenance.integrity).

Status 1 when anything is found.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from ostinato.escapes import shown
from ostinato.files import SIDECAR, UserError
from ostinato.provenance import remake
from ostinato.provenance.integrity import Finding, Inspector
from ostinato.provenance.lineage import artifacts, reachable
from ostinato.provenance.remake import RESULTS
from ostinato.sidecars import sidecar_path

#: More findings alike in one folder are counted, not listed.
LISTED = 10


def chosen(path: Path) -> list[Path]:
    """The artifacts that a path names: itself, what it is a part of, or all in a folder. Raises UserError when there is none."""
    path = Path(str(path).removesuffix(SIDECAR))
    if (path / "Snakefile").is_file():
        path = path / RESULTS
    place = Path(os.path.abspath(path))
    around = [item for item in (place, *place.parents) if item.name and sidecar_path(item).is_file()][:1]
    if found := [*around, *artifacts(path)]:
        return found
    raise UserError(
        f"{path}: "
        + (
            "nothing in it has a sidecar"
            if path.is_dir()
            else "no sidecar accounts for it"
            if path.exists()
            else "no such file or folder; name artifacts, or go to the project, whose results are verified where none are named"
        )
    )


def all_whole(project: Path, names: Sequence[str]) -> bool:
    """Verify the artifacts of a project and print what is found; whether all is whole."""
    inspector = Inspector(project)
    findings = inspector.inspect(names)
    elsewhere = project != Path()
    if findings and elsewhere:
        print(f"in {shown(project)}:")
    for line in [*told(findings), *commands(findings, inspector)]:
        print(line)
    if not findings:
        remarks = "".join(f"; {remark}" for remark in inspector.remarks)
        many = f"{len(names)} artifacts are" if len(names) != 1 else f"{shown(names[0])} is"
        print(f"{shown(project) + ': ' if elsewhere else ''}{many} whole, and what was used is as it was{shown(remarks)}")
    return not findings


def told(findings: Iterable[Finding]) -> Iterator[str]:
    """A line for each finding, raw files last; of many alike in a folder the first ones."""
    groups: dict[tuple[str, ...], dict[str, None]] = {}
    for finding in sorted(findings, key=lambda finding: finding.kind == "raw"):
        path = PurePosixPath(finding.path)
        groups.setdefault((str(path.parent), path.suffix, finding.what, finding.kind), {})[finding.path] = None
    for (folder, suffix, what, kind), paths in groups.items():
        note = " (a raw file: nothing here makes it)" if kind == "raw" else ""
        yield from (f"{shown(path)}: {what}{note}" for path in list(paths)[:LISTED])
        if len(paths) > LISTED:
            yield f"{shown(folder)}/*{shown(suffix)}: {len(paths) - LISTED} more {what}{note}"


def commands(findings: Sequence[Finding], inspector: Inspector) -> Iterator[str]:
    """What to type."""
    damaged = {finding.artifact for finding in findings if finding.kind == "damage"}
    stale = inspector.made_from({finding.artifact for finding in findings if finding.kind == "stale"})
    outdated = {finding.artifact for finding in findings if finding.kind == "raw"}
    yield from _anew("to make it anew", inspector.ordered({*damaged, *stale}), inspector, "--force")
    first = [name for name in inspector.ordered(outdated) if not {node.path for node in reachable(inspector.walker.walk(name))} & (outdated - {name})]
    yield from _anew("when the raw files are as they should be, to make anew what comes of them", first, inspector, "--forcerun")


def _anew(purpose: str, names: Sequence[str], inspector: Inspector, how: str) -> Iterator[str]:
    targets: dict[str, None] = {}
    by_hand: dict[str, None] = {}
    for name in names:
        if goal := remake.target(name, inspector.step(name)):
            targets[goal] = None
        else:
            by_hand[remake.by_hand(inspector.nodes[name].record)] = None
    lines = [remake.by_snakemake(list(targets), inspector.project, how)] if targets else []
    yield from (f"{purpose}: {line}" for line in [*lines, *by_hand])
