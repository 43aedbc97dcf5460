"""Options that commands share: what all that train have, and what those of `generate` and `compose` may be, told before any work."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.files import UserError
from ostinato.params.blocks import SEEDS
from ostinato.sidecars import sidecar_path

#: A day; nobody waits for more.
MOST_SECONDS = 86400.0


@dataclass(frozen=True)
class Range:
    """From `low` to `high`; without `low` itself where it is `open`."""

    low: float
    high: float
    open: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.open else self.low <= value) and value <= self.high  # false for NaN

    def __str__(self) -> str:
        return f"above {self.low:g} and at most {self.high:g}" if self.open else f"from {self.low:g} to {self.high:g}"


RANGES = {
    "seconds": Range(0, MOST_SECONDS, open=True),
    "temperature": Range(0, 100),
    "top_k": Range(0, 2**31 - 1),
    "top_p": Range(0, 1),
    "guidance": Range(0, 100),
    "particles": Range(1, 4096),
}
#: Below this, dividing by a temperature overflows; 0 is allowed, as the likeliest.
LEAST_TEMPERATURE = 0.001


def of_training(parser: argparse.ArgumentParser) -> None:
    """Declare what all that train have in common."""
    parser.add_argument("--launch", required=True, help="how to start the job, as JSON: train.launch")
    parser.add_argument("--runs", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--again", action=argparse.BooleanOptionalAction, default=False, help="train anew what is trained already; earlier runs are set aside")


def numbers(args: argparse.Namespace) -> None:
    """Refuse numbers out of their range, and two where one counts. Raises UserError naming the option, the value and the range."""
    if args.seed is not None and not SEEDS[0] <= args.seed <= SEEDS[1]:
        raise UserError(f"--seed: expected a whole number from {SEEDS[0]} to {SEEDS[1]}, got {args.seed}")
    for name, allowed in RANGES.items():
        value = getattr(args, name, None)
        if value is not None and value not in allowed:
            raise UserError(f"{option(name)}: expected a number {allowed}, got {value:g}")
    if args.top_k and args.top_p:
        raise UserError(f"--top-k {args.top_k} and --top-p {args.top_p:g}: one at a time; give one of them, or 0 for the other")
    if args.temperature and args.temperature < LEAST_TEMPERATURE:
        raise UserError(f"--temperature: expected 0, or a number of at least {LEAST_TEMPERATURE:g}, got {args.temperature:g}")


def option(name: str) -> str:
    """An argument's name as it is typed."""
    return "--" + name.replace("_", "-")


def fill(args: argparse.Namespace, defaults: dict[str, Any]) -> None:
    """Give options that were left out (None) their defaults."""
    for name, value in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def given(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Those of some options that were typed, as they are typed."""
    return [option(name) for name in names if (value := getattr(args, name)) is not None and value is not False]


def writable(path: Path, suffixes: Sequence[str], option: str = "--out") -> None:
    """Refuse a file that cannot be written when the work is done. Nothing is left behind.

    Args:
        suffixes: what files of this kind may be called.

    Raises:
        UserError: a suffix nobody writes, a folder in the file's place, a file in a folder's place, a folder that cannot be made or written, too long a name.
    """
    if path.is_dir():
        raise UserError(f"{option} {path}: is a folder; expected a file, such as {path / ('out' + suffixes[0])}")
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{option} {path}: {f'nobody here writes {path.suffix}' if path.suffix else 'has no suffix'}; expected one of {', '.join(suffixes)}")
    if sidecar_path(path).is_dir():
        raise UserError(f"{option} {path}: {sidecar_path(path)}, which is to be written beside it, is a folder")
    try:
        _try_folder(path)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.filename or path}: {error.strerror}); name a file in a folder that can") from None


def _try_folder(path: Path) -> None:
    """Make a folder where the nearest that is there stands, and take it away; raises what the system says."""
    longest = sidecar_path(path)
    existing = path.parent
    while not os.path.lexists(existing):
        existing = existing.parent
    with tempfile.TemporaryDirectory(prefix=".ostinato-", dir=existing) as scratch:
        for name in {*path.parts[len(existing.parts) : -1], f".{longest.name}.12345678"}:
            (Path(scratch) / name).mkdir()


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file, be it there or not."""
    return os.path.realpath(one) == os.path.realpath(other)
