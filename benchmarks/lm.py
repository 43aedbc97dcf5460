"""The language model beside audiocraft's and transformers': OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/lm.py [--only PART ...] [--segments FOLDER] ...

Equal weights, random, one thread. The sides take turns in one process; seconds are medians of processor time, a ratio is that of the medians. Parts:

- generation: greedy codes with classifier-free guidance 3 at 4 layers of 128 and at the size of musicgen-small; the codes must be the same;
- training: a whole step at the demo's size, its batch, its segments of 10 s. Ours is `train.loop.train` on `MusicGenTask`: draw a batch from memory-mapped codes,
  forward, backward, clip, AdamW. The others':
  - audio in: audiocraft's own MusicGenSolver.run_step on its own MusicDataset (read, resample, encode, forward, backward, clip, AdamW; no EMA, no workers), under a
    dora experiment made here, since its wheel ships no configuration, and handed its codec;
  - codes in: audiocraft's LMModel, or transformers' MusicgenForConditionalGeneration with labels, given our batches; clip, AdamW;
  once with EnCodec at its true size and recordings at 44.1 kHz in stereo, what the stock solver is made for; once with the demo's codec, which it does not know and
  which costs next to nothing, and with files at its rate, as Ostinato writes them;
- loader: share of our step that drawing batches takes, from the codes of so many hours, with no workers; and what the process holds of /dev/shm: files there
  that it has mapped (/proc/self/maps) or open (/proc/self/fd), looked up after every step, and its child processes.

Every side's T5 is one random layer, so that nobody's text counts. `loss differs`: from ours, of one batch, before training. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import soundfile
import torch
from torch.nn import functional

from ostinato.codec import spectral
from ostinato.codec.audiocraft_compat import import_audiocraft
from ostinato.codec.codec import save_spectral
from ostinato.codec.encoding import TABLE, write_gathered
from ostinato.commands import codes as codes_command
from ostinato.dataset.manifests import SEGMENTS, audio_meta, segments_of
from ostinato.files import write_json, write_jsonl
from ostinato.generate.sampling import Sampling, generate
from ostinato.lm import layout
from ostinato.lm.decoder import Decoder
from ostinato.lm.export import transformers_model
from ostinato.lm.model import LanguageModel, save_lm
from ostinato.lm.pretrained import CODEC_FILE, SIZES, config_like
from ostinato.lm.shape import Shape
from ostinato.lm.t5 import T5Text
from ostinato.params import Params, load
from ostinato.train.loop import train
from ostinato.train.tasks.musicgen import MusicGenTask

PARTS = ("generation", "training", "loader")
TARGETS = {
    "generation: 4 layers of 128": 2.0,
    "generation: small": 1.4,
    "EnCodec: audiocraft, audio in": 3.0,
    "EnCodec: transformers, codes in": 1.0,
    "demo's codec: transformers, codes in": 1.0,
}
MOST_LOADING = 2.0  # percent
TINY = Shape(128, 4, 4, 512, 2048, (0, 1, 2, 3))
PROMPTS = ("piano C, followed by G", "organ G, followed by C")
#: EnCodec as facebook/encodec_32khz has it.
ENCODEC = {
    "target_bandwidths": [2.2],
    "sampling_rate": 32000,
    "audio_channels": 1,
    "num_filters": 64,
    "upsampling_ratios": [8, 5, 4, 4],
    "codebook_size": 2048,
    "codebook_dim": 128,
    "hidden_size": 128,
    "num_lstm_layers": 2,
    "use_causal_conv": False,
    "use_conv_shortcut": False,
    "normalize": False,
}


def musicgen(size: str) -> Shape:
    """The shape of a published MusicGen."""
    dim, layers, heads = SIZES[size]
    return Shape(dim, layers, heads, 4 * dim, 2048, (0, 1, 2, 3))


def t5(folder: Path, base: bool = False) -> str:
    """A random T5 of one layer, or of T5-base's size, of T5-base's width in either case; audiocraft is told of it. Returns its name, a folder."""
    import transformers

    size = {"d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12} if base else {"d_kv": 8, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"▁{word}", -1.0) for word in ("piano", "organ", "C", "G", "followed", "by"))]
    transformers.T5EncoderModel(transformers.T5Config(vocab_size=32_128 if base else 64, d_model=768, **size)).save_pretrained(folder)
    transformers.T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder)
    conditioner = import_audiocraft("audiocraft.modules.conditioners").T5Conditioner
    conditioner.MODELS, conditioner.MODELS_DIMS = [*conditioner.MODELS, str(folder)], conditioner.MODELS_DIMS | {str(folder): 768}
    return str(folder)


def random_lm(shape: Shape, name: str, device: str = "cpu") -> LanguageModel:
    """A MusicGen of ours with random weights, in evaluation mode."""
    with torch.device(device):
        decoder = Decoder(shape)
    return LanguageModel(decoder, T5Text(name, shape.dim), config_like(shape, name), 30.0).to(device).eval()


def audiocraft_lm(lm: LanguageModel, device: str = "cpu", dtype: str = "float32", **changes: Any) -> Any:
    """audiocraft's LMModel with the weights of ours, in evaluation mode; `changes` are of its section transformer_lm."""
    from omegaconf import OmegaConf

    config = OmegaConf.merge(OmegaConf.create(lm.config), {"device": device, "dtype": dtype, "transformer_lm": changes})
    model = import_audiocraft("audiocraft.models.builders").get_lm_model(config)
    model.load_state_dict(layout.write(lm.state_dict(), lm.pairs()))
    return model.eval()


