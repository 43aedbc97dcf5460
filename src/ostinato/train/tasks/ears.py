"""The task that trains the ears for chords (see ears.nets): chords with bass and notes, for the labeller and the judge. (Instruments: train.tasks.instruments.)

Every batch is drawn anew from (seed, step): clips are transposed by shifting their spectra, equalised, each semitone made louder or softer for the whole clip, and some
are laid over a clip without a chord (drums, noise, speech), all at random: a few thousand clips are learnt by heart otherwise.
The loss of chords is the cross-entropy of the chord, plus that of the bass and of which notes sound (structured training; McFee & Bello, 2017).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ostinato.ears.features import BINS_PER_SEMITONE
from ostinato.ears.labels import NO_PITCH, QUALITIES
from ostinato.ears.networks import NETWORKS
from ostinato.ears.weights import save_weights
from ostinato.harmony.chords import QUALITIES as STEPS
from ostinato.params.blocks import Loop, Plan
from ostinato.train.steps import VALIDATION_SEED
from ostinato.train.tasks.ear import Ear, Examples

#: Semitones by which clips are transposed at most.
TRANSPOSE = 6
#: Every so many clips one is kept for validation.
VALID_EVERY = 25
BASS_WEIGHT, NOTES_WEIGHT = 0.5, 1.0
#: A semitone's gain varies by up to so many dB (standard deviation).
UNEVEN = 4.0
#: Share of clips that get a background, and how much softer than their own loud frames it is, dB.
BACKGROUND, SOFTER = 0.3, (3.0, 24.0)


class EarTask(Ear):
    """See the module; satisfies train.loop.Task. Labels are [B, T, 3] (see ears.labels.frame_labels)."""

    def __init__(self, ear: str, drills: Path, loop: Loop, plan: Plan) -> None:
        super().__init__(ear, loop, plan)
        self.spectra = np.load(drills / "spectra.npy", mmap_mode="r")
        self.labels = np.load(drills / "labels.npy")
        usable = np.arange(len(self.labels))
        valid = usable % VALID_EVERY == 0
        self.clips = {"train": usable[~valid], "valid": usable[valid]}
        chordless = np.flatnonzero((self.labels[..., 0] == NO_PITCH).all(axis=1))
        self.backgrounds = np.intersect1d(self.clips["train"], chordless)
        self.model = NETWORKS[ear]()

    def batch(self, split: str, step: int) -> Examples:
        """Spectra and labels of a step's batch; or what is validated on, the same for every run."""
        rng = np.random.default_rng([self.seed, 0, step] if split == "train" else VALIDATION_SEED)
        clips = np.sort(rng.choice(self.clips[split], self.size(split)))
        spectra, labels = np.stack([self.spectra[k] for k in clips]).astype(np.float32), self.labels[clips].astype(np.int64)
        if split == "train":
            spectra, labels = self._varied(spectra, labels, rng)
        return Examples(torch.from_numpy(spectra), torch.from_numpy(labels))

    def loss(self, batch: Examples, rows: range) -> tuple[torch.Tensor, int]:
        """What rows of a batch add to its mean loss (nats), and the frames in them."""
        logits, labels = self.answers(batch, rows)
        return chord_loss({name: value.float() for name, value in logits.items()}, labels, batch.labels), labels.shape[0] * labels.shape[1]

    def _varied(self, spectra: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        bins = spectra.shape[2]
        shifts = rng.integers(-TRANSPOSE + 1, TRANSPOSE + 1, len(spectra))
        spectra = np.stack([_shift(clip, int(shift) * BINS_PER_SEMITONE) for clip, shift in zip(spectra, shifts)])
        for column in (0, 2):
            pitched = labels[..., column] != NO_PITCH
            labels[..., column] = np.where(pitched, (labels[..., column] + shifts[:, None]) % 12, NO_PITCH)
        semitones = rng.normal(0, 1, (len(spectra), -(-bins // BINS_PER_SEMITONE))) * rng.uniform(0, UNEVEN, (len(spectra), 1))
        spectra = spectra * _gains(np.repeat(semitones, BINS_PER_SEMITONE, axis=1)[:, :bins])
        spectra = self._over_backgrounds(spectra, rng)
        knots = rng.normal(0, 4, (len(spectra), 6)) + rng.normal(0, 3, (len(spectra), 1))
        gains = np.stack([np.interp(np.linspace(0, 5, bins), np.arange(6), row) for row in knots])
        return spectra * _gains(gains), labels

    def _over_backgrounds(self, spectra: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Some clips with something that has no chord behind them: their powers add up."""
        for k in range(len(spectra)):
            if rng.random() < BACKGROUND and len(self.backgrounds):
                other = self.spectra[int(rng.choice(self.backgrounds))].astype(np.float32) * 10 ** (-rng.uniform(*SOFTER) / 20)
                spectra[k] = np.sqrt(spectra[k] ** 2 + other.astype(np.float32) ** 2)
        return spectra

    def save(self, folder: Path) -> None:
        """Write the trained network into `folder`."""
        save_weights(folder / f"{self.ear}.safetensors", self.model)


def _gains(decibels: np.ndarray) -> np.ndarray:
    """Gains [B, bins] in dB as factors of spectra [B, T, bins]."""
    return (10 ** (decibels / 20)).astype(np.float32)[:, None]


def _shift(spectrum: np.ndarray, bins: int) -> np.ndarray:
    """Transpose [T, bins] by whole bins; what comes from beyond the edge is silence."""
    shifted = np.zeros_like(spectrum)
    if bins >= 0:
        shifted[:, bins:] = spectrum[:, : spectrum.shape[1] - bins]
    else:
        shifted[:, :bins] = spectrum[:, -bins:]
    return shifted


def chord_loss(logits: dict[str, torch.Tensor], labels: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """What labels [B, T, 3], as `labels.frame_labels` gives them, add to the mean loss (nats per frame) of a batch of them. Frames of an unknown quality teach bass alone."""
    root, quality, bass = labels.unbind(dim=-1)
    index = torch.where(root == NO_PITCH, 12 * len(QUALITIES), quality * 12 + root)
    known = _known(labels)
    chord = functional.cross_entropy(logits["chord"][known], index[known], reduction="sum") / _known(batch).sum()
    lowest = functional.cross_entropy(logits["bass"].flatten(0, 1), bass.flatten())
    notes = functional.binary_cross_entropy_with_logits(logits["pitches"], sounding(root, quality))
    return chord + (BASS_WEIGHT * lowest + NOTES_WEIGHT * notes) * len(labels) / len(batch)


def _known(labels: torch.Tensor) -> torch.Tensor:
    """Frames that have no chord, or one of a quality that is known."""
    return (labels[..., 0] == NO_PITCH) | (labels[..., 1] >= 0)


def sounding(root: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Which pitch classes belong to the chord: [..., 12], 0 or 1."""
    table = torch.zeros(len(QUALITIES) + 1, 12, 12 + 1)  # the last quality is none
    for number, name in enumerate(QUALITIES):
        for tonic in range(12):
            table[number, [(tonic + step) % 12 for step in STEPS[name]], tonic] = 1
    return table.permute(0, 2, 1)[quality, root]


def build(config: dict[str, Any], device: str = "cpu") -> EarTask:
    """The task of a training job's configuration (see commands.ear)."""
    return EarTask(config["ear"], Path(config["drills"]), Loop.of(config["loop"]), Plan.model_validate(config["plan"]))
