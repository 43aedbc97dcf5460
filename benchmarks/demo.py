"""What the last run of the pipeline cost, rule by rule, from Snakemake's own benchmark files: python benchmarks/demo.py [results/benchmarks]

Wall seconds and CPU seconds are summed over a rule's jobs, memory (GiB, resident) is the largest. Training runs in a process of its own that
submitit starts; psutil counts it as a child of the rule's. Ends with one line of JSON.
"""

import argparse
import csv
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results/benchmarks"))
    folder = parser.parse_args().folder
    rules: dict[str, list[float]] = {}
    for path in sorted(folder.rglob("*.tsv"), key=lambda path: path.stat().st_mtime):
        name = path.relative_to(folder).parts[0].removesuffix(".tsv")
        with path.open() as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                jobs, wall, cpu, memory = rules.get(name, [0, 0.0, 0.0, 0.0])
                rules[name] = [jobs + 1, wall + float(row["s"]), cpu + number(row["cpu_time"]), max(memory, number(row["max_rss"]) / 1024)]
    print(f"{'rule':<12}{'jobs':>5}{'wall s':>9}{'CPU s':>9}{'GiB':>7}")
    for name, (jobs, wall, cpu, memory) in rules.items():
        print(f"{name:<12}{jobs:>5}{wall:>9.1f}{cpu:>9.1f}{memory:>7.2f}")
    print(json.dumps({name: {"jobs": jobs, "wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "gib": round(memory, 2)} for name, (jobs, wall, cpu, memory) in rules.items()}))


def number(text: str) -> float:
    """A field of a benchmark file; NA, for a job too short to be sampled, is 0."""
    return 0.0 if text in ("NA", "-") else float(text)


if __name__ == "__main__":
    main()
