"""What the tasks of both language models share: their splits, and a model made ready for a method."""

from __future__ import annotations

from typing import Any

from ostinato.lm import adapters
from ostinato.params.blocks import Method

#: Splits by the number that seeds their batches.
SPLITS = {"train": 0, "valid": 1}


def prepare(model: Any, method: Method, seed: int, adopted: bool = False) -> Any:
    """Make a model ready for a method: its adapters, its precision, its checkpointing; one that is adopted is not trained. Changes the model, and returns it."""
    model.decoder.checkpointing = method.checkpointing
    if adopted:
        model.requires_grad_(False)
    elif method.lora:
        adapters.add(model, method.lora, seed)
    for parameter in model.parameters():
        if not parameter.requires_grad and method.precision == "bf16":
            parameter.data = parameter.data.bfloat16()
    return model
