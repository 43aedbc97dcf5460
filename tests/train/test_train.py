"""Training: what a run is made of, and that whatever happens to it, it ends with the weights of an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato.cli import main
from ostinato.codec.encoding import TABLE, Table, write_gathered
from ostinato.files import UserError, read_json, read_jsonl, sha256, write_json, write_jsonl
from ostinato.harmony.prompts.prompt import parse
from ostinato.lm.pretrained import LM_FILE
from ostinato.machine import machine
from ostinato.sidecars import commit, sidecar_path
from ostinato.sources import PLUMBING, fingerprint, imports, modules
from ostinato.train.average import Average
from ostinato.train.loop import Preempted, learning_rate, train
from ostinato.train.parallel import ProcessGroup
from ostinato.train.signature import refuse_changes, signed
from ostinato.train.steps import seed_of_step
from ostinato.train.tasks.codes import CodesDataset
from ostinato.train.tasks.musicgen import MusicGenTask
from project import ROOT
from training import BAR, LOOP, MODEL, PLAN, ROOTS, Hungry, assert_same_end, command, losses, make_codes, run_folder, start, train_here, wait_for_step


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
    assert {Path(item["path"]).name for item in made["inputs"]} == {"compression_state_dict.bin", "contents.json"}
    assert made["about"] == machine("cpu", "fp32") | {"processes": 1, "commit": commit()}


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
    os.kill(int((run_folder(tmp_path) / "lock").read_text().split()[0]), signal.SIGUSR2)
    assert process.wait(100) == 0
    resumed = [event["step"] for event in assert_same_end(tmp_path, undisturbed) if event.get("event") == "resume"]
    assert len(resumed) == 1 and resumed[0] >= 10


def test_interrupted_it_takes_its_job_with_it_and_goes_on_later(codes, undisturbed, tmp_path):
    process = start(command(codes, tmp_path))
    wait_for_step(tmp_path, 10)
    process.terminate()
    process.communicate(timeout=60)
    lock = int((run_folder(tmp_path) / "lock").read_text().split()[0])
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
    assert train_here(command(codes, folder, plan=SHORT)) == 0
    return folder


@pytest.mark.parametrize("division", [{"micro_batch": 3, "checkpointing": True}, {"launch": {"tasks_per_node": 2}}, {"launch": {"tasks_per_node": 2}, "micro_batch": 1}])
def test_batches_may_be_divided_and_the_losses_stay(codes, whole, tmp_path, division):
    assert train_here(command(codes, tmp_path, plan=SHORT, **division)) == 0
    assert losses(tmp_path / "model") == pytest.approx(losses(whole / "model"), rel=1e-4) and losses(tmp_path / "model", "valid") == pytest.approx(
        losses(whole / "model", "valid"), rel=1e-4
    )


def begun(folder: Path) -> set[str]:
    """The runs of a folder, but for those set aside."""
    return {path.name for path in folder.glob("runs/chords/*") if path.name != "earlier"}


def test_weights_of_other_code_are_not_taken_for_those_of_this_one(codes, whole, tmp_path):
    """GELU becomes ReLU: trained anew. A comment, a docstring, how often is logged and how much is computed at a time change nothing that is learnt."""
    shutil.copytree(whole, tmp_path / "made")
    shutil.copytree(ROOT / "src", tmp_path / "src")
    decoder, known = tmp_path / "src/ostinato/lm/decoder.py", begun(whole)
    text = decoder.read_text()

    def train_with(code: str, *options: str, **method) -> str:
        decoder.write_text(code)
        words = command(codes, tmp_path / "made", plan=SHORT, **method) + list(options)
        loop = json.loads(words[words.index("--params") + 1])
        words[words.index("--params") + 1] = json.dumps(loop | {"log_every": 1, "checkpoint_every": 3})
        done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path / "src")})
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert not train_with(text.replace('"""', '"""Of late: ', 1) + "\n# as ever\n", micro_batch=2, checkpointing=True) and begun(tmp_path / "made") == known
    assert "gelu" in text and "step 10" in train_with(text.replace("gelu", "relu")) and len(begun(tmp_path / "made")) == 2
    assert sha256(tmp_path / "made/model/state_dict.bin") != sha256(whole / "model/state_dict.bin")
    assert not train_with(text) and sha256(tmp_path / "made/model/state_dict.bin") == sha256(whole / "model/state_dict.bin")
    assert "step 10" in train_with(text, "--again") and [path.name for path in tmp_path.glob("made/runs/chords/earlier/*")] == [f"{next(iter(known))}-1"]
    assert sha256(tmp_path / "made/model/state_dict.bin") == sha256(whole / "model/state_dict.bin")


def test_a_job_does_not_go_on_with_other_code_or_data_than_it_was_submitted_with(tmp_path):
    data = tmp_path / "data"
    data.write_text("as it was")
    config = signed({"task": "ostinato.train.tasks.musicgen", "name": "run", "loop": {}}, [data], tmp_path)
    refuse_changes(config)
    with pytest.raises(UserError, match="run: the code of ostinato.train.tasks.musicgen .* has changed since this run was submitted"):
        refuse_changes(config | {"code": "0" * 64})
    data.write_text("of late")
    with pytest.raises(UserError, match="run: .*data has changed since this run was submitted"):
        refuse_changes(config)


def test_the_fingerprint_of_code_follows_every_kind_of_import(tmp_path):
    package = tmp_path / "ostinato/train"
    package.mkdir(parents=True)
    (package / "far.py").write_text("X = 1")
    prints = set()
    for words in (
        "import ostinato.train.far as f",
        "from ostinato.train import far",
        "from ostinato.train.far import X",
        "from . import far",
        "from .far import X",
        "from ..train.far import X",
        "def f():\n    from .far import X",
        "NAME = 'ostinato.train.far'",
    ):
        (package / "near.py").write_text(words)
        assert modules(["ostinato.train.near"], tmp_path) == ["ostinato.train.far", "ostinato.train.near"], words
        imports.cache_clear()
    for code in ("X = 1", "# X\nX = 1", '"""X."""\nX = 1', "X = 2", "X = 1.0"):
        (package / "far.py").write_text(code)
        prints.add(fingerprint("ostinato.train.near", home=tmp_path))
    assert len(prints) == 3
    packages = {".".join(path.relative_to(ROOT / "src").parent.parts): path.read_text().count("\n") for path in (ROOT / "src/ostinato").glob("*/**/__init__.py")}
    assert not [name for name, lines in packages.items() if lines > 1 and name not in PLUMBING], "a package's own code is in no fingerprint"


def test_a_finished_run_is_delivered_though_nobody_noted_its_job(codes, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    (run_folder(tmp_path / "run") / "job.json").unlink()
    shutil.rmtree(tmp_path / "run/model")
    assert train_here(command(codes, tmp_path / "run", plan=SHORT)) == 0
    assert sha256(tmp_path / "run/model/state_dict.bin") == sha256(whole / "model/state_dict.bin") and read_json(tmp_path / "run/model/summary.json")["job"] is None


@pytest.mark.parametrize("spoilt", [b"", b"\0" * 40, b'{"step": 10, "sp'])
def test_events_that_a_crash_of_the_machine_has_cost_are_made_up_for(codes, whole, tmp_path, spoilt):
    shutil.copytree(whole, tmp_path / "run")
    folder = run_folder(tmp_path / "run")
    (folder / "done.json").unlink()
    kept = [line for line in (folder / "events.jsonl").read_bytes().splitlines(keepends=True) if b"valid" not in line]
    (folder / "events.jsonl").write_bytes(b"".join(kept) + spoilt)
    assert train_here(command(codes, tmp_path / "run", plan=SHORT)) == 0
    assert read_json(tmp_path / "run/model/summary.json")["valid_loss"] == read_json(whole / "model/summary.json")["valid_loss"]


def test_short_of_memory_it_goes_on_from_its_checkpoint_with_what_it_was_told(tmp_path):
    plan, method = PLAN.model_copy(update={"batch_size": 8}), LOOP.method.model_copy(update={"micro_batch": 4})
    told = iter(["", "stop"])
    with pytest.raises(Preempted):
        train(Hungry(3), LOOP, plan, tmp_path, lambda: next(told), LOOP.method)
    assert torch.load(tmp_path / "checkpoint.pt")["micro"] == 2
    task = Hungry(4)
    assert train(task, LOOP, plan, tmp_path, method=method)["micro_batch"] == 4 and task.seen[:2] == [4, 4]
    saved = torch.load(tmp_path / "checkpoint.pt")
    torch.save(saved | {"model": {"other": torch.zeros(1)}}, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="checkpoint.pt: not of this model: bias, other, weight"):
        train(Hungry(4), LOOP, plan, tmp_path, method=method)


def test_dropout_is_the_same_however_many_processes_share_the_micro_batches(codes, tmp_path):
    ends = []
    for tasks in (1, 2):
        words = command(codes, tmp_path / str(tasks), plan=SHORT, launch={"tasks_per_node": tasks}, micro_batch=1)
        words[words.index("--model") + 1] = MODEL.model_copy(update={"dropout": 0.4}).model_dump_json()
        assert train_here(words) == 0
        ends.append(losses(tmp_path / f"{tasks}/model"))
    assert ends[1] == pytest.approx(ends[0], rel=1e-4)


def test_the_runs_of_a_sweep_are_validated_on_one_set(codes, whole, tmp_path):
    ends, one_at_a_time = [], {"method": LOOP.method.model_copy(update={"micro_batch": 1})}
    for number, (plan, loop) in enumerate([({}, {}), ({"batch_size": 7, "lr": 1e-3}, {"seed": 8}), ({"segment_seconds": 2.0}, {}), ({}, one_at_a_time)]):
        run, ours = PLAN.model_copy(update=plan), LOOP.model_copy(update={"validation_examples": 5, **loop})
        task = MusicGenTask(MODEL, ours, run, codes / "codec", codes / TABLE, str(whole / "model"), chords=True, adopted=True)
        ends.append(train(task, ours, run, tmp_path / str(number), method=ours.method)["valid_loss"])
    assert ends == pytest.approx([ends[0]] * 4, rel=1e-5)
    assert task.batch("valid", 0).tokens.shape == (5, 2, int(LOOP.validation_seconds * task.frame_rate))


def test_adapters_are_trained_alone_and_resume(codes, whole, tmp_path):
    lora = {"rank": 4, "alpha": 8, "dropout": 0.0}
    plan = SHORT.model_copy(update={"steps": 60})
    undisturbed, stopped = (command(codes, tmp_path / name, plan=plan, init=whole / "model", lora=lora, ema=0.5) for name in ("undisturbed", "stopped"))
    process = start(stopped)
    wait_for_step(tmp_path / "stopped", 20)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert train_here(stopped) == 0 == train_here(undisturbed)
    assert sha256(tmp_path / "stopped/model/state_dict.bin") == sha256(tmp_path / "undisturbed/model/state_dict.bin")
    summary = read_json(tmp_path / "stopped/model/summary.json")
    assert 0 < summary["trained_parameters"] < 0.3 * summary["parameters"]
    before, after = (torch.load(folder / "model/state_dict.bin")["best_state"] for folder in (whole, tmp_path / "stopped"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("weight" in name and "layers" in name and "norm" not in name for name in changed)
    assert losses(tmp_path / "stopped/model", "valid")[-1] < losses(whole / "model", "valid")[-1]
    assert (tmp_path / "stopped/model/adapter/adapter_model.safetensors").stat().st_size < 100_000
    assert train_here(command(codes, tmp_path / "stopped", plan=SHORT.model_copy(update={"steps": 1}), init=whole / "model")) == 0
    assert not (tmp_path / "stopped/model/adapter").exists()
    assert len(list((tmp_path / "stopped/runs").glob("chords/*/adapter"))) == 1  # the run keeps its own


def test_the_best_of_a_sweep_is_taken_with_its_adapters_and_those_of_an_earlier_one_go(tmp_path, capsys):
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
    write_json(tmp_path / "adapted/summary.json", {"valid_loss": float("nan")})
    assert main(choose) == 0 and read_json(best / "summary.json")["chosen"] == "whole"
    write_json(tmp_path / "whole/summary.json", {"valid_loss": float("nan")})
    assert main(choose) == 2 and "no run ended with a loss on validation that is a number" in capsys.readouterr().err


def test_a_pretrained_base_is_validated_and_taken_as_it_is(codes, whole, tmp_path, monkeypatch):
    words = command(codes, tmp_path, name="base")
    words[words.index("--model") + 1] = MODEL.model_copy(update={"pretrained": str(whole / "model")}).model_dump_json()
    assert train_here(words) == 0
    assert read_json(tmp_path / "model/summary.json")["steps"] == 0 and len(losses(tmp_path / "model", "valid")) == 1
    before, after = (torch.load(folder / "model/state_dict.bin")["best_state"] for folder in (whole, tmp_path))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_made_deterministic_torch_refuses_what_is_not_and_cublas_is_told_before_it_starts():
    code = (
        "import os, sys, ostinato.train.determinism as it; assert 'torch' not in sys.modules; it.make_deterministic(); import torch; "
        "print(os.environ['CUBLAS_WORKSPACE_CONFIG'], torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == [":4096:8", "True", "False"]


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


NCCL = "NCCL error in: NCCLUtils.hpp:275, unhandled cuda error (run with NCCL_DEBUG=INFO for details), NCCL version 2.20.5\nncclUnhandledCudaError: Call to CUDA function failed.\n"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA driver error: out of memory"),
        MemoryError(),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        torch.distributed.DistBackendError(NCCL + "Last error:\nFailed to CUDA calloc async 608 bytes"),
        torch.distributed.DistBackendError(NCCL + "Last error:\nCuda failure 2 'out of memory'"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 40 bytes. Error code 12 (Cannot allocate memory)"
        ),
    ],
    ids=lambda error: str(error)[-30:] or "MemoryError",
)
def test_every_way_to_say_that_memory_is_short_is_understood(error, tmp_path):
    assert train(Hungry(3, error), LOOP, PLAN.model_copy(update={"batch_size": 8}), tmp_path)["micro_batch"] == 2
    reason = next(event["reason"] for event in read_jsonl(tmp_path / "events.jsonl") if event.get("event") == "out_of_memory")
    assert reason and ("NCCL" not in str(error) or "CUDA calloc" in reason or "out of memory" in reason)


@pytest.mark.parametrize("said", ["CUDA error: an illegal memory access was encountered", "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"])
def test_what_else_goes_wrong_is_not_taken_for_it(said, tmp_path):
    with pytest.raises(RuntimeError, match=said):
        train(Hungry(3, RuntimeError(said)), LOOP, PLAN.model_copy(update={"batch_size": 8}), tmp_path)


def test_validation_that_is_short_of_memory_is_done_again_with_half_the_micro_batch(tmp_path):
    plan, method = PLAN.model_copy(update={"batch_size": 8}), LOOP.method.model_copy(update={"optimizer": "adamw", "ema": 0.5})
    ends = [train(Hungry(8, valid_room=room), LOOP, plan, tmp_path / str(room), method=method) for room in (8, 3)]
    assert ends[1]["micro_batch"] == 8 and ends[1]["valid_loss"] == pytest.approx(ends[0]["valid_loss"], rel=1e-6)
    events = read_jsonl(tmp_path / "3/events.jsonl")
    assert [event["micro_batch"] for event in events if event.get("event") == "out_of_memory"] == [2]


class Pair(ProcessGroup):
    """Two processes that fare alike; the first time there is no memory to sum gradients in."""

    asked = []

    def any(self, flag: bool) -> bool:
        return flag

    def sum(self, value: float) -> float:
        return value

    def room_for_sums(self, parameters: list) -> None:
        self.asked.append(len(parameters))
        if len(self.asked) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")


def test_memory_for_sums_of_gradients_is_asked_for_before_processes_agree(tmp_path):
    assert train(Hungry(8), LOOP, PLAN.model_copy(update={"batch_size": 8}), tmp_path, group=Pair(0, 2))["micro_batch"] == 2
    assert Pair.asked == [2] * 5  # four steps, the first of them twice


def test_sums_of_gradients_allocate_nothing():
    group, parameters = ProcessGroup(0, 2), [torch.nn.Parameter(torch.zeros(shape)) for shape in ((3, 4), (5,), (2, 2))]
    parameters[0].grad, parameters[2].grad = torch.ones(3, 4), torch.ones(2, 2).T
    room = group.room_for_sums(parameters)
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
    try:
        with torch.autograd.profiler.profile(profile_memory=True) as profile:
            group.sum_gradients(parameters, room)
    finally:
        torch.distributed.destroy_process_group()
    assert max((event.cpu_memory_usage for event in profile.function_events), default=0) <= 0
    assert [float(parameter.grad.sum()) for parameter in parameters] == [12, 0, 4]


def test_a_job_that_fails_says_why_in_one_line(codes, tmp_path):
    rows = read_jsonl(codes / "shard-00.jsonl")
    (tmp_path / "codes").mkdir()
    np.save(tmp_path / "codes/shard-00.npy", np.load(codes / "shard-00.npy"))
    write_jsonl(tmp_path / "codes/shard-00.jsonl", [row for row in rows if row["split"] == "train"])
    write_gathered([tmp_path / "codes/shard-00.npy"], set())
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


class Steep:
    """A task whose loss is a number in every step, and whose gradient is none in `bad` ones."""

    steps = 20

    def __init__(self, bad: range) -> None:
        torch.manual_seed(0)
        self.model, self.bad, self.weights = torch.nn.Linear(1, 1), bad, []

    def batch(self, split: str, step: int) -> list[int]:
        return [step]

    def loss(self, batch: list[int], rows: range) -> tuple[torch.Tensor, int]:
        self.weights.append(float(self.model.weight.detach()))
        said = self.model(torch.ones(1, 1)).sum()
        return (said * 0).sqrt() if batch[0] in self.bad else (said - 1).square(), 1


def test_a_gradient_that_is_no_number_moves_nothing(tmp_path):
    task = Steep(range(3, 5))
    train(task, LOOP, PLAN, tmp_path, method=LOOP.method.model_copy(update={"ema": 0.9}))
    moved = [after != before for before, after in zip(task.weights, task.weights[1:])]
    assert moved[:7] == [True] * 3 + [False] * 2 + [True] * 2 and torch.isfinite(task.model.weight)
    skipped = [event for event in read_jsonl(tmp_path / "events.jsonl") if event.get("event") == "skipped"]
    assert [event["step"] for event in skipped] == [4, 5] and "nan" in skipped[0]["reason"]


def test_gradients_that_stay_no_numbers_end_the_run_with_its_weights_whole(tmp_path):
    with pytest.raises(UserError, match=r"gradient is nan at step 18, as in the 9 steps before.*learning rate \(0\.002\) or clip_norm \(1\)"):
        train(Steep(range(8, 20)), LOOP, PLAN, tmp_path)
    saved = torch.load(tmp_path / "checkpoint.pt")
    assert saved["step"] == 14 and all(torch.isfinite(value).all() for value in saved["model"].values())


def test_the_average_of_weights_forgets_where_it_started():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    average, left = Average(model, 0.999), []
    torch.nn.init.zeros_(model.weight)
    for step in range(80):
        average.update(step)
        left.append(float(average.weights["weight"]))
    assert left[:2] == pytest.approx([0.1, 0.1 * 2 / 11]) and left[-1] < 1e-9
    torch.nn.init.ones_(model.weight)
    average.update(10**6)
    assert float(average.weights["weight"]) == pytest.approx(0.001)


class Queued:
    """A task that computes a step when the next one's batch has been drawn, and cannot draw that of step `broken`."""

    def __init__(self, steps: int, broken: int | None = None) -> None:
        self.model, self.steps, self.broken = torch.nn.Linear(1, 1), steps, broken
        self.drawn = [threading.Event() for _ in range(steps + 1)]
        self.drawn[steps].set()

    def batch(self, split: str, step: int) -> list[int]:
        assert threading.current_thread() is not threading.main_thread()
        if split == "train":
            self.drawn[step].set()
            if step == self.broken:
                raise UserError("a shard is gone")
        return [step]

    def loss(self, batch: list[int], rows: range) -> tuple[torch.Tensor, int]:
        assert not self.model.training or self.drawn[batch[0] + 1].wait(20), "the next batch was not drawn meanwhile"
        return self.model(torch.full((1, 1), float(batch[0]))).square().sum(), 1


