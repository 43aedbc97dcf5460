"""The language model: audiocraft's LMModel on K parallel codebooks with the delay pattern, built from params.

Choices, as in MusicGen (Copet et al., 2023): pre-norm, no biases, GELU, sinusoidal positions, cross-attention to the text, one linear head
per codebook, codebook k delayed by k frames, classifier-free guidance by dropping prompts in training. Saved in audiocraft's layout:
`state_dict.bin` with `xp.cfg` and `best_state`, beside `compression_state_dict.bin`. A folder exported by audiocraft itself is loaded by
audiocraft's own loader.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ostinato.files import UserError, atomic
from ostinato.lm.audiocraft_compat import import_audiocraft
from ostinato.params import Model

LAYOUT = "ostinato.lm"


def build_lm(params: Model, codebooks: int, cardinality: int, frame_rate: float, seed: int) -> Any:
    """A fresh audiocraft LMModel with our text encoder; weights depend on `seed` alone."""
    lm_module = import_audiocraft("audiocraft.models.lm")
    conditioners = import_audiocraft("audiocraft.modules.conditioners")
    patterns = import_audiocraft("audiocraft.modules.codebooks_patterns")
    from ostinato.lm.text import ChordTextEncoder

    torch.manual_seed(seed)
    encoder = ChordTextEncoder(params, params.dim, frame_rate)
    lm = lm_module.LMModel(
        pattern_provider=patterns.DelayedPatternProvider(codebooks),
        condition_provider=conditioners.ConditioningProvider({"description": encoder}),
        fuser=conditioners.ConditionFuser({"cross": ["description"], "sum": [], "prepend": [], "input_interpolate": []}),
        n_q=codebooks, card=cardinality, dim=params.dim, num_heads=params.heads, hidden_scale=params.hidden_scale,
        num_layers=params.layers, dropout=params.dropout, cfg_dropout=0.0, cross_attention=True, causal=True,
        custom=False, memory_efficient=True, norm_first=True, bias_proj=False, bias_ff=False, bias_attn=False, activation="gelu",
        positional_embedding="sin", weight_init="gaussian", depthwise_init="current", zero_bias_init=True,
    )
    _look_by_position(lm, params.dim)
    return lm


def _look_by_position(lm: Any, dim: int) -> None:
    """Start cross-attention with the projection of its keys equal to that of its queries.

    A frame then looks first at the chord whose span has sinusoids like its own (see lm.text); a short training would otherwise spend its steps on
    finding that out.
    """
    with torch.no_grad():
        for layer in lm.transformer.layers:
            weight = layer.cross_attention.in_proj_weight  # [queries; keys; values]
            weight[dim : 2 * dim] = weight[:dim]


def conditions(descriptions: list[str | None]) -> list[Any]:
    """audiocraft's ConditioningAttributes for descriptions (None: unconditioned)."""
    attributes = import_audiocraft("audiocraft.modules.conditioners").ConditioningAttributes
    return [attributes(text={"description": text}) for text in descriptions]


def parameter_count(lm: torch.nn.Module) -> int:
    """Number of trained parameters, the text encoder included."""
    return sum(p.numel() for p in lm.parameters())


def save_lm(folder: Path, lm: Any, params: Model, codec: Any) -> None:
    """Write `state_dict.bin` into `folder`, atomically."""
    config = {"layout": LAYOUT, "model": params.model_dump(), "codebooks": codec.num_codebooks, "cardinality": codec.cardinality,
              "frame_rate": codec.frame_rate}
    with atomic(folder / "state_dict.bin") as path:
        torch.save({"xp.cfg": json.dumps(config, sort_keys=True), "best_state": lm.state_dict()}, path)


def load_lm(folder: Path | str) -> Any:
    """Load a model folder: ours, or one exported by audiocraft (MusicGen). In evaluation mode, on the CPU.

    Raises:
        UserError: nothing to load there, or the weights do not fit the configuration (the first differing keys are named).
    """
    path = Path(folder) / "state_dict.bin"
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a model folder with state_dict.bin and compression_state_dict.bin")
    package = torch.load(path, map_location="cpu", weights_only=True)
    try:
        config = json.loads(package["xp.cfg"])
    except (json.JSONDecodeError, TypeError):
        return _load_audiocraft(folder)
    if config.get("layout") != LAYOUT:
        raise UserError(f"{path}: layout is {config.get('layout')!r}, expected {LAYOUT!r}")
    lm = build_lm(Model.model_validate(config["model"]), config["codebooks"], config["cardinality"], config["frame_rate"], seed=0)
    try:
        lm.load_state_dict(package["best_state"])
    except RuntimeError as error:
        raise UserError(f"{path}: weights do not fit their configuration: {' '.join(str(error).split())[:300]}") from None
    return lm.eval()


def _load_audiocraft(folder: Path | str) -> Any:
    """A model exported by audiocraft. Its T5 is not in the folder: transformers finds it in its cache, or asks the hub."""
    try:
        return import_audiocraft("audiocraft.models.loaders").load_lm_model(str(folder))
    except OSError as error:
        raise UserError(f"{folder}: the model's text encoder is neither cached nor reachable on the model hub; download it once where there is a network "
                        f"and set HF_HOME to that cache ({' '.join(str(error).split())[:200]})") from None
