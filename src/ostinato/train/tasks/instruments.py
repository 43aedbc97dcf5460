"""The task that trains the instruments' ear: which families play in each second of a mix that nobody heard before.

What was rendered are single parts (ears.instrument_spectra). A batch, drawn anew from (seed, step), lays up to four of them over each other, by the sum of their powers:
parts of one piece, or of any; each at its own level and through its own filter, entering and leaving; now and then with noise, through a filter of all, without highs. So
a few thousand parts are any number of mixes. The loss is the cross-entropy of each family and second, where it can be said whether a part is heard.

When the network is saved, so are the thresholds from which its families are named: those that serve best (F_BETA, which counts a wrong name for more than a missing one) on
mixes of the pieces that were kept for validation. They are pieces of other seeds, of the SoundFonts of training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ostinato.ears.features import FINE_BANDS
from ostinato.ears.instrument_net import InstrumentNet
from ostinato.ears.instrument_spectra import FRAMES, NOTHING, heard
from ostinato.ears.labels import fine_loudness
from ostinato.ears.weights import save_weights
from ostinato.etudes.mixes import PARTS, SECONDS
from ostinato.harmony.instruments import FAMILIES
from ostinato.params.blocks import Loop, Plan
from ostinato.train.steps import VALIDATION_SEED
from ostinato.train.tasks.ear import Ear, Examples

#: Every so many pieces one is kept for validation.
VALID_EVERY = 15
#: How often none to four parts are mixed; how often they are of one piece; how often a part beside the first, and the first, enters or leaves.
COUNTS, FITTING, ENTERING, ALONE_ENTERING = (0.02, 0.42, 0.22, 0.2, 0.14), 0.6, 0.35, 0.12
#: Levels of parts, dB below the loudest possible; of noise, below the parts.
LEVELS, NOISE_SHARE, NOISE_LEVELS = (-10.0, 0.0), 0.35, (-45.0, -8.0)
#: Filters, dB: of each part, of the whole.
PART_FILTER, WHOLE_FILTER, KNOTS = 3.0, 3.5, 7
#: Share of mixes without highs, and the band from which they are missing.
DULL, DULL_FROM = 0.15, (50, 120)
#: Examples that thresholds are chosen on, the steps of the choice, how a missing name counts beside a wrong one, and the least threshold.
CHOSEN_ON, GRID, BETA, LEAST = 1200, np.linspace(0.1, 0.95, 86), 0.5, 0.25
#: Labels of what nobody can say.
UNKNOWN = -1


class InstrumentTask(Ear):
    """See the module; satisfies train.loop.Task. Spectra are [B, FRAMES, FINE_BANDS]; labels say of each second and family whether it is heard: 1, 0, UNKNOWN; int8
    [B, seconds, FAMILIES]."""

    def __init__(self, drills: Path, loop: Loop, plan: Plan) -> None:
        super().__init__("instruments", loop, plan)
        self.parts = np.load(drills / "spectra.npy", mmap_mode="r")
        self.families = np.load(drills / "families.npy")
        pieces = np.arange(len(self.families)) // PARTS
        valid = pieces % VALID_EVERY == 0
        self.clips = {name: _by_family(self.families, np.flatnonzero(chosen)) for name, chosen in (("train", ~valid), ("valid", valid))}
        self.model = InstrumentNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a quarter faster

    def batch(self, split: str, step: int) -> Examples:
        """The mixes of a step; or what is validated on, the same for every run."""
        rng = np.random.default_rng([self.seed, 0, step] if split == "train" else VALIDATION_SEED)
        return self.mixes(split, self.size(split), rng)

    def mixes(self, split: str, count: int, rng: np.random.Generator) -> Examples:
        """So many mixes of the parts of a split."""
        drawn = [self._mix(self.clips[split], rng) for _ in range(count)]
        return Examples(*(torch.from_numpy(np.stack(values)) for values in zip(*drawn)))

    def _mix(self, clips: dict[int, np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._chosen(clips, rng)
        powers = np.zeros((max(len(chosen), 1), FRAMES, FINE_BANDS), np.float32)
        for place, clip in enumerate(chosen):
            gains = _filter(rng, PART_FILTER) + rng.uniform(*LEVELS)
            powers[place] = self.parts[clip].astype(np.float32) ** 2 * _power(gains) * _presence(rng, ENTERING if place else ALONE_ENTERING)
        mix, labels = powers.sum(axis=0), np.zeros((int(SECONDS), len(FAMILIES)), np.int8)
        for clip, seconds in zip(chosen, heard(powers.sum(axis=2))):
            labels[:, self.families[clip]] = np.where(seconds == UNKNOWN, UNKNOWN, seconds)
        if NOTHING in clips and (not chosen or rng.random() < NOISE_SHARE):
            noise = self.parts[rng.choice(clips[NOTHING])].astype(np.float32) ** 2
            mix = mix + noise * _power(_filter(rng, PART_FILTER) + (rng.uniform(*NOISE_LEVELS) if chosen else 0.0))
        mix = np.sqrt(mix * _power(_filter(rng, WHOLE_FILTER) + _dullness(rng)))
        return (mix / fine_loudness(mix) * 10 ** (rng.uniform(-6, 3) / 20)).astype(np.float32), labels

    def _chosen(self, clips: dict[int, np.ndarray], rng: np.random.Generator) -> list[int]:
        """Numbers of the parts of a mix, each of another family: the first of any family alike, the others of its piece or of any."""
        count = int(rng.choice(len(COUNTS), p=COUNTS))
        known = [family for family in clips if family != NOTHING]
        first = int(rng.choice(clips[int(rng.choice(known))]))
        if rng.random() < FITTING:
            piece = first // PARTS * PARTS
            others = [clip for clip in rng.permutation(np.arange(piece, min(piece + PARTS, len(self.families)))).tolist() if clip != first]
        else:
            others = [int(rng.choice(clips[family])) for family in rng.permutation(known).tolist() if family != self.families[first]]
        return [first, *others][:count]

    def loss(self, batch: Examples, rows: range) -> tuple[torch.Tensor, int]:
        """What rows of a batch add to its mean loss (nats a family and second), and the seconds in them."""
        logits, labels = self.answers(batch, rows)
        known = labels != UNKNOWN
        lost = functional.binary_cross_entropy_with_logits(logits.float()[known], labels[known].float(), reduction="sum")
        return lost / (batch.labels != UNKNOWN).sum(), labels.shape[0] * labels.shape[1]

    def save(self, folder: Path) -> None:
        """Choose the thresholds and write the trained network into `folder`."""
        self.model.eval()
        mixes = self.mixes("valid", CHOSEN_ON, np.random.default_rng([VALIDATION_SEED, 1]))
        with torch.inference_mode():
            shares = torch.cat([self.model(some) for some in mixes.spectra.split(48)]).sigmoid()
        self.model.thresholds = torch.from_numpy(thresholds(shares.numpy(), mixes.labels.numpy()))
        save_weights(folder / "instruments.safetensors", self.model)


def thresholds(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The threshold of each family that has the best F_BETA over all seconds: float32 [FAMILIES].

    Args:
        shares: probabilities [B, seconds, FAMILIES]; labels: 1, 0 or UNKNOWN, of the same shape.
    """
    best = []
    for family in range(shares.shape[2]):
        known = labels[..., family] != UNKNOWN
        share, is_heard = shares[..., family][known], labels[..., family][known] == 1
        scores = [_f_beta(share >= threshold, is_heard) for threshold in GRID]
        best.append(max(float(GRID[int(np.argmax(scores))]), LEAST))
    return np.array(best, np.float32)


