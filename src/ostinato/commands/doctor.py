"""`ostinato doctor`: check a Slurm site before a long run."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from ostinato.cluster.doctor import CHECKS, Site
from ostinato.cluster.finding import FAIL, WARN, guarded
from ostinato.files import write_json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--profile", type=Path, default=Path("cluster/slurm"), help="Snakemake profile (default: cluster/slurm)")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameter file (default: params.yaml)")
    parser.add_argument("--configfile", type=Path, nargs="+", action="extend", default=[], help="laid over it, in place of what the profile names")
    parser.add_argument("--no-jobs", action="store_true", help="submit no jobs")
    parser.add_argument("--wait", type=float, default=300, help="how long such a job may wait and run, seconds (default: 300)")
    parser.add_argument("--json", type=Path, help="file to write all findings to")


def run(args: argparse.Namespace) -> None:
    """Check, and print each finding as it comes. Ends the process with status 1 when something FAILs."""
    site, findings = Site(args.profile, args.params, args.configfile, None if args.no_jobs else args.wait), []
    for name, check in CHECKS.items():
        for finding in guarded(name, partial(check, site)):
            print(finding.line, flush=True)
            findings.append(finding)
    if args.json:
        write_json(args.json, [asdict(finding) for finding in findings])
    failed, doubtful = (sum(finding.level == level for finding in findings) for level in (FAIL, WARN))
    print(f"{len(findings)} checks: {failed} FAIL, {doubtful} WARN")
    if failed:
        sys.exit(1)