def conditions(texts: list[str]) -> list[Any]:
    """Texts as audiocraft is given them."""
    attributes = import_audiocraft("audiocraft.modules.conditioners").ConditioningAttributes
    return [attributes(text={"description": text}) for text in texts]


def quiet() -> None:
    """No warnings, no bars."""
    import transformers

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers.logging.disable_progress_bar()


def now() -> float:
    """Seconds of the processor, which others on the machine do not lengthen; where there is a GPU, of the wall's clock, once it is done with what it was told."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def timed(call: Callable[[], Any]) -> float:
    """Seconds of a call."""
    begun = now()
    call()
    return now() - begun


def rows(name: str, ours: list[float], theirs: dict[str, list[float]], **more: Any) -> dict[str, Any]:
    """Lines of the table, printed: each of the others against ours."""
    found = {}
    for other, seconds in theirs.items():
        label, target = f"{name}: {other}", TARGETS.get(f"{name}: {other}")
        theirs_s, ours_s = statistics.median(seconds), statistics.median(ours)
        ratio, about = theirs_s / ours_s, ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in more.items())
        met = "" if target is None else f">= {target:g} {'met' if ratio >= target else 'MISSED'}"
        print(f"{label:<44}{len(ours):>3}{theirs_s:>11.4f}{ours_s:>11.4f}{ratio:>8.2f}  {met:<14}{about}", flush=True)
        found[label] = {"theirs_s": round(theirs_s, 4), "ours_s": round(ours_s, 4), "ratio": round(ratio, 3), "repetitions": len(ours), "target": target, **more}
    return found


class Bench:
    """The parts; files go to `folder`."""

    def __init__(self, args: argparse.Namespace, params: Params, folder: Path) -> None:
        self.args, self.params, self.folder = args, params, folder
        self.t5 = t5(folder / "t5")

    def generation(self) -> dict[str, Any]:
        """LMModel.generate against sampling.generate."""
        found = {}
        small = TINY if self.args.tiny else musicgen("small")
        for name, shape, frames, batch, repetitions in (
            ("4 layers of 128", TINY, 250, 1, 7),
            ("4 layers of 128, batch of 2", TINY, 250, 2, 7),
            ("small", small, 50, 1, 3),
            ("small, batch of 2", small, 50, 2, 3),
        ):
            torch.manual_seed(1)
            ours, texts, frames = random_lm(shape, self.t5), list(PROMPTS[:batch]), 10 if self.args.tiny else frames
            theirs, how = audiocraft_lm(ours), Sampling(temperature=0, guidance=3.0)
            cases = {
                "audiocraft": lambda: theirs.generate(conditions=conditions(texts), max_gen_len=frames, use_sampling=False, cfg_coef=3.0),
                "ours": lambda: generate(ours, texts, frames, how),
            }
            same = bool(torch.equal(*(case() for case in cases.values())))
            turns = [{side: timed(case) for side, case in cases.items()} for _ in range(self.fewer(repetitions))]
            seconds = {side: [turn[side] for turn in turns] for side in cases}
            found |= rows("generation", seconds["ours"], {name: seconds["audiocraft"]}, frames=frames, same_codes=same)
        return found

    def training(self) -> dict[str, Any]:
        """MusicGenSolver and transformers against MusicGenTask."""
        found = {}
        for name, rate, channels, repetitions in (("demo's codec", spectral.SAMPLE_RATE, 1, 5), ("EnCodec", 44100, 2, 3)):
            folder = self.folder / name.split()[0]
            codec = self.spectral(folder / "codec") if rate == spectral.SAMPLE_RATE else encodec(folder / "codec", self.args.tiny)
            segments = self.args.segments or recordings(folder / "segments", rate, channels, 6, 2 if self.args.tiny else 20)
            codes = folder / "codes" / "shard-00.npy"
            with redirect_stdout(StringIO()):
                codes_command.run(argparse.Namespace(codec=codec, segments=segments, out=codes))
            write_gathered([codes], set())
            found |= Training(self, folder, codec, segments, codes.with_name(TABLE)).rows(name, self.fewer(repetitions))
        return found

    def loader(self) -> dict[str, Any]:
        """Drawing batches, in a step of the demo's size."""
        folder = self.folder / "loader"
        codec = self.spectral(folder / "codec")
        hours = 0.05 if self.args.tiny else self.args.hours
        task = self.task(folder, codec, corpus_codes(folder / "shard-00.npy", hours, 4, self.params.codec.cardinality, 16))
        held: set[str] = set()
        seconds = our_steps(task, folder / "run", self.fewer(10), lambda: held.update(shared_memory()))
        drawing, step = statistics.median(task.drawing[1:]), statistics.median(seconds)
        share = 100 * drawing / step
        print(
            f"loader: {1000 * drawing:.2f} ms of a step of {1000 * step:.0f} ms, from {hours:g} h of codes, are {share:.2f} % "
            f"(<= {MOST_LOADING:g} % {'met' if share <= MOST_LOADING else 'MISSED'}); of /dev/shm: {', '.join(sorted(held)) or 'nothing'}"
        )
        return {"hours": hours, "drawing_s": round(drawing, 5), "step_s": round(step, 4), "share_percent": round(share, 3), "target": MOST_LOADING, "dev_shm": sorted(held)}

    def fewer(self, repetitions: int) -> int:
        """So many repetitions, or two."""
        return 2 if self.args.tiny else repetitions

    def spectral(self, folder: Path) -> Path:
        """The demo's codec: as given, or of its size with random codebooks."""
        if self.args.codec:
            return self.args.codec
        folder.mkdir(parents=True)
        codec = spectral.build(self.params.codec)
        codec.basis.normal_()
        codec.codebooks.normal_()
        save_spectral(folder, codec, self.params.codec)
        return folder

    def task(self, folder: Path, codec: Path, codes: Path) -> Timed:
        """Our training of a MusicGen of the demo's size from random weights, kept in `folder`/init."""
        from ostinato.codec.codec import load_codec

        model, init = self.params.model, folder / "init"
        loaded = load_codec(codec)
        shape = Shape(model.dim, model.layers, model.heads, model.hidden_scale * model.dim, loaded.cardinality, tuple(range(loaded.num_codebooks)))
        init.mkdir()
        torch.manual_seed(1)
        save_lm(init, random_lm(shape, self.t5))
        plan = self.params.train.tune.model_copy(update={"steps": 10**6, "threads": 1} | ({"batch_size": 2, "segment_seconds": 1.0} if self.args.tiny else {}))
        training = self.params.train.model_copy(
            update={"codebook_decay": 1.0, "validation_examples": plan.batch_size, "log_every": 10**6, "validate_every": 10**6, "checkpoint_every": 10**6}
        )
        return Timed(model, training, plan, codec, codes, str(init), chords=True)


