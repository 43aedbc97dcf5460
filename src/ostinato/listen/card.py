"""Evaluate the ears on music they were not trained on and write the card that goes with them: data, scores, limits.

The test clips are drills of another seed and of a SoundFont that no ear was trained with, heard through the same door as recordings are. Scores are mir_eval's
(Raffel et al., ISMIR 2014), weighted by duration over all clips, percent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import mir_eval
import numpy as np

from ostinato.ears.spectra import chunks, perform
from ostinato.etudes.rendering import SAMPLE_RATE, Player, soundfont
from ostinato.harmony.instruments import FAMILIES
from ostinato.listen import beat_scores, instrument_scores
from ostinato.listen.calibration import by_quality, expected_error, said
from ostinato.listen.hear import hear
from ostinato.params import Listen
from ostinato.params.ears import Drills, Ears

METRICS = ("root", "majmin", "sevenths", "majmin_inv", "sevenths_inv")
#: Clips without any chord are scored apart: share of their time that is called no chord.
NO_CHORD = "no chord"


def evaluate(params: Drills, listen: Listen) -> dict[str, Any]:
    """The scores of all ears of `listen.ears`, over all test clips; the one who listens and the one who judges are compared as well."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        tasks = chunks(params.clips, [soundfont(path) for path in params.soundfonts])
        rows = [row for some in pool.map(partial(_hear_chunk, params=params, listen=listen), tasks) for row in some]
    scores: dict[str, Any] = {ear: summarise(rows, ear) for ear in ("labeller", "judge")}
    for ear in ("labeller", "judge"):
        answers = [answer for row in rows for answer in row[f"{ear} said"]]
        scores[ear] |= {"calibration error": round(expected_error(answers), 3), "by quality": by_quality(answers)}
    scores["instruments"] = instrument_scores.scores([row["instruments"] for row in rows])
    scores["agreement"] = {"majmin": _weighted([(row["agreement"], row["seconds"]) for row in rows])}
    return scores


def text(scores: Mapping[str, Any], params: Ears, trained: Mapping[str, Any]) -> str:
    """The card. `trained`: the summaries of the ears' trainings."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("card.md.j2").render(scores=scores, params=params, trained=trained, metrics=METRICS, families=FAMILIES, beat_columns=beat_scores.COLUMNS)


def _hear_chunk(task: tuple[Path, range], params: Drills, listen: Listen) -> list[dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    font, numbers = task
    player = Player(font)
    return [hear_clip(k, params, player, listen) for k in numbers]


def hear_clip(k: int, params: Drills, player: Player, listen: Listen) -> dict[str, Any]:
    """What both ears make of test clip `k`: their comparisons with the truth and with one another, and what the instruments' ear makes of another."""
    sound, truth = perform(np.random.default_rng([params.seed, k]), player, params.synthesised)
    heard = {ear: hear(sound, SAMPLE_RATE, listen, want_form=ear == "labeller", ear=ear) for ear in ("labeller", "judge")}
    seconds = len(sound) / SAMPLE_RATE
    timelines = {ear: [(start, end, chord.harte) for start, end, chord in found.chords] for ear, found in heard.items()}
    asked = [(start, end, chord.harte) for start, end, chord in truth]
    return {
        "seconds": seconds,
        "chordless": all(name == "N" for _, _, name in asked),
        "instruments": instrument_scores.hear_clip(k, params.seed, player, listen, worn=False),
        "agreement": compare(timelines["judge"], timelines["labeller"], ("majmin",))["majmin"][0],
        **{ear: compare(asked, found, METRICS) for ear, found in timelines.items()},
        **{f"{ear} said": said(truth, found.chords, found.confidences) for ear, found in heard.items()},
    }


def compare(asked: Sequence[tuple[float, float, str]], heard: Sequence[tuple[float, float, str]], metrics: Sequence[str]) -> dict[str, tuple[float, float]]:
    """(score 0-100, seconds compared) of each metric: mir_eval leaves out what a vocabulary cannot compare."""
    reference, estimate = (np.array([row[:2] for row in rows]) for rows in (asked, heard))
    estimate, labels = mir_eval.util.adjust_intervals(estimate, [row[2] for row in heard], reference.min(), reference.max(), "N", "N")
    intervals, first, second = mir_eval.util.merge_labeled_intervals(reference, [row[2] for row in asked], estimate, labels)
    durations = mir_eval.util.intervals_to_durations(intervals)
    scored = {}
    for name in metrics:
        right = getattr(mir_eval.chord, name)(first, second)
        weight = float(durations[right >= 0].sum())
        scored[name] = (100 * float(right[right >= 0] @ durations[right >= 0]) / weight if weight else 0.0, weight)
    return scored


def summarise(rows: Sequence[dict[str, Any]], ear: str) -> dict[str, Any]:
    """Scores of one ear over all clips with chords, and how much of the time without it calls no chord."""
    music, nothing = [row for row in rows if not row["chordless"]], [row for row in rows if row["chordless"]]
    scores = {name: _weighted([row[ear][name] for row in music]) for name in METRICS}
    judged = sum(row[ear]["sevenths"][1] for row in music) / sum(row["seconds"] for row in music)
    return scores | {"sevenths_judged": round(100 * judged, 1), NO_CHORD: _weighted([row[ear]["majmin"] for row in nothing])}


def _weighted(pairs: Sequence[tuple[float, float]]) -> float:
    total = sum(weight for _, weight in pairs)
    return round(sum(value * weight for value, weight in pairs) / total, 2) if total else 0.0
