"""What the page plays of the MIDI track, each with a side file that says how to make it again.

Every composer who is asked for (with none, anyone) gets, for each seed, a sample from nothing and the melody in their style; for the first seed also a held-out piece of
theirs that is gone on from, and one with a gap that is filled. Where a composer has a model of their own, it is asked, and the pretrained one for samples to compare with.
For evidence (`plan_evidence`) there are more samples and settings, by the pretrained model alone: they are judged, not played.
Each piece is composed on its own, as `ostinato compose` does with the same options. A model whose words cannot be held to a melody or a gap (see
compose.draft) makes the other kinds. Where a model writes no note, or a held-out piece cannot be read or said, the demo is listed in set_aside.tsv and the
others are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ostinato.files import UserError
from ostinato.folders import Aside
from ostinato.midi.melodies import MELODIES as TUNES
from ostinato.midi.metadata import composers_of, name_key, same_composer
from ostinato.midi.reading import attempt, one
from ostinato.params.midi import Compositions, Evidence

PRETRAINED = "pretrained"
MELODIES = "melodies"
#: Kinds that hold the model to something.
HELD = ("style", "infilling")
#: Of an excerpt of `seconds`, this is the gap that is filled.
GAP_SHARES = (0.4, 0.6)
#: So much of a held-out piece is given to go on from, as a share of `seconds`.
GIVEN_SHARE = 0.5
#: Of fewer samples no share can be told, and so evidence has fewer composers.
SAMPLES = 8


@dataclass(frozen=True)
class Task:
    """A demo to be made: by the model in a folder, with a melody (its name or file), or from the held-out piece of a row of the table."""

    name: str
    kind: str
    composer: str | None
    model: Path
    seed: int
    melody: str | None = None
    row: dict[str, Any] = field(default_factory=dict)


def write_all(tasks: list[Task], models: dict[Path, Any], melodies: dict[str, Any], params: Compositions, folder: Path, font: str | None) -> tuple[dict[str, Any], list[Aside]]:
    """Compose and write each demo: by name what was given to it, and rows for those that cannot be made or have no note."""
    from ostinato.compose.files import write_composition, write_wav
    from ostinato.midi.notes import write_midi

    given, aside = {}, []
    for task in tasks:
        composition = made_of(task, models[task.model], melodies.get(task.melody or ""), params)
        if isinstance(composition, str):
            aside.append((task.name, "unusable_piece", composition))
            continue
        if not len(composition.piece.notes):
            aside.append((task.name, "no_note", f"{task.model} wrote none in {params.seconds:g} s; train it for longer or take another seed"))
            continue
        write_composition(folder / f"{task.name}.mid", composition)
        write_wav(folder / f"{task.name}.mid", composition.piece, font)
        if composition.melody is not None:  # as the model's grid has it: what is to be found again
            write_midi(folder / MELODIES / f"{task.name}.mid", composition.melody)
        given[task.name] = composition.given
    return given, aside


def described(task: Task, out: Path) -> dict[str, Any]:
    """What a demo's sidecar says about it, in the folder of demos."""
    return {
        "demo": task.name,
        "kind": task.kind,
        "composer": task.composer,
        "genre": None,
        "programs": None,
        "model": str(task.model),
        "melody": str(out / MELODIES / f"{task.name}.mid") if task.kind == "style" else None,
        "piece": task.row.get("id"),
    }


