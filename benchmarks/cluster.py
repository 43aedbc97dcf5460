"""A Slurm on this machine beside the machine itself: python benchmarks/cluster.py [--songs 50] [--shards 8] [--seconds 60 120] [--folder FOLDER]

Target `dataset` (check, listen, segments, manifests, codec, codes: the milestone with many jobs) through `--profile cluster/local`, then
`--profile cluster/slurm`, each in a copy of the project of its own, from nothing but the etudes, which are rendered once, untimed. cluster/local
is used as it is; cluster/slurm gets what a site with small nodes would write there, printed. Needs a Slurm that is up (cluster/dev/up); nodes
must see `--folder` (default: a temporary one). Run it with nothing else on the machine.

- wall s: from the start of snakemake to its end; the ratio of these is what counts. To last job s: to the end of the last job, by sacct for Slurm
  (whole seconds), by the last of Snakemake's benchmarks otherwise: without what Snakemake takes to notice. Submit to end s: from the first sbatch.
- CPU s: of the rules, by Snakemake's benchmarks. All CPU s: with every Snakemake that ran, here and in jobs (sacct's TotalCPU).
- Python's compiled modules lie in a folder that a small untimed run has filled, whatever PYTHONDONTWRITEBYTECODE says: a Snakemake that must
  compile what it imports takes more than twice as long to start, and on Slurm two start for a job, in a group one and one more for each of its
  rules, which run one after another.
- same: whether results/dataset, codec, codes and corpus/shards have the same hashes by both ways.

Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ostinato.cluster import cost, sacct
from ostinato.files import UserError, sha256

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from project import copy_project, surroundings  # noqa: E402

PROFILES = ("cluster/local", "cluster/slurm")
WANTED_RATIO = 2.0
#: What is made from the etudes, and must not depend on who made it.
ARTIFACTS = ("results/corpus/shards", "results/dataset", "results/codec", "results/codes")
#: A corpus that is enough to import what all rules import.
SMALL = {"songs": 6, "shards": 1, "seconds": (20.0, 25.0)}
#: With fewer songs, larger shares are held out, or there would be none in some.
FEW_SONGS, LARGE_SHARES = 40, {"valid": 0.3, "test": 0.3}


def require_slurm() -> None:
    """Raise UserError unless a controller and the accounting answer."""
    for command in (["sinfo", "--noheader"], ["sacct", "--noheader", "--allocations"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"no Slurm is up here ({error}); start one: cluster/dev/up") from None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise UserError(f"no Slurm is up here ({reason}); start one: cluster/dev/up")


def prepare(folder: Path, songs: int, shards: int, seconds: Sequence[float]) -> Path:
    """A copy of the project with a corpus of so many songs, `seconds` (least, most) long."""
    folder.mkdir()
    etudes = {"songs": songs, "min_seconds": float(seconds[0]), "max_seconds": float(seconds[1])}
    split = {"split": LARGE_SHARES} if songs < FEW_SONGS else {}
    edit(copy_project(folder) / "params.yaml", {"corpus": {"folder": None, "shards": shards, "etudes": etudes, **split}})
    return folder


def edit(path: Path, changes: dict[str, Any]) -> None:
    """Lay values over those of a YAML file, key by key."""

    def over(old: Any, new: Any) -> Any:
        if not isinstance(old, dict) or not isinstance(new, dict):
            return new
        return old | {key: over(old.get(key), value) for key, value in new.items()}

    path.write_text(yaml.safe_dump(over(yaml.safe_load(path.read_text(encoding="utf-8")), changes), sort_keys=False), encoding="utf-8")


def snakemake(folder: Path, profile: str, target: str, modules: Path) -> None:
    """Run a target. Raises UserError, with the end of what Snakemake said, when it fails; all of it is in `folder`/said.log."""
    environment = surroundings(folder) | {"PYTHONPYCACHEPREFIX": str(modules)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    del environment["OMP_NUM_THREADS"]  # of tests; users have none
    with (folder / "said.log").open("w") as log:
        done = subprocess.run(["snakemake", "--profile", profile, target], cwd=folder, env=environment, stdout=log, stderr=log)
    if done.returncode:
        said = (folder / "said.log").read_text(encoding="utf-8", errors="replace").splitlines()
        raise UserError(f"snakemake --profile {profile} {target} failed (all of it, with --folder: {folder / 'said.log'})\n" + "\n".join(said[-30:]))


def measure(folder: Path, profile: str, modules: Path) -> dict[str, Any]:
    """Make the dataset, and what it took: seconds, numbers of jobs, and those of Slurm one by one."""
    begun, started, used = time.time(), time.perf_counter(), cpu_here()
    snakemake(folder, profile, "dataset", modules)
    wall, here = time.perf_counter() - started, cpu_here() - used
    benchmarks = sorted((folder / "results/benchmarks").rglob("*.tsv"))
    rules = 3600 * sum(cost.measured(path)["cpu_hours"] or 0 for path in benchmarks)
    found = {"wall_s": wall, "cpu_s": rules, "all_cpu_s": here, "rules_jobs": len(benchmarks), "to_last_job_s": max(path.stat().st_mtime for path in benchmarks) - begun}
    return found if profile == "cluster/local" else found | on_slurm(folder, begun, here)


def cpu_here() -> float:
    """CPU seconds of this process's children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def on_slurm(folder: Path, begun: float, here: float) -> dict[str, Any]:
    """What sacct says of the jobs whose logs a run has left. Raises UserError when it says nothing."""
    logs = folder / "results/logs/slurm"
    jobs = {path.stem: path.relative_to(logs).parent.as_posix() for path in logs.rglob("*.log")}
    told, trouble = sacct.ask(list(jobs))
    if trouble or not jobs or set(told) != set(jobs) or not all(account["end"] for account in told.values()):
        raise UserError(f"sacct does not know when the jobs {', '.join(jobs) or '(none has left a log)'} ended{f': {trouble}' if trouble else ''}")
    rows = [
        {
            "job": number,
            "what": jobs[number],
            "submitted_s": account["end"] - account["wall_s"] - (account["wait_s"] or 0) - begun,
            "wait_s": account["wait_s"],
            "wall_s": account["wall_s"],
            "cpu_s": 3600 * account["cpu_hours"],
            "restarts": account["restarts"],
        }
        for number, account in told.items()
    ]
    last = max(account["end"] for account in told.values()) - begun
    return {
        "slurm_jobs": len(rows),
        "to_last_job_s": last,
        "submit_to_end_s": last - min(row["submitted_s"] for row in rows),
        "all_cpu_s": here + sum(row["cpu_s"] for row in rows),
        "jobs": sorted(rows, key=lambda row: int(row["job"].partition("_")[0])),
    }


