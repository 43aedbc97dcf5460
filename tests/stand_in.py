"""In place of `ostinato`: writes the files that each stage owes, and in them what they would depend on, without computing music.

A table begins with a line of what was asked for, here and before; then come songs or pieces, known by what is in their files. A test copies this file as `ostinato`.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

stage, options = sys.argv[1], {}
for word in sys.argv[2:]:
    if word.startswith("--") and "=" not in word:
        values = options[word] = []
    elif word.startswith("--"):
        options[word.partition("=")[0]] = [word.partition("=")[2]]
    else:
        values.append(word)
out = Path(options.get("--out", ["."])[0])


def write(path, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, errors="surrogateescape")


def table(path) -> tuple[str, list[str]]:
    path = Path(path)
    first, *rows = (path / "table" if path.is_dir() else path).read_text(errors="surrogateescape").splitlines()
    return first, rows


def asked(*tables) -> str:
    said = sorted({table(path)[0] for path in tables})
    return hashlib.sha256(json.dumps([stage, options.get("--params"), options.get("--words"), said]).encode()).hexdigest()[:12]


def write_table(path, first: str, rows) -> None:
    write(path, "\n".join([first, *rows]) + "\n")


def write_if_changed(path, text: str) -> None:
    if not Path(path).is_file() or Path(path).read_text() != text:
        write(path, text)


def check() -> None:
    """A row a file that can be used: what tells it from others, what lies beside it, its name."""
    lines = [json.loads(line) for line in Path(options["--files"][0]).read_text().split("\n") if line]
    beside = {os.path.splitext(path)[0]: Path(path).read_text() for kind, path, *_ in lines if kind == "beside"}
    rows = []
    for kind, path, *_ in lines:
        if kind == "wanted":
            rows.append(f"{hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]} {beside.get(os.path.splitext(path)[0], '-')} {path!a}")
    write_table(out, asked(), rows)
    for suffix in (".tsv", *([".npy"] if stage == "check-midi" else [])):
        write(out.with_suffix(suffix), "")


def first_of_each(tables) -> tuple[list[str], list[str]]:
    """Rows without their names, each once; and those that are there twice."""
    rows = sorted(row for path in tables for row in table(path)[1])
    kept = {row.split()[0]: row for row in reversed(rows)}
    return sorted(" ".join(row.split()[:2]) for row in kept.values()), [row for row in rows if row not in kept.values()]


def songs() -> None:
    for path in (options["--duplicates"][0], options["--set-aside"][0]):
        write_table(path, asked(), first_of_each(options["--songs"])[1])


def listen() -> None:
    write_table(out / "table", asked(options["--songs"][0]), [])


def segments() -> None:
    write_table(out / "table", asked(options["--songs"][0], options["--listened"][0]), table(options["--songs"][0])[1])


def codes() -> None:
    write_table(out, asked(Path(options["--codec"][0]) / "compression_state_dict.bin", options["--segments"][0]), table(options["--segments"][0])[1])
    write_table(out.with_suffix(".jsonl"), "", [])


def gather() -> None:
    write_if_changed(Path(options["--codes"][0]).parent / "contents.json", "\n".join([asked(*options["--codes"]), *first_of_each(options["--codes"])[0]]))
    write(Path(options["--codes"][0]).parent / "segments.npz", "")


def pieces() -> None:
    write_table(out / "pieces.jsonl", asked(*options["--files"]), first_of_each(options["--files"])[0])
    write_table(out / "set_aside.tsv", "", first_of_each(options["--files"])[1])


def tokenizer() -> None:
    for name in ("tokenizer.json", "contents.json"):
        write_if_changed(out / name, "\n".join([asked(options["--pieces"][0]), *table(options["--pieces"][0])[1]]))
    for name in ("words.jsonl", "translation.npy", "shards.json"):
        write(out / name, "")


def lists() -> None:
    for path in options["--out"]:
        write(path, "")


def models(*more: str) -> None:
    for folder in options["--out"]:
        for name in ("state_dict.bin", "events.jsonl", "summary.json", *more):
            write(Path(folder) / name, " ".join(sys.argv))


def scores() -> None:
    for name in ("--scores", "--judgements"):
        write(options[name][0], " ".join(sys.argv))


stages = {
    "list": lists,
    "check": check,
    "songs": songs,
    "listen": listen,
    "segments": segments,
    "manifests": lambda: [write(out / split / "data.jsonl.gz", " ".join(sys.argv)) for split in ("train", "valid", "test")],
    "codec": lambda: write_table(out / "compression_state_dict.bin", asked(), []),
    "codes": codes,
    "gather": gather,
    "train": models,
    "best": lambda: models("tokenizer.json"),
    "judge": scores,
    "judge-midi": scores,
    "track": lambda: write(options["--stamp"][0], " ".join(sys.argv)),
    "cost": lambda: write(out, " ".join(sys.argv)),
    "report": lambda: write(out, " ".join(sys.argv)),
    "list-midi": lists,
    "check-midi": check,
    "pieces": pieces,
    "tokenizer": tokenizer,
    "midi-train": lambda: models("tokenizer.json"),
}
if stage == os.environ.get("SLOW"):
    time.sleep(3)
if stage == os.environ.get("FAILING"):
    sys.exit(f"ostinato {stage}: told to fail")
stages.get(stage, lambda: write(out / "something", " ".join(sys.argv)))()
