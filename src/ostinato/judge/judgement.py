"""Hear every demo, compare it with its prompt, and set each number beside the ceiling and chance.

Reads `<demo>.wav` with its sidecar from each folder of demos (before, after, ceiling). Writes `scores.json` (means with intervals over the
held-out prompts; the seed prompts apart, under `seed_prompts`) and `judgements.json` (one entry a clip). All metrics are percentages and
higher is better. A held-out prompt that does occur in the training labels is reported under `seen` and not scored.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ostinato.files import UserError, read_json
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import Prompt, PromptError, parse, require_chords
from ostinato.judge.adherence import Span, Triad, agreement, align, cadence, chord_metrics, last_chord, order_edit_distance, triads_in_order
from ostinato.judge.intervals import Estimate, Values, bootstrap, chance, chance_by_clip, derangements, paired, partners
from ostinato.judge.tonal import Bass, bass_energy, quantise, share_of_bass, sound_end, sounding_share
from ostinato.params import Judge, Listen
from ostinato.sidecars import sidecar_path

WHICH = ("before", "after", "ceiling")
METRICS = (
    "root",
    "thirds",
    "majmin",
    "triads",
    "sevenths",
    "judged",
    "root_judged",
    "thirds_judged",
    "majmin_judged",
    "triads_judged",
    "sevenths_judged",
    "order",
    "bass",
    "last_chord",
    "cadence",
    "sounding",
    "agreement",
    "majmin_labeller",
)


@dataclass(frozen=True)
class Demo:
    """A generated clip and what its sidecar says of it."""

    path: str
    which: str
    name: str
    prompt: str
    seed: int
    heldout: bool

    @property
    def key(self) -> tuple[str, str, int]:
        """The same before and after training."""
        return self.prompt, self.name, self.seed


@dataclass(frozen=True)
class Clip:
    """What is heard in a demo, independent of any prompt: everything `score` needs, so that other prompts can be tried on it.

    `heard` is what the judge's ear hears, which scores; `second` what the labeller's does, which only shows where the two disagree.
    """

    duration: float
    heard: list[Span]
    second: list[Span]
    bass: Bass
    sounding: float
    sound_end: float
    chroma: list[list[int]]


#: A clip, what is heard in it, and its metrics against its own prompt.
Row = tuple[Demo, Clip, dict[str, float | None]]


def find_demos(folders: Sequence[Path]) -> list[Demo]:
    """All demos of the folders, ordered by before/after/ceiling, name and seed."""
    demos = []
    for folder in folders:
        paths = sorted(folder.glob("*.wav")) if folder.is_dir() else []
        if not paths:
            raise UserError(f"{folder}: {'no *.wav in this folder' if folder.is_dir() else 'no such folder'}; expected demos")
        demos += [_read_demo(path) for path in paths]
    missing = [which for which in WHICH if which not in {demo.which for demo in demos}]
    if missing:
        raise UserError(f"--demos {' '.join(map(str, folders))}: no clips of {', '.join(missing)}; expected each of {', '.join(WHICH)}")
    return sorted(demos, key=lambda demo: (WHICH.index(demo.which), demo.name, demo.seed))


def _read_demo(path: Path) -> Demo:
    sidecar = sidecar_path(path)
    record = read_json(sidecar)
    try:
        about = record["about"]
        demo = Demo(str(path), about["which"], about["demo"], about["prompt"], int(record["seed"]), bool(about["heldout"]))
    except (KeyError, TypeError) as error:
        raise UserError(f"{sidecar}: lacks a key ({error}); expected seed and about: which, demo, prompt, heldout") from None
    try:
        require_chords(demo.prompt)
    except PromptError as error:
        raise UserError(f"{sidecar}: about.prompt: {error}") from None
    if demo.which not in WHICH:
        raise UserError(f"{sidecar}: about.which is '{demo.which}'; expected one of {', '.join(WHICH)}")
    return demo


def training_progressions(segments: Iterable[Mapping[str, Any]]) -> Iterator[list[Triad]]:
    """The triads in order of each training segment, from rows of the table of segments."""
    for row in segments:
        yield triads_in_order([Chord.parse(name) for _, _, name in row["chords"]])


def hear_all(demos: Sequence[Demo], listen: Listen, judge: Judge, jobs: int) -> list[Clip]:
    """Hear every demo, in the order given whatever the number of processes."""
    hear_one = partial(hear_clip, listen=listen, silence_db=judge.silence_db)
    paths = [demo.path for demo in demos]
    if jobs <= 1:
        return [hear_one(path) for path in paths]
    # spawn: forking a process that already runs BLAS threads can deadlock
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(hear_one, paths))


def hear_clip(path: str, listen: Listen, silence_db: float) -> Clip:
    """Decode and hear one clip. Raises UserError when it cannot be read or is empty."""
    from ostinato.listen.hear import hear

    try:
        samples, rate = soundfile.read(os.fsencode(path), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: {error.error_string}") from None
    if not len(samples):
        raise UserError(f"{path}: holds no samples")
    mono = samples.mean(axis=1)
    heard, second = (hear(mono, rate, listen, want_form=False, ear=ear) for ear in ("judge", "labeller"))
    return Clip(
        len(mono) / rate,
        list(heard.chords),
        list(second.chords),
        bass_energy(mono, rate),
        sounding_share(mono, rate, silence_db),
        sound_end(mono, rate, silence_db),
        quantise(heard.chroma, heard.chroma_rate),
    )


def score(clip: Clip, prompt: Prompt, judge: Judge) -> tuple[dict[str, float | None], list[Span]]:
    """All metrics of a clip against a prompt, percent or None, and the asked chords as laid over the clip."""
    asked = align(prompt, clip.heard, clip.duration, judge.min_share)
    heard_chords = [chord for _, _, chord in clip.heard]
    metrics = chord_metrics(asked, clip.heard) | {
        "order": 100 * (1 - order_edit_distance(prompt.chords, heard_chords)),
        "bass": share_of_bass(clip.bass, asked),
        "last_chord": last_chord(asked, clip.heard),
        "cadence": cadence(prompt.chords, clip.heard, clip.sound_end),
        "sounding": clip.sounding,
        "agreement": agreement(clip.heard, clip.second, clip.duration),
        "majmin_labeller": chord_metrics(align(prompt, clip.second, clip.duration, judge.min_share), clip.second)["majmin"],
    }
    return metrics, asked


def summarise(rows: Sequence[Row], seen: set[str], judge: Judge) -> dict[str, Any]:
    """scores.json: before, after, ceiling and chance over the unseen held-out prompts, the same for the seed prompts, and the gains."""
    pool = sorted({demo.prompt for demo, _, _ in rows})
    unseen = sorted({demo.prompt for demo, _, _ in rows if demo.heldout} - seen)
    if not unseen:
        logging.warning("no held-out prompt is left to score: all occur in the training labels; name others in demos.heldout")
    headline = [row for row in rows if row[0].heldout and row[0].prompt not in seen]
    others = [row for row in rows if not row[0].heldout]
    result, permuted = _estimates(headline, unseen, judge)
    seeds, _ = _estimates(others, pool, judge)
    before, after = _values(headline, "before"), _values(headline, "after")
    drawn = judge.bootstrap, judge.confidence, judge.seed
    return result | {
        "seed_prompts": seeds,
        "gain": paired(after, before, *drawn),
        "permuted_gain": paired(permuted, before, *drawn),
        "unit": "percent",
        "confidence": judge.confidence,
        "heldout": unseen,
        "seen": sorted(seen),
    }


def _estimates(rows: Sequence[Row], pool: list[str], judge: Judge) -> tuple[dict[str, dict[str, Estimate]], Values]:
    """Each of before, after, ceiling and chance over `rows`; and each after-clip's majmin against permuted prompts."""
    result = {which: {name: bootstrap(_grouped(rows, which, name), judge.bootstrap, judge.confidence, judge.seed) for name in METRICS} for which in WHICH}
    result["chance"], permuted = _chance([row[:2] for row in rows if row[0].which == "after"], pool, judge)
    return result, permuted


