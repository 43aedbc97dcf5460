"""Ears from nothing, small: what they are trained on, that training goes on where it stopped, and that the weights load where `hear` wants them."""

import json

import numpy as np
import pytest
import torch

from forks import jobs_in_forks
from music import PARAMS, RATE, play
from ostinato.cli import main
from ostinato.ears import features
from ostinato.ears.features import FINE_RATE
from ostinato.ears.features import RATE as RATES
from ostinato.ears.instrument_spectra import FRAMES as FINE_FRAMES
from ostinato.ears.instrument_spectra import heard as audible
from ostinato.ears.labels import EARS, NO_PITCH, QUALITIES, frame_labels
from ostinato.ears.spectra import FRAMES, perform
from ostinato.ears.weights import load_ear
from ostinato.etudes import effects
from ostinato.etudes.drills import compose
from ostinato.etudes.figures import FIGURES, GUITAR, barred, fretted
from ostinato.etudes.rendering import Player, soundfont
from ostinato.etudes.singing import sing
from ostinato.files import UserError, read_json, sha256
from ostinato.harmony.chords import Chord
from ostinato.harmony.instruments import FAMILIES
from ostinato.listen.hear import hear
from ostinato.midi import performances
from ostinato.params.blocks import Loop
from ostinato.train.tasks.beats import BeatTask
from ostinato.train.tasks.ears import EarTask
from ostinato.train.tasks.instruments import InstrumentTask, thresholds

CLIPS = {"labeller": 30, "judge": 8, "instruments": 68, "beats": 30}
LOOP = json.dumps(PARAMS.ears.model_dump(exclude={*EARS, "evaluation"}) | {"validation_examples": 3, "checkpoint_every": 2})
LAUNCH = PARAMS.train.launch.model_dump_json()


def drills(ear: str) -> str:
    """Few clips; for instruments in pieces of four parts, of which one in fifteen is kept for validation."""
    if ear == "beats":
        return PARAMS.ears.beats.drills.model_copy(update={"clips": CLIPS[ear], "soundfonts": [None]}).model_dump_json()
    return PARAMS.ears.labeller.drills.model_copy(update={"clips": CLIPS[ear], "soundfonts": [None]}).model_dump_json()


@pytest.fixture(scope="module")
def ears(tmp_path_factory):
    """All ears, trained for two steps; the one for beats on a score of each collection of the wheel."""
    folder = tmp_path_factory.mktemp("ears")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(performances, "SCORES", 1)
        for ear in EARS:
            assert main(["drills", "--ear", ear, "--params", drills(ear), "--out", f"{folder}/{ear}-drills"]) == 0
    for ear in EARS:
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
            if inside and (family != "guitar" or chord.bass):  # a guitarist may strike strings below the root
                assert min(note[2] for note in inside) % 12 == chord.bass_pitch_class


def test_a_guitar_s_chords_are_whole_and_strings_below_the_root_are_struck_where_asked():
    for name in ("A:maj", "D:min", "B:min", "F:7", "E:min7"):
        chord = Chord.parse(name)
        for pitches in (barred(chord), fretted(chord, list(GUITAR))):
            assert {pitch % 12 for pitch in pitches} == set(chord.pitch_classes) and pitches[0] % 12 == chord.pitch_class
    assert fretted(Chord.parse("A:maj"), list(GUITAR), all_strings=True)[0] == 40 and barred(Chord.parse("B:min"), all_strings=True)[:2] == [42, 47]


def test_one_sound_has_one_name_in_drills():
    chords = {chord for k in range(150) for _, _, chord in compose(np.random.default_rng(k), 12.0).truth if chord.is_chord}
    names: dict[tuple[frozenset[int], int], set[str]] = {}
    for chord in chords:
        names.setdefault((frozenset(chord.pitch_classes), chord.bass_pitch_class), set()).add(chord.harte)
    assert len(chords) > 200 and all(len(same) == 1 for same in names.values())