def table(found: dict[str, dict[str, Any]], same: dict[str, bool]) -> float:
    """Print what was found; returns the ratio of the walls."""
    local, slurm = (found[profile] for profile in PROFILES)
    print(f"\n{'':<16}{'wall s':>9}{'to last job s':>15}{'CPU s':>9}{'all CPU s':>11}{'rules run':>11}{'Slurm jobs':>12}{'submit to end s':>17}")
    for profile, one in found.items():
        print(
            f"{profile:<16}{one['wall_s']:>9.1f}{one['to_last_job_s']:>15.1f}{one['cpu_s']:>9.1f}{one['all_cpu_s']:>11.1f}{one['rules_jobs']:>11}"
            f"{one.get('slurm_jobs', ''):>12}{one.get('submit_to_end_s', ''):>17}"
        )
    ratio = slurm["wall_s"] / local["wall_s"]
    print(
        f"{'ratio':<16}{ratio:>9.2f}{slurm['to_last_job_s'] / local['to_last_job_s']:>15.2f}{slurm['cpu_s'] / local['cpu_s']:>9.2f}"
        f"{slurm['all_cpu_s'] / local['all_cpu_s']:>11.2f}   wall: wanted at most {WANTED_RATIO} {'met' if ratio <= WANTED_RATIO else 'MISSED'}"
    )
    print("same: " + ", ".join(f"{name} {'yes' if equal else 'NO'}" for name, equal in same.items()))
    print(f"\n{'Slurm job':<10}{'submitted at s':>15}{'waited s':>10}{'wall s':>8}{'CPU s':>8}  rules, by the folder of its log")
    for row in slurm["jobs"]:
        print(f"{row['job']:<10}{row['submitted_s']:>15.0f}{row['wait_s']:>10}{row['wall_s']:>8}{row['cpu_s']:>8.1f}  {row['what']}")
    return ratio


