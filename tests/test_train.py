"""Training: what a run is made of, and that whatever happens to it, it ends with the weights of an undisturbed one."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from training import BAR, LOOP, MODEL, PLAN, ROOTS, assert_same_end, command, losses, make_codes, run_folder, start, wait_for_step

from ostinato.cli import main
from ostinato.dataset.prompts import parse
from ostinato.files import UserError, read_json, read_jsonl, sha256, write_json, write_jsonl
from ostinato.train.data import CodesDataset
from ostinato.train.loop import learning_rate, seed_of_step, train

@pytest.fixture(scope="module")
def codes(tmp_path_factory) -> Path:
    return make_codes(tmp_path_factory.mktemp("codes"))


@pytest.fixture(scope="module")
def undisturbed(codes, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = subprocess.run(command(codes, folder), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "step 60 split valid loss" in done.stdout
    return folder


def test_a_run_learns_and_leaves_a_whole_model(undisturbed, codes):
    summary, events = read_json(undisturbed / "model/summary.json"), read_jsonl(undisturbed / "model/events.jsonl")
    losses = [event["loss"] for event in events if event.get("split") == "valid"]
    assert losses[-1] < 0.7 * losses[0] and summary["valid_loss"] == losses[-1]
    assert summary["parameters"] == sum(value.numel() for value in torch.load(undisturbed / "model/state_dict.bin")["best_state"].values())
    made = read_json(undisturbed / "model/state_dict.bin.made.json")
    assert {Path(item["path"]).name for item in made["inputs"]} == {"compression_state_dict.bin", "shard-00.npy", "shard-00.jsonl"}


def test_killed_at_any_moment_it_ends_with_the_same_weights(codes, undisturbed, tmp_path):
    for step in (0, 17, 45):
        process = start(command(codes, tmp_path))
        wait_for_step(tmp_path, step)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert start(command(codes, tmp_path)).wait(100) == 0
    events = assert_same_end(tmp_path, undisturbed)
    resumed = [event["step"] for event in events if event.get("event") == "resume"]
    assert len(resumed) == 2 and resumed[0] >= 14 and resumed[1] >= 42 and not any(step % LOOP.checkpoint_every for step in resumed)


def test_a_launcher_that_dies_is_replaced_and_its_job_goes_on(codes, undisturbed, tmp_path):
    process = start(command(codes, tmp_path))
    wait_for_step(tmp_path, 5)
    process.kill()
    process.communicate()
    job = read_json(run_folder(tmp_path) / "job.json")
    assert start(command(codes, tmp_path)).wait(100) == 0
    assert read_json(run_folder(tmp_path) / "job.json") == job
    assert not any(event.get("event") == "resume" for event in assert_same_end(tmp_path, undisturbed))


def test_before_a_time_limit_it_writes_a_checkpoint_and_is_requeued(codes, undisturbed, tmp_path):
    process = start(command(codes, tmp_path))
    wait_for_step(tmp_path, 10)
    os.kill(int((run_folder(tmp_path) / "lock").read_text()), signal.SIGUSR2)
    assert process.wait(100) == 0
    resumed = [event["step"] for event in assert_same_end(tmp_path, undisturbed) if event.get("event") == "resume"]
    assert len(resumed) == 1 and resumed[0] >= 10


def test_interrupted_it_takes_its_job_with_it_and_goes_on_later(codes, undisturbed, tmp_path):
    process = start(command(codes, tmp_path))
    wait_for_step(tmp_path, 10)
    process.terminate()
    process.communicate(timeout=60)
    lock = int((run_folder(tmp_path) / "lock").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{lock}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.returncode != 0 and not Path(f"/proc/{lock}").exists()
    assert start(command(codes, tmp_path)).wait(100) == 0
    assert_same_end(tmp_path, undisturbed)


SHORT = PLAN.model_copy(update={"steps": 10, "batch_size": 4})


@pytest.fixture(scope="module")
def whole(codes, tmp_path_factory) -> Path:
    """Ten steps of whole batches by one process: what every division of them must come to."""
    folder = tmp_path_factory.mktemp("whole")
    assert subprocess.run(command(codes, folder, plan=SHORT)).returncode == 0
    return folder


@pytest.mark.parametrize("division", [{"micro_batch": 3, "checkpointing": True}, {"launch": {"tasks_per_node": 2}}, {"launch": {"tasks_per_node": 2}, "micro_batch": 1}])
def test_batches_may_be_divided_and_the_losses_stay(codes, whole, tmp_path, division):
    done = subprocess.run(command(codes, tmp_path, plan=SHORT, **division), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "model") == pytest.approx(losses(whole / "model"), rel=1e-4) and losses(tmp_path / "model", "valid") == pytest.approx(losses(whole / "model", "valid"), rel=1e-4)


def test_adapters_are_trained_alone_and_resume(codes, whole, tmp_path):
    lora = {"rank": 4, "alpha": 8, "dropout": 0.0}
    for folder in (tmp_path / "undisturbed", tmp_path / "stopped"):
        process = start(command(codes, folder, plan=SHORT.model_copy(update={"steps": 60}), init=whole / "model", lora=lora, ema=0.5))
        if folder.name == "stopped":
            wait_for_step(folder, 20)
            os.killpg(process.pid, signal.SIGKILL)
            process = start(command(codes, folder, plan=SHORT.model_copy(update={"steps": 60}), init=whole / "model", lora=lora, ema=0.5))
        assert process.wait(100) == 0, process.stderr.read()
    assert sha256(tmp_path / "stopped/model/state_dict.bin") == sha256(tmp_path / "undisturbed/model/state_dict.bin")
    summary = read_json(tmp_path / "stopped/model/summary.json")
    assert 0 < summary["trained_parameters"] < 0.3 * summary["parameters"]
    before, after = (torch.load(folder / "model/state_dict.bin")["best_state"] for folder in (whole, tmp_path / "stopped"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("weight" in name and "layers" in name and "norm" not in name for name in changed)
    assert losses(tmp_path / "stopped/model", "valid")[-1] < losses(whole / "model", "valid")[-1]
    assert (tmp_path / "stopped/model/adapter/adapter_model.safetensors").stat().st_size < 100_000
    done = subprocess.run(command(codes, tmp_path / "stopped", plan=SHORT.model_copy(update={"steps": 1}), init=whole / "model"))
    assert done.returncode == 0 and not (tmp_path / "stopped/model/adapter").exists()
    assert len(list((tmp_path / "stopped/runs").glob("chords/*/adapter"))) == 1  # the run keeps its own


def test_the_best_of_a_sweep_is_taken_with_its_adapters_and_those_of_an_earlier_one_go(tmp_path):
    for name, loss in (("adapted", 1.0), ("whole", 2.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state_dict.bin").write_text(name)
        write_json(tmp_path / name / "summary.json", {"valid_loss": loss})
    (tmp_path / "adapted/adapter").mkdir()
    (tmp_path / "adapted/adapter/adapter_config.json").write_text("{}")
    best, made = tmp_path / "best", tmp_path / "best/state_dict.bin.made.json"
    choose = ["best", "--models", str(tmp_path / "adapted"), str(tmp_path / "whole"), "--out", str(best)]
    assert main(choose) == 0 and (best / "adapter/adapter_config.json").is_file() and read_json(made)["beside"].keys() == {"adapter", "summary.json"}
    write_json(tmp_path / "whole/summary.json", {"valid_loss": 0.5})
    assert main(choose) == 0 and not (best / "adapter").exists() and read_json(made)["beside"].keys() == {"summary.json"}


def test_a_pretrained_base_is_validated_and_taken_as_it_is(codes, whole, tmp_path, monkeypatch):
    words = command(codes, tmp_path, name="base")
    words[words.index("--model") + 1] = MODEL.model_copy(update={"pretrained": str(whole / "model")}).model_dump_json()
    assert subprocess.run(words).returncode == 0
    assert read_json(tmp_path / "model/summary.json")["steps"] == 0 and len(losses(tmp_path / "model", "valid")) == 1
    before, after = (torch.load(folder / "model/state_dict.bin")["best_state"] for folder in (whole, tmp_path))
    assert all(torch.equal(before[name], after[name]) for name in before)


class Hungry:
    """A task for whose memory more than `room` examples are too many."""

    steps = 4

    def __init__(self, room: int) -> None:
        torch.manual_seed(0)
        self.model, self.room, self.seen = torch.nn.Linear(3, 1), room, []

    def batch(self, split: str, step: int) -> torch.Tensor:
        return torch.randn(8, 3, generator=torch.Generator().manual_seed(step))

    def loss(self, batch: torch.Tensor, rows: range) -> tuple[torch.Tensor, int]:
        self.seen.append(len(rows))
        if len(rows) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return self.model(batch[rows.start : rows.stop]).square().sum() / len(batch), len(rows)


def test_short_of_memory_it_halves_the_micro_batch_and_keeps_the_batch(tmp_path):
    plan, weights = PLAN.model_copy(update={"batch_size": 8}), []
    for room in (8, 3):
        task = Hungry(room)
        summary = train(task, LOOP, plan, tmp_path / str(room))
        weights.append(task.model.weight.detach().clone())
        assert summary["micro_batch"] == {8: 8, 3: 2}[room]
    assert torch.allclose(*weights, atol=1e-6) and task.seen[:6] == [8, 4, 2, 2, 2, 2]
    events = [event for event in read_jsonl(tmp_path / "3/events.jsonl") if event.get("event") == "out_of_memory"]
    assert [event["micro_batch"] for event in events] == [4, 2] and "20 GiB" in events[0]["reason"]
    with pytest.raises(UserError, match="out of memory with a single example at a time.*ostinato plan"):
        train(Hungry(0), LOOP, plan, tmp_path / "0")


def test_a_job_that_fails_says_why_in_one_line(codes, tmp_path):
    rows = read_jsonl(codes / "shard-00.jsonl")
    (tmp_path / "codes").mkdir()
    np.save(tmp_path / "codes/shard-00.npy", np.load(codes / "shard-00.npy"))
    write_jsonl(tmp_path / "codes/shard-00.jsonl", [row for row in rows if row["split"] == "train"])
    (tmp_path / "codes/codec").symlink_to(codes / "codec")
    done = subprocess.run(command(tmp_path / "codes", tmp_path), capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and "no segment of split 'valid'" in done.stderr and "Traceback" not in done.stderr


class Broken:
    """A task whose loss is no number from step 3 on."""

    steps = 20

    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)

    def batch(self, split: str, step: int) -> list[int]:
        return [step]

    def loss(self, batch: list[int], rows: range) -> tuple[torch.Tensor, int]:
        return self.model(torch.ones(1, 1)).sum() * (float("nan") if batch[0] >= 3 else 1.0), 1


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    with pytest.raises(UserError, match="loss is nan at step 4; lower the learning rate"):
        train(Broken(), LOOP, PLAN, tmp_path)


def test_what_is_random_is_drawn_once_by_one_process_in_one_step_of_one_seed():
    drawn = set()
    for seed in (0, 3, 2**32 - 1, 2021759598):  # 3 and the last are a step apart in seed * 1,000,003 + step, of which torch takes 32 bits
        for step in (0, 1, 7919):
            drawn |= {torch.rand(1, generator=torch.Generator().manual_seed(seed_of_step(seed, step, rank))).item() for rank in (0, 1)}
    assert len(drawn) == 24


def test_the_learning_rate_warms_up_and_follows_a_cosine():
    loop = LOOP.model_copy(update={"warmup_share": 0.1, "final_lr_share": 0.2})
    assert [learning_rate(step, 100, 1.0, loop) for step in (0, 9, 10, 55)] == pytest.approx([0.1, 1.0, 1.0, 0.6])
    assert learning_rate(100, 100, 1.0, loop) == pytest.approx(0.2)


def test_examples_are_whole_bars_and_say_what_sounds_in_them(codes):
    data = CodesDataset([codes / "shard-00.npy"], "train")
    batch = data.batch(np.random.default_rng(1), 8, 84, chords=True)
    assert batch.codes.shape == (8, 2, 84) and batch.mask.shape == (8, 1, 84)
    for row, prompt, frames in zip(batch.codes, batch.prompts, batch.frames):
        chords = [ROOTS.index(chord.root) for chord in parse(prompt).chords]
        assert frames == 2 * BAR and row[0, :frames].tolist() == [root for root in chords for _ in range(BAR)]
        assert not row[:, frames:].any()
    again = data.batch(np.random.default_rng(1), 8, 84, chords=True)
    assert again.prompts == batch.prompts and np.array_equal(again.codes, batch.codes)
    assert set(data.batch(np.random.default_rng(1), 8, 84, chords=False).prompts) == {"piano"}
