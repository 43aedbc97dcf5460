"""`ostinato compositions`: compose what the page shows."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.compose.compositions import HELD, MELODIES, PRETRAINED, described, plan, plan_evidence, write_all
from ostinato.files import UserError, atomic, read_jsonl
from ostinato.machine import machine
from ostinato.params import part
from ostinato.params.midi import Compositions, Evidence
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_set_aside


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", required=True, help="section `midi.demos`, as JSON")
    parser.add_argument("--evidence", help="section `midi.evidence`, as JSON: compose that much for the judge in place of what the page shows")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help=f"folders of models; one named as a composer is theirs, one named {PRETRAINED} is for all others")
    parser.add_argument("--pieces", type=Path, required=True, help="table of pieces, for what was held out")
    parser.add_argument("--soundfont", help="left out: TimGM6mb")
    parser.add_argument("--out", type=Path, required=True, help="folder for the demos")


def run(args: argparse.Namespace) -> None:
    """Compose, write and describe every demo. Raises UserError when none of them has a note."""
    params: Compositions = part(Compositions, "midi.demos", args.params)
    evidence: Evidence | None = part(Evidence, "midi.evidence", args.evidence) if args.evidence else None
    rows = read_jsonl(args.pieces)
    tasks = list(plan_evidence(evidence, args.models, rows) if evidence else plan(params, args.models, rows))
    import torch

    from ostinato.compose.draft import is_plain
    from ostinato.compose.files import read_melody
    from ostinato.lm.midi_model import load_midi
    from ostinato.lm.pretrained import LM_FILE

    torch.set_num_threads(1)  # the pieces must not depend on how many cores a machine has
    models = {folder: load_midi(folder) for folder in dict.fromkeys(task.model for task in tasks)}
    tasks = [task for task in tasks if task.kind not in HELD or is_plain(models[task.model].tokenizer)]
    read = {task.melody: read_melody(task.melody) for task in tasks if task.melody}
    melodies, remarks = {name: melody for name, (melody, _) in read.items()}, [remark for _, remark in read.values() if remark]
    with atomic(args.out) as folder:
        folder.mkdir()
        given, aside = write_all(tasks, models, melodies, params, folder, args.soundfont)
        write_set_aside(folder / "set_aside.tsv", aside)
        if not given:
            raise UserError(f"{aside[0][0]}: {aside[0][2]}; it is the same with all {len(aside)} compositions")
    asked = params.model_dump() | ({"evidence": evidence.model_dump()} if evidence else {})
    write_sidecar(args.out / "set_aside.tsv", "compositions", [], asked)
    made, here = [task for task in tasks if task.name in given], machine("cpu", "fp32")
    for task in made:
        inputs = [task.model / LM_FILE, *([Path(task.row["path"])] if task.row else [])]
        for suffix in (".mid", ".wav"):
            write_sidecar(
                args.out / f"{task.name}{suffix}",
                "compositions",
                inputs,
                asked,
                task.seed,
                described(task, args.out) | {"given": given[task.name]} | here,
                beside=list((args.out / MELODIES).glob(f"{task.name}.mid")),
            )
    print(f"{len(made)} compositions in {args.out}" + (f"; {len(aside)} set aside" if aside else "") + "".join(f"; {remark}" for remark in remarks))