def test_batches_are_drawn_one_step_ahead_and_no_thread_is_left(tmp_path):
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]

    loop, words = LOOP.model_copy(update={"log_every": 1}), iter(["", "stop"])
    train(Queued(5), loop, PLAN, tmp_path / "whole")
    assert not threads()
    with pytest.raises(Preempted):
        train(Queued(5), loop, PLAN, tmp_path / "stopped", lambda: next(words))
    assert not threads()
    with pytest.raises(UserError, match="a shard is gone"):
        train(Queued(5, broken=3), loop, PLAN, tmp_path / "broken")
    assert not threads() and losses(tmp_path / "broken", steps=True) == [1, 2, 3]


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
    data = CodesDataset(Table.load(codes / TABLE), "train")
    batch = data.batch(np.random.default_rng(1), 8, 84, chords=True)
    assert batch.codes.shape == (8, 2, 84) and batch.mask.shape == (8, 1, 84)
    for row, prompt, frames in zip(batch.codes, batch.prompts, batch.frames):
        chords = [ROOTS.index(chord.root) for chord in parse(prompt).chords]
        assert frames == 2 * BAR and row[0, :frames].tolist() == [root for root in chords for _ in range(BAR)]
        assert not row[:, frames:].any()
    again = data.batch(np.random.default_rng(1), 8, 84, chords=True)
    assert again.prompts == batch.prompts and np.array_equal(again.codes, batch.codes)
    assert set(data.batch(np.random.default_rng(1), 8, 84, chords=False).prompts) == {"piano"}