def test_a_singer_holds_the_notes_and_an_amplifier_adds_sums_and_differences():
    sound = sing([(0.5, 1.0, 69, 84), (2.0, 1.0, 64, 84)], 3.5, np.random.default_rng(2))
    assert len(sound) == 3.5 * RATE and np.abs(sound[: RATE // 3]).max() < 0.05 < np.abs(sound[RATE:]).max() < 0.701
    tones = sum(np.sin(2 * np.pi * f * np.arange(RATE) / RATE) for f in (220.0, 330.0)).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(effects.overdrive(0.3 * tones, np.random.default_rng(1))))
    assert spectrum[110] > 20 * np.median(spectrum[50:1000])


def test_truth_covers_a_drill_and_sound_is_where_the_truth_says():
    rng, player = np.random.default_rng(5), Player(soundfont(None))
    for _ in range(20):
        sound, truth = perform(rng, player, synthesised=0.5)
        assert truth[0][0] == 0 and all(a[1] == pytest.approx(b[0]) for a, b in zip(truth, truth[1:])) and truth[-1][1] == pytest.approx(12.6)
        assert np.isfinite(sound).all() and 0 < np.abs(sound).max() <= 1
    assert any(chord.quality == "dim7" for k in range(60) for _, _, chord in compose(np.random.default_rng(k), 12.0).truth)


@pytest.mark.parametrize("effect", [effects.equalise, effects.reverberate, effects.smear, effects.requantise, effects.add_noise, effects.code, effects.saturate, effects.overdrive])
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
    for ear in EARS:
        summary = read_json(ears / f"ears/{ear}/summary.json")
        assert summary["steps"] == 2 and np.isfinite(summary["valid_loss"])
    heard = hear(play("piano C F G C", 12.0), RATE, PARAMS.listen.model_copy(update={"ears": str(ears / "ears")}))
    assert heard.chords[-1][1] == pytest.approx(12.0)


@pytest.mark.parametrize("ear", ["labeller", "instruments", "beats"])
def test_loss_on_validation_is_the_same_in_parts(ears, ear):
    loop, plan = Loop.of(json.loads(LOOP)), getattr(PARAMS.ears, ear).plan
    tasks = {"instruments": InstrumentTask, "beats": BeatTask}
    task = tasks[ear](ears / f"{ear}-drills", loop, plan) if ear in tasks else EarTask(ear, ears / f"{ear}-drills", loop, plan)
    batch = task.batch("valid", 0)
    if ear == "labeller":
        batch.labels[0, :, 1] = -1  # of an unknown quality: not all rows count alike
    elif ear == "instruments":
        batch.labels[0, 2:, 3] = -1  # nobody can say
    task.model.eval()
    with torch.no_grad():
        whole, *parts = (float(task.loss(batch, rows)[0]) for rows in (range(3), range(2), range(2, 3)))
    assert sum(parts) == pytest.approx(whole, rel=1e-3)


def test_parts_are_of_their_families_and_batches_say_when_each_is_heard(ears):
    spectra, families = (np.load(ears / f"instruments-drills/{name}.npy") for name in ("spectra", "families"))
    assert spectra.shape == (68, FINE_FRAMES, 128) and np.isfinite(spectra.astype(np.float32)).all()
    assert (families[60:64] == -1).all() and all(len(set(piece)) == 4 for piece in np.delete(families.reshape(-1, 4), 15, axis=0).tolist())
    batch = InstrumentTask(ears / "instruments-drills", Loop.of(json.loads(LOOP)), PARAMS.ears.instruments.plan).batch("train", 3)
    assert batch.spectra.shape == (24, FINE_FRAMES, 128) and batch.labels.shape == (24, 8, len(FAMILIES))
    assert set(np.unique((batch.labels == 1).any(dim=1).sum(dim=1))) >= {1, 2, 3, 4}


def test_a_part_that_enters_is_heard_from_then_on_and_a_faint_one_is_not_said_to_be():
    power = np.ones((3, 8 * FINE_RATE), np.float32)
    power[1, : 3 * FINE_RATE] = 0
    power[2] = 10**-2.5
    assert audible(power).tolist() == [[1] * 8, [0, 0, 0, 1, 1, 1, 1, 1], [-1] * 8]


def test_fine_bands_add_up_as_powers_do():
    rng = np.random.default_rng(1)
    one, other = (rng.normal(0, 0.1, 20 * RATES).astype(np.float32) for _ in range(2))
    spectra = [features.fine(features.Block(np.pad(sound, 2 * RATES), len(sound))) for sound in (one, other, one + other)]
    assert spectra[0].shape == (400, 128)
    assert (spectra[0] ** 2 + spectra[1] ** 2).mean() == pytest.approx((spectra[2] ** 2).mean(), rel=0.02)


def test_a_threshold_lets_in_what_is_right_more_often_than_wrong():
    shares = np.array([[[0.9, 0.3]], [[0.8, 0.6]], [[0.7, 0.7]], [[0.2, 0.1]]])
    labels = np.array([[[1, -1]], [[1, 1]], [[0, 1]], [[0, 0]]], np.int8)
    first, second = thresholds(shares, labels)
    assert 0.7 < first <= 0.8 and 0.25 <= second <= 0.6


def test_wrong_weights_are_named(tmp_path):
    with pytest.raises(UserError, match="labeller.safetensors: no such file"):
        load_ear("labeller", str(tmp_path))
    (tmp_path / "judge.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="judge.safetensors: not the weights of the judge"):
        load_ear("judge", str(tmp_path))
