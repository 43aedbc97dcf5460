"""Language models: a decoder and its text encoder, built from params or loaded from where others left them.

A model's folder is in audiocraft's layout: `state_dict.bin` with `xp.cfg` and `best_state`, under audiocraft's names, beside `compression_state_dict.bin`.
Where the text encoder is T5 (a pretrained MusicGen, fine-tuned or not), stock audiocraft loads the folder; where it is ours, `xp.cfg` is JSON and says so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ostinato.files import UserError, atomic
from ostinato.lm import layout
from ostinato.lm.decoder import Decoder
from ostinato.lm.pretrained import LM_FILE, locate, read_config, read_package
from ostinato.lm.shape import Shape
from ostinato.lm.t5 import T5Text
from ostinato.lm.text import ChordTextEncoder
from ostinato.params import Model

LAYOUT = "ostinato.lm"


class LanguageModel(nn.Module):
    """`decoder` and `text`, its text encoder; `config` is what `xp.cfg` says, as text; `window_seconds`: what it can hear at once, None: no limit is known."""

    def __init__(self, decoder: Decoder, text: ChordTextEncoder | T5Text, config: str, window_seconds: float | None = None) -> None:
        super().__init__()
        self.decoder, self.text = decoder, text
        self.config, self.window_seconds = config, window_seconds

    @property
    def is_told_length(self) -> bool:
        """Whether descriptions say how long the music is to be: ours does, a pretrained MusicGen was never told."""
        return isinstance(self.text, ChordTextEncoder)

    def forward(self, tokens: torch.Tensor, texts: list[str | None]) -> torch.Tensor:
        """Logits [B, K, S, cardinality] for tokens [B, K, S] and one text for each row (None: no condition)."""
        return self.decoder(tokens, self.text(texts))

    def pairs(self) -> layout.Pairs:
        """Our names of weights and audiocraft's."""
        return layout.audiocraft(self.decoder.shape, self.text.state_dict())


def build_lm(params: Model, codebooks: int, cardinality: int, frame_rate: float, seed: int) -> LanguageModel:
    """A fresh model with our text encoder; weights depend on `seed` alone."""
    torch.manual_seed(seed)
    text = ChordTextEncoder(params, params.dim, frame_rate)
    shape = Shape(params.dim, params.layers, params.heads, params.hidden_scale * params.dim, cardinality, tuple(range(codebooks)), dropout=params.dropout)
    config = {"layout": LAYOUT, "model": params.model_dump(), "codebooks": codebooks, "cardinality": cardinality, "frame_rate": frame_rate}
    lm = LanguageModel(Decoder(shape), text, json.dumps(config, sort_keys=True))
    _look_by_position(lm.decoder)
    return lm


def _look_by_position(decoder: Decoder) -> None:
    """Start cross-attention with the projection of its keys equal to that of its queries.

    A frame then looks first at the chord whose span has sinusoids like its own (see lm.text); a short training would otherwise spend its steps on
    finding that out.
    """
    with torch.no_grad():
        layer: Any  # a ModuleList does not say of what
        for layer in decoder.layers:
            layer.cross_attention.keys_values.weight[: decoder.shape.dim] = layer.cross_attention.query.weight


def parameter_count(lm: nn.Module) -> int:
    """Number of parameters, the text encoder's included where it is trained."""
    return sum(p.numel() for p in lm.parameters())


def save_lm(folder: Path, lm: LanguageModel) -> None:
    """Write `state_dict.bin` into `folder`, atomically, in 32-bit floats."""
    state = layout.write({name: value.float() for name, value in lm.state_dict().items()}, lm.pairs())
    extras = {} if lm.is_told_length else {"version": "1.3.0", "exported": True}
    with atomic(folder / LM_FILE) as path:
        torch.save({"xp.cfg": lm.config, "best_state": state} | extras, path)


def load_lm(source: Path | str) -> LanguageModel:
    """Load a model: a folder of ours or of audiocraft's export (MusicGen), or a hub's name. In evaluation mode, on the CPU, in 32-bit floats.

    Weights stay in the file where they are 32-bit there: it is mapped, and read when they are used. The mapping is private: what training writes to them is
    this process's own, page by page, and a file that is replaced meanwhile (files.atomic) lives on until it is let go.

    Raises:
        UserError: nothing to load there, a model of another kind, or weights that do not fit the configuration (the first differing keys are named).
    """
    path = locate(source, LM_FILE)
    package = read_package(path)
    try:
        config = json.loads(package["xp.cfg"])
    except (json.JSONDecodeError, TypeError):
        lm = _of_audiocraft(package["xp.cfg"], path)
    else:
        lm = _of_ours(config, path)
    state = layout.read(package["best_state"], lm.pairs(), lm.state_dict(), path)
    lm.load_state_dict(state, assign=True)
    return lm.eval()


def _of_ours(config: Any, path: Path) -> LanguageModel:
    if not isinstance(config, dict) or config.get("layout") != LAYOUT:
        raise UserError(f"{path}: layout is {config.get('layout') if isinstance(config, dict) else config!r}, expected {LAYOUT!r}")
    try:
        with torch.device("meta"):  # weights are yet to be assigned, as in Decoder.empty
            return build_lm(Model.model_validate(config["model"]), config["codebooks"], config["cardinality"], config["frame_rate"], seed=0)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: xp.cfg is not what this version of Ostinato writes ({' '.join(str(error).split())[:160]})") from None


def _of_audiocraft(text: str, path: Path) -> LanguageModel:
    shape, t5, seconds = read_config(text, path)
    return LanguageModel(Decoder.empty(shape), T5Text(t5, shape.dim), text, seconds)
