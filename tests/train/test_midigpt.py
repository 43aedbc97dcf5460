"""The MIDI GPT: its training through the stage's own door, on all pieces and then on one composer's, and its folder."""

import json
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from forks import jobs_in_forks
from ostinato.cli import main
from ostinato.files import UserError, read_json, read_jsonl
from ostinato.lm.midi_model import build_midi, load_midi
from ostinato.midi.notes import Piece, write_midi
from ostinato.params import load
from ostinato.params.blocks import Loop, Schedule
from ostinato.params.midi import Gpt, Studied
from ostinato.sources import modules
from ostinato.train.loop import Preempted
from ostinato.train.loop import train as loop_train
from ostinato.train.optimizers import MuonInFloat32
from ostinato.train.tasks.midigpt import MidiTask
from project import ROOT
from tracks import words_of

MIDI = load(ROOT / "params.yaml").midi
SMALL = MIDI.model.model_copy(update={"dim": 32, "layers": 2, "heads": 2, "context": 64})
PLAN = {"steps": 30, "epochs": None, "lr": 1e-2, "batch_size": 4, "threads": 1}
LAUNCH = load(ROOT / "params.yaml").train.launch
LORA = {"rank": 4, "alpha": 8.0, "dropout": 0.0}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Scales up by one composer, down by another."""
    folder = tmp_path_factory.mktemp("music")
    for number in range(12):
        pitches = 50 + np.array([0, 2, 4, 5, 7, 9, 11, 12] * 6)[:: -1 if number % 2 else 1] + number
        write_midi(folder / f"in/{number}.mid", Piece.of([(i / 4, i / 4 + 0.2, pitch, 80, 0) for i, pitch in enumerate(pitches)]))

    def about(path):
        number = int(path.stem)
        return {"composer": "Down" if number % 2 else "Up", "composition": path.stem, "split": "valid" if number > 9 else "train"}

    return words_of(folder / "in", folder, MIDI.tokens, about)


def train(words, out, *more, method=None, plans=({},), tasks=1, names=("pretrained",)):
    shared = {key: value for key, value in MIDI.train.model_dump().items() if key in Studied.model_fields}
    shared |= {"validate_every": 10, "checkpoint_every": 10, "log_every": 5, "validation_examples": 4, "method": shared["method"] | (method or {})}
    launch = LAUNCH.model_copy(update={"tasks_per_node": tasks}).model_dump_json()
    with jobs_in_forks():
        return main(
            [
                "midi-train",
                "--name",
                *names,
                "--params",
                json.dumps(shared),
                "--model",
                SMALL.model_dump_json(),
                "--augmentation",
                MIDI.augmentation.model_dump_json(),
                "--plan",
                *(json.dumps(PLAN | plan) for plan in plans),
                "--launch",
                launch,
                "--tokens",
                str(words),
                "--shards",
                str(words.parent / "shards"),
                "--runs",
                str(out / "runs"),
                "--out",
                *(str(out / name) for name in names),
                *more,
            ]
        )


@pytest.fixture(scope="module")
def pretrained(words, tmp_path_factory):
    out = tmp_path_factory.mktemp("models")
    assert train(words, out) == 0
    return out / "pretrained"


def test_it_learns_and_its_folder_is_whole(pretrained):
    losses = [event["loss"] for event in read_jsonl(pretrained / "events.jsonl") if event.get("split") == "valid"]
    assert losses[-1] < 0.7 * losses[0]
    assert {path.name for path in pretrained.iterdir()} == {"state_dict.bin", "state_dict.bin.made.json", "tokenizer.json", "events.jsonl", "summary.json"}
    assert read_json(pretrained / "summary.json")["name"] == "midi-pretrained"
    assert read_json(pretrained / "state_dict.bin.made.json")["step"] == "midi-train"


def test_a_composers_model_begins_with_the_pretrained_one(words, pretrained, tmp_path):
    assert train(words, tmp_path, "--composer", "Up", "--init", str(pretrained), method={"lora": LORA}, plans=[{"steps": 20}], names=["Up"]) == 0
    model, base = load_midi(tmp_path / "Up"), load_midi(pretrained)
    assert (tmp_path / "Up/adapter/adapter_model.safetensors").is_file()
    assert not torch.equal(model.decoder.layers[0].widen.weight, base.decoder.layers[0].widen.weight)
    assert torch.equal(model.decoder.embedding, base.decoder.embedding)  # adapters alone were trained


def test_a_sweep_by_two_processes_each_comes_to_the_same_and_the_best_is_taken(words, pretrained, tmp_path):
    names = ["pretrain-0", "pretrain-1"]
    assert train(words, tmp_path, tasks=2, plans=[{}, {"lr": 1e-4}], names=names) == 0
    one, two = ([event["loss"] for event in read_jsonl(folder / "events.jsonl") if "split" in event] for folder in (pretrained, tmp_path / "pretrain-0"))
    assert two == pytest.approx(one, rel=1e-3)
    assert train(words, tmp_path, plans=[{}, {}], names=["alone"]) == 2
    assert main(["best", "--models", *(str(tmp_path / name) for name in names), "--out", str(tmp_path / "best")]) == 0
    assert read_json(tmp_path / "best/summary.json")["chosen"] == "pretrain-0"
    assert torch.equal(load_midi(tmp_path / "best").decoder.embedding, load_midi(tmp_path / "pretrain-0").decoder.embedding)


def test_stopped_in_the_middle_it_ends_with_the_same_weights(words, tmp_path):
    loop = Loop.model_validate({key: getattr(MIDI.train, key) for key in Loop.model_fields} | {"checkpoint_every": 5})
    plan, answers = Schedule.model_validate(PLAN | {"steps": 12}), iter([""] * 6 + ["stop"])

    def run(folder, notice=lambda: ""):
        task = MidiTask(SMALL, MIDI.augmentation, loop, MIDI.train.method, plan, words, words.parent / "shards", None, None)
        loop_train(task, loop, plan, folder, notice, MIDI.train.method)
        return task.model.state_dict()

    assert MIDI.train.method.optimizer == "muon"
    whole = run(tmp_path / "whole")
    with pytest.raises(Preempted):
        run(tmp_path / "stopped", lambda: next(answers))
    assert all(torch.equal(value, whole[name]) for name, value in run(tmp_path / "stopped").items())


def midi_task(words, method=None, **changes):
    """A task on the small model, and its loop; `changes` are those of loop, plan and model."""
    loop, plan = Loop.of(MIDI.train.model_dump() | changes), Schedule.of(PLAN | {"steps": 4} | changes)
    model = SMALL.model_copy(update={key: value for key, value in changes.items() if key in Gpt.model_fields})
    return MidiTask(model, MIDI.augmentation, loop, method or MIDI.train.method, plan, words, words.parent / "shards", None, None), loop


def test_validation_depends_on_the_context_alone(words):
    one, other, longer = (midi_task(words, **changes)[0].batch("valid", 0) for changes in ({}, {"seed": 9, "batch_size": 3, "short_windows": 0.0, "lr": 1e-4}, {"context": 128}))
    assert torch.equal(one.ids, other.ids) and len(one) == MIDI.train.validation_examples
    assert longer.ids.shape[1] > one.ids.shape[1]


@pytest.mark.parametrize(("micro", "rows"), [(None, {16}), (2, {8})])
def test_a_batch_of_short_windows_is_computed_in_as_few_parts_as_one_of_long_ones(words, tmp_path, monkeypatch, micro, rows):
    seen, loss = set(), MidiTask.loss
    monkeypatch.setattr(MidiTask, "loss", lambda task, batch, part: (seen.add(len(part)) if task.model.training else None, loss(task, batch, part))[1])
    method = MIDI.train.method.model_copy(update={"micro_batch": micro})
    task, loop = midi_task(words, method, short_windows=1.0)
    loop_train(task, loop, task.plan, tmp_path, method=method)
    assert seen == rows


def test_muon_in_float32_does_what_torchs_does():
    rng = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=rng) for shape in ((8, 24), (24, 8))]
    ends = []
    for kind in (partial(torch.optim.Muon, momentum=0.95, adjust_lr_fn="match_rms_adamw"), MuonInFloat32):
        parameters = [torch.nn.Parameter(one.clone()) for one in start]
        optimizer = kind(parameters, lr=1e-2, weight_decay=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            sum((p - 1).square().sum() for p in parameters).backward()
            optimizer.step()
        ends.append([p.detach() for p in parameters])
    for torchs, ours, before in zip(*ends, start):
        assert torch.allclose(torchs, ours, atol=0.02 * float((torchs - before).abs().max())) and not torch.equal(ours, before)


def test_bfloat16_and_threads_of_loading_leave_the_words_alone(words, tmp_path):
    assert train(words, tmp_path, method={"precision": "bf16", "micro_batch": 2}, plans=[{"steps": 5}]) == 0
    assert load_midi(tmp_path / "pretrained").decoder.embedding.dtype == torch.float32


@torch.no_grad()
def test_the_context_is_seen_and_the_future_is_not():
    from ostinato.midi.tokens import Tokenizer

    model = build_midi(SMALL, Tokenizer.fit(MIDI.tokens, [0], ["Bach"], []), 1).eval()
    ids = torch.randint(0, model.tokenizer.size, (2, 20))
    changed = ids.clone()
    changed[:, 10] = (ids[:, 10] + 1) % model.tokenizer.size
    before, after = model(ids), model(changed)
    assert before.shape == (2, 20, model.tokenizer.size)
    assert torch.equal(before[:, :10], after[:, :10]) and not torch.allclose(before[:, 10:], after[:, 10:], atol=1e-4)


def test_nothing_of_the_audio_track_is_loaded():
    """What is not imported cannot change, and have the MIDI track trained anew."""
    code = "import sys, ostinato.commands.midi_train, ostinato.train.tasks.midigpt; print(*(name for name in sys.modules if name.startswith('ostinato.')))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "ostinato.train.tasks.preparation" in loaded
    others = {f"ostinato.{name}" for name in ("codec.codec", "lm.model", "lm.t5", "lm.text", "train.tasks.codes", "train.memory", "train.tasks.musicgen", "train.plan")}
    assert not others & loaded and not others & set(modules(["ostinato.commands.midi_train"]))
    audio = set(modules(["ostinato.commands.train"]))
    assert "ostinato.train.tasks.midigpt" not in audio and others - {"ostinato.train.memory", "ostinato.train.plan"} <= audio


def test_what_does_not_belong_together_is_refused(words, pretrained, tmp_path, capsys):
    other = shutil.copytree(pretrained, tmp_path / "other")
    saved = json.loads((other / "tokenizer.json").read_text())
    saved["config"]["num_velocities"] = 16
    (other / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(UserError, match="tokenizer.json: .* expected the tokenizer saved beside it"):
        load_midi(other)
    (other / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="tokenizer.json: expected a tokenizer"):
        load_midi(other)
    torch.save({"xp.cfg": "{}", "best_state": {}}, other / "state_dict.bin")
    with pytest.raises(UserError, match="expected a MIDI model of Ostinato"):
        load_midi(other)
    assert train(words, tmp_path, "--composer", "Nobody") == 2 and "no piece of split 'train' by Nobody" in capsys.readouterr().err
    assert train(tmp_path, tmp_path) == 2 and "no words there; expected what" in capsys.readouterr().err
