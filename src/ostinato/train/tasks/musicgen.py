"""The task of the audio track: predict the codes of a segment, given its prompt (cross-entropy, as in MusicGen).

MusicGen weighs all codebooks alike. In a short training the first one, which holds most of the sound and so the harmony, gains from a larger
share: codebook k weighs `codebook_decay`^k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ostinato.codec.codec import load_codec
from ostinato.codec.encoding import Table
from ostinato.lm import adapters
from ostinato.lm import model as lm_model
from ostinato.lm.delays import inputs_and_targets
from ostinato.lm.pretrained import ADAPTER
from ostinato.lm.text import describe
from ostinato.params import Model, Training
from ostinato.params.blocks import Plan
from ostinato.train import memory
from ostinato.train.steps import VALIDATION_SEED
from ostinato.train.tasks.codes import CodesDataset
from ostinato.train.tasks.preparation import SPLITS, prepare


@dataclass(frozen=True)
class Shown:
    """A batch: what the decoder is shown and is to say, and what share of the loss each code has, each [B, K, T]."""

    tokens: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    texts: list[str | None]

    def __len__(self) -> int:
        return len(self.texts)


class MusicGenTask:
    """See the module; satisfies train.loop.Task. `init`: a folder or a hub's name; `adopted`: it is taken as it is; `device`: where it is trained;
    `shuffled`: each segment is trained on with the chords of another, for a control that learns all but what a prompt means.
    """

    def __init__(
        self,
        params: Model,
        training: Training,
        plan: Plan,
        codec: Path,
        codes: Path,
        init: str | None,
        chords: bool,
        adopted: bool = False,
        device: str = "cpu",
        shuffled: bool = False,
    ) -> None:
        codec_model = load_codec(codec)
        self.params, self.training, self.plan, self.chords, self.device = params, training, plan, chords, device
        self.init, self.adopted = init, adopted
        self.method = training.method.model_copy(update={} if init and not adopted else {"lora": None})
        self.precision = self.method.precision
        self.frame_rate = codec_model.frame_rate
        self.decay = training.codebook_decay ** torch.arange(codec_model.num_codebooks)
        table = Table.load(codes)
        self.data = {split: CodesDataset(table, split, training.seed if shuffled and split == "train" else None) for split in SPLITS}
        self.model = lm_model.load_lm(init) if init else lm_model.build_lm(params, codec_model.num_codebooks, codec_model.cardinality, self.frame_rate, training.seed)
        prepare(self.model, self.method, training.seed, adopted).to(device)
        self.frames = int(plan.segment_seconds * self.frame_rate)
        self.steps = 0 if adopted else plan.steps or math.ceil((plan.epochs or 0) * self.data["train"].frames / (plan.batch_size * self.frames))

    def batch(self, split: str, step: int) -> Shown:
        """The batch of a step, the same whoever computes it, and however it is divided; or what is validated on, the same for every run."""
        if split == "valid":
            return self._shown(split, np.random.default_rng(VALIDATION_SEED), self.training.validation_examples, int(self.training.validation_seconds * self.frame_rate), 0.0)
        rng = np.random.default_rng([self.training.seed, SPLITS[split], step])
        return self._shown(split, rng, self.plan.batch_size, self.frames, self.params.condition_dropout)

    def _shown(self, split: str, rng: np.random.Generator, examples: int, frames: int, dropout: float) -> Shown:
        """So many examples of at most so many frames; of some the text is dropped."""
        drawn = self.data[split].batch(rng, examples, frames, self.chords)
        told = self.model.is_told_length
        texts: list[str | None] = [describe(prompt, frames / self.frame_rate) if told else prompt for prompt, frames in zip(drawn.prompts, drawn.frames)]
        texts = [None if rng.random() < dropout else text for text in texts]
        decoder = self.model.decoder
        tokens, targets, counts = inputs_and_targets(torch.from_numpy(drawn.codes), torch.from_numpy(drawn.mask), decoder.shape.delays, decoder.special)
        weights = counts * (self.decay / counts.sum(dim=(0, 2)).clamp(min=1) / self.decay.sum())[:, None]
        return Shown(tokens, targets, weights, texts)

    def loss(self, batch: Shown, rows: range) -> tuple[torch.Tensor, int]:
        """What rows of a batch add to its cross-entropy (nats per code), averaged over the codes of a codebook that are no padding, then over codebooks by their
        weights (all alike, it is audiocraft's); and how many codes there are.
        """
        some = slice(rows.start, rows.stop)
        tokens, targets, weights = (value[some].to(self.device) for value in (batch.tokens, batch.targets, batch.weights))
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.method.precision == "bf16"):
            logits = self.model(tokens, batch.texts[some])
        # all codes of a step side by side, as the head says them; padding weighs nothing, and to pick the others would copy the logits, there and back
        said, padding = logits.transpose(1, 2).flatten(0, 2), self.model.decoder.special
        losses = functional.cross_entropy(said.float(), targets.transpose(1, 2).flatten(), reduction="none", ignore_index=padding)
        return (weights.transpose(1, 2).flatten() * losses).sum(), int((weights > 0).sum())

    def need(self, micro: int) -> str:
        """What a micro-batch is predicted to take, for a message."""
        projection, encoder = self.model.text.output_proj, getattr(self.model.text, "encoder", None)
        text = memory.Text(projection.in_features, lm_model.parameter_count(self.model.text), apart=lm_model.parameter_count(encoder) if encoder else 0)
        return f" (needs about {memory.need(self.model.decoder.shape, text, self.method, micro, self.frames).peak / memory.GIB:.1f} GiB)"

    def save(self, folder: Path) -> None:
        """Write the trained model into `folder`, in audiocraft's layout; adapters also alone, into `adapter`."""
        if self.method.lora or self.adopted:
            assert self.init is not None  # a model built here is trained whole
            if self.method.lora:
                adapters.save(folder / ADAPTER, self.model, adapters.fingerprint(self.init))
            del self.model  # first: memory need not hold two
            self.model = lm_model.load_lm(self.init)  # frozen weights may have been rounded: they are kept as they were
            if self.method.lora:
                adapters.load(folder / ADAPTER, self.model, self.init)
        lm_model.save_lm(folder, self.model)


def build(config: dict[str, Any], device: str = "cpu") -> MusicGenTask:
    """The task of a training job's configuration (see commands.train)."""
    return MusicGenTask(
        Model.model_validate(config["model"]),
        Training.model_validate(config["loop"]),
        Plan.model_validate(config["plan"]),
        Path(config["codec"]),
        Path(config["codes"]),
        config["init"],
        config["chords"],
        config["adopted"],
        device,
        config["shuffled"],
    )