def test_a_control_hears_the_same_and_is_told_the_chords_of_others(codes):
    told, shuffled = (CodesDataset(Table.load(codes / TABLE), "train", seed) for seed in (None, 5))
    assert sorted(shuffled.described_by) == list(range(10)) and not any(shuffled.described_by == np.arange(10))
    for index in range(10):
        own, other = (data.example(index, np.random.default_rng(index), 84, chords=True) for data in (told, shuffled))
        described = told.example(int(shuffled.described_by[index]), np.random.default_rng(index), 84, chords=True)
        assert np.array_equal(own[0], other[0]) and other[1] == described[1]


def test_another_training_as_one_was_with_a_seed_of_its_own(codes, tmp_path, capsys):
    words = command(codes, tmp_path)[3:]
    place = words.index("--plan") + 1
    write_json(tmp_path / "summary.json", {"plan": PLAN.model_copy(update={"steps": 2}).model_dump()})
    words[place] = str(tmp_path / "summary.json")
    assert main([*words, "--seed", "8", "--shuffled", "chords"]) == 0
    made = read_json(sidecar_path(tmp_path / "model" / LM_FILE))
    assert made["seed"] == 8 and made["params"]["plan"]["steps"] == 2
    assert main([*words, "--seed", "8", "9"]) == 2
    assert "--seed: 2 seeds for 1 runs" in capsys.readouterr().err
