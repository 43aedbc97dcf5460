"""The task that trains the ear for beats (see ears.beat_net).

Every batch is drawn anew from (seed, step): clips are cropped and stretched in time, moved up or down, equalised and made louder or softer. Where a beat is written down
some frames beside where it is heard, nothing is lost: of each beat the likeliest frame nearby counts, and frames around it are not held against the network (the
shift-tolerant loss of Foscarin, Schlüter & Widmer, "Beat this! Accurate beat tracking without DBN postprocessing", ISMIR 2024; without its weight for beats, so that what
comes out are probabilities).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ostinato.ears.beat_net import BeatNet
from ostinato.ears.labels import BAR_LENGTHS
from ostinato.ears.weights import save_weights
from ostinato.params.blocks import Loop, Plan
from ostinato.train.steps import VALIDATION_SEED
from ostinato.train.tasks.ear import Ear, Examples

#: Frames of a training example, cut out of a clip; it is played up to so much faster or slower.
FRAMES, STRETCH = 1200, (0.9, 1.12)
#: Frames by which a beat may be off.
TOLERANCE = 3
#: Every so many clips one is kept for validation.
VALID_EVERY = 25
#: Bands by which clips are moved at most.
SHIFT = 3
METRE_WEIGHT = 0.1


class BeatTask(Ear):
    """See the module; satisfies train.loop.Task. Labels are [B, T, 4] (see ears.beat_spectra)."""

    def __init__(self, drills: Path, loop: Loop, plan: Plan) -> None:
        super().__init__("beats", loop, plan)
        self.spectra, self.labels = np.load(drills / "spectra.npy", mmap_mode="r"), np.load(drills / "labels.npy")
        everything = np.arange(len(self.labels))
        valid = everything % VALID_EVERY == 0
        self.clips = {"train": everything[~valid], "valid": everything[valid]}
        self.model = BeatNet()

    def batch(self, split: str, step: int) -> Examples:
        """Spectra and labels of a step's batch; or what is validated on, the same for every run."""
        rng = np.random.default_rng([self.seed, 1, step] if split == "train" else VALIDATION_SEED)
        clips = rng.choice(self.clips[split], self.size(split))
        if split == "valid":
            return Examples(torch.from_numpy(self.spectra[np.sort(clips)].astype(np.float32)), torch.from_numpy(self.labels[np.sort(clips)].astype(np.int64)))
        drawn = [varied(self.spectra[clip], self.labels[clip], rng) for clip in clips]
        return Examples(torch.from_numpy(np.stack([spectrum for spectrum, _ in drawn])), torch.from_numpy(np.stack([labels for _, labels in drawn])))

    def loss(self, batch: Examples, rows: range) -> tuple[torch.Tensor, int]:
        """What rows of a batch add to its mean loss (nats), and the frames in them."""
        logits, labels = self.answers(batch, rows)
        return beat_loss({name: value.float() for name, value in logits.items()}, labels, batch.labels), labels.shape[0] * labels.shape[1]

    def save(self, folder: Path) -> None:
        """Write the trained network into `folder`."""
        save_weights(folder / "beats.safetensors", self.model)


def beat_loss(logits: dict[str, torch.Tensor], labels: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """What labels [B, T, 4] add to the mean loss (nats) of a batch of them: of beats and downbeats by tolerant cross-entropy, of the metre where it is known."""
    beats, downbeats = (tolerant(logits[name], labels[..., column].float()) / counting(batch[..., column].float()).sum() for column, name in enumerate(("beat", "downbeat")))
    kinds, told = kinds_of(labels), labels[..., 3] > 0
    metre = functional.cross_entropy(logits["metre"].flatten(0, 1), kinds.flatten(), ignore_index=-1, reduction="sum") / max(1, int((kinds_of(batch) >= 0).sum()))
    divided = functional.binary_cross_entropy_with_logits(logits["compound"], (labels[..., 3] == 3).float(), told.float(), reduction="sum")
    return beats + downbeats + METRE_WEIGHT * (metre + divided / max(1, int((batch[..., 3] > 0).sum())))


def kinds_of(labels: torch.Tensor) -> torch.Tensor:
    """Places in BAR_LENGTHS of the bars that labels [B, T, 4] tell; -1 for others."""
    return torch.tensor([BAR_LENGTHS.index(bar) if bar in BAR_LENGTHS else -1 for bar in range(13)])[labels[..., 2]]


def counting(truth: torch.Tensor) -> torch.Tensor:
    """Which frames count, 0 or 1: beats, and those that are not beside one; [B, T] both."""
    return 1 - functional.max_pool1d(truth[:, None], 4 * TOLERANCE + 1, 1, 2 * TOLERANCE)[:, 0] + truth


def tolerant(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Sum over frames of the cross-entropy of the likeliest frame within TOLERANCE of each: [B, T] both."""
    near = functional.max_pool1d(logits[:, None], 2 * TOLERANCE + 1, 1, TOLERANCE)[:, 0]
    return functional.binary_cross_entropy_with_logits(near, truth, counting(truth), reduction="sum")


def varied(spectrum: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """FRAMES of a clip, played faster or slower: float32 [FRAMES, bands] and int64 [FRAMES, 4]."""
    length = len(spectrum)
    stretch = min(float(np.exp(rng.uniform(np.log(STRETCH[0]), np.log(STRETCH[1])))), (length - 1) / FRAMES)
    first = float(rng.uniform(0, length - 1 - stretch * (FRAMES - 1)))
    places = first + stretch * np.arange(FRAMES)
    left = np.minimum(places.astype(int), length - 2)
    part = (places - left).astype(np.float32)[:, None]
    clip = np.asarray(spectrum[left[0] : left[-1] + 2], np.float32)
    left = left - left[0]
    clip = clip[left] * (1 - part) + clip[left + 1] * part
    bands = clip.shape[1]
    clip = np.roll(clip, shift := int(rng.integers(-SHIFT, SHIFT + 1)), axis=1)
    if shift:
        clip[:, slice(None, shift) if shift > 0 else slice(shift, None)] = 0
    knots = rng.normal(0, 4, 6) + rng.normal(0, 3)
    clip = clip * (10 ** (np.interp(np.linspace(0, 5, bands), np.arange(6), knots) / 20)).astype(np.float32)
    found = np.zeros((FRAMES, labels.shape[1]), np.int64)
    found[:, 2:] = labels[np.round(places).astype(int), 2:]
    for column in (0, 1):
        frames = np.round((np.flatnonzero(labels[:, column]) - first) / stretch).astype(int)
        found[frames[(frames >= 0) & (frames < FRAMES)], column] = 1
    return clip, found


def build(config: dict[str, Any], device: str = "cpu") -> BeatTask:
    """The task of a training job's configuration (see commands.ear)."""
    return BeatTask(Path(config["drills"]), Loop.of(config["loop"]), Plan.model_validate(config["plan"]))
