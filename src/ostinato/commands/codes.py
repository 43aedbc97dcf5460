"""`ostinato codes`: encode every segment once."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ostinato.codec.codec import load_codec
from ostinato.codec.encoding import index_row
from ostinato.corpus.recordings import read
from ostinato.dataset.manifests import segments_of
from ostinato.files import UserError, atomic, write_jsonl
from ostinato.lm.pretrained import CODEC_FILE
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--codec", type=Path, required=True, help="folder of the codec")
    parser.add_argument("--segments", type=Path, required=True, help="folder of segments")
    parser.add_argument("--out", type=Path, required=True, help="the .npy to write; the index goes beside it")


def run(args: argparse.Namespace) -> None:
    """Encode the segments of a shard."""
    import torch

    codec = load_codec(args.codec)
    if codec.cardinality > np.iinfo(np.int16).max:
        raise UserError(f"{args.codec}: cardinality {codec.cardinality} does not fit the 16 bits codes are kept in")
    encoded, index, start = [np.zeros((codec.num_codebooks, 0), np.int16)], [], 0
    for row in segments_of(args.segments):
        samples, _ = read(row["path"], sample_rate=codec.sample_rate, mono=True)
        with torch.no_grad():
            codes, _ = codec.encode(torch.from_numpy(samples)[None, None].expand(1, codec.channels, -1))
        encoded.append(codes[0].numpy().astype(np.int16))
        index.append(index_row(row, start, encoded[-1], codec.frame_rate))
        start += codes.shape[-1]
    with atomic(args.out) as path:
        np.save(path, np.concatenate(encoded, axis=1))
    write_jsonl(args.out.with_suffix(".jsonl"), index)
    write_sidecar([args.out, args.out.with_suffix(".jsonl")], "codes", [args.codec / CODEC_FILE, args.segments])
    print(f"{len(index)} segments, {start} frames of {codec.num_codebooks} codes")
