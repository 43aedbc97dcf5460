"""The seed experiment on a GPU: python benchmarks/midi_gpu.py WORDS [--minutes 1 5 25] [--tiny]

WORDS is a folder that `ostinato tokens` wrote with workflow/presets/music-lm.yaml (tokenizer.json, the shards), of MAESTRO or any other MIDI. Trains the preset as it
is (5 layers of 384, 64 windows of 256 merged words, AdamW, 1e-3 to 1e-4, 200,000 steps, which are 3.28 billion words), in bfloat16, compiled, and prints words a
second, how long 3.28 billion take (wanted: at most 25 minutes on an H200), and bits per note of the held-out pieces after so many minutes. Windows are cut on the GPU from
whole pieces; other processes vary and merge the training set anew again and again, and the newest variation is taken up when it is there. Without a GPU it says so
and ends, unless --tiny, which runs a few steps of a tiny model on the CPU to show that it works. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ostinato.files import read_jsonl
from ostinato.judge.midi.bits import Encoded, evaluate
from ostinato.lm.midi_model import MidiModel, build_midi
from ostinato.midi.augmentation import Augment
from ostinato.midi.tokens import Tokenizer
from ostinato.params import load
from ostinato.params.midi import Midi
from ostinato.train.loop import learning_rate

ROOT = Path(__file__).parents[1]
WANTED_MINUTES, EXPERIMENT_WORDS = 25.0, 3.28e9
MOST_HELDOUT = 64


def pieces(folder: Path, split: str) -> list[np.ndarray]:
    """Single words of every piece of a split."""
    found = []
    for path in sorted(folder.glob("*.npy")):
        words = np.load(path, mmap_mode="r")
        found += [np.asarray(words[row["start"] : row["start"] + row["length"]]).astype(np.int64) for row in read_jsonl(path.with_suffix(".jsonl")) if row["split"] == split]
    return found


def varied(folder: Path, seed: int, midi: Midi) -> np.ndarray:
    """The whole training set in one variation, merged, a beginning and an end around each piece: [N], int32."""
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    augment, rng = Augment(tokenizer, midi.augmentation), np.random.default_rng(seed)
    parts = [np.array(part) for words in pieces(folder, "train") for part in (tokenizer.prefix(), tokenizer.merged(augment(words, rng)), [tokenizer.end])]
    return np.concatenate(parts).astype(np.int32)


def keep_varying(folder: Path, first: int, step: int, midi: Midi, queue: Any) -> None:
    """One process: variation after variation."""
    for seed in range(first, 2**31, step):
        queue.put(varied(folder, seed, midi))


def bits(model: MidiModel, heldout: list[np.ndarray]) -> float:
    """Bits per note of the held-out pieces, the mean over them."""
    tokenizer = model.tokenizer
    encoded = [Encoded(np.append(tokenizer.merged(words), tokenizer.end), words, tokenizer.decode(words)) for words in heldout]
    said = evaluate(model.eval(), encoded, [None] * len(encoded), [None] * len(encoded))
    model.train()
    return sum(one.model / one.notes for one in said) / len(said)


def train(folder: Path, midi: Midi, minutes: list[float], steps: int, device: str, workers: int) -> dict[str, Any]:
    """Train for the longest of `minutes`, or so many steps, and ask at each of them."""
    tokenizer, plan, context = Tokenizer.load(folder / "tokenizer.json"), midi.train.pretrain, midi.model.context
    model = build_midi(midi.model, tokenizer, midi.train.seed).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.lr, betas=(0.9, 0.99), weight_decay=midi.train.weight_decay, fused=device == "cuda")

    def loss_of(ids: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1).float(), ids[:, 1:].flatten())

    # The loss is compiled with the model: 16,384 x 30,000 logits are 2 GB in float32, and fused, they are read and written fewer times
    forward = torch.compile(loss_of) if device == "cuda" else loss_of
    queue: Any = multiprocessing.get_context("spawn").Queue(2)
    for worker in range(workers):
        multiprocessing.get_context("spawn").Process(target=keep_varying, args=(folder, worker + 1, workers, midi, queue), daemon=True).start()
    stream, variations = torch.from_numpy(varied(folder, 0, midi)).to(device), 1
    heldout = pieces(folder, "test")[:MOST_HELDOUT]
    reached, spent, step, begun = {}, 0.0, 0, time.perf_counter()
    waiting = sorted(minutes)
    while step < steps and waiting:
        if step % 100 == 0 and not queue.empty():
            stream, variations = torch.from_numpy(queue.get()).to(device, non_blocking=True), variations + 1
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, plan.steps, plan.lr, midi.train)
        starts = torch.randint(len(stream) - context - 1, (plan.batch_size, 1), device=device)
        ids = stream[starts + torch.arange(context + 1, device=device)].long()
        with torch.autocast(device, torch.bfloat16):
            loss = forward(ids)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), midi.train.clip_norm)
        optimizer.step()
        step += 1
        if step == 20 and steps > 100:  # compiling is not training
            _wait(device)
            begun, spent = time.perf_counter(), 0.0
        if step % 50 == 0 or step == steps:
            _wait(device)
            spent = time.perf_counter() - begun
            if spent >= 60 * waiting[0] or step == steps:
                asked = time.perf_counter()
                reached[str(waiting.pop(0))] = {"bits_per_note": round(bits(model, heldout), 3), "steps": step, "loss": round(float(loss), 4)}
                begun += time.perf_counter() - asked
    rate = step * plan.batch_size * context / max(spent, 1e-9)
    return {
        "words_per_second": round(rate),
        "minutes_for_the_experiment": round(EXPERIMENT_WORDS / rate / 60, 1),
        "variations": variations,
        "after_minutes": reached,
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None,
    }


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 5.0, 25.0])
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    midi = load(ROOT / "params.yaml", ROOT / "workflow/presets/music-lm.yaml").midi
    if not torch.cuda.is_available() and not args.tiny:
        print(json.dumps({"benchmark": "midi_gpu", "skipped": "no GPU here; --tiny shows on the CPU that the script runs"}))
        return
    if args.tiny:
        small = {"dim": 32, "layers": 1, "heads": 2}
        midi = midi.model_copy(update={"model": midi.model.model_copy(update=small)})
        found = train(args.words, midi, [math.inf], 3, "cpu", 1)
    else:
        found = train(args.words, midi, args.minutes, midi.train.pretrain.steps, "cuda", max(1, (os.cpu_count() or 2) - 2))
    found |= {"benchmark": "midi_gpu", "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu", "torch": torch.__version__}
    print(f"{found['words_per_second']:,} words/s; 3.28 billion in {found['minutes_for_the_experiment']:g} min (wanted {WANTED_MINUTES:g})")
    for after, row in found["after_minutes"].items():
        print(f"after {after} min, {row['steps']} steps: {row['bits_per_note']} bits/note, loss {row['loss']}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