class Timed(MusicGenTask):
    """A task that notes how long each batch took to draw, s."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.drawing: list[float] = []

    def batch(self, split: str, step: int) -> Any:
        """As the task's."""
        begun = time.thread_time()  # a thread draws it, while another computes
        drawn = super().batch(split, step)
        self.drawing.append(time.thread_time() - begun)
        return drawn


class Enough(Exception):
    """As many steps as were asked for."""


def our_steps(task: MusicGenTask, folder: Path, repetitions: int, between: Callable[[], Any]) -> list[float]:
    """Seconds of steps of train.loop.train, after one that warms up; `between` runs after each, not counted."""
    seconds: list[float] = []
    begun = [now()]

    def notice() -> str:
        seconds.append(now() - begun[0])
        if len(seconds) > repetitions:
            raise Enough
        between()
        begun[0] = now()
        return ""

    with suppress(Enough):
        train(task, task.training, task.plan, folder, notice, task.method)
    return seconds[1:]


class Training:
    """One step of each side, on equal weights."""

    def __init__(self, bench: Bench, folder: Path, codec: Path, segments: Path, codes: Path) -> None:
        import transformers

        self.folder = folder
        self.task = bench.task(folder, codec, codes)
        self.plan, self.loop, lm = self.task.plan, self.task.training, self.task.model
        self.solver = solver(folder, lm, codec, segments, self.task)
        self.batches = iter(self.solver.dataloaders["train"])
        self.other = audiocraft_lm(lm).train()
        audio = transformers.EncodecModel(transformers.EncodecConfig(**(ENCODEC | {"num_filters": 4})))
        self.hugging = transformers_model(lm, audio).requires_grad_(False)
        self.hugging.decoder.train().requires_grad_(True)
        self.hugging.enc_to_dec_proj.requires_grad_(True)
        self.optimizers = {
            side: torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=self.plan.lr, betas=(0.9, 0.95))
            for side, model in (("codes", self.other), ("hugging", self.hugging))
        }

    def rows(self, name: str, repetitions: int) -> dict[str, Any]:
        """Take turns."""
        theirs: dict[str, list[float]] = {"audiocraft, audio in": [], "audiocraft, codes in": [], "transformers, codes in": []}
        calls = dict(zip(theirs, (self.stock, self.audiocraft, self.transformers)))
        same = self.losses()

        def between() -> None:
            for side, call in calls.items():
                theirs[side].append(timed(call))

        ours: list[float] = []
        self.solver.model.train()
        self.solver.run_stage("train", lambda: ours.extend(our_steps(self.task, self.folder / "run", repetitions + 1, between)))
        drawn = statistics.median(self.task.drawing)
        return rows(name, ours[1:], {side: seconds[1:] for side, seconds in theirs.items()}, loss_differs=same, drawing_s=round(drawn, 4))

    def losses(self) -> dict[str, float]:
        """How far the others' losses of one batch are from ours, before any training; of one text, since transformers treats padded ones otherwise."""
        batch = self.task.batch("valid", 0)
        batch = replace(batch, texts=[batch.texts[0]] * len(batch))
        self.task.model.eval()
        with torch.no_grad():
            ours = float(self.task.loss(batch, range(len(batch)))[0])
            return {
                "audiocraft": round(abs(float(self.audiocraft_loss(self.other.eval(), batch)) - ours), 7),
                "transformers": round(abs(float(self.transformers_loss(batch)) - ours), 7),
            }

    def stock(self) -> None:
        """audiocraft's solver, from files."""
        self.solver.run_step(1, next(self.batches), {})

    def audiocraft(self) -> None:
        """audiocraft's model, from codes."""
        self.other.train()
        self.learn("codes", self.other, partial(self.audiocraft_loss, self.other))

    def transformers(self) -> None:
        """transformers' model, from codes."""
        self.learn("hugging", self.hugging, self.transformers_loss)

    def learn(self, side: str, model: torch.nn.Module, loss: Callable[[Any], torch.Tensor]) -> None:
        """One step of an optimiser."""
        batch = self.task.batch("train", 0)
        self.optimizers[side].zero_grad()
        loss(batch).backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], self.loop.clip_norm)
        self.optimizers[side].step()

    def audiocraft_loss(self, model: Any, batch: Any) -> torch.Tensor:
        """As its solver computes it, of codes whose pattern is undone first."""
        codes, mask = undelayed(batch)
        return audiocraft_loss(model, codes, mask, batch.texts)

    def transformers_loss(self, batch: Any) -> torch.Tensor:
        """With labels. It cannot be told of no text: an empty one stands for it."""
        words = self.task.model.text.tokenizer([text or "" for text in batch.texts], return_tensors="pt", padding=True)
        labels = batch.targets.masked_fill(batch.weights == 0, -100).transpose(1, 2)
        return self.hugging(**words, decoder_input_ids=batch.tokens.flatten(0, 1), labels=labels, use_cache=False).loss


