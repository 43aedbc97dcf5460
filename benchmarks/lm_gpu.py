"""The language model at its true sizes on one GPU, beside audiocraft: python benchmarks/lm_gpu.py [--only PART ...] [--limit-gib 44]

Random weights, a T5 of T5-base's size, segments of 30 s (1,500 frames), bfloat16 autocast; a token is a frame of one example. Without a GPU it says so and
ends. Parts:

- memory: steps of `train.loop.train` in no more memory than --limit-gib: full fine-tuning of medium and LoRA of large at an effective batch of 16, the micro-batch
  halved until it fits, and LoRA of large one example at a time. Peaks are torch's, allocated (reserved in brackets; a CUDA context takes half a GiB more); `plan`
  is what train.memory had said of the former;
- training: tokens/s of small and medium at equal batch: ours; audiocraft's whole step (EnCodec of its true size from audio that lies in memory, LM, AdamW), which
  is what its solver does but for reading files; and its step of ready codes. Checkpointing on both sides if either is short of memory without;
- decoding: frames/s of small and medium with classifier-free guidance and top-k 250: ours as `Generator` runs it (bfloat16, CUDA graphs), audiocraft as its MusicGen
  runs it (float16 under autocast);
- parity: loss in bfloat16 against 32 bits; share of greedy codes that agree, given the same past, and how many frames two free runs agree; the logits of steps
  that are replayed as a graph against those of plain steps.

--tiny runs every part on the CPU at a size that says nothing, to see whether this runs; without a GPU there is no graph, and `forward` in static shapes is called as it is.
Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

import lm
from ostinato.codec.audiocraft_compat import import_audiocraft
from ostinato.files import read_jsonl
from ostinato.generate.sampling import GraphedStep, Sampling, generate
from ostinato.lm.delays import inputs_and_targets
from ostinato.lm.model import LanguageModel
from ostinato.lm.shape import Shape
from ostinato.params import Params, load
from ostinato.params.blocks import Lora, Method
from ostinato.train import memory
from ostinato.train.tasks.musicgen import MusicGenTask, Shown
from ostinato.train.tasks.preparation import prepare

PARTS = ("memory", "training", "decoding", "parity")
GIB = 2**30
FRAME_RATE = 50
LORA = Lora(rank=16, alpha=32, dropout=0.0)
#: (size, adapters, micro-batch to begin with, effective batch, most GiB)
MEMORY = (("medium", None, 16, 16, 44), ("large", LORA, 16, 16, 44), ("large", LORA, 1, 4, 16))
#: size: examples of a batch
TRAINING = {"small": 8, "medium": 4}
FASTER = 1.5
#: size: frames/s
DECODING = {"small": 500, "medium": 250}
DECODING_FASTER = 4.0


class RandomTask(MusicGenTask):
    """The task but for its data, which are random codes, and its model, which is given."""

    def __init__(self, model: LanguageModel, params: Params, method: Method, batch: int, frames: int, device: str) -> None:
        quiet = {"codebook_decay": 1.0, "log_every": 10**6, "validate_every": 10**6, "checkpoint_every": 10**6, "method": method}
        self.params, self.training, self.method, self.device = params.model, params.train.model_copy(update=quiet), method, device
        self.plan = params.train.tune.model_copy(update={"batch_size": batch, "segment_seconds": frames / FRAME_RATE, "threads": torch.get_num_threads()})
        self.frames, self.frame_rate, self.steps, self.init, self.chords = frames, FRAME_RATE, 10**6, None, True
        self.model = prepare(model, method, seed=1).to(device)
        self.decay = torch.ones(model.decoder.shape.codebooks)

    def batch(self, split: str, step: int) -> Shown:
        """Whole segments of random codes."""
        shape, size = self.model.decoder.shape, self.plan.batch_size
        codes = torch.randint(shape.cardinality, (size, shape.codebooks, self.frames), generator=torch.Generator().manual_seed(step))
        tokens, targets, counts = inputs_and_targets(codes, torch.ones(size, 1, self.frames, dtype=torch.bool), shape.delays, shape.cardinality)
        weights = counts / counts.sum(dim=(0, 2))[:, None] / shape.codebooks
        return Shown(tokens, targets, weights, [lm.PROMPTS[row % 2] for row in range(size)])


class Bench:
    """The parts."""

    def __init__(self, args: argparse.Namespace, params: Params, folder: Path) -> None:
        self.args, self.params, self.folder = args, params, folder
        self.device = "cpu" if args.tiny else "cuda"
        self.frames = 20 if args.tiny else 30 * FRAME_RATE
        self.t5 = lm.t5(folder / "t5", base=not args.tiny)

    def shape(self, size: str) -> Shape:
        """Of a published size; of a tiny model instead where that is asked for."""
        return lm.TINY if self.args.tiny else lm.musicgen(size)

    def model(self, size: str) -> LanguageModel:
        """Ours, random."""
        torch.manual_seed(1)
        return lm.random_lm(self.shape(size), self.t5, self.device)

    def ours(self, size: str, method: Method, batch: int, repetitions: int) -> tuple[float, int]:
        """Median seconds of a step and the micro-batch it came to; peaks of memory are the last step's, not of those that did not fit."""
        task = RandomTask(self.model(size), self.params, method, batch, self.frames, self.device)
        tidy()
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            seconds = lm.our_steps(task, Path(folder), repetitions, count_anew)
            halved = [event["micro_batch"] for event in read_jsonl(Path(folder) / "events.jsonl") if event.get("event") == "out_of_memory"]
        return statistics.median(seconds), (halved or [method.micro_batch or batch])[-1]

    def memory(self) -> dict[str, Any]:
        """Fine-tuning in little memory."""
        found = {}
        if self.device == "cuda":
            torch.cuda.set_per_process_memory_fraction(min(1.0, self.args.limit_gib * GIB / torch.cuda.get_device_properties(0).total_memory))
        for size, lora, micro, batch, most in MEMORY:
            name = f"{'LoRA' if lora else 'full'} of {size}" + (", one at a time" if micro == 1 else "")
            method = Method(optimizer="adamw", precision="bf16", micro_batch=min(micro, self.few(batch)), checkpointing=True, lora=lora, ema=None, deterministic=False)
            seconds, micro = self.ours(size, method, self.few(batch), 3)
            peak, reserved = peaks()
            predicted, rate = plan(self.shape(size), method, micro, self.few(batch), self.frames), round(self.few(batch) * self.frames / seconds)
            off = f" ({predicted / peak - 1:+.0%})" if peak else ""
            print(
                f"{name:<30} micro-batch {micro:>2}  peak {peak:6.2f} GiB ({reserved:.2f})  < {most} GiB {self.verdict(peak < most)}  "
                f"plan {predicted:6.2f}{off}  {rate:>7} tokens/s",
                flush=True,
            )
            found[name] = {
                "micro_batch": micro,
                "batch": self.few(batch),
                "peak_gib": peak,
                "reserved_gib": reserved,
                "plan_gib": predicted,
                "tokens_per_s": rate,
                "most_gib": most,
            }
            tidy()
        if self.device == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0)
        return found

    def training(self) -> dict[str, Any]:
        """Tokens/s against audiocraft's."""
        found = {}
        for size, batch in TRAINING.items():
            for checkpointing in (False, True):
                try:
                    seconds = self.steps(size, self.few(batch), checkpointing)
                    break
                except torch.OutOfMemoryError:
                    if checkpointing:
                        raise
                finally:
                    tidy()
            rates = {side: round(self.few(batch) * self.frames / one) for side, one in seconds.items()}
            ratio = {side: rates["ours"] / rate for side, rate in rates.items() if side != "ours"}
            print(
                f"training {size}, batch {self.few(batch)}{', checkpointing' if checkpointing else ''}: tokens/s {rates}; {ratio['audio in']:.2f} times "
                f"audiocraft's from audio (>= {FASTER:g} {self.verdict(ratio['audio in'] >= FASTER)}), {ratio['codes in']:.2f} from codes",
                flush=True,
            )
            found[size] = {
                "batch": self.few(batch),
                "checkpointing": checkpointing,
                "tokens_per_s": rates,
                "target": FASTER,
                "ratio": {side: round(times, 3) for side, times in ratio.items()},
            }
        return found

    def steps(self, size: str, batch: int, checkpointing: bool) -> dict[str, float]:
        """Median seconds of a step of each side."""
        method = Method(optimizer="adamw", precision="bf16", micro_batch=batch, checkpointing=checkpointing, lora=None, ema=None, deterministic=False)
        ours, micro = self.ours(size, method, batch, 5)
        if micro < batch:
            raise torch.OutOfMemoryError(f"micro-batch {micro}")
        tidy()
        stock = Stock(self.model(size), self, batch, checkpointing)
        return {"ours": ours, **{side: statistics.median([lm.timed(step) for _ in range(6)][1:]) for side, step in stock.sides.items()}}

    def decoding(self) -> dict[str, Any]:
        """Frames/s against audiocraft's."""
        found = {}
        for size, least in DECODING.items():
            for batch in (1, 4):
                ours, texts = self.model(size), [lm.PROMPTS[0]] * batch
                theirs = lm.audiocraft_lm(ours, self.device, "float32" if self.args.tiny else "float16")
                ours.decoder.bfloat16()
                cases = {"ours": lambda frames: generate(ours, texts, frames, Sampling()), "audiocraft": lambda frames: stock_generate(theirs, texts, frames, self.device)}
                rates = {}
                for side, case in cases.items():
                    case(10)
                    rates[side] = round(self.frames / statistics.median(lm.timed(lambda: case(self.frames)) for _ in range(3)), 1)
                ratio = rates["ours"] / rates["audiocraft"]
                print(
                    f"decoding {size}, batch {batch}: frames/s {rates}"
                    + (f" (>= {least} {self.verdict(rates['ours'] >= least)})" if batch == 1 else "")
                    + f"; {ratio:.1f} times audiocraft's (>= {DECODING_FASTER:g} {self.verdict(ratio >= DECODING_FASTER)})",
                    flush=True,
                )
                found[f"{size}, batch {batch}"] = {"frames_per_s": rates, "ratio": round(ratio, 2), "least": least, "target": DECODING_FASTER}
                del ours, theirs, cases, case
                tidy()
        return found

    @torch.no_grad()
    def parity(self) -> dict[str, Any]:
        """Of bfloat16 with 32 bits, and of graphs with plain steps."""
        found = {}
        for size in DECODING:
            exact, rough = self.model(size), self.model(size)
            task = RandomTask(
                exact,
                self.params,
                Method(optimizer="adamw", precision="fp32", micro_batch=None, checkpointing=False, lora=None, ema=None, deterministic=False),
                2,
                self.frames,
                self.device,
            )
            batch = task.batch("train", 0)
            losses = [float(task.loss(batch, range(2))[0])]
            task.method = task.method.model_copy(update={"precision": "bf16"})
            losses.append(float(task.loss(batch, range(2))[0]))
            rough.decoder.bfloat16()
            tokens, texts = batch.tokens.to(self.device), batch.texts
            said = [model.decoder(tokens, model.text(texts).to(model.decoder.head.weight)).argmax(-1) for model in (exact, rough)]
            free = [generate(model, texts, self.frames, Sampling(temperature=0)) for model in (exact, rough)]
            apart = (free[0] != free[1]).any(dim=1).any(dim=0).nonzero()
            found[size] = {
                "loss_fp32": round(losses[0], 5),
                "loss_bf16": round(losses[1], 5),
                "greedy_agree_percent": round(100 * float((said[0] == said[1]).float().mean()), 2),
                "free_runs_agree_frames": int(apart[0]) if len(apart) else self.frames,
                **{f"graph_differs_{name}": graph_difference(model, min(64, self.frames)) for name, model in (("fp32", exact), ("bf16", rough))},
            }
            print(f"parity {size}: {found[size]}", flush=True)
            del exact, rough, task, batch
            tidy()
        return found

    def few(self, examples: int) -> int:
        """So many examples, or two."""
        return min(2, examples) if self.args.tiny else examples

    def verdict(self, met: bool) -> str:
        """In a word; tiny figures have none."""
        return "-" if self.args.tiny else "met" if met else "MISSED"