def compare(work: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Warm up, render, make the dataset by both ways, print; returns the line of JSON."""
    site = {"max-threads": args.max_threads, "resources": {"mem_mb": args.group_mb}, "slurm-init-seconds-before-status-checks": args.status_checks}
    print(
        f"{args.songs} songs of {args.seconds[0]:g}-{args.seconds[1]:g} s in {args.shards} shards, {len(os.sched_getaffinity(0))} cores, "
        f"load {os.getloadavg()[0]:.1f}; in cluster/slurm/profile.yaml: {site}",
        flush=True,
    )
    modules = work / "modules"
    snakemake(prepare(work / "small", **SMALL), "cluster/local", "dataset", modules)
    etudes = prepare(work / "etudes", args.songs, args.shards, args.seconds)
    snakemake(etudes, "cluster/local", "results/corpus/etudes", modules)
    shutil.rmtree(etudes / "results/benchmarks")
    found = {}
    for profile in PROFILES:
        folder = shutil.copytree(etudes, work / Path(profile).name)
        edit(folder / "cluster/slurm/profile.yaml", site)
        found[profile] = measure(folder, profile, modules)
        print(f"{profile}: {found[profile]['wall_s']:.1f} s", flush=True)
    local, slurm = (work / Path(profile).name for profile in PROFILES)
    same = {name: sha256(local / name) == sha256(slurm / name) for name in ARTIFACTS}
    ratio = table(found, same)
    return {
        "benchmark": "cluster",
        "songs": args.songs,
        "shards": args.shards,
        "seconds": args.seconds,
        "site": site,
        "ratio": ratio,
        "wanted": WANTED_RATIO,
        "same": same,
        **found,
    }


def rounded(value: Any) -> Any:
    """Numbers to hundredths, wherever they stand."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else round(value, 2) if isinstance(value, float) else value


def main() -> None:
    """Read the command line, run, end with the line of JSON or with what is wrong."""
    etudes = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["corpus"]["etudes"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=50)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument(
        "--seconds",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        default=[etudes["min_seconds"], etudes["max_seconds"]],
        help="shortest and longest song; default: as params.yaml says",
    )
    parser.add_argument("--max-threads", type=int, default=2, help="of a rule; nodes of cluster/dev have 4 CPUs")
    parser.add_argument("--group-mb", type=int, default=8000, help="most that the rules of one job may ask together; nodes of cluster/dev have 8192 MB")
    parser.add_argument("--status-checks", type=int, default=2, help="seconds until Snakemake first asks whether a job has ended; 10 longer each time after")
    parser.add_argument("--folder", type=Path, help="a new folder for the copies, which is kept; default: a temporary one")
    args = parser.parse_args()
    try:
        require_slurm()
        if args.folder:
            args.folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="ostinato-cluster-", ignore_cleanup_errors=True) as work:
            print(json.dumps(rounded(compare((args.folder or Path(work)).resolve(), args))))
    except FileExistsError:
        sys.exit(f"cluster.py: --folder {args.folder}: is there already; expected a new one")
    except UserError as error:
        sys.exit(f"cluster.py: {error}")


if __name__ == "__main__":
    main()
