"""What sections of params.yaml are made of, and what all training runs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

#: Seeds: what every generator of random numbers here takes, numpy's, torch's and scikit-learn's.
SEEDS = (0, 2**32 - 1)

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]
Positive = Annotated[int, Field(gt=0)]
#: Rules that see all shards name each on their command line, which Linux takes up to 131,072 bytes of: 46 a shard at most. A million songs want a thousand.
Shards = Annotated[int, Field(gt=0, le=2000)]
Seed = Annotated[int, Field(ge=SEEDS[0], le=SEEDS[1])]
NotNegative = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A part of params.yaml; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


#: The sides that songs and pieces go to; the later ones are held back more.
SPLITS = ("train", "valid", "test")


class Split(Section):
    """Shares of the songs; the rest is `train`."""

    valid: Share = Field(description="share of songs for validation")
    test: Share = Field(description="share of songs never trained on")

    @model_validator(mode="after")
    def _leaves_something(self) -> Split:
        if self.valid + self.test >= 1:
            raise ValueError(f"valid + test must stay below 1, got {self.valid + self.test:g}")
        return self


class Launch(Section):
    """How a training job is started, by submitit."""

    cluster: Literal["local", "slurm"] = Field(description="submitit executor; cluster/slurm/submitit.yaml overrides these keys there")
    timeout_min: Positive = Field(description="time limit, minutes")
    signal_delay_s: Positive = Field(description="on Slurm: seconds before the limit at which a checkpoint is written (submitit allows 30 s for local jobs)")
    max_timeouts: Annotated[int, Field(ge=0)] = Field(description="how many times a timed-out job is requeued")
    gpus: Annotated[int, Field(ge=0)] = Field(description="GPUs per job and node; on this machine runs side by side have different ones")
    cpus: Positive = Field(description="CPU cores per job")
    mem_gb: Positive = Field(description="memory that a job asks of each of its nodes, for all its processes there, GB of 2**30 bytes")
    partition: str | None = Field(description="Slurm partition")
    account: str | None = Field(description="Slurm account")
    gpu_type: str | None = Field(description="type of GPU, as Slurm names it (a100, l40s); null: any")
    options: dict[str, str | int | bool] = Field(description="further options of sbatch by their long names: {qos: long, constraint: nvme}")
    at_once: Positive = Field(description="how many runs of a sweep run at a time")
    poll_seconds: Positive = Field(description="how often squeue is asked at most, seconds")
    nodes: Positive = Field(description="machines that train one model together")
    tasks_per_node: Positive = Field(description="processes on each, at most `gpus` where there are any, each on one of its own; a batch is divided among all")
    gpu_gb: NotNegative = Field(description="memory of a GPU, GB: a plan that cannot fit is refused before it is queued; 0: not checked")

    @model_validator(mode="after")
    def _one_machine_is_one_node(self) -> Launch:
        if self.cluster == "local" and self.nodes > 1:
            raise ValueError(f"nodes: this machine is one node, got {self.nodes}; take cluster: slurm, or tasks_per_node")
        return self

    @model_validator(mode="after")
    def _a_gpu_is_one_process(self) -> Launch:
        if 0 < self.gpus < self.tasks_per_node:  # NCCL refuses two processes on one GPU
            raise ValueError(f"tasks_per_node: at most gpus, {self.gpus}, since each process wants a GPU of its own; got {self.tasks_per_node}")
        return self


class Schedule(Section):
    """One training run."""

    steps: Positive | None = Field(description="optimiser steps; null: use epochs")
    epochs: Annotated[float, Field(gt=0)] | None = Field(description="passes over the training audio; null: use steps")
    lr: Annotated[float, Field(gt=0, lt=1)] = Field(description="peak learning rate")
    batch_size: Positive = Field(description="examples per step")
    threads: Positive = Field(description="CPU threads; weights depend on it in the last bits")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Schedule:
        """What any kind of run says of its schedule."""
        return cls.model_validate({name: values[name] for name in cls.model_fields})

    @field_validator("lr", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        # `dvc exp run -S lr=1e-5` writes 1e-05, which YAML 1.1 readers take for a string
        return float(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"give either steps or epochs, the other null; got {self.steps} and {self.epochs}")
        return self


class Plan(Schedule):
    """One training run on audio: what a sweep may vary."""

    segment_seconds: Seconds = Field(description="longest training example, seconds; longer segments are cropped at bars, shorter ones padded and masked")


class Sweep(Section):
    """Values to try; every combination is a run. An empty list: the plan's own value."""

    lr: list[Annotated[float, Field(gt=0, lt=1)]]
    batch_size: list[Positive]
    epochs: list[Annotated[float, Field(gt=0)]]


class Loop(Section):
    """What all training runs share."""

    seed: Seed
    warmup_share: Share = Field(description="share of the steps in which the learning rate rises")
    final_lr_share: Share = Field(description="last learning rate over the peak")
    weight_decay: NotNegative
    codebook_decay: Annotated[float, Field(gt=0, le=1)] = Field(description="weight of a codebook's loss over that of the one before; 1: all alike, as audiocraft")
    clip_norm: Annotated[float, Field(gt=0)] = Field(description="gradient norm above which gradients are scaled down")
    checkpoint_every: Positive = Field(description="steps between checkpoints")
    validate_every: Positive = Field(description="steps between validations")
    validation_examples: Positive = Field(description="examples on which the loss is validated: the same ones for every run, whatever its seed, batch or learning rate")
    log_every: Positive = Field(description="steps between lines of events.jsonl")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Loop:
        """What any kind of training says of its loop."""
        return cls.model_validate({name: values[name] for name in cls.model_fields})


class Lora(Section):
    """Low-rank adapters in place of whole weights (Hu et al., 2021), by peft."""

    rank: Positive
    alpha: Annotated[float, Field(gt=0)] = Field(description="the adapters' output is scaled by alpha / rank")
    dropout: Share


class Method(Section):
    """How a model is trained, and fitted into memory. All but `optimizer`, `lora`, `ema` and the last bits leaves the result as it is; but another size of
    micro-batch draws other masks of dropout, and pads texts otherwise, which moves the loss by 2e-4 of it."""

    optimizer: Literal["adamw", "muon"] = Field(description="muon: for the matrices of layers, in trainings from nothing; adamw for all else, and for adapters")
    precision: Literal["fp32", "bf16"] = Field(description="of computation; trained weights stay 32-bit, frozen ones take this precision")
    micro_batch: Positive | None = Field(
        description="examples computed at a time, gradients are accumulated over the batch; null: all that a process has; halved when memory is short; masks of dropout "
        "and the padding of texts depend on it"
    )
    checkpointing: bool = Field(description="compute activations twice instead of keeping them: a sixth more time, a fraction of the memory")
    lora: Lora | None = Field(description="train adapters alone; null: all weights")
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        description="decay of the moving average of weights that becomes the model, lower at first: (1 + step) / (10 + step); null: the last weights"
    )
    deterministic: bool = Field(description="on GPUs: the same bits again, as on the CPU always, slower (see train.determinism); false: but for what rounding leaves")
