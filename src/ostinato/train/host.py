"""How much of a node's own memory a training job takes, before it runs: arithmetic alone, without torch. What it takes of a GPU is in train.memory.

A process has four moments at which its memory peaks:

- loading: the weights in 32 bits. A file that holds them so is mapped and not copied, but for what is put together of several tensors; of another, such as the 16-bit
  files of published models, copies are made. Where frozen weights are computed with in bf16, those are copies beside it;
- training: on a GPU nothing of the model is here; on the CPU the whole step is (train.memory);
- going on from a checkpoint, which is mapped for a GPU, and read for the CPU: what is trained, the optimiser's moments and the moving average;
- saving, which one process does: with adapters, the base, loaded again, into which they are merged, and copies of what is put together for the file. On a GPU a
  tensor at a time passes through, in this as in checkpoints.

Always there are Python and torch, what is kept of T5, and on a GPU CUDA's libraries. Data are memory-mapped and small: an hour of music has 1.5 MB of codes.

Pages of files (`mapped`) count as a process's in what Slurm shows, but the kernel takes them back when memory is short; `held` is what it cannot. So a job is refused for what
it would hold, and warned of for the rest. Every process of a node is counted whole, though they share pages of the same file.

Checked on the CPU: loading and saving within a tenth (tests/lm/test_model.py, docs/benchmarks.md). Not measured: what CUDA takes.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from ostinato.files import UserError
from ostinato.lm.pretrained import KEPT_TEXTS
from ostinato.params.blocks import Launch
from ostinato.train.memory import GIB, Need, Run, Subject, parameters

log = logging.getLogger(__name__)
#: Python with torch and what training imports: 0.4 GiB were measured.
PROCESS = GIB // 2
#: The libraries and kernels of CUDA, most of it pages of their files. A guess.
CUDA = 2 * GIB
#: What is proposed is so much more than what is needed.
SPARE = 0.1
MOMENTS = {"loading": "while the model is loaded", "training": "in training", "resuming": "while a checkpoint is read", "saving": "while the model is saved"}


@dataclass(frozen=True)
class Moment:
    """Memory of a process, or of several together, bytes: what they hold, and pages of files beside it."""

    held: int
    mapped: int = 0

    @property
    def peak(self) -> int:
        """Both together."""
        return self.held + self.mapped


@dataclass(frozen=True)
class Host:
    """What `processes` on a node take together at each moment, and the `limit` that the job asks for (train.launch.mem_gb), bytes."""

    moments: dict[str, Moment]
    processes: int
    limit: int

    @property
    def when(self) -> str:
        """The moment of the peak."""
        return max(self.moments, key=lambda name: self.moments[name].peak)

    @property
    def peak(self) -> int:
        """The most at any moment."""
        return self.moments[self.when].peak

    @property
    def held(self) -> int:
        """The most that cannot be taken back."""
        return max(moment.held for moment in self.moments.values())

    @property
    def ask(self) -> int:
        """What to ask for, GB of 2**30 bytes."""
        return math.ceil((1 + SPARE) * self.peak / GIB)


def of(planned: Run, launch: Launch) -> Host:
    """What a run takes of each of its nodes."""
    subject, found = planned.subject, planned.need()
    on_gpu = bool(launch.gpus or (planned.gpu and launch.cluster == "local"))  # a login node's GPU is not the job's
    always = PROCESS + (KEPT_TEXTS if subject.text.apart else 0)
    here = 0 if on_gpu else found.peak - found.context
    checkpoint = found.trained + found.optimiser + found.average
    weights, (read, written) = 4 * _count(subject), _copies(subject)
    whole = Moment(weights + written, found.encoder) if found.frozen or not on_gpu else Moment(0)
    moments = {
        "loading": _loading(subject, found, read),
        "training": Moment(here),
        "saving": whole,
        "resuming": Moment(0, checkpoint) if on_gpu else Moment(here + found.trained),
    }  # on the CPU what was trained is read, and copied
    processes = launch.tasks_per_node
    those = {name: 1 if name == "saving" else processes for name in moments}  # one saves for all
    return Host(
        {name: Moment(processes * always + those[name] * one.held, processes * CUDA * on_gpu + those[name] * one.mapped) for name, one in moments.items()},
        processes,
        launch.mem_gb * GIB,
    )


def _loading(subject: Subject, found: Need, read: int) -> Moment:
    """Of the weights, from a file or drawn; and of T5, whose file transformers maps."""
    weights, files = 4 * _count(subject), subject.stored * _count(subject) + found.encoder
    if subject.stored < 4:
        return Moment(weights, files)
    return Moment(read + (found.frozen if found.frozen < weights else 0), files)


def _count(subject: Subject) -> int:
    return parameters(subject.shape) + subject.text.parameters


def _copies(subject: Subject) -> tuple[int, int]:
    """What is copied since it is several tensors on one side and one on the other: on reading the embeddings and heads, on writing cross-attention as well."""
    shape = subject.shape
    ends = 4 * shape.codebooks * (2 * shape.cardinality + 1) * shape.dim
    return ends, ends + 4 * shape.layers * 3 * shape.dim**2 * shape.cross


def line(host: Host) -> str:
    """For the plan's table: how much, of how much, when, and what to set."""
    fits = host.peak <= host.limit
    return f"{'host memory':<24}{host.peak / GIB:>8.2f}  {words(host)}; " + ("fits" if fits else f"{verdict(host)}: set mem_gb: {host.ask}")


def words(host: Host) -> str:
    """Of how much the peak is, when it comes, and what it is made of."""
    each = f"by {host.processes} processes " if host.processes > 1 else ""
    mapped = host.moments[host.when].mapped
    return f"of {host.limit // GIB} (train.launch.mem_gb), {each}{MOMENTS[host.when]}; {mapped / GIB:.2f} of it pages of files"


def verdict(host: Host) -> str:
    """Why what is asked for is too little."""
    if host.held > host.limit:
        return f"does not fit, {host.held / GIB:.1f} are held at once"
    return "fits only where the kernel takes pages of files back in time"


def refuse(name: str, host: Host) -> None:
    """Raise UserError when a job would hold more than it asks for; warn when it fits only without pages of files."""
    if host.held > host.limit:
        raise UserError(f"{name}: training holds about {host.held / GIB:.1f} GiB of a node's memory at once, train.launch.mem_gb is {host.limit // GIB}; set it to {host.ask}")
    if host.peak > host.limit:
        log.warning("host memory: about %.1f GiB %s; %s: set it to %d", host.peak / GIB, words(host), verdict(host), host.ask)