def undelayed(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and mask [B, K, T] of a batch of ours (the last codes of delayed codebooks, which nobody is asked for, are 0)."""
    codes, mask = torch.zeros_like(batch.targets), batch.weights[:, :1].bool().expand_as(batch.targets).clone()
    for k in range(codes.shape[1]):
        codes[:, k, : codes.shape[2] - k] = batch.targets[:, k, k:]
    return codes * mask, mask


def audiocraft_loss(model: Any, codes: torch.Tensor, mask: torch.Tensor, texts: list[str | None]) -> torch.Tensor:
    """Mean over codebooks of the cross-entropy of audiocraft's LMModel, as MusicGenSolver computes it."""
    told = model.condition_provider(model.condition_provider.tokenize(conditions(texts)))
    found = model.compute_predictions(codes, [], told)
    counts = found.mask & mask
    losses = [functional.cross_entropy(found.logits[:, k][counts[:, k]].float(), codes[:, k][counts[:, k]]) for k in range(codes.shape[1])]
    return torch.stack(losses).mean()


def solver(folder: Path, lm: LanguageModel, codec: Path, segments: Path, task: MusicGenTask) -> Any:
    """audiocraft's MusicGenSolver of a folder of FLAC files, with the weights of ours."""
    from dora import XP
    from dora.conf import DoraConfig
    from omegaconf import OmegaConf

    from ostinato.codec.codec import load_codec

    module, loaded = import_audiocraft("audiocraft.solvers.musicgen"), load_codec(codec)
    config = OmegaConf.merge(OmegaConf.create(lm.config), solver_config(manifest(folder / "manifest", segments), loaded, task))
    experiment = XP(DoraConfig(dir=folder / "dora"), config, [], sig="benchmark")
    experiment.folder.mkdir(parents=True)
    write_json(folder / "teams.yaml", {"default": {}})
    os.environ |= {"AUDIOCRAFT_CONFIG": str(folder / "teams.yaml"), "AUDIOCRAFT_CLUSTER": "default"}
    with experiment.enter(), mock.patch.object(module.CompressionSolver, "wrapped_model_from_checkpoint", lambda *_, **__: loaded):
        made = module.MusicGenSolver(config)
    made.model.load_state_dict(layout.write(lm.state_dict(), lm.pairs()))
    return made


def solver_config(manifests: Path, codec: Any, task: MusicGenTask) -> dict[str, Any]:
    """What MusicGenSolver reads beyond the model: its defaults, but our batches, learning rate and conditioning dropout, and no EMA."""
    split = {"num_samples": 10**6, "shuffle": True}
    return {
        "solver": "musicgen",
        "seed": 1,
        "autocast": False,
        "autocast_dtype": "bfloat16",
        "execute_only": None,
        "continue_from": None,
        "benchmark_no_load": False,
        "sample_rate": codec.sample_rate,
        "channels": codec.channels,
        "compression_model_checkpoint": "given",
        "tokens": {"padding_with_special_token": False},
        "logging": {"log_updates": 10, "log_tensorboard": False, "log_wandb": False},
        "fsdp": {"use": False},
        "profiler": {"enabled": False},
        "deadlock": {"use": False},
        "cache": {"path": None, "write": False},
        "schedule": {"lr_scheduler": None},
        "optim": {
            "epochs": 1,
            "updates_per_epoch": 1000,
            "lr": task.plan.lr,
            "optimizer": "adamw",
            "max_norm": task.training.clip_norm,
            "eager_sync": True,
            "adam": {"betas": [0.9, 0.95], "weight_decay": task.training.weight_decay, "eps": 1e-8},
            "ema": {"use": False},
        },
        "classifier_free_guidance": {"training_dropout": task.params.condition_dropout},
        "generate": {"lm": {"use_sampling": True, "temp": 1.0, "top_k": 250, "top_p": 0.0}},
        "datasource": {"max_sample_rate": 48000, "max_channels": 2, "train": str(manifests), "valid": str(manifests)},
        "dataset": {
            "batch_size": task.plan.batch_size,
            "num_workers": 0,
            "segment_duration": task.plan.segment_seconds,
            "min_segment_ratio": 0.8,
            "return_info": True,
            "sample_on_weight": False,
            "sample_on_duration": False,
            **dict.fromkeys(("train", "valid", "evaluate", "generate"), split),
        },
    }


def manifest(folder: Path, segments: Path) -> Path:
    """audiocraft's manifest of all FLAC files of a folder."""
    folder.mkdir(parents=True)
    with gzip.open(folder / "data.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(audio_meta(row)) + "\n" for row in segments_of(segments.absolute()))
    return folder


def encodec(folder: Path, tiny: bool) -> Path:
    """MusicGen's EnCodec with random weights, as transformers keeps it, recorded as audiocraft's exporter does."""
    import transformers

    transformers.EncodecModel(transformers.EncodecConfig(**(ENCODEC | ({"num_filters": 4} if tiny else {})))).save_pretrained(folder)
    torch.save({"pretrained": str(folder), "exported": True, "version": "1.3.0"}, folder / CODEC_FILE)
    return folder


def recordings(folder: Path, rate: int, channels: int, count: int, seconds: int) -> Path:
    """FLAC files of chords and noise, with side files and a table as the segments' have."""
    folder.mkdir(parents=True)
    table = []
    rng, clock = np.random.default_rng(1), np.arange(seconds * rate) / rate
    for number in range(count):
        tones = sum(np.sin(2 * np.pi * pitch * clock) for pitch in rng.uniform(100, 2000, 8))[:, None]
        soundfile.write(folder / f"{number}.flac", 0.1 * tones + 0.01 * rng.standard_normal((len(clock), channels)), rate)
        bars = [[start, start + 1, ["C:maj"]] for start in range(seconds)]
        about = {"name": str(number), "split": "valid" if number == 0 else "train", "song": str(number), "instrument": "piano", "bars": bars}
        audiocrafts = dict.fromkeys(("title", "artist", "key", "bpm", "genre"), "") | {"moods": [], "keywords": [], "description": PROMPTS[0]}
        write_json(folder / f"{number}.json", about | audiocrafts)
        table.append(about | audiocrafts | {"path": f"{number}.flac", "sample_rate": rate, "frames": len(clock)})
    write_jsonl(folder / SEGMENTS, table)
    return folder


def corpus_codes(path: Path, hours: float, codebooks: int, cardinality: int, rate: int) -> Path:
    """The table of random codes of so many hours in segments of 12 s, as the stages `codes` and `gather` write them."""
    count, frames = int(hours * 300) + 2, 12 * rate
    array = np.lib.format.open_memmap(path, "w+", np.int16, (codebooks, count * frames))
    array[:] = np.random.default_rng(1).integers(cardinality, size=array.shape, dtype=np.int16)
    array.flush()
    bars = [[2 * bar * rate, 2 * (bar + 1) * rate, [chord]] for bar, chord in enumerate(["C:maj", "F:maj", "G:maj", "C:maj", "A:min", "C:maj"])]
    write_jsonl(
        path.with_suffix(".jsonl"),
        [
            {
                "id": str(row),
                "start": row * frames,
                "frames": frames,
                "split": "valid" if row == 0 else "train",
                "song": str(row),
                "instrument": "piano",
                "bars": bars,
                "prompt": PROMPTS[0],
            }
            for row in range(count)
        ],
    )
    write_gathered([path], set())
    return path.with_name(TABLE)


def shared_memory() -> set[str]:
    """What this process holds of /dev/shm, and its children."""
    mapped = {line.split(maxsplit=5)[-1].strip() for line in Path("/proc/self/maps").read_text().splitlines()}
    opened = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            opened.add(os.readlink(f"/proc/self/fd/{number}"))
    return {path for path in mapped | opened if path.startswith("/dev/shm")} | {child.name for child in multiprocessing.active_children()}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--params", default="params.yaml", help="for the demo's size: codec, model, train")
    parser.add_argument("--segments", type=Path, help="a folder of Ostinato's segments; default: chords and noise made here")
    parser.add_argument("--codec", type=Path, help="folder of the demo's codec; default: one of its size with random codebooks")
    parser.add_argument("--hours", type=float, default=100.0, help="of codes, for the loader")
    parser.add_argument("--tiny", action="store_true", help="a few steps of next to nothing, to see whether this runs")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    quiet()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, load(args.params), Path(folder))
        print(f"{'':<44}{'n':>3}{'theirs, s':>11}{'ours, s':>11}{'ratio':>8}  target")
        for part in args.only:
            found[part] = getattr(bench, part)()
    print(json.dumps({"benchmark": "lm", "threads": 1, "torch": torch.__version__, **found}))


if __name__ == "__main__":
    main()