def _f_beta(said: np.ndarray, true: np.ndarray) -> float:
    """F measure of yes and no, in which a missing yes counts BETA squared as much as a wrong one."""
    right = float((said & true).sum())
    return (1 + BETA**2) * right / max((1 + BETA**2) * right + BETA**2 * float((~said & true).sum()) + float((said & ~true).sum()), 1.0)


def _by_family(families: np.ndarray, clips: np.ndarray) -> dict[int, np.ndarray]:
    """The clips of each family that has some."""
    return {int(family): clips[families[clips] == family] for family in np.unique(families[clips])}


def _power(gains: np.ndarray) -> np.ndarray:
    """dB to power."""
    return (10 ** (gains / 10)).astype(np.float32)


def _filter(rng: np.random.Generator, strength: float) -> np.ndarray:
    """A smooth frequency response: dB [FINE_BANDS]."""
    return np.interp(np.linspace(0, KNOTS - 1, FINE_BANDS), np.arange(KNOTS), rng.normal(0, strength, KNOTS))


def _dullness(rng: np.random.Generator) -> np.ndarray:
    """dB [FINE_BANDS] of a mix without highs, mostly none."""
    edge = int(rng.integers(*DULL_FROM)) if rng.random() < DULL else FINE_BANDS
    return np.where(np.arange(FINE_BANDS) < edge, 0.0, -50.0)


def _presence(rng: np.random.Generator, share: float) -> np.ndarray:
    """When a part plays: all the time, or from or to a second of the clip; [FRAMES, 1], 0 or 1."""
    at = int(rng.uniform(0.15, 0.85) * FRAMES)
    frames = np.arange(FRAMES)[:, None]
    if rng.random() > share:
        return np.ones((FRAMES, 1), np.float32)
    return ((frames >= at) if rng.random() < 0.5 else (frames < at)).astype(np.float32)


def build(config: dict[str, Any], device: str = "cpu") -> InstrumentTask:
    """The task of a training job's configuration (see commands.ear)."""
    return InstrumentTask(Path(config["drills"]), Loop.of(config["loop"]), Plan.model_validate(config["plan"]))
