"""What tests of training share: codes in which the chord asked decides what sounds, a small model, and `ostinato train` on it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from forks import jobs_in_forks
from music import PARAMS
from ostinato.cli import main
from ostinato.codec.codec import save_spectral
from ostinato.codec.encoding import TABLE, write_gathered
from ostinato.codec.spectral import build
from ostinato.files import read_jsonl, read_whole_lines, sha256, write_jsonl

LOOP = PARAMS.train.model_copy(update={"checkpoint_every": 7, "validate_every": 20, "validation_examples": 2, "log_every": 5})
PLAN = PARAMS.train.base.model_copy(update={"steps": 60, "batch_size": 2, "segment_seconds": 4.0, "threads": 1})
MODEL = PARAMS.model.model_copy(update={"dim": 48, "layers": 2, "heads": 2, "text_dim": 16, "dropout": 0.0})
ROOTS = "CDEFGAB"
BAR = 32  # frames


def make_codes(folder: Path) -> Path:
    """A codec, and codes in which the chord asked decides what sounds."""
    rng = np.random.default_rng(0)
    params = PARAMS.codec.model_copy(update={"codebooks": 2, "cardinality": 16, "components": 4})
    save_spectral(folder / "codec", build(params), params)
    columns, rows = [], []
    for number in range(12):
        roots = rng.integers(7, size=4)
        bars = [[BAR * i, BAR * (i + 1), [f"{ROOTS[root]}:maj"]] for i, root in enumerate(roots)]
        columns.append(np.repeat(roots, BAR)[None] + np.array([[0], [7]]))
        rows.append(
            {
                "id": f"s-{number}",
                "start": 4 * BAR * number,
                "frames": 4 * BAR,
                "split": "valid" if number < 2 else "train",
                "song": "s",
                "instrument": "piano",
                "bars": bars,
                "prompt": "piano",
            }
        )
    np.save(folder / "shard-00.npy", np.concatenate(columns, axis=1).astype(np.int16))
    write_jsonl(folder / "shard-00.jsonl", rows)
    write_gathered([folder / "shard-00.npy"], set())
    return folder


def command(codes: Path, folder: Path, name: str = "chords", plan=PLAN, launch: dict | None = None, init: Path | None = None, **method) -> list[str]:
    """`ostinato train ...` for a small model, in a folder of its own; `launch` and `method` are changes to these sections."""
    loop = LOOP.model_dump(exclude={"base", "tune", "launch"})
    loop["method"] |= method
    how = LOOP.launch.model_copy(update=launch or {})
    return [
        sys.executable,
        "-m",
        "ostinato.cli",
        "train",
        "--name",
        name,
        "--params",
        json.dumps(loop),
        "--model",
        MODEL.model_dump_json(),
        "--plan",
        plan.model_dump_json(),
        "--launch",
        how.model_dump_json(),
        "--codec",
        str(codes / "codec"),
        "--codes",
        str(codes / TABLE),
        "--runs",
        str(folder / "runs"),
        "--out",
        str(folder / "model"),
        *(["--init", str(init)] if init else []),
    ]


def train_here(words: list[str]) -> int:
    """The same by this process, its jobs in forks; the exit status."""
    with jobs_in_forks():
        return main(words[3:])


def side_by_side(words: list[str], folder: Path) -> list[str]:
    """The same command for two runs of a sweep, `chords` and `other`."""
    twice = {"--name": ["chords", "other"], "--plan": 2 * [words[words.index("--plan") + 1]], "--out": [str(folder / "model"), str(folder / "other")]}
    for option, values in twice.items():
        place = words.index(option)
        words = [*words[: place + 1], *values, *words[place + 2 :]]
    return words


def start(words: list[str]) -> subprocess.Popen:
    """In a process group of its own, so that launcher, submitit and training can be killed together; in the background of a shell, which ignores Ctrl-C there."""
    return subprocess.Popen(["sh", "-c", 'trap "" INT; exec "$@"', "sh", *words], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def run_folder(folder: Path) -> Path:
    return next((folder / "runs/chords").glob("*"))


def wait_for_step(folder: Path, step: int) -> None:
    """Until the run's events reach a step."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if any(event.get("step", 0) >= step for path in folder.glob("runs/chords/*/events.jsonl") for event in read_whole_lines(path)):
            return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached")


def assert_same_end(folder: Path, undisturbed: Path) -> list[dict]:
    """Same weights and losses; returns the events."""
    assert sha256(folder / "model/state_dict.bin") == sha256(undisturbed / "model/state_dict.bin")
    both = [[(row["step"], row["split"], row["loss"]) for row in read_jsonl(where / "model/events.jsonl") if "split" in row] for where in (folder, undisturbed)]
    assert both[0] == both[1]
    return read_jsonl(folder / "model/events.jsonl")


def losses(folder: Path, split: str = "train", steps: bool = False) -> list[float]:
    """The losses in a folder's events, or the steps they belong to."""
    return [event["step" if steps else "loss"] for event in read_whole_lines(folder / "events.jsonl") if event.get("split") == split]


class Hungry:
    """A task for whose memory more than `room` examples are too many, or `valid_room` in validation."""

    steps = 4

    def __init__(self, room: int, error: Exception = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), valid_room: int | None = None) -> None:
        torch.manual_seed(0)
        self.model, self.room, self.seen = torch.nn.Linear(3, 1), room, []
        self.error, self.valid_room = error, room if valid_room is None else valid_room

    def batch(self, split: str, step: int) -> torch.Tensor:
        return torch.randn(8, 3, generator=torch.Generator().manual_seed(step))

    def loss(self, batch: torch.Tensor, rows: range) -> tuple[torch.Tensor, int]:
        self.seen.append(len(rows))
        if len(rows) > (self.room if self.model.training else self.valid_room):
            raise self.error
        return self.model(batch[rows.start : rows.stop]).square().sum() / len(batch), len(rows)
