"""What training needs of memory, said beforehand: against what a step really takes, and what becomes of a plan that cannot fit."""

import json
import subprocess
import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from music import PARAMS
from ostinato.cli import main
from ostinato.codec.codec import save_spectral
from ostinato.codec.encoding import TABLE, write_gathered
from ostinato.codec.spectral import build
from ostinato.files import UserError, write_jsonl
from ostinato.lm.decoder import Decoder, Shape
from ostinato.lm.layout import TEXT
from ostinato.lm.model import build_lm, parameter_count, save_lm
from ostinato.lm.pretrained import config_like
from ostinato.params import part
from ostinato.params.blocks import Launch, Lora, Method
from ostinato.train import host, memory, plan
from ostinato.train.loop import train
from ostinato.train.optimizers import optimizer_for
from ostinato.train.tasks.musicgen import MusicGenTask, Shown
from ostinato.train.tasks.preparation import prepare

CASES = {
    "all weights": Method(optimizer="adamw", precision="fp32", micro_batch=None, checkpointing=False, lora=None, ema=None, deterministic=False),
    "all weights, bf16": Method(optimizer="adamw", precision="bf16", micro_batch=None, checkpointing=False, lora=None, ema=None, deterministic=False),
    "all weights, bf16, checkpointing": Method(optimizer="adamw", precision="bf16", micro_batch=None, checkpointing=True, lora=None, ema=None, deterministic=False),
    "all weights, muon": Method(optimizer="muon", precision="fp32", micro_batch=None, checkpointing=False, lora=None, ema=None, deterministic=False),
    "adapters": Method(optimizer="adamw", precision="fp32", micro_batch=None, checkpointing=False, lora=Lora(rank=8, alpha=16, dropout=0), ema=None, deterministic=False),
    "adapters, bf16, checkpointing": Method(
        optimizer="adamw", precision="bf16", micro_batch=None, checkpointing=True, lora=Lora(rank=8, alpha=16, dropout=0), ema=None, deterministic=False
    ),
}
SHAPE, EXAMPLES, STEPS, WORDS, WIDTH = Shape(192, 4, 4, 768, 128, (0, 1, 2, 3)), 2, 200, 16, 64
GB = ["--gpu-gb", "48"]
LONG = ["--segment-seconds", "30", "--precision", "bf16"]


class Projected(torch.nn.Module):
    """Stands for T5Text: a projection of something."""

    def __init__(self) -> None:
        super().__init__()
        self.output_proj = torch.nn.Linear(WIDTH, SHAPE.dim)

    def forward(self, texts: list[str]) -> torch.Tensor:
        return self.output_proj(torch.ones(len(texts), WORDS, WIDTH).to(self.output_proj.weight)) * torch.ones(len(texts), WORDS, 1, dtype=torch.bool)


