"""Low-rank adapters on a language model's decoder (LoRA; Hu et al., 2021), by peft: added, saved alone, merged.

Kept as peft keeps them: `adapter_config.json` and `adapter_model.safetensors`. The fingerprint of the weights they were trained on is in the former, and
adapters are refused by any others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ostinato.files import UserError, atomic, sha256, write_json
from ostinato.lm.pretrained import LM_FILE, locate
from ostinato.params.blocks import Lora

#: Every matrix of a layer but the norms.
TARGETS = ("qkv", "out", "query", "keys_values", "widen", "narrow")
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def fingerprint(source: Path | str) -> str:
    """What tells a model's weights from others."""
    return sha256(locate(source, LM_FILE))


def add(model: Any, lora: Lora, seed: int) -> None:
    """Freeze a LanguageModel and add adapters to all layers of its decoder; at first they change nothing."""
    from peft import LoraConfig, inject_adapter_in_model

    torch.manual_seed(seed)
    model.requires_grad_(False)
    alpha: Any = lora.alpha  # peft calls for a whole number, and divides whatever it gets
    inject_adapter_in_model(LoraConfig(r=lora.rank, lora_alpha=alpha, lora_dropout=lora.dropout, target_modules=list(TARGETS)), model.decoder)


def save(folder: Path, model: Any, base: str) -> None:
    """Write the adapters alone."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    config = model.decoder.peft_config["default"].to_dict() | {"base_model_sha256": base}
    with atomic(folder / WEIGHTS) as path:
        save_file({name: value.float().contiguous().cpu() for name, value in get_peft_model_state_dict(model.decoder).items()}, path)
    write_json(folder / CONFIG, json.loads(json.dumps(config, default=lambda value: sorted(value) if isinstance(value, set) else str(value))))


def load(folder: Path, model: Any, source: Path | str) -> None:
    """Put saved adapters on the model that `source` holds, merged into its weights.

    Raises:
        UserError: no adapters there, or those of another base.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        state = load_file(folder / WEIGHTS)
        lora = Lora(rank=config["r"], alpha=config["lora_alpha"], dropout=0.0)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder}: expected adapters, {CONFIG} and {WEIGHTS}, as peft and Ostinato save them ({' '.join(str(error).split())[:160]})") from None
    found = fingerprint(source)
    if config.get("base_model_sha256") != found:
        raise UserError(f"{folder}: these adapters belong to a base whose {LM_FILE} is {str(config.get('base_model_sha256'))[:12]}, that of {source} is {found[:12]}")
    add(model, lora, seed=0)
    set_peft_model_state_dict(model.decoder, state)
    merge(model)


def merge(model: Any) -> None:
    """Add the adapters to the weights they adapt, and take them out."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.decoder.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.decoder.get_submodule(parent), child, module.get_base_layer())
    del model.decoder.peft_config
