"""The MIDI GPT: OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/midi.py [--asap FOLDER] [--only PART ...] [--seconds 420] [--keep FOLDER]

Parts:

- asap: bits per note on held-out compositions of ASAP (a folder, unpacked), after so many CPU seconds of training on one thread. The split is by composition, and
  one performance of each held-out one is asked. All rows but the last share the seed experiment's grid (62.5 ms at 120 beats a minute, 16 velocities, no pedal), so
  that they say the same notes: `ours` is our decoder, schedule and single words; `seed's words` the same budget and schedule with the seed's TokenizerConfig and
  BPE of 30,000; `seed preset` workflow/presets/music-lm.yaml as it is, its model and its batch, but for the precision; `our grid` our default words (16 ms, 32
  velocities, pedal): more to say.
  The learning rate falls to its last over the budget. Bits are means over pieces. `composer wins`: pieces that are likelier with their composer's name alone than with any other's.
- training: words a second of a training step beside transformers' GPT-2 and Llama of equal size, float32 and bfloat16; they take turns.
- composing: notes a second from nothing, one piece at a time, with guidance, and sixteen; and a melody with its accompaniment; of --model DIR.

Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from ostinato.commands import pieces as pieces_command
from ostinato.commands import tokenizer as tokenizer_command
from ostinato.compose.batch import Request
from ostinato.compose.compose import accompany, sample
from ostinato.files import read_jsonl
from ostinato.generate.sampling import Sampling
from ostinato.judge.midi.bits import encode_file, evaluate, named
from ostinato.lm.midi_model import build_midi, load_midi
from ostinato.midi.melodies import happy_birthday
from ostinato.midi.tokens import Tokenizer
from ostinato.params import load
from ostinato.params.blocks import Loop
from ostinato.params.midi import Midi, Pieces, Tokens
from ostinato.train.loop import Preempted, train
from ostinato.train.optimizers import optimizer_for
from ostinato.train.tasks.midigpt import MidiTask

ROOT = Path(__file__).parents[1]
PARTS = ("asap", "training", "composing")
WANTED_BITS, WANTED_NOTES = 10.5, 150.0
#: The seed's grid, for our words.
SEED_GRID = {"resolution": [(4, 8), (12, 4)], "velocities": 16, "pedal": False, "programs": False}
#: What short trainings want: many small steps.
SHORT = {"batch_size": 8, "lr": 4e-3}
SMALL = {"dim": 160, "context": 256, "short_windows": 0.0}
#: A quarter of an epoch: nothing is seen twice, and variations would only cost.
AS_IT_IS = {"semitones": 0, "velocity": 0, "duration": 0, "tempo": 0.0}


def variants() -> dict[str, Midi]:
    """The rows of part asap, all in the precision this CPU is faster in."""
    precision = faster_precision()
    ours, seed = load(ROOT / "params.yaml").midi, load(ROOT / "params.yaml", ROOT / "workflow/presets/music-lm.yaml").midi
    short = ours.model_copy(
        update={
            "model": ours.model.model_copy(update=SMALL),
            "augmentation": ours.augmentation.model_copy(update=AS_IT_IS),
            "train": ours.train.model_copy(
                update={"pretrain": ours.train.pretrain.model_copy(update=SHORT), "method": ours.train.method.model_copy(update={"precision": precision}), "warmup_share": 0.02}
            ),
        }
    )
    coarse = ours.tokens.model_copy(update=SEED_GRID)
    one_thread = seed.train.model_copy(
        update={"pretrain": seed.train.pretrain.model_copy(update={"threads": 1}), "method": seed.train.method.model_copy(update={"precision": precision})}
    )
    return {
        "ours": short.model_copy(update={"tokens": coarse}),
        "seed's words": short.model_copy(update={"tokens": seed.tokens}),
        "seed preset": seed.model_copy(update={"train": one_thread}),
        "our grid": short,
    }


def faster_precision() -> str:
    """The precision in which this CPU multiplies matrices faster: one without instructions for bfloat16 is a hundred times slower in it."""

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.ones(512, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
        return min(timed(lambda: a @ b) for _ in range(3))

    return "bf16" if seconds(torch.bfloat16) < seconds(torch.float32) else "fp32"


def asap(folder: Path, work: Path, seconds: float, names: list[str]) -> dict[str, Any]:
    """Train and ask every variant."""
    params = load(ROOT / "params.yaml").midi.pieces.model_copy(update={"folder": str(folder)})
    for name in names:
        words_of(folder, params, variants()[name].tokens, work / name.replace(" ", "-"))
    rows = read_jsonl(work / names[0].replace(" ", "-") / "pieces.jsonl")
    heldout = list({row["composition"]: row for row in reversed(rows) if row["split"] == "test"}.values())
    print(f"{len(rows)} pieces; {len(heldout)} held-out compositions; {seconds:g} CPU s of training")
    print(f"{'':<14}{'words':>8}{'parameters':>12}{'steps':>8}{'words/s':>9}{'CPU s':>8}{'bits/note':>11}{'no composer':>13}{'composer wins':>15}")
    found = {}
    for name in names:
        midi = variants()[name]
        model, about = trained(name, midi, work, seconds)
        said = evaluate(
            model, [encode_file(model.tokenizer, row["path"]) for row in heldout], [named(model.tokenizer.composers, row["composer"]) for row in heldout], [None] * len(heldout)
        )
        notes = sum(one.notes for one in said)
        wins = [one.right_name < one.best_wrong_name for one in said if one.wrong_names]
        found[name] = about | {
            "bits_per_note": round(statistics.mean(one.per_note(one.model, False) for one in said), 3),
            "no_composer": round(statistics.mean(one.per_note(one.no_composer, False) for one in said), 3),
            "composer_wins_percent": round(100 * sum(wins) / len(wins), 1),
            "notes": notes,
            "pieces": len(said),
        }
        line = found[name]
        print(
            f"{name:<14}{line['vocabulary']:>8}{line['parameters']:>12}{line['steps']:>8}{line['words_per_second']:>9}{line['cpu_seconds']:>8.0f}"
            f"{line['bits_per_note']:>11.2f}{line['no_composer']:>13.2f}{line['composer_wins_percent']:>13.0f} %",
            flush=True,
        )
    print(f"wanted of ours: at most {WANTED_BITS} bits a note")
    return found


def words_of(folder: Path, pieces: Pieces, tokens: Tokens, out: Path) -> None:
    """A folder's pieces and their words, as the graph makes them."""
    words = tokens.model_dump_json()
    pieces_command.run(Namespace(params=pieces.model_dump_json(), words=words, folder=folder, tables=None, files=None, out=out, jobs=len(os.sched_getaffinity(0))))
    tokenizer_command.run(Namespace(params=words, pieces=out / "pieces.jsonl", files=sorted((out / "shards").glob("*.jsonl")), out=out / "tokens"))


