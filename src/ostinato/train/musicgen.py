"""The task of the audio track: predict the codes of a segment, given its prompt (cross-entropy, as in MusicGen).

MusicGen weighs all codebooks alike. In a short training the first one, which holds most of the sound and so the harmony, gains from a larger
share: codebook k weighs `codebook_decay`^k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ostinato.lm import model as lm_model
from ostinato.lm.codec import load_codec
from ostinato.lm.text import describe
from ostinato.params import Loop, Model, Plan
from ostinato.train.data import CodesDataset

SPLITS = {"train": 0, "valid": 1}


class MusicGenTask:
    """See the module; satisfies train.loop.Task."""

    def __init__(self, params: Model, loop: Loop, plan: Plan, codec: Path, codes: Sequence[Path], init: Path | None, chords: bool) -> None:
        self.codec = load_codec(codec)
        self.params, self.plan, self.seed, self.chords = params, plan, loop.seed, chords
        self.weights = loop.codebook_decay ** torch.arange(self.codec.num_codebooks)
        self.data = {split: CodesDataset(codes, split) for split in SPLITS}
        self.model = lm_model.load_lm(init) if init else lm_model.build_lm(params, self.codec.num_codebooks, self.codec.cardinality,
                                                                           self.codec.frame_rate, loop.seed)
        self.frames = int(plan.segment_seconds * self.codec.frame_rate)
        self.steps = plan.steps or math.ceil(plan.epochs * self.data["train"].frames / (plan.batch_size * self.frames))

    def loss(self, split: str, step: int) -> tuple[torch.Tensor, int]:
        """Cross-entropy (nats per code), averaged over codes that are neither padding nor outside the delay pattern, weighed by codebook."""
        rng = np.random.default_rng([self.seed, SPLITS[split], step])
        batch = self.data[split].batch(rng, self.plan.batch_size, self.frames, self.chords)
        texts: list[str | None] = [describe(prompt, frames / self.codec.frame_rate) for prompt, frames in zip(batch.prompts, batch.frames)]
        if split == "train":
            texts = [None if rng.random() < self.params.condition_dropout else text for text in texts]
        codes = torch.from_numpy(batch.codes)
        output = self.model.compute_predictions(codes, lm_model.conditions(texts))
        mask = output.mask & torch.from_numpy(batch.mask)
        weights = self.weights[:, None].expand_as(mask)[mask]
        losses = functional.cross_entropy(output.logits[mask], codes[mask], reduction="none")
        return (weights * losses).sum() / weights.sum(), len(losses)

    def save(self, folder: Path) -> None:
        """Write the trained model into `folder`, in audiocraft's layout."""
        lm_model.save_lm(folder, self.model, self.params, self.codec)


def build(config: dict[str, Any]) -> MusicGenTask:
    """The task of a training job's configuration (see train.stage)."""
    return MusicGenTask(Model.model_validate(config["model"]), Loop.model_validate(config["loop"]), Plan.model_validate(config["plan"]),
                        Path(config["codec"]), [Path(path) for path in config["codes"]],
                        Path(config["init"]) if config["init"] else None, config["chords"])
