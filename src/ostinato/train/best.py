"""Take the run of a sweep that is best on validation: the lowest loss at its end."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ostinato.files import UserError, read_json, write_json, write_sidecar
from ostinato.lm.pretrained import CODEC_FILE, LM_FILE
from ostinato.train.delivery import copy_model

#: What a model's folder may hold besides its summary and adapters: an audio model lies beside its codec, a MIDI model beside its tokenizer.
BESIDE = {CODEC_FILE, LM_FILE, "events.jsonl", "tokenizer.json"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's options."""
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of trained models")
    parser.add_argument("--out", type=Path, required=True, help="folder for the best of them")


def run(args: argparse.Namespace) -> None:
    """Copy the best model and list the sweep in its summary."""
    losses = {folder: read_json(folder / "summary.json")["valid_loss"] for folder in args.models}
    numbers = [folder for folder, loss in losses.items() if math.isfinite(loss)]  # whatever stands beside NaN is neither less nor more
    if not numbers:
        raise UserError(f"{', '.join(map(str, losses))}: no run ended with a loss on validation that is a number; lower the learning rate")
    best = min(numbers, key=lambda folder: (losses[folder], str(folder)))
    copied = copy_model(best, args.out, sorted(BESIDE & {path.name for path in best.iterdir()}))
    sweep = {folder.name: loss for folder, loss in losses.items()}
    write_json(args.out / "summary.json", read_json(best / "summary.json") | {"chosen": best.name, "sweep": sweep})
    write_sidecar(args.out / LM_FILE, "best", [folder / LM_FILE for folder in args.models], about={"chosen": best.name},
                  beside=[*copied, args.out / "summary.json"])
    print(f"{best.name}: validation loss {losses[best]:.3f} nats per code, best of {len(losses)}")