def trained(name: str, midi: Midi, work: Path, seconds: float) -> tuple[Any, dict[str, Any]]:
    """A model after so many CPU seconds of training, and what it took. Making the words is not counted."""
    made, runs = work / name.replace(" ", "-"), work / "runs" / name.replace(" ", "-")
    loop = Loop.model_validate({key: getattr(midi.train, key) for key in Loop.model_fields} | {"log_every": 10, "validate_every": 10**6, "checkpoint_every": 10**6})

    def task(steps: int) -> MidiTask:
        plan = midi.train.pretrain.model_copy(update={"steps": steps})
        return MidiTask(midi.model, midi.augmentation, loop, midi.train.method, plan, made / "tokens", made / "shards", None, None)

    trial = task(4)
    optimizer = optimizer_for(trial.model, loop, trial.plan, midi.train.method)
    taken = [timed(lambda: step(trial, optimizer, number)) for number in range(4)]
    whole = task(max(1, int(0.98 * seconds / statistics.mean(taken[1:]))))
    begun = time.process_time()
    try:
        train(whole, loop, whole.plan, runs, lambda: "stop" * (time.process_time() - begun > seconds), midi.train.method)
    except Preempted as error:
        print(error)
    took = time.process_time() - begun
    whole.save(runs)
    done = [event["step"] for event in read_jsonl(runs / "events.jsonl") if event.get("split") == "train"]
    model = load_midi(runs)
    return model, {
        "vocabulary": model.tokenizer.size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": done[-1],
        "cpu_seconds": round(took, 1),
        "words_per_second": round(done[-1] * whole.plan.batch_size * whole.context / took),
    }


def step(task: MidiTask, optimizer: Any, number: int) -> None:
    """A step of training."""
    batch = task.batch("train", number)
    optimizer.zero_grad()
    task.loss(batch, range(len(batch)))[0].backward()
    optimizer.step()