class LM(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decoder, self.text = Decoder(SHAPE), Projected()

    def forward(self, tokens: torch.Tensor, texts: list[str]) -> torch.Tensor:
        return self.decoder(tokens, self.text(texts))


class Held(TorchDispatchMode):
    """Counts the bytes of tensors that operators returned and that are still alive, and the most of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.most, self.known = 0, 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage())._cdata not in self.known:
                self.known.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.most = max(self.most, self.now)
        return result

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


@pytest.fixture
def norms_as_on_a_gpu(monkeypatch):
    """Autocast on a GPU computes norms in 32 bits, on the CPU as they come."""
    original = functional.layer_norm

    def norm(x, shape, weight, bias, eps):
        if not torch.is_autocast_enabled("cpu"):
            return original(x, shape, weight, bias, eps)
        with torch.autocast("cpu", enabled=False):
            return original(x.float(), shape, weight.float(), bias.float(), eps)

    monkeypatch.setattr(functional, "layer_norm", norm)


def task_of(method: Method) -> SimpleNamespace:
    torch.manual_seed(0)
    return SimpleNamespace(device="cpu", method=method, model=prepare(LM(), method, 0), frames=STEPS)


def batch() -> Shown:
    tokens = torch.zeros(EXAMPLES, SHAPE.codebooks, STEPS, dtype=torch.long)
    return Shown(tokens, tokens, torch.ones(tokens.shape), ["piano"] * EXAMPLES)


def needed(method: Method) -> memory.Need:
    return memory.need(SHAPE, memory.Text(WIDTH, (WIDTH + 1) * SHAPE.dim, WORDS), method, EXAMPLES, STEPS)


@pytest.mark.parametrize("name", CASES)
def test_what_autograd_keeps_is_what_was_said(name, norms_as_on_a_gpu):
    method = CASES[name]
    task, kept = task_of(method), {}
    weights = {parameter.untyped_storage()._cdata for parameter in task.model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (storage := tensor.untyped_storage())._cdata not in weights:
            kept[storage._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss, _ = MusicGenTask.loss(task, batch(), range(EXAMPLES))
    said = needed(method)
    copies = said.copies if not method.checkpointing else memory.weight_copies(SHAPE, memory.t5(SHAPE.dim, WIDTH), method)[0]
    softmax = 4 * EXAMPLES * STEPS * SHAPE.codebooks * SHAPE.cardinality
    assert said.activations + copies + softmax == pytest.approx(sum(tensor.untyped_storage().nbytes() for tensor in kept.values()), rel=0.1)
    assert not any(tensor.shape[-2:] == (STEPS, STEPS) for tensor in kept.values())  # attention is fused
    assert loss.isfinite()


@pytest.mark.parametrize("name", CASES)
def test_the_peak_of_a_step_is_what_was_said(name, norms_as_on_a_gpu):
    method = CASES[name]
    with Held() as held:
        task = task_of(method)
        trained = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
        optimizer = optimizer_for(task.model, PARAMS.train, PARAMS.train.base, method)
        for group in optimizer.param_groups:
            group["foreach"] = True  # as AdamW does on a GPU
        for _ in range(2):  # the optimiser's moments are there from the second step on
            optimizer.zero_grad()
            held.most = held.now
            for _ in range(2):
                MusicGenTask.loss(task, batch(), range(EXAMPLES))[0].backward()
            backward, held.most = held.most, held.now
            optimizer.step()
    said = needed(method)
    assert (said.trained + said.frozen, said.gradients) == (sum(p.nbytes for p in task.model.parameters()), sum(p.nbytes for p in trained))
    assert said.moments == pytest.approx({"backward": backward, "optimiser": held.most}, rel=0.1)
    assert said.peak == max(said.moments.values()) + said.context


@pytest.mark.parametrize(("size", "millions"), [("small", 420.4), ("medium", 1838.7), ("large", 3257.0)])
def test_the_published_sizes_have_as_many_parameters(size, millions):
    subject = plan.named(size)
    with torch.device("meta"):
        decoder = Decoder(subject.shape)
    assert memory.parameters(subject.shape) == parameter_count(decoder)
    assert (memory.parameters(subject.shape) + subject.text.parameters) / 1e6 == pytest.approx(millions, abs=0.1)


def planned(capsys, *options: str) -> dict:
    assert main(["plan", *options, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_was_promised_of_one_gpu(capsys):
    alone = ["--micro-batch", "1", *GB, *LONG]
    whole, adapted = planned(capsys, "--model", "medium", *alone), planned(capsys, "--model", "large", "--lora-rank", "16", *alone)
    short = planned(capsys, "--model", "facebook/musicgen-large", "--lora-rank", "16", "--checkpointing", *alone)
    assert max(whole["peak"], adapted["peak"]) < 44 * memory.GIB and short["peak"] < 16 * memory.GIB
    assert short["frozen"] == 2 * (short["parameters"] - short["trained_parameters"])


def test_it_proposes_the_largest_micro_batch_that_fits(capsys):
    said = planned(capsys, "--model", "medium", *LONG, *GB)
    assert said["micro_batch"] == PARAMS.train.tune.batch_size and said["peak"] > said["gpu"]
    largest = said["largest_micro_batch"]
    fitting, beyond = (planned(capsys, "--model", "medium", *LONG, *GB, "--micro-batch", str(micro))["peak"] for micro in (largest, largest + 1))
    assert fitting <= 0.95 * said["gpu"] < beyond
    assert main(["plan", "--model", "medium", *LONG, *GB, "--check"]) == 0
    text = capsys.readouterr().out
    assert f"does not fit; the largest micro-batch that does, with 5% to spare: {largest}" in text and "weights, trained            6.85\n" in text


def test_where_nothing_fits_it_says_what_would(capsys):
    options = ["plan", "--model", "large", "--segment-seconds", "30", "--check", "--gpu-gb"]
    assert main([*options, "24"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and "a micro-batch of 1 x 30 s needs about 61.6 GiB, the GPU has 24.0" in error
    assert "it would fit with train.method {checkpointing: true, lora: {rank: 16" in error
    assert main([*options, "4"]) == 2 and "shorten plan.segment_seconds, or take a larger GPU" in capsys.readouterr().err
    assert main(["plan", "--run", "base", "--check", "--gpu-gb", "0.52"]) == 2 and "lora" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gpu-gb", "-1"], "--gpu-gb: expected GB above 0, got -1"),
        (["--segment-seconds", "0"], "--segment-seconds: expected seconds above 0, got 0"),
        (["--lora-rank", "-2"], "--lora-rank: expected 0 or more, got -2"),
        (["--model", "nowhere"], "nowhere/state_dict.bin: no such file"),
        (["--params", "nowhere.yaml"], "nowhere.yaml: no such file"),
    ],
)
def test_bad_options_are_one_line(options, message, capsys):
    assert main(["plan", *options]) == 2 and message in capsys.readouterr().err


def test_a_launch_that_contradicts_itself_is_refused():
    for change, message in (({"gpu_gb": -1}, "gpu_gb: Input should be greater than or equal to 0, got -1"), ({"nodes": 2}, "this machine is one node, got 2")):
        with pytest.raises(UserError, match=message):
            part(Launch, "launch", json.dumps(PARAMS.train.launch.model_dump() | change))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A codec, codes and a model in folders."""
    folder = tmp_path_factory.mktemp("plan")
    codec = build(PARAMS.codec)
    save_spectral(folder / "codec", codec, PARAMS.codec)
    save_lm(folder / "model", build_lm(PARAMS.model, codec.num_codebooks, codec.cardinality, codec.frame_rate, 1))
    np.save(folder / "shard.npy", np.zeros((codec.num_codebooks, 8), np.int16))
    write_jsonl(folder / "shard.jsonl", [])
    write_gathered([folder / "shard.npy"], set())
    return folder


def test_a_folder_and_the_parameters_describe_the_same_model(fresh, capsys):
    read, said = planned(capsys, "--model", str(fresh / "model")), planned(capsys)
    assert read.pop("model") == str(fresh / "model") and said.pop("model") == "a fresh model"
    assert read.pop("host")["moments"]["loading"]["mapped"] == 4 * read["parameters"] and not said.pop("host")["moments"]["loading"]["mapped"] and read == said
    assert said["parameters"] == parameter_count(build_lm(PARAMS.model, PARAMS.codec.codebooks, PARAMS.codec.cardinality, 16.0, 1))


def test_a_folder_of_audiocraft_is_described_without_its_weights(tmp_path, capsys):
    projection = {f"{TEXT}output_proj.weight": torch.zeros(SHAPE.dim, 512)}
    torch.save({"xp.cfg": config_like(SHAPE, "t5-small"), "best_state": projection}, tmp_path / "state_dict.bin")
    said = planned(capsys, "--model", str(tmp_path), "--segment-seconds", "4", "--micro-batch", "2", "--lora-rank", "8")
    need = memory.need(SHAPE, memory.t5(SHAPE.dim, 512), CASES["adapters"], 2, 200)
    assert said["peak"] == need.peak and said["encoder"] == pytest.approx(4 * 35.3e6, rel=0.01)


def arguments(folder, gpu_gb: float) -> list[str]:
    launch = PARAMS.train.launch.model_copy(update={"gpus": 1, "gpu_gb": gpu_gb})
    loop = PARAMS.train.model_dump(exclude={"base", "tune", "launch"})
    return [
        "train",
        "--name",
        "base",
        "--params",
        json.dumps(loop),
        "--plan",
        PARAMS.train.base.model_dump_json(),
        "--launch",
        launch.model_dump_json(),
        "--model",
        PARAMS.model.model_dump_json(),
        "--codec",
        str(folder / "codec"),
        "--codes",
        str(folder / TABLE),
        "--runs",
        str(folder / "runs"),
        "--out",
        str(folder / "out"),
    ]


def test_a_plan_that_cannot_fit_is_refused_before_it_is_queued(fresh, capsys):
    assert main(arguments(fresh, 0.52)) == 2
    error = capsys.readouterr().err
    assert "a fresh model: a micro-batch of 1 x 10 s needs about 0.6 GiB, the GPU has 0.5" in error and not (fresh / "runs").exists()


def test_a_micro_batch_that_will_be_halved_is_a_warning(fresh, caplog):
    launch = PARAMS.train.launch.model_copy(update={"gpus": 1, "gpu_gb": 0.6})
    config = {
        "loop": PARAMS.train.model_dump(),
        "plan": PARAMS.train.base.model_dump(),
        "init": None,
        "adopted": False,
        "codec": str(fresh / "codec"),
        "model": PARAMS.model.model_dump(),
    }
    plan.refuse_before_queueing(config, launch)
    assert "a micro-batch of 16 needs about 0.8 GiB, the GPU has 0.6: it will be halved" in caplog.text
    caplog.clear()
    plan.refuse_before_queueing(config, launch.model_copy(update={"gpu_gb": 0}))
    plan.refuse_before_queueing(config, launch.model_copy(update={"gpu_gb": 24}))
    plan.refuse_before_queueing(config | {"adopted": True}, launch.model_copy(update={"gpu_gb": 0.1}))  # nothing is trained
    assert not caplog.text


def test_a_pretrained_model_is_refused_by_name_and_may_be_adapted():
    plan_30 = PARAMS.train.tune.model_copy(update={"segment_seconds": 30.0}).model_dump()
    config = {"loop": PARAMS.train.model_dump(), "plan": plan_30, "init": "facebook/musicgen-medium", "adopted": False}
    launch = PARAMS.train.launch.model_copy(update={"gpus": 1, "gpu_gb": 24})
    with pytest.raises(UserError, match=r"^facebook/musicgen-medium: a micro-batch of 1 x 30 s needs .* the GPU has 24.0 .*fit with train.method \{lora: "):
        plan.refuse_before_queueing(config, launch)


def test_the_memory_of_a_node_is_planned_checked_and_refused(capsys, caplog):
    adapted = ["plan", "--model", "large", "--lora-rank", "16", "--checkpointing", "--micro-batch", "1", *GB, *LONG]
    found = planned(capsys, *adapted[1:], "--mem-gb", "16")
    weights, t5, node = 4 * 3257.0e6, 4 * 109.6e6, found["host"]
    assert node["when"] == "loading" and node["moments"]["loading"]["held"] == pytest.approx(weights + 2**29 + 2**28, rel=1e-3)
    assert node["moments"]["loading"]["mapped"] == pytest.approx(weights / 2 + t5 + host.CUDA, rel=1e-3)
    assert node["moments"]["resuming"]["mapped"] == 12 * found["trained_parameters"] + host.CUDA
    assert main([*adapted, "--mem-gb", "16", "--check"]) == 0  # what the kernel may take back is a warning
    assert "host memory                21.36  of 16 (train.launch.mem_gb), while the model is loaded; 8.47 of it pages" in capsys.readouterr().out
    assert "set it to 24" in caplog.text
    assert main([*adapted, "--mem-gb", "12", "--check"]) == 2
    assert "large: training holds about 15.3 GiB of a node's memory at once, train.launch.mem_gb is 12; set it to 24" in capsys.readouterr().err
    assert main([*adapted, "--mem-gb", "24", "--check"]) == 0 and "pages of files; fits\n" in capsys.readouterr().out


def test_a_job_that_a_node_cannot_hold_is_refused_before_it_is_queued(fresh):
    config = {"loop": PARAMS.train.model_dump(), "plan": PARAMS.train.tune.model_dump(), "init": "facebook/musicgen-large", "adopted": True}
    launch = PARAMS.train.launch.model_copy(update={"cluster": "slurm", "gpus": 1, "mem_gb": 8})
    with pytest.raises(UserError, match="^facebook/musicgen-large: training holds about 12.9 GiB of a node's memory at once, train.launch.mem_gb is 8; set it to "):
        plan.refuse_before_queueing(config, launch)
    plan.refuse_before_queueing(config, launch.model_copy(update={"cluster": "local"}))  # which holds nobody to it
    plan.refuse_before_queueing(config, launch.model_copy(update={"mem_gb": 24}))
    with pytest.raises(UserError, match="train.launch.mem_gb is 24"):
        plan.refuse_before_queueing(config, launch.model_copy(update={"mem_gb": 24, "tasks_per_node": 2}))


class Greedy:
    """A task for which no memory suffices."""

    steps = 1

    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)

    def batch(self, split: str, step: int) -> list[int]:
        return [1]

    def loss(self, rows: list[int], some: range) -> tuple[torch.Tensor, int]:
        raise MemoryError("no more")

    def need(self, micro: int) -> str:
        return MusicGenTask.need(task_of(CASES["all weights"]), micro)


def test_out_of_memory_at_a_single_example_says_what_it_needs(tmp_path):
    with pytest.raises(UserError, match=r"a single example at a time \(needs about 0\.6 GiB\) \(no more\)"):
        train(Greedy(), PARAMS.train, PARAMS.train.base.model_copy(update={"batch_size": 1, "threads": 1}), tmp_path)


def test_the_arithmetic_does_not_load_torch():
    code = "import sys, ostinato.train.memory, ostinato.train.host, ostinato.train.plan, ostinato.machine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
