"""Weights of the ears: safetensors files in half precision, those that come with Ostinato beside this module."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ostinato.files import UserError, atomic

if TYPE_CHECKING:
    from torch import nn


def weights_file(ear: str, folder: str | None) -> Path:
    """The weights of an ear: in `folder`, or those that come with Ostinato."""
    path = (Path(folder) if folder else Path(str(files("ostinato.ears") / "shipped"))) / f"{ear}.safetensors"
    if not path.is_file():
        raise UserError(f"{path}: no such file; `snakemake ears` trains it, and listen.ears: null takes the one that comes with Ostinato")
    return path


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a network's state in half precision."""
    from safetensors.torch import save_file

    state = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    with atomic(path) as temporary:
        save_file({name: value.contiguous() for name, value in state.items()}, temporary)


@cache
def load_ear(ear: str, folder: str | None) -> nn.Module:
    """The network of an ear, for inference.

    Raises:
        UserError: the file is missing, unreadable, or of another layout.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from ostinato.ears.networks import NETWORKS

    path, model = weights_file(ear, folder), NETWORKS[ear]()
    try:
        state = load_file(path)
        model.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path}: not the weights of the {ear} ({' '.join(str(error).split())[:200]})") from None
    return model.requires_grad_(False).eval()
