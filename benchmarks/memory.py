"""What loading and saving a model take of the machine's own memory: python benchmarks/memory.py [--layers 14] [--against SRC]

A model of MusicGen-medium's width with random weights is written in 32 bits and in 16, and each step is done by a process of its own that has loaded a tiny model before,
so that what is imported is imported: loaded, with every weight read; loaded and frozen in bf16, as for LoRA; saved whole. Printed is the most resident memory above what the
process had (VmHWM), GiB; pages of the mapped file are counted. SRC is the `src` of another checkout, done beside this one in turns. Linux alone. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from lm import random_lm, t5
from ostinato.lm.model import save_lm
from ostinato.lm.shape import Shape

SRC = Path(__file__).parents[1] / "src"
GIB = 2**30
#: What one process does with a model's folder, by step, after it has loaded a tiny one.
STEPS = {
    "loaded": "assert all(bool((weight == weight).all()) for weight in load_lm(folder).parameters())",
    "frozen in bf16": "lm = load_lm(folder)\nfor weight in lm.parameters():\n    weight.data = weight.data.bfloat16()",
    "saved whole": "save_lm(Path(folder, 'saved'), load_lm(folder))",
}
PROGRAM = """
import re, sys
from pathlib import Path
from ostinato.lm.model import load_lm, save_lm

def of(name):
    return 1024 * int(re.search(name + r":\\s+([0-9]+)", Path("/proc/self/status").read_text())[1])

load_lm(sys.argv[1])
folder, before = sys.argv[2], of("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
{step}
print(of("VmHWM") - before)
"""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=14, help="of the model; 14 are 2 GiB in 32 bits")
    parser.add_argument("--against", type=Path, help="src of another checkout, to measure beside this one")
    args = parser.parse_args()
    sources = {"here": SRC} | ({"there": args.against} if args.against else {})
    with tempfile.TemporaryDirectory() as scratch:
        tiny, size, folders = write_models(Path(scratch), args.layers)
        found = {bits: {step: {name: measured(src, step, tiny, folder) for name, src in sources.items()} for step in STEPS} for bits, folder in folders.items()}
    print(f"{size:.2f} GiB in 32 bits; most resident memory above the process's own, GiB")
    for bits, steps in found.items():
        print(
            "\n".join(
                [
                    f"{bits:<18}" + "".join(f"{name:>8}" for name in sources),
                    *(f"{step:<18}" + "".join(f"{value:>8.2f}" for value in values.values()) for step, values in steps.items()),
                ]
            )
        )
    print(json.dumps({"benchmark": "memory", "gib": round(size, 2), "found": found}))


def write_models(folder: Path, layers: int) -> tuple[Path, float, dict[str, Path]]:
    """A tiny model's folder, how large the other is in 32 bits (GiB), and its folders by the precision they are kept in."""
    text = t5(folder / "t5")
    save_lm(folder / "tiny", random_lm(Shape(64, 1, 2, 128, 32, (0, 1)), text))
    lm = random_lm(Shape(1536, layers, 24, 6144, 2048, (0, 1, 2, 3)), text)
    save_lm(folder / "32", lm)
    package = torch.load(folder / "32/state_dict.bin", weights_only=True)
    (folder / "16").mkdir()
    torch.save(package | {"best_state": {name: value.half() for name, value in package["best_state"].items()}}, folder / "16/state_dict.bin")
    return folder / "tiny", sum(weight.nbytes for weight in lm.parameters()) / GIB, {"32-bit file": folder / "32", "16-bit file": folder / "16"}


def measured(src: Path, step: str, tiny: Path, folder: Path) -> float:
    """The most memory of a step, GiB."""
    settings = os.environ | {"PYTHONPATH": str(src), "OMP_NUM_THREADS": "1"}
    said = subprocess.run([sys.executable, "-c", PROGRAM.format(step=STEPS[step]), str(tiny), str(folder)], env=settings, check=True, stdout=subprocess.PIPE, text=True)
    return round(int(said.stdout) / GIB, 2)


if __name__ == "__main__":
    main()
