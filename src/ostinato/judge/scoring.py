"""A clip against its prompt, or against another: all metrics. Percent, higher is better, but for `tempo_error`, `repetition`, and `longest_copy`, which is in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ostinato.harmony.instruments import asked, obeyed_by
from ostinato.harmony.prompts.kinds import KINDS
from ostinato.harmony.prompts.prompt import Prompt, parse
from ostinato.judge.adherence import COMPARISONS, Span, agreement, align, cadence, chord_metrics, last_chord, on_grid, order_edit_distance, segmentation
from ostinato.judge.demos import Demo
from ostinato.judge.hearing import Clip
from ostinato.judge.tempo import beat_f1, tempo_error
from ostinato.judge.tonal import share_of_bass
from ostinato.params import Judge

#: A clip may be longer or shorter than asked by this share: codecs have frames.
SLACK = 0.03
#: The one number: root, third and fifth of the chord asked, for as long and at the place it is asked. It is defined for every chord, which `majmin` is not.
HEADLINE = "triads"
#: What the kinds of prompts are about.
MEASURES = dict.fromkeys(KINDS, HEADLINE) | {"sevenths": "sevenths", "inversions": "triads_inv"}
#: Other listeners, by their fields of a Clip: the headline's simplest relative, which they all know.
LISTENERS = {"labeller": "second", "templates": "templates", "chordino": "chordino"}
METRICS = (
    *COMPARISONS,
    "seg",
    "order",
    "bass",
    "last_chord",
    "cadence",
    "instrument",
    *(f"{name}_aligned" for name in COMPARISONS),
    *(f"majmin_{name}" for name in LISTENERS),
    "agreement",
    "sounding",
    "repetition",
    "longest_copy",
    "clap",
    "beat_f1",
    "tempo_error",
    "tempo_error_octaves",
    "judged",
    *(f"{name}_judged" for name in COMPARISONS),
)
Metrics = dict[str, float | None]
#: A clip, what is heard in it, and its metrics against its own prompt.
Row = tuple[Demo, Clip, Metrics]


def length(demo: Demo, clip: Clip) -> float:
    """Over how many seconds the chords were asked: those of the clip, unless it is clearly shorter or longer than was asked. What is missing then counts as silence."""
    return clip.duration if demo.seconds is None or abs(clip.duration - demo.seconds) <= SLACK * demo.seconds else demo.seconds


def score(demo: Demo, clip: Clip, prompt: Prompt, judge: Judge, instruments: Sequence[str]) -> Metrics:
    """All metrics of a clip against a prompt that names chords, which may be another than its own; percent or None.

    Args:
        instruments: among which is decided what plays (those that any prompt asks for).
    """
    seconds = length(demo, clip)
    asked, aligned = on_grid(prompt, seconds), align(prompt, clip.heard, seconds, judge.min_share)
    strict, lenient = chord_metrics(asked, clip.heard), chord_metrics(aligned, clip.heard)
    others = {name: getattr(clip, field) for name, field in LISTENERS.items()}
    return (
        dict.fromkeys(METRICS)
        | strict
        | {f"{name}_aligned": lenient[name] for name in COMPARISONS}
        | {f"majmin_{name}": None if heard is None else chord_metrics(asked, heard)["majmin"] for name, heard in others.items()}
        | {
            "seg": segmentation(asked, clip.heard),
            "order": 100 * (1 - order_edit_distance(prompt.chords, [chord for _, _, chord in clip.heard])),
            "bass": share_of_bass(clip.bass, asked),
            "last_chord": last_chord(asked, clip.heard),
            "cadence": cadence(prompt.chords, clip.heard, clip.sound_end),
            "agreement": agreement(clip.heard, clip.second, clip.duration),
        }
        | score_without_chords(clip, prompt, instruments)
    )


def score_without_chords(clip: Clip, prompt: Prompt, instruments: Sequence[str]) -> Metrics:
    """What can be said of any prompt: are the instruments asked heard (None: none of `instruments` is named, or there is but one), does it sound, what of it is a loop."""
    named = [name for name in asked(prompt.instrument) if name in instruments] if len(instruments) > 1 else []
    return {"instrument": share_obeyed(named, clip.instruments, instruments) if named else None, "sounding": clip.sounding, "repetition": clip.repeated}


def share_obeyed(named: Sequence[str], heard: Mapping[str, float], instruments: Sequence[str]) -> float:
    """Percent of the names asked that are among as many of `instruments`, the likeliest; a name is as likely as the likeliest family that obeys it.

    Names that the same family obeys, `guitar` and `electric guitar`, are no rivals.
    """
    families = {name: set(obeyed_by(name)) for name in instruments}
    best: list[str] = []
    for name in sorted(instruments, key=lambda name: (-max(heard.get(family, 0.0) for family in families[name]), name not in named)):
        if not any(families[name] & families[other] for other in best):
            best.append(name)
    return 100.0 * sum(name in best[: len(named)] for name in named) / len(named)


def asked_instruments(demos: Iterable[Demo]) -> list[str]:
    """Those that any prompt asks for, as far as they are known (harmony.instruments)."""
    return sorted({name for prompt in {demo.prompt for demo in demos} for name in asked(parse(prompt).instrument)})


def score_tempo(demo: Demo, clip: Clip) -> Metrics:
    """Is the tempo asked the one heard? Nothing where none was asked."""
    if demo.tempo is None:
        return {}
    error, of_octaves = tempo_error(clip.tempo, demo.tempo)
    return {"beat_f1": beat_f1(clip.beats, demo.tempo, clip.duration), "tempo_error": error, "tempo_error_octaves": of_octaves}


def score_all(demos: Sequence[Demo], clips: Sequence[Clip], judge: Judge) -> list[Row]:
    """Every clip against its own prompt."""
    prompts, instruments = {demo.prompt: parse(demo.prompt) for demo in demos}, asked_instruments(demos)
    rows: list[Row] = []
    for demo, clip in zip(demos, clips):
        prompt = prompts[demo.prompt]
        metrics = score(demo, clip, prompt, judge, instruments) if prompt.chords else score_without_chords(clip, prompt, instruments)
        rows.append((demo, clip, metrics | score_tempo(demo, clip)))
    return rows


def judgement(row: Row, seen: set[str]) -> dict[str, Any]:
    """One entry of judgements.json."""
    demo, clip, metrics = row
    prompt = parse(demo.prompt)
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
        "asked": _timeline(on_grid(prompt, length(demo, clip))) if prompt.chords else [],
        "heard": _timeline(clip.heard),
        "second": _timeline(clip.second),
    }


def _timeline(spans: Sequence[Span]) -> list[list[Any]]:
    return [[round(start, 3), round(end, 3), chord.harte] for start, end, chord in spans]
