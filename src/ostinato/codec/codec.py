"""The codec's door: whatever the kind, a folder with `compression_state_dict.bin`, loaded as audiocraft's CompressionModel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ostinato.files import UserError, atomic
from ostinato.lm.pretrained import CODEC_FILE, locate, read_checkpoint
from ostinato.params import Codec

SPECTRAL = "spectral"
EXPECTED = f"{CODEC_FILE} as audiocraft exports it, or config.json and model.safetensors as transformers does"


def save_spectral(folder: Path, codec: Any, params: Codec) -> None:
    """Write a fitted spectral codec, atomically."""
    import torch

    with atomic(folder / CODEC_FILE) as path:
        torch.save({"xp.cfg": json.dumps({"kind": SPECTRAL} | params.model_dump(), sort_keys=True), "best_state": codec.state_dict()}, path)


def load_codec(folder: Path | str) -> Any:
    """Load a codec: a folder of ours or of audiocraft's export, or a hub's name. In evaluation mode, on the CPU.

    Raises:
        UserError: no codec there, or a pretrained one that is neither cached nor reachable (names what to bring).
    """
    path = locate(folder, CODEC_FILE)
    package = read_checkpoint(path)
    config = _spectral_config(package)
    if config is None:
        return _load_audiocraft(path.parent, package)
    from ostinato.codec.spectral import build

    codec = build(Codec.model_validate(config))
    codec.load_state_dict({"loudest": codec.loudest} | package["best_state"])  # codecs of before 2026-11-26 have no such limit
    return codec.eval()


def _spectral_config(package: dict[str, Any]) -> dict[str, Any] | None:
    try:
        config = json.loads(package.get("xp.cfg", ""))
    except (json.JSONDecodeError, TypeError):
        return None  # audiocraft writes YAML
    return config if isinstance(config, dict) and config.get("kind") == SPECTRAL else None


def _load_audiocraft(folder: Path | str, package: dict[str, Any]) -> Any:
    from ostinato.codec.audiocraft_compat import import_audiocraft

    name = str(package.get("pretrained"))
    try:
        if is_transformers_folder(name):
            import transformers

            model = transformers.EncodecModel.from_pretrained(name)
            return import_audiocraft("audiocraft.models.encodec").HFEncodecCompressionModel(model).eval()
        return import_audiocraft("audiocraft.models.loaders").load_compression_model(str(folder), device="cpu").eval()
    except OSError as error:
        raise UserError(
            f"codec.pretrained: {name}: neither cached nor reachable on the model hub; set codec.pretrained to a local folder ({EXPECTED}) ({' '.join(str(error).split())[:200]})"
        ) from None


def is_transformers_folder(path: Path | str) -> bool:
    """Whether a folder holds a model as transformers saves it."""
    return (Path(path) / "config.json").is_file()
