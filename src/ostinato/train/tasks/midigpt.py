"""The task of the MIDI track: predict the next word of a piece (cross-entropy)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ostinato.files import UserError
from ostinato.lm import adapters
from ostinato.lm.midi_model import TOKENIZER_FILE, build_midi, load_midi, save_midi
from ostinato.lm.pretrained import ADAPTER
from ostinato.midi.encoding import gathered
from ostinato.midi.tokens import Tokenizer
from ostinato.params.blocks import Loop, Method, Schedule
from ostinato.params.midi import Augmentation, Gpt
from ostinato.train.steps import VALIDATION_SEED
from ostinato.train.tasks.preparation import SPLITS, prepare
from ostinato.train.tasks.words import PiecesDataset

#: Short windows are so much shorter, and so many more. Attention costs less, and a step sees more pieces (docs/log.md).
SHORTER = 4


@dataclass(frozen=True)
class Words:
    """A batch: ids [B, S + 1], and what share of the loss each of the last S has [B, S]; so many rows are as long, and count, as one example."""

    ids: torch.Tensor
    weights: torch.Tensor
    per_example: int = 1

    def __len__(self) -> int:
        return len(self.ids)


class MidiTask:
    """See the module; satisfies train.loop.Task. `init`: folder of the model to go on from; `composer`: whose pieces alone it learns."""

    def __init__(
        self,
        params: Gpt,
        augmentation: Augmentation,
        loop: Loop,
        method: Method,
        plan: Schedule,
        tokens: Path,
        shards: Path,
        init: str | None,
        composer: str | None,
        device: str = "cpu",
    ) -> None:
        self.params, self.plan, self.seed, self.device, self.init = params, plan, loop.seed, device, init
        self.validation_examples = loop.validation_examples
        self.method = method if init else method.model_copy(update={"lora": None})
        self.precision = method.precision
        words, found = Tokenizer.load(tokens / TOKENIZER_FILE), gathered(tokens, shards)
        self.data = {split: PiecesDataset(found, words, split, augmentation, composer) for split in SPLITS}
        self.model = load_midi(init) if init else build_midi(params, words, loop.seed)
        if self.model.tokenizer.fingerprint() != words.fingerprint():
            raise UserError(f"{tokens / TOKENIZER_FILE}: not the words of the model in {init}; expected the tokenizer it was trained with")
        prepare(self.model, self.method, loop.seed).to(device)
        self.context = self.model.context
        self.steps = plan.steps or math.ceil((plan.epochs or 0) * self.data["train"].words / (plan.batch_size * self.context))

    def batch(self, split: str, step: int) -> Words:
        """The batch of a step, the same whoever computes it, and however it is divided; or what is validated on, which the context alone decides."""
        if split == "valid":
            return self._words(split, np.random.default_rng(VALIDATION_SEED), self.validation_examples, 1, 0.0)
        rng = np.random.default_rng([self.seed, SPLITS[split], step])
        short = SHORTER if rng.random() < self.params.short_windows else 1
        return self._words(split, rng, self.plan.batch_size, short, self.params.condition_dropout)

    def _words(self, split: str, rng: np.random.Generator, examples: int, short: int, dropout: float) -> Words:
        """So many examples, each as `short` windows that are so much shorter."""
        drawn = self.data[split].batch(rng, short * examples, self.context // short, dropout)
        counts = torch.from_numpy(drawn.counts[:, 1:])
        return Words(torch.from_numpy(drawn.ids), counts / counts.sum(), short)

    def loss(self, batch: Words, rows: range) -> tuple[torch.Tensor, int]:
        """What rows of a batch add to its cross-entropy, nats a word, and how many words there are."""
        some = slice(rows.start, rows.stop)
        ids, weights = batch.ids[some].to(self.device), batch.weights[some].to(self.device)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.method.precision == "bf16"):
            logits = self.model(ids[:, :-1])
        counts = weights > 0
        losses = functional.cross_entropy(logits[counts].float(), ids[:, 1:][counts], reduction="none")
        return (weights[counts] * losses).sum(), len(losses)

    def save(self, folder: Path) -> None:
        """Write the trained model into `folder`; adapters also alone, into `adapter`."""
        if self.method.lora:
            assert self.init is not None  # a model built here is trained whole
            adapters.save(folder / ADAPTER, self.model, adapters.fingerprint(self.init))
            del self.model
            self.model = load_midi(self.init)
            adapters.load(folder / ADAPTER, self.model, self.init)
        save_midi(folder, self.model)


def build(config: dict[str, Any], device: str = "cpu") -> MidiTask:
    """The task of a training job's configuration (see commands.midi_train)."""
    loop = dict(config["loop"])
    method = Method.model_validate(loop.pop("method"))
    return MidiTask(
        Gpt.model_validate(config["model"]),
        Augmentation.model_validate(config["augmentation"]),
        Loop.model_validate(loop),
        method,
        Schedule.model_validate(config["plan"]),
        Path(config["tokens"]),
        Path(config["shards"]),
        config["init"],
        config["composer"],
        device,
    )