def timed(call: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def training() -> dict[str, Any]:
    """Words a second of whole steps, ours beside transformers'."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    dim, layers, heads, context, batch = 256, 4, 4, 512, 8
    midi = load(ROOT / "params.yaml").midi
    words = Tokenizer.fit(midi.tokens, [0], ["Bach"], [])
    ours = build_midi(midi.model.model_copy(update={"dim": dim, "layers": layers, "heads": heads, "context": context}), words, 0)
    gpt2 = GPT2LMHeadModel(
        GPT2Config(vocab_size=words.size, n_positions=context, n_embd=dim, n_layer=layers, n_head=heads, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=0, eos_token_id=1)
    )
    llama = LlamaForCausalLM(
        LlamaConfig(vocab_size=words.size, hidden_size=dim, intermediate_size=8 * dim // 3, num_hidden_layers=layers, num_attention_heads=heads, max_position_embeddings=context)
    )
    ids = torch.randint(0, words.size, (batch, context + 1))
    models = {"ours": (ours, lambda: ours(ids[:, :-1])), "GPT-2": (gpt2, lambda: gpt2(ids[:, :-1]).logits), "Llama": (llama, lambda: llama(ids[:, :-1]).logits)}
    optimizers = {name: torch.optim.AdamW(model.parameters(), lr=1e-3) for name, (model, _) in models.items()}
    found: dict[str, Any] = {"parameters": {name: sum(p.numel() for p in model.parameters()) for name, (model, _) in models.items()}}
    print(f"{'words/s of training':<22}" + "".join(f"{name:>10}" for name in models))
    for precision in ("float32", "bfloat16"):
        seconds: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(8):
            for name, (model, forward) in models.items():
                seconds[name].append(timed(lambda: whole_step(model, forward, optimizers[name], ids, precision)))
        found[precision] = {name: round(batch * context / statistics.median(values[1:])) for name, values in seconds.items()}
        print(f"{precision:<22}" + "".join(f"{value:>10}" for value in found[precision].values()), flush=True)
    return found


def whole_step(model: Any, forward: Callable[[], torch.Tensor], optimizer: Any, ids: torch.Tensor, precision: str) -> None:
    """Forward, backward, clip, AdamW."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        logits = forward()
    optimizer.zero_grad()
    functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def composing(folder: Path | None) -> dict[str, Any]:
    """Notes a second of one core: from nothing, with guidance, and around a melody. Without a model's folder the model is random, of the default size."""
    midi = load(ROOT / "params.yaml").midi
    model = load_midi(folder) if folder else build_midi(midi.model, Tokenizer.fit(midi.tokens, [0], ["Bach"], []), 0).eval()
    words, request, found = model.tokenizer, Request(model.tokenizer.composers[0]), {}
    for name, count, guidance in (("one piece", 1, 1.0), ("one, guided", 1, midi.demos.guidance), ("sixteen", 16, 1.0)):
        how = Sampling(midi.demos.temperature, 0, midi.demos.top_p, guidance)
        sample(model, [request] * count, 2.0, how, 0)
        begun = time.process_time()
        made = sample(model, [request] * count, 40.0, how, 1)
        taken = time.process_time() - begun
        notes, said = sum(len(piece.notes) for piece in made), sum(len(words.encode(piece)) for piece in made)
        found[name] = {"notes_per_second": round(notes / taken, 1), "words_per_second": round(said / taken, 1), "notes": notes}
        print(f"composing, {name:<16}{notes / taken:>8.0f} notes/s{said / taken:>8.0f} words/s   (wanted {WANTED_NOTES:g} notes/s)", flush=True)
    begun = time.process_time()
    composition = accompany(model, request, happy_birthday(), how, 1, midi.demos.particles)
    found["around a melody"] = {"seconds": round(time.process_time() - begun, 2), "notes": len(composition.piece.notes)}
    print(f"composing, around a melody: {found['around a melody']}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--asap", type=Path, help="folder of ASAP, unpacked; without it its part is left out")
    parser.add_argument("--rows", nargs="+", choices=list(variants()), default=list(variants()), help="rows of part asap")
    parser.add_argument("--model", type=Path, help="folder of the model that composes; default: a random one, which says fewer notes than it would")
    parser.add_argument("--seconds", type=float, default=420.0, help="CPU seconds of training")
    parser.add_argument("--keep", type=Path, help="folder for words and models; default: a temporary one")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"benchmark": "midi", "torch": torch.__version__, "threads": 1}
    if "training" in args.only:
        found["training"] = training()
    if "composing" in args.only:
        found["composing"] = composing(args.model)
    if "asap" in args.only and args.asap:
        with tempfile.TemporaryDirectory() as work:
            found["asap"] = asap(args.asap, args.keep or Path(work), args.seconds, args.rows)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
