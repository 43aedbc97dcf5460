"""Fit the spectral codec on the training split, or fetch a pretrained EnCodec; either way a folder in audiocraft's layout."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ostinato.codec.codec import EXPECTED, is_transformers_folder, save_spectral
from ostinato.corpus.recordings import read
from ostinato.dataset.manifests import read_manifest
from ostinato.files import UserError, atomic
from ostinato.lm.pretrained import CODEC_FILE
from ostinato.params import Codec
from ostinato.sampling import share_of


def fit(manifest: Path, out: Path, params: Codec) -> list[Path]:
    """Fit the spectral codec on a sample of `codec.fit_seconds` of a manifest's segments, spread evenly over it; returns these, from which it was made.

    Raises:
        UserError: there is too little sound for `codec.cardinality` entries.
    """
    import torch

    from ostinato.codec.spectral import SAMPLE_RATE, build

    codec = build(params)
    frames_needed = 2 * params.cardinality
    sample, total = sampled(manifest, params.fit_seconds)
    seconds = min(params.fit_seconds, total)
    if seconds * codec.frame_rate < frames_needed:
        raise UserError(f"codec.cardinality: {params.cardinality} entries need at least {frames_needed / codec.frame_rate:.0f} s of training audio, {seconds:.0f} s are there")
    with torch.no_grad():
        left = codec.fit((read(row["path"], sample_rate=SAMPLE_RATE, mono=True)[0] for row in sample), params.kmeans_iterations)
    save_spectral(out, codec, params)
    print(f"fitted on {len(sample)} segments, {sum(row['duration'] for row in sample):.0f} s of {total:.0f} s")
    print("variance left after " + ", ".join(f"{stage} {share:.3f}" for stage, share in left.items()))
    return [Path(row["path"]) for row in sample]


def sampled(manifest: Path, seconds: float) -> tuple[list[dict[str, Any]], float]:
    """Lines of a manifest, spread evenly over it, whose segments last `seconds` together; and the seconds of all, which are read twice and not held."""
    total = sum(row["duration"] for row in read_manifest(manifest))
    return list(_spread(read_manifest(manifest), seconds, total)), total


def _spread(rows: Iterable[dict[str, Any]], seconds: float, total: float) -> Iterator[dict[str, Any]]:
    """Segments spread evenly over a manifest of `total` seconds, until they last `seconds`."""
    taken = 0.0
    for row in share_of(rows, min(1.0, seconds / total)):
        taken += row["duration"]
        yield row
        if taken >= seconds:
            return


def fetch(pretrained: str, out: Path) -> list[Path]:
    """Take a pretrained codec: audiocraft's export is copied; a hub's name or transformers' folder is recorded as audiocraft's exporter does."""
    import torch

    source, inputs = Path(pretrained), []
    with atomic(out / CODEC_FILE) as path:
        if (source / CODEC_FILE).is_file():
            shutil.copyfile(source / CODEC_FILE, path)
            inputs = [source / CODEC_FILE]
        elif source.exists() and not is_transformers_folder(source):
            raise UserError(f"codec.pretrained: {source}: no codec in it; expected a folder with {EXPECTED}")
        else:
            inputs = [source] if source.exists() else []
            torch.save({"pretrained": str(source.resolve()) if inputs else pretrained, "exported": True, "version": "1.3.0"}, path)
    return inputs
