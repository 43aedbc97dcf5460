"""A million songs: python benchmarks/scale.py [--only plan corpus] [--files 1000 10000 100000 1000000] [--songs 100000] [--tiny] [--folder FOLDER]

Parts:

- plan: `snakemake -n dataset` on a folder of stand-ins for recordings, in a copy of the project: twice, with nothing made and nothing changed between; once more when
  all is made (made-up outputs, `snakemake --touch`); and once with one song more. Beside each the lists that were written: none may be when nothing has changed. `read`:
  stand-ins that anybody read, by the time of their last reading; a plan looks at names, sizes and times.
- corpus: the commands that see all songs, each in a process of its own, on made-up tables and codes (see scale_data.py) of so many songs of ten segments: songs,
  manifests, codec, gather, one step of training with the demo's model, judge, track, report. Then a song more, in a project in which all is made: which jobs are planned,
  and the bytes of what they read and write, sound left out.

wall s; CPU s, of all processes; peak MB: of the largest process, as the kernel counted it; together: of all at a time, seen ten times a second, what they share counted
in each. The page cache is warm: stand-ins are made just before. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from ostinato.params import Params, load  # noqa: E402
from project import copy_project, surroundings  # noqa: E402

PARTS = ("plan", "corpus")
#: Files, and shards they go to.
SHARDS = {1_000: 4, 10_000: 16, 100_000: 64, 1_000_000: 1_000}
#: Of a plan, s by files; of any process, MB.
WANTED_SECONDS, WANTED_MB = {100_000: 10.0, 1_000_000: 60.0}, 2048
SNAKEMAKE = ("snakemake", "--profile", "cluster/local", "--configfile", "scale.yaml")
#: Stand-ins in each folder of their folder; and when they were last read by anybody, ns: whoever reads one changes that.
IN_A_FOLDER, NEVER = 1000, 1
#: What `dataset` makes of a shard, and of all of them: folders end with a slash.
OF_A_SHARD = (
    *("results/corpus/shards/{shard}.jsonl", "results/corpus/shards/{shard}.tsv", "results/listen/{shard}/", "results/dataset/segments/{shard}/"),
    *("results/codes/{shard}.npy", "results/codes/{shard}.jsonl"),
)
MANIFEST = "results/dataset/manifests/{split}/data.jsonl.gz"
OF_ALL = (
    *("results/corpus/duplicates.jsonl", "results/corpus/set_aside.tsv", "results/codec/compression_state_dict.bin", "results/codes/segments.npz"),
    "results/codes/contents.json",  # beside the table, which is not whole without it
    *(MANIFEST.format(split=split) for split in ("train", "valid", "test")),
)
#: Enough of everything that does not grow with songs.
SMALL = {"validation_examples": 4, "validate_every": 1, "checkpoint_every": 1, "log_every": 1}
MODELS = ("base", "tune-1", "tune-2", "tuned")


@dataclass(frozen=True)
class Took:
    """What a command took, and what it said."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    together_mb: float
    said: str

    @property
    def row(self) -> dict[str, float]:
        """Numbers alone."""
        return {name: round(getattr(self, name), 2) for name in ("wall_s", "cpu_s", "peak_mb", "together_mb")}

    def __str__(self) -> str:
        return f"{self.wall_s:>9.1f}{self.cpu_s:>8.1f}{self.peak_mb:>9.0f}{self.together_mb:>10.0f}"


HEADING = f"{'wall s':>9}{'CPU s':>8}{'peak MB':>9}{'together':>10}"


def measured(folder: Path, *command: str) -> Took:
    """Run a command in a project. Raises RuntimeError, with the end of what it said, when it fails."""
    with tempfile.TemporaryFile("w+") as said:
        begun = time.perf_counter()
        settings = surroundings(folder) | {"PYTHONPATH": str(folder / "src")}
        process = subprocess.Popen(command, cwd=folder, env=settings, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        together: list[float] = [0.0]
        watch = threading.Thread(target=_watch, args=(process.pid, together), daemon=True)
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.join()
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)[:300]} ended with {process.returncode}:\n{text[-3000:]}")
    return Took(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, max(together[0], used.ru_maxrss / 1024), text)