def plan(params: Compositions, folders: list[Path], rows: list[dict[str, Any]]) -> Iterator[Task]:
    """What to make. Raises UserError when a composer has neither a model of their own nor a pretrained one."""
    named = {name_key(folder.name): folder for folder in folders}
    for composer in {name_key(composer): composer for composer in reversed(params.composers)}.values() or [None]:
        own, shared = named.get(name_key(composer)) if composer else None, named.get(PRETRAINED)
        model, who = own or shared, composer or "anyone"
        if model is None:
            raise UserError(f"--models: no model for {who}; expected a folder named {who} or {PRETRAINED}, got {', '.join(named)}")
        for seed in params.seeds:
            yield Task(f"{slug(who)}-sample-s{seed}", "sample", composer, model, seed)
            yield Task(f"{slug(who)}-style-s{seed}", "style", composer, model, seed, params.melody)
            if own and shared:
                yield Task(f"{slug(who)}-sample-{PRETRAINED}-s{seed}", "sample", composer, shared, seed)
        row = heldout(rows, composer, params.seconds)
        if row:
            for kind in ("continuation", "infilling"):
                yield Task(f"{slug(who)}-{kind}-s{params.seeds[0]}", kind, composer, model, params.seeds[0], row=row)


def plan_evidence(params: Evidence, folders: list[Path], rows: list[dict[str, Any]]) -> Iterator[Task]:
    """Samples and settings by the pretrained model, in turn for each composer with enough training pieces (anyone, where there is none), each time with another
    seed; settings go through all tunes before a seed is taken again. Raises UserError when there is no pretrained model."""
    model = next((folder for folder in folders if folder.name == PRETRAINED), None)
    if model is None:
        raise UserError(f"--models: expected a folder named {PRETRAINED}, got {', '.join(folder.name for folder in folders)}")
    composers: list[str | None] = [*composers_of(rows)[: max(1, params.samples // SAMPLES)]] or [None]
    for number in range(params.samples):
        seed, place = divmod(number, len(composers))
        yield Task(f"{slug(composers[place] or 'anyone')}-sample-s{seed + 1}", "sample", composers[place], model, seed + 1)
    for number in range(params.melodies):
        (seed, tune), place = divmod(number // len(composers), len(TUNES)), number % len(composers)
        name = list(TUNES)[tune]
        yield Task(f"{slug(composers[place] or 'anyone')}-{slug(name)}-s{seed + 1}", "style", composers[place], model, seed + 1, name)


def heldout(rows: list[dict[str, Any]], composer: str | None, seconds: float) -> dict[str, Any] | None:
    """A piece of a composer (None: anyone's) that no model has seen: the first that is long enough, else the longest; None where there is none."""
    theirs = sorted((row for row in rows if row["split"] == "test" and same_composer(composer, row["composer"])), key=lambda row: row["id"])
    return next((row for row in theirs if row["seconds"] >= seconds), max(theirs, key=lambda row: row["seconds"], default=None))


def made_of(task: Task, model: Any, melody: Any, params: Compositions) -> Any:
    """`make`; a line that says why not where it is the held-out piece's fault."""
    if not task.row:
        return make(task, model, melody, params)
    made = attempt(lambda _: make(task, model, melody, params), task.row["path"])
    return f"{task.row['path']}: {made.removeprefix(task.row['path'] + ': ')}" if isinstance(made, str) else made


def make(task: Task, model: Any, melody: Any, params: Compositions) -> Any:
    """One composition; without notes when the model wrote none."""
    from ostinato.compose.batch import Request
    from ostinato.compose.compose import Composition, accompany, go_on, infill, sample
    from ostinato.generate.sampling import Sampling
    from ostinato.midi.notes import read_midi

    how, request = Sampling(params.temperature, 0, params.top_p, params.guidance), Request(task.composer)
    if task.kind == "sample":
        return Composition(sample(model, [request], params.seconds, how, task.seed)[0])
    if task.kind == "style":
        return accompany(model, request, melody, how, task.seed, params.particles)
    piece = one(read_midi, task.row["path"])
    seconds = min(params.seconds, piece.seconds)
    if task.kind == "continuation":
        given = model.tokenizer.encode(piece.between(0, GIVEN_SHARE * seconds))
        return go_on(model, request, given, params.seconds - GIVEN_SHARE * seconds, how, task.seed)
    gap = tuple(share * seconds for share in GAP_SHARES)
    return infill(model, request, piece.between(0, seconds), gap, how, task.seed, params.particles)


def slug(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[\W_]+", "-", name_key(name)).strip("-")