def _grouped(rows: Sequence[Row], which: str, name: str) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for demo, _, metrics in rows:
        if demo.which == which and (value := metrics[name]) is not None:
            groups.setdefault(demo.prompt, []).append(value)
    return groups


def _chance(after: Sequence[tuple[Demo, Clip]], pool: list[str], judge: Judge) -> tuple[dict[str, Estimate], Values]:
    """The after-clips against permuted prompts: every clip is judged once against every prompt, then only indices are permuted."""
    own = sorted({demo.prompt for demo, _ in after})
    owners = np.array([own.index(demo.prompt) for demo, _ in after], dtype=int)
    asked = [parse(prompt) for prompt in pool]
    table = [[score(clip, prompt, judge)[0] for prompt in asked] for _, clip in after]
    allowed = partners([parse(prompt) for prompt in own], asked)
    choices = derangements(allowed, judge.permutations, judge.seed)
    shape = len(after), len(pool)
    matrices = {name: np.array([[metrics[name] for metrics in row] for row in table], dtype=float).reshape(shape) for name in METRICS}
    estimates = {name: chance(matrix, owners, choices, judge.confidence) for name, matrix in matrices.items()}
    by_clip = chance_by_clip(matrices["majmin"], owners, choices)
    return estimates, {demo.key: value for (demo, _), value in zip(after, by_clip)}


def _values(rows: Sequence[Row], which: str) -> Values:
    return {demo.key: metrics["majmin"] for demo, _, metrics in rows if demo.which == which}


def judgement(demo: Demo, clip: Clip, scored: tuple[dict[str, float | None], list[Span]], seen: set[str]) -> dict[str, Any]:
    """One entry of judgements.json."""
    metrics, asked = scored
    return {
        "which": demo.which,
        "demo": demo.name,
        "prompt": demo.prompt,
        "seed": demo.seed,
        "path": demo.path,
        "heldout": demo.heldout,
        "seen": demo.prompt in seen,
        "duration": round(clip.duration, 3),
        "chroma": clip.chroma,
        "metrics": {name: None if value is None else round(value, 2) for name, value in metrics.items()},
        "asked": _timeline(asked),
        "heard": _timeline(clip.heard),
        "second": _timeline(clip.second),
    }


def _timeline(spans: Sequence[Span]) -> list[list[Any]]:
    return [[round(start, 3), round(end, 3), chord.harte] for start, end, chord in spans]