def _watch(pid: int, together: list[float]) -> None:
    """Keep the most memory (MB) that a process and all below it have at a time, until it ends."""
    try:
        first = psutil.Process(pid)
        while first.is_running() and first.status() != psutil.STATUS_ZOMBIE:
            together[0] = max(together[0], sum(map(_resident, [first, *first.children(recursive=True)])) / 2**20)
            time.sleep(0.1)
    except psutil.NoSuchProcess:
        pass


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def stand_ins(folder: Path, count: int) -> Path:
    """A folder of so many files called as recordings, a thousand in each folder of it."""
    for number in range(count):
        place = folder / f"{number // IN_A_FOLDER:04d}"
        if number % IN_A_FOLDER == 0:
            place.mkdir(parents=True)
        stand_in(place / f"song-{number:07d}.mp3")
    return folder


def stand_in(path: Path) -> None:
    """One of them."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.ftruncate(descriptor, 1)
    os.utime(descriptor, ns=(NEVER, 10**18))
    os.close(descriptor)


def was_read(folder: Path) -> int:
    """How many stand-ins somebody has read."""
    return sum(entry.stat().st_atime_ns != NEVER for place in os.scandir(folder) for entry in os.scandir(place.path))


def size(path: Path) -> int:
    """Bytes of a file, or of all in a folder but sound."""
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file() and item.suffix != ".flac") if path.is_dir() else path.stat().st_size if path.exists() else 0


def plain(section: Any) -> str:
    """A section of parameters as a rule passes it."""
    return json.dumps(section if isinstance(section, dict) else section.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def project(folder: Path, music: Path, shards: int) -> Path:
    """A copy of the project that is told of a folder of recordings. The plugin for Slurm asks scontrol for its settings whenever Snakemake starts, and where a Slurm is installed
    but down waits ten seconds for an answer: here a stand-in refuses at once.
    """
    folder.mkdir()
    copy_project(folder)
    (folder / "bin").mkdir()
    (folder / "bin/scontrol").write_text("#!/bin/sh\nexit 1\n")
    (folder / "bin/scontrol").chmod(0o755)
    (folder / "scale.yaml").write_text(yaml.safe_dump({"corpus": {"folder": str(music), "shards": shards}}))
    return folder


def written_lists(folder: Path, before: dict[str, int]) -> tuple[int, int]:
    """How many lists are newer than `before` says, and their bytes; `before` is brought up to date."""
    lists = {str(path): path.stat() for path in (folder / "results/lists/corpus").rglob("*.jsonl")}
    new = [about for path, about in lists.items() if before.get(path) != about.st_mtime_ns]
    before.update({path: about.st_mtime_ns for path, about in lists.items()})
    return len(new), sum(about.st_size for about in new)


def names(shards: int) -> list[str]:
    """Of shards, as the Snakefile has them."""
    return [f"shard-{number:02d}" for number in range(shards)]


def pretend(folder: Path, shards: int) -> None:
    """Make up, empty, all that `dataset` makes and is not there, and have Snakemake take it for made."""
    for name in [*(one.format(shard=shard) for shard in names(shards) for one in OF_A_SHARD), *OF_ALL]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True) if name.endswith("/") else path.touch()
    measured(folder, *SNAKEMAKE, "--touch", "--quiet", "all", "--", "dataset")


def planned(said: str) -> dict[str, int]:
    """Jobs by rule, from the table of a dry run."""
    table = re.search(r"^job +count\n-[- ]+\n(.*?)^total", said, re.MULTILINE | re.DOTALL)
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table[1], re.MULTILINE) if name != "dataset"} if table else {}


def plans(work: Path, files: int, shards: int) -> dict[str, Any]:
    """All plans on so many files."""
    music = stand_ins(work / "music", files)
    folder, before = project(work / "project", music, shards), dict[str, int]()
    found: dict[str, Any] = {"files": files, "shards": shards}

    def plan(name: str) -> None:
        took = measured(folder, *SNAKEMAKE, "-n", "--", "dataset")
        lists, written = written_lists(folder, before)
        found[name] = took.row | {"lists": lists, "list_bytes": written, "jobs": planned(took.said)}
        print(f"{files:>10}{shards:>8}  {name:<10}{took}{lists:>7}{sum(found[name]['jobs'].values()):>7}", flush=True)

    plan("first")
    plan("again")
    pretend(folder, shards)
    plan("all made")
    stand_in(music / "0000" / "one more.mp3")
    plan("one more")
    found["read"] = was_read(music)
    limit = WANTED_SECONDS.get(files)
    slow = [name for name in ("first", "again", "all made", "one more") if limit and found[name]["wall_s"] > limit]
    print(f"{'':>20}read: {found['read']} files; one more: {found['one more']['list_bytes']} bytes of lists, jobs {found['one more']['jobs']}")
    if limit:
        print(f"{'':>20}wanted: {limit:g} s, {WANTED_MB} MB: " + (f"MISSED by {', '.join(slow)}" if slow else "met"))
    return found


def part_plan(work: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Plans by number of files."""
    check_times_of_reading(work)
    print(f"{'files':>10}{'shards':>8}  {'plan':<10}{HEADING}{'lists':>7}{'jobs':>7}")
    found = []
    for files in args.files:
        with tempfile.TemporaryDirectory(prefix=f"plan-{files}-", dir=work) as place:
            found.append(plans(Path(place), files, args.shards or SHARDS.get(files) or max(1, files // 1000)))
    return found


def check_times_of_reading(work: Path) -> None:
    """Raise RuntimeError where the file system keeps no time of the last reading: then nothing could be told."""
    path = stand_ins(work / "read", 1) / "0000/song-0000000.mp3"
    path.read_bytes()
    if not was_read(work / "read"):
        raise RuntimeError(f"{work}: keeps no times of reading (mounted noatime?); name a folder that does with --folder")


def ostinato(*words: Any) -> list[str]:
    """A command line."""
    return [sys.executable, "-m", "ostinato.cli", *map(str, words)]


def made_up(folder: Path, *words: Any) -> Took:
    """Have scale_data.py make something up in a project."""
    return measured(folder, sys.executable, str(Path(__file__).with_name("scale_data.py")), *map(str, words))


def commands(folder: Path, shards: Sequence[str], params: Params) -> Iterator[tuple[str, list[str]]]:
    """The commands that see all songs, one after another: what each reads, the ones before it have written."""
    every = {key: [one.format(shard=shard) for shard in shards] for key, one in zip(("songs", "aside", "listen", "segments", "codes"), OF_A_SHARD)}
    twice, aside = "results/corpus/duplicates.jsonl", "results/corpus/set_aside.tsv"
    train = params.train.model_dump(mode="json")
    plan, launch = (plain(train.pop(key)) for key in ("base", "launch"))
    train = {key: value for key, value in train.items() if key != "tune"} | SMALL
    demos = [f"results/demos/{which}" for which in ("before", "after", "reference")]
    models = [f"results/models/{name}" for name in MODELS]

    yield "songs", ostinato("songs", "--params", plain(params.corpus), "--songs", *every["songs"], "--duplicates", twice, "--set-aside", aside)
    yield "manifests", ostinato("manifests", "--segments", *every["segments"], "--duplicates", twice, "--out", "results/dataset/manifests")
    made_up(folder, "sound")
    yield "codec", ostinato("codec", "--params", plain(params.codec), "--manifest", MANIFEST.format(split="train"), "--out", "results/codec-again")
    yield "gather", ostinato("gather", "--codes", *every["codes"], "--duplicates", twice)
    yield (
        "train, 1 step",
        ostinato(
            *("train", "--name", "base", "--params", plain(train), "--model", plain(params.model), "--plan", plan, "--launch", launch),
            *("--codec", "results/codec", "--codes", "results/codes/segments.npz", "--runs", "results/runs", "--out", "results/models/base"),
        ),
    )
    yield (
        "judge",
        ostinato(
            *("judge", "--params", "params.yaml", "--listen", "params.yaml", "--demos", *demos, "--manifests", "results/dataset/manifests", "--jobs", 1),
            *("--scores", "results/scores.json", "--judgements", "results/judgements.json"),
        ),
    )
    yield "track", ostinato("track", "--params", "params.yaml", "--models", *models, "--scores", "results/scores.json", "--demos", *demos, "--stamp", "results/tracked.json")
    yield (
        "report",
        ostinato(
            *("report", "--params", "params.yaml", "--scores", "results/scores.json", "--judgements", "results/judgements.json", "--demos", *demos),
            *("--models", *models, "--set-aside", aside, "--segments", *every["segments"], "--out", "results/report/index.html"),
        ),
    )


def part_corpus(work: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The commands, then what one more song makes anew."""
    shards = args.shards or SHARDS.get(args.songs) or max(1, args.songs // 1000)
    music = stand_ins(work / "music", args.songs)
    folder = project(work / "project", music, shards)
    measured(folder, *SNAKEMAKE, "-n", "--quiet", "all", "--", "dataset")
    params = load(folder / "params.yaml")
    params = params.model_copy(update={"train": params.train.model_copy(update={"base": params.train.base.model_copy(update={"steps": 1})})})
    making = made_up(folder, "corpus", shards)
    there = json.loads(making.said.splitlines()[-1])
    print(f"\n{there['songs']} songs that can be used of {args.songs}, {there['segments']} segments, {shards} shards; made up in {making.cpu_s:.0f} CPU s", flush=True)
    sizes = {
        name: sum(size(folder / one.format(shard=shard)) for shard in names(shards))
        for name, one in (("songs", OF_A_SHARD[0]), ("segments", OF_A_SHARD[3]), ("codes", OF_A_SHARD[4]))
    }
    print("MB: " + ", ".join(f"{name} {value / 1e6:.0f}" for name, value in sizes.items()))
    print(f"{'command':<16}{HEADING}   it said")
    found = {}
    for name, command in commands(folder, names(shards), params):
        took = measured(folder, *command)
        found[name] = took.row
        print(f"{name:<16}{took}   {took.said.strip().splitlines()[-1][:110] if took.said.strip() else ''}", flush=True)
    large = [name for name, row in found.items() if row["together_mb"] > WANTED_MB]
    print(f"wanted: {WANTED_MB} MB: " + (f"MISSED by {', '.join(large)}" if large else "met"))
    page = size(folder / "results/report/index.html")
    print(f"the page has {page / 1e6:.1f} MB")
    return there | {"shards": shards, "bytes": sizes, "commands": found, "page_bytes": page, "one_more": one_more(folder, music, shards)}


def one_more(folder: Path, music: Path, shards: int) -> dict[str, Any]:
    """In a project in which all is made, what a song more plans."""
    pretend(folder, shards)
    before = dict[str, int]()
    written_lists(folder, before)
    stand_in(music / "0000/one more.mp3")
    took = measured(folder, *SNAKEMAKE, "-n", "--", "dataset")
    lists, written = written_lists(folder, before)
    summary = measured(folder, *SNAKEMAKE, "--detailed-summary", "--", "dataset").said
    jobs = touched(folder, summary)
    print(f"\none song more: {lists} list of {written} bytes written; jobs {planned(took.said)}\n{'rule':<12}{'reads MB':>10}{'writes MB':>11}")
    for rule, (read, wrote) in jobs.items():
        print(f"{rule:<12}{read / 1e6:>10.1f}{wrote / 1e6:>11.1f}")
    whole = sum(size(folder / one.format(shard=shard)) for shard in names(shards) for one in OF_A_SHARD)
    print(f"of {whole / 1e6:.0f} MB that all shards have; and the sound of one shard of {shards}, which is decoded, heard, cut and encoded anew")
    return {"lists": lists, "list_bytes": written, "jobs": planned(took.said), "read_written_bytes": jobs, "all_bytes": whole}


def touched(folder: Path, summary: str) -> dict[str, tuple[int, int]]:
    """Bytes that pending jobs read and write, by rule, from Snakemake's detailed summary; code left out."""
    lines = [line.split("\t") for line in summary.splitlines()]
    start = next(number for number, line in enumerate(lines) if line[0] == "output_file")
    columns, rows = lines[start], [line for line in lines[start + 1 :] if len(line) == len(lines[start])]
    read, wrote = dict[str, set[str]](), dict[str, set[str]]()
    for row in (dict(zip(columns, line)) for line in rows):
        if row["plan"] != "no update":
            read.setdefault(row["rule"], set()).update(name for name in row["input-file(s)"].split(",") if not name.startswith("src/"))
            wrote.setdefault(row["rule"], set()).add(row["output_file"])
    return {rule: (sum(size(folder / name) for name in read[rule]), sum(size(folder / name) for name in wrote[rule])) for rule in read}


def main() -> None:
    """Read the command line, run, end with the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--files", type=int, nargs="+", default=list(SHARDS), help="of each plan")
    parser.add_argument("--songs", type=int, default=100_000, help="of the corpus")
    parser.add_argument("--shards", type=int, help="default: 4, 16, 64 and 1,000 for 1,000, 10,000, 100,000 and 1,000,000 files")
    parser.add_argument("--tiny", action="store_true", help="few files, to see that it runs")
    parser.add_argument("--folder", type=Path, help="an existing folder for what is made, on a disk with room (4 GB for 100,000 songs); default: the temporary one")
    args = parser.parse_args()
    if args.tiny:
        args.files, args.songs, args.shards = [200], 200, 4
    parts: dict[str, Callable[[Path, argparse.Namespace], Any]] = {"plan": part_plan, "corpus": part_corpus}
    with tempfile.TemporaryDirectory(prefix="ostinato-scale-", dir=args.folder, ignore_cleanup_errors=True) as work:
        print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}", flush=True)
        found = {part: parts[part](Path(work), args) for part in PARTS if part in args.only}
    print(json.dumps({"benchmark": "scale", **found}))


if __name__ == "__main__":
    main()
