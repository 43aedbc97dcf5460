"""What the ear for beats is taught: labels where beats are, examples that stay true when they are varied, a loss that forgives some frames and no more."""

import numpy as np
import pytest
import torch

from ostinato.ears import beat_spectra, features
from ostinato.ears.beat_net import BeatNet
from ostinato.harmony.metres import BeatGrid
from ostinato.train.tasks.beats import TOLERANCE, beat_loss, tolerant, varied


def test_labels_are_where_beats_are():
    grid = BeatGrid.of(np.arange(1, 9) * 0.5, np.arange(8) % 3 == 0, np.full(8, 3))
    labels = beat_spectra.labels(grid, 200)
    assert np.flatnonzero(labels[:, 0]).tolist() == [25, 50, 75, 100, 125, 150, 175] and np.flatnonzero(labels[:, 1]).tolist() == [25, 100, 175]
    assert (labels[:25, 2:] == 0).all() and (labels[25:175, 2] == 3).all() and (labels[25:, 3] == 3).all() and (labels[175:, 2] == 0).all()


@pytest.mark.parametrize(("off", "lost"), [(0, False), (TOLERANCE, False), (-TOLERANCE, False), (2 * TOLERANCE + 1, True)])
def test_some_frames_beside_a_beat_are_forgiven_and_no_more(off, lost):
    truth, logits = torch.zeros(1, 100), torch.full((1, 100), -8.0)
    truth[0, 50], logits[0, 50 + off] = 1, 8.0
    assert (float(tolerant(logits, truth)) > 5) == lost


def test_what_is_not_known_of_the_metre_teaches_nothing():
    labels = torch.zeros(2, 60, 4, dtype=torch.long)
    labels[:, ::10, 0] = 1
    logits = {name: torch.zeros(2, 60, requires_grad=True) for name in ("beat", "downbeat", "compound")} | {"metre": torch.zeros(2, 60, 6, requires_grad=True)}
    beat_loss(logits, labels, labels).backward()
    assert not logits["metre"].grad.any() and not logits["compound"].grad.any() and logits["beat"].grad.any()


def test_examples_stay_true_when_they_are_varied():
    spectrum, labels = np.full((1500, features.BEAT_BANDS), 0.01, np.float16), np.zeros((1500, 4), np.int8)
    frames = np.arange(30, 1500, 37)
    spectrum[frames], labels[frames, 0], labels[frames[::4], 1], labels[:, 2] = 1.0, 1, 1, 4
    for seed in range(8):
        clip, found = varied(spectrum, labels, np.random.default_rng(seed))
        loud = clip[:, 20:60].mean(axis=1)
        beats = np.flatnonzero(found[:, 0])
        inner = beats[(beats > 1) & (beats < len(clip) - 2)]
        assert all(loud[beat - 1 : beat + 2].max() > 10 * np.median(loud) for beat in inner) and len(beats) >= 25 and (found[:, 2] == 4).all()


def test_the_network_says_something_of_every_frame():
    said = BeatNet(width=16, stem=4).eval()(torch.rand(2, 77, features.BEAT_BANDS))
    assert {name: tuple(value.shape) for name, value in said.items()} == {"beat": (2, 77), "downbeat": (2, 77), "compound": (2, 77), "metre": (2, 77, 6)}
