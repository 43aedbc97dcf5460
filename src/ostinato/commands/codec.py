"""`ostinato codec`: fit or fetch the codec."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.codec.codec import load_codec
from ostinato.codec.fitting import fetch, fit
from ostinato.files import UserError
from ostinato.lm.pretrained import CODEC_FILE
from ostinato.params import Codec, section
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `codec` as JSON")
    parser.add_argument("--manifest", type=Path, help="manifest of the training split, which the spectral codec is fitted on")
    parser.add_argument("--out", type=Path, required=True, help="folder for the codec")


def run(args: argparse.Namespace) -> None:
    """Make the codec folder."""
    params: Codec = section("codec", args.params)
    if params.kind == "spectral":
        if args.manifest is None:
            raise UserError("codec.kind: spectral is fitted on sound; name the manifest of the training split with --manifest")
        inputs = fit(args.manifest, args.out, params)
    else:
        inputs = fetch(str(params.pretrained), args.out)
    codec = load_codec(args.out)
    write_sidecar(args.out / CODEC_FILE, "codec", inputs, params.model_dump(), params.seed)
    print(f"{params.kind}: {codec.num_codebooks} x {codec.cardinality} at {codec.frame_rate:g} Hz, {codec.sample_rate} Hz audio")