class Stock:
    """audiocraft's step, from audio and from codes."""

    def __init__(self, ours: LanguageModel, bench: Bench, batch: int, checkpointing: bool) -> None:
        import transformers

        self.device, shape = bench.device, ours.decoder.shape
        self.model = lm.audiocraft_lm(ours, self.device, checkpointing="torch" if checkpointing else "none").train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, betas=(0.9, 0.95))
        config = transformers.EncodecConfig(**(lm.ENCODEC | ({"num_filters": 4} if bench.args.tiny else {})))
        self.codec = import_audiocraft("audiocraft.models.encodec").HFEncodecCompressionModel(transformers.EncodecModel(config)).to(self.device).eval()
        self.audio = torch.randn(batch, 1, bench.frames * self.codec.sample_rate // FRAME_RATE, device=self.device)
        self.codes = torch.randint(shape.cardinality, (batch, shape.codebooks, bench.frames), device=self.device)
        self.texts = [lm.PROMPTS[row % 2] for row in range(batch)]
        self.sides: dict[str, Callable[[], None]] = {"codes in": lambda: self.step(self.codes), "audio in": lambda: self.step(self.encoded())}

    @torch.no_grad()
    def encoded(self) -> torch.Tensor:
        """Codes of the audio."""
        return self.codec.encode(self.audio)[0]

    def step(self, codes: torch.Tensor) -> None:
        """As MusicGenSolver.run_step."""
        with torch.autocast(self.device, torch.bfloat16):
            loss = lm.audiocraft_loss(self.model, codes, torch.ones_like(codes, dtype=torch.bool), self.texts)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def stock_generate(model: Any, texts: list[str], frames: int, device: str) -> torch.Tensor:
    """As audiocraft's MusicGen calls its model."""
    with torch.autocast(device, torch.float16) if device == "cuda" else nullcontext():
        return model.generate(conditions=lm.conditions(texts), max_gen_len=frames, use_sampling=True, temp=1.0, top_k=250, cfg_coef=3.0)


def graph_difference(model: LanguageModel, steps: int) -> float:
    """Largest difference of logits between steps that are replayed and plain ones, for the same tokens."""
    decoder = model.decoder
    tokens = torch.randint(decoder.shape.cardinality, (2, decoder.shape.codebooks, steps), device=decoder.embedding.device)
    text = model.text(list(lm.PROMPTS))
    plain, fixed = decoder.start(2, steps, text), decoder.start(2, steps, text)
    for cache in (plain, fixed):
        decoder.advance(tokens[:, :, :1], cache)
    replay = GraphedStep(decoder, fixed, tokens[:, :, 1:2]) if tokens.is_cuda else None
    worst = 0.0
    for step in range(1, steps):
        token = tokens[:, :, step : step + 1]
        said = replay(token) if replay else decoder(token, cache=fixed, at=torch.tensor([step]))
        worst = max(worst, float((said - decoder.advance(token, plain)).abs().max()))
    return round(worst, 7)


def plan(shape: Shape, method: Method, micro: int, batch: int, frames: int) -> float:
    """GiB that train.memory predicts, without what CUDA itself takes."""
    need = memory.need(shape, memory.t5(shape.dim), method, micro, frames, accumulates=micro < batch)
    return round((need.peak - need.context) / GIB, 2)


def peaks() -> tuple[float, float]:
    """Most GiB allocated and reserved since the last `count_anew`; 0 without a GPU."""
    return (round(torch.cuda.max_memory_allocated() / GIB, 2), round(torch.cuda.max_memory_reserved() / GIB, 2)) if torch.cuda.is_available() else (0.0, 0.0)


def tidy() -> None:
    """Give back what nobody needs, and count memory anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    count_anew()


def count_anew() -> None:
    """Let peaks of memory begin at what is held now."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--params", default="params.yaml", help="for what a training takes beyond these sizes")
    parser.add_argument("--limit-gib", type=float, default=44.0, help="of GPU memory, for the part `memory`; default: 44, of a card of 48 GB")
    parser.add_argument("--tiny", action="store_true", help="every part on the CPU, at a size that says nothing")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if not args.tiny and not torch.cuda.is_available():
        print("lm_gpu: needs a GPU, and torch sees none; --tiny runs it on the CPU at a size that says nothing")
        print(json.dumps({"benchmark": "lm_gpu", "skipped": "no GPU"}))
        return
    lm.quiet()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, load(args.params), Path(folder))
        for part in args.only:
            found[part] = getattr(bench, part)()
            tidy()
    device = "cpu" if args.tiny else torch.cuda.get_device_name()
    print(json.dumps({"benchmark": "lm_gpu", "device": device, "tiny": args.tiny, "torch": torch.__version__, **found}))


if __name__ == "__main__":
    main()
