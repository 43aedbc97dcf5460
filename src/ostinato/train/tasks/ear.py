"""What the tasks of all ears share: small networks, trained on the CPU, whatever there is, on spectra with labels, in batches that stay whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ostinato.files import UserError
from ostinato.params.blocks import Loop, Plan


@dataclass(frozen=True)
class Examples:
    """Spectra [B, T, bins] and their labels [B, ...], as the ear's music says them."""

    spectra: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.spectra)


class Ear:
    """The part of train.loop.Task that is the same for all ears. A task makes `model`, and says what its batches and its loss are."""

    device, precision = "cpu", "bf16"
    model: Any

    def __init__(self, ear: str, loop: Loop, plan: Plan) -> None:
        if plan.steps is None:
            raise UserError(f"ears.{ear}.plan: epochs: expected null and a number of steps")
        self.ear, self.plan, self.seed, self.steps, self.validation_examples = ear, plan, loop.seed, plan.steps, loop.validation_examples
        torch.manual_seed(loop.seed)

    def size(self, split: str) -> int:
        """Examples in a batch."""
        return self.plan.batch_size if split == "train" else self.validation_examples

    def answers(self, batch: Examples, rows: range) -> tuple[Any, torch.Tensor]:
        """What the network makes of rows of a batch, and their labels. Batch normalisation wants batches whole in training."""
        if self.model.training and len(rows) < len(batch):
            raise UserError(f"ears.{self.ear}: a batch of {len(batch)} clips is more than memory holds; lower plan.batch_size")
        with torch.autocast(self.device, torch.bfloat16):
            return self.model(batch.spectra[rows.start : rows.stop]), batch.labels[rows.start : rows.stop]
