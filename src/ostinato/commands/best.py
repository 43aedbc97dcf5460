"""`ostinato best`: take the run of a sweep that is best on validation."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ostinato.files import UserError, read_json, write_json
from ostinato.lm.pretrained import LM_FILE
from ostinato.sidecars import write_sidecar
from ostinato.train.delivery import BESIDE, copy_model


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
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
    write_sidecar(args.out / LM_FILE, "best", [folder / LM_FILE for folder in args.models], about={"chosen": best.name}, beside=[*copied, args.out / "summary.json"])
    print(f"{best.name}: validation loss {losses[best]:.3f} nats per code, best of {len(losses)}")
