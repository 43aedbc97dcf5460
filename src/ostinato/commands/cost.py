"""`ostinato cost`: count what a run cost, job by job."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.cluster.cost import COLUMNS, collect, find_benchmarks, find_jobs, training_jobs
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--benchmarks", type=Path, required=True, help="results/benchmarks, where Snakemake's benchmarks lie")
    parser.add_argument(
        "--rules",
        nargs="*",
        default=[],
        metavar="RULE=PATTERN",
        help="where a rule's benchmarks lie (listen=results/benchmarks/listen/{shard}.tsv); those of rules not named are left out, "
        "as those that train should be. Without it, the folder stands for the rule",
    )
    parser.add_argument("--logs", type=Path, required=True, help="results/logs/slurm, the logs of Snakemake's Slurm plugin; need not exist")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="folders of trained models; those without summary.json are passed over")
    parser.add_argument("--out", type=Path, required=True, help="the table to write, .csv")


def run(args: argparse.Namespace) -> None:
    """Write the table and its sidecar."""
    benchmarks = find_benchmarks(args.benchmarks, args.rules)
    models = [folder for folder in args.models if (folder / "summary.json").is_file()]
    rows = collect(benchmarks, find_jobs(args.logs), training_jobs(models))
    write_table(args.out, COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
    write_sidecar(args.out, "cost", [*benchmarks, *(folder / "summary.json" for folder in models)])
    print(f"{args.out}: {len(rows)} jobs")
