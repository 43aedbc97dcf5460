"""`ostinato export`: write a model for stock audiocraft or for transformers."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ostinato.files import UserError, atomic, sha256
from ostinato.lm.pretrained import CODEC_FILE, LM_FILE, locate
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--model", required=True, help="folder of the model, or a hub's name")
    parser.add_argument("--adapter", type=Path, help="folder of adapters (LoRA) that were trained on that model")
    parser.add_argument("--to", choices=("audiocraft", "transformers"), required=True, help="for whom")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must not be there yet")


def run(args: argparse.Namespace) -> None:
    """Load, convert, write."""
    from ostinato.codec.codec import load_codec
    from ostinato.lm import adapters
    from ostinato.lm.export import save_transformers
    from ostinato.lm.model import load_lm, save_lm
    from ostinato.lm.t5 import T5Text

    if args.out.exists():
        raise UserError(f"--out {args.out}: is there already")
    lm = load_lm(args.model)
    if args.adapter:
        adapters.load(args.adapter, lm, args.model)
    if not isinstance(lm.text, T5Text):
        raise UserError(f"{args.model}: its text encoder is Ostinato's own, which {args.to} does not know; expected a model fine-tuned from a pretrained MusicGen")
    with atomic(args.out) as folder:
        folder.mkdir(parents=True)
        if args.to == "audiocraft":
            save_lm(folder, lm)
            shutil.copyfile(locate(args.model, CODEC_FILE), folder / CODEC_FILE)
        else:
            save_transformers(folder, lm, load_codec(args.model))
    made_from = [locate(args.model, LM_FILE), locate(args.model, CODEC_FILE), *([args.adapter] if args.adapter else [])]
    write_sidecar(args.out, "export", made_from, {"to": args.to}, about={"model_sha256": sha256(made_from[0])})
    print(f"{args.out}: for {args.to}")
