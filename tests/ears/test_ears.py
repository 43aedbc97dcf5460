"""Ears from nothing, small: what they are trained on, that training goes on where it stopped, and that the weights load where `hear` wants them."""

import json

import numpy as np
import pytest
import torch

from forks import jobs_in_forks
from music import PARAMS, RATE, play
from ostinato.cli import main
from ostinato.ears.labels import NO_PITCH, QUALITIES, SPECTRA, frame_labels
from ostinato.ears.spectra import FRAMES, perform
from ostinato.ears.weights import load_ear
from ostinato.etudes import effects
from ostinato.etudes.drills import compose
from ostinato.etudes.figures import FIGURES
from ostinato.etudes.rendering import Player, soundfont
from ostinato.files import UserError, read_json, sha256
from ostinato.harmony.chords import Chord
from ostinato.listen.hear import hear
from ostinato.params.blocks import Loop
from ostinato.train.tasks.ears import EarTask

CLIPS = {"labeller": 30, "judge": 8, "instruments": 8}
LOOP = json.dumps(PARAMS.ears.model_dump(exclude={"labeller", "judge", "instruments", "evaluation"}) | {"validation_examples": 3, "checkpoint_every": 2})
LAUNCH = PARAMS.train.launch.model_dump_json()


def drills(ear: str) -> str:
    return PARAMS.ears.labeller.drills.model_copy(update={"clips": CLIPS[ear], "soundfonts": [None]}).model_dump_json()


@pytest.fixture(scope="module")
def ears(tmp_path_factory):
    """All three ears, trained for two steps."""
    folder = tmp_path_factory.mktemp("ears")
    for ear in SPECTRA:
        assert main(["drills", "--ear", ear, "--params", drills(ear), "--out", f"{folder}/{ear}-drills"]) == 0
        plan = getattr(PARAMS.ears, ear).plan.model_copy(update={"steps": 2, "batch_size": 2})
        with jobs_in_forks():
            assert (
                main(
                    [
                        "ear",
                        "--ear",
                        ear,
                        "--params",
                        LOOP,
                        "--plan",
                        plan.model_dump_json(),
                        "--launch",
                        LAUNCH,
                        "--drills",
                        f"{folder}/{ear}-drills",
                        "--runs",
                        f"{folder}/runs",
                        "--out",
                        f"{folder}/ears",
                    ]
                )
                == 0
            )
    return folder


def test_drills_are_the_same_every_time_and_hold_chords_and_none(ears, tmp_path):
    assert main(["drills", "--ear", "judge", "--params", drills("judge"), "--out", f"{tmp_path}/again"]) == 0
    assert sha256(tmp_path / "again") == sha256(ears / "judge-drills")
    labels = np.load(ears / "labeller-drills/labels.npy")
    assert labels.shape == (30, FRAMES, 3) and np.load(ears / "labeller-drills/spectra.npy").shape == (30, FRAMES, 180)
    assert len(np.unique(labels[..., 0])) == 13 and len(np.unique(labels[..., 1])) > 10
    assert np.array_equal(labels[..., 0] == NO_PITCH, labels[..., 2] == NO_PITCH)


@pytest.mark.parametrize("figure", sorted(FIGURES))
def test_every_figure_plays_the_chords_and_nothing_else(figure):
    timeline = [(0.0, 2.0, Chord("C", "maj7", 4)), (2.0, 3.0, Chord("N", "")), (3.0, 5.0, Chord("F#", "min"))]
    for family in ("piano", "guitar", "organ"):
        notes = FIGURES[figure](timeline, 0.5, np.random.default_rng(3), family)
        for start, end, chord in timeline:
            inside = [note for note in notes if start <= note[0] < end]
            assert {note[2] % 12 for note in inside} <= set(chord.pitch_classes) and bool(inside) == chord.is_chord
            if inside:
                assert min(note[2] for note in inside) % 12 == chord.bass_pitch_class


def test_truth_covers_a_drill_and_sound_is_where_the_truth_says():
    rng, player = np.random.default_rng(5), Player(soundfont(None))
    for _ in range(20):
        sound, truth, _ = perform(rng, player, synthesised=0.5)
        assert truth[0][0] == 0 and all(a[1] == pytest.approx(b[0]) for a, b in zip(truth, truth[1:])) and truth[-1][1] == pytest.approx(12.6)
        assert np.isfinite(sound).all() and 0 < np.abs(sound).max() <= 1
    assert any(chord.quality == "dim7" for k in range(60) for _, _, chord in compose(np.random.default_rng(k), 12.0).truth)


@pytest.mark.parametrize("effect", [effects.equalise, effects.reverberate, effects.smear, effects.requantise, effects.add_noise, effects.code, effects.saturate])
def test_effects_leave_a_stroke_where_it_was(effect):
    sound = np.zeros(RATE, np.float32)
    sound[RATE // 2 : RATE // 2 + 800] = 0.5 * np.sin(2 * np.pi * 660 * np.arange(800) / RATE)
    for seed in range(4):
        changed = effect(sound, np.random.default_rng(seed))
        energy = np.convolve(changed**2, np.ones(800), "same")
        onset = int((energy > 0.3 * energy.max()).argmax())
        early = 0.1 if effect is effects.requantise else 0.05  # s; its frames of 4096 samples ring before a stroke
        assert len(changed) == len(sound) and abs(onset - RATE // 2) < early * RATE


def test_frames_are_labelled_at_their_centres():
    labels = frame_labels([(0.0, 0.25, Chord("N", "")), (0.25, 0.6, Chord("D", "9", 4))], 7)
    assert labels[:, 0].tolist() == [12, 12, 12, 2, 2, 2, 12] and labels[3].tolist() == [2, QUALITIES.index("7"), 6]


def test_trained_ears_load_where_hear_wants_them(ears):
    for ear in SPECTRA:
        summary = read_json(ears / f"ears/{ear}/summary.json")
        assert summary["steps"] == 2 and np.isfinite(summary["valid_loss"])
    heard = hear(play("piano C F G C", 12.0), RATE, PARAMS.listen.model_copy(update={"ears": str(ears / "ears")}))
    assert heard.chords[-1][1] == pytest.approx(12.0)


@pytest.mark.parametrize("ear", ["labeller", "instruments"])
def test_loss_on_validation_is_the_same_in_parts(ears, ear):
    task = EarTask(ear, ears / f"{ear}-drills", Loop.model_validate_json(LOOP), getattr(PARAMS.ears, ear).plan)
    batch = task.batch("valid", 0)
    if ear == "labeller":
        batch.labels[0, :, 1] = -1  # of an unknown quality: not all rows count alike
    task.model.eval()
    with torch.no_grad():
        whole, *parts = (float(task.loss(batch, rows)[0]) for rows in (range(3), range(2), range(2, 3)))
    assert sum(parts) == pytest.approx(whole, rel=1e-3)


def test_wrong_weights_are_named(tmp_path):
    with pytest.raises(UserError, match="labeller.safetensors: no such file"):
        load_ear("labeller", str(tmp_path))
    (tmp_path / "judge.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="judge.safetensors: not the weights of the judge"):
        load_ear("judge", str(tmp_path))
