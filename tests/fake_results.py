"""Made-up results of both tracks below the present folder, each artifact with its sidecar, and `ostinato report` on them."""

import json
import math
import re
from pathlib import Path

import numpy as np
import soundfile

from ostinato.cli import main
from ostinato.files import read_json, write_json, write_jsonl, write_text
from ostinato.harmony.chords import COMMON, Chord
from ostinato.harmony.prompts.prompt import parse
from ostinato.midi.notes import Piece, write_midi
from ostinato.report.scores import METRICS
from ostinato.sidecars import write_sidecar

PROMPTS = ("piano CMajor", "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj")
HELDOUT = ("guitar Amaj, followed by C#min, Dmaj, and Emaj",)
EVIL = "<script>alert(1)</script> \"quoted\" & 'more'.wav"
RATE = 16000
#: Share of chords that a set of clips gets wrong.
WRONG = {"before": 0.85, "after": 0.2, "reference": 0.03}
#: Those of sets that stand beside them in evidence.
WRONG_TOO = {"after-5": 0.25, "control": 0.85}
MIDI = Path("results/midi")
OPTIONS = (
    "--midi-scores",
    str(MIDI / "scores.json"),
    "--midi-judgements",
    str(MIDI / "judgements.json"),
    "--midi-demos",
    str(MIDI / "demos"),
    "--midi-models",
    str(MIDI / "models/pretrained"),
    str(MIDI / "models/Bach"),
)


def build(prompts, heldout, seconds, seeds=(1, 2), songs=5):
    """Fake results below the present folder: songs, a codec, models with events, demos, judgements, scores, set-aside files."""
    rng = np.random.default_rng(0)
    for song in range(songs):
        write_text(f"corpus/song-{song}.flac", f"song {song}")
    write_text("results/codec/codec.bin", "codec")
    write_sidecar("results/codec", "codec", [f"corpus/song-{song}.flac" for song in range(songs)], {"codebooks": 4}, seed=5)
    for name, signature, steps in (("base", "b", 400), ("tune-1", "t1", 800), ("tune-2", "t2", 800), ("tuned", "t2", 800)):
        build_model(name, signature, steps, rng)
    write_sidecar("results/models/tuned", "best", ["results/models/tune-1", "results/models/tune-2"])
    entries = [
        build_clip(which, prompt, seed, seconds, prompt in heldout, rng)
        for which in WRONG
        for prompt in (*prompts, *heldout)
        for seed in seeds
        if not (which == "reference" and prompt == prompts[0] and len(prompts) == 2)
    ]
    write_json("results/judgements.json", entries)
    write_json("results/scores.json", build_scores(heldout))
    write_text("results/corpus/set_aside.tsv", f"path\treason\tdetail\n{EVIL}\tunreadable\tno audio in it\nsilence.wav\tsilent\t-91 dBFS\n")


def build_model(name, signature, steps, rng):
    events = [{"event": "start", "config": {"dim": 192}}]
    for step in range(10, steps + 1, 10):
        loss = 2.1 + 4 * math.exp(-step / 90) * (name == "base") + 1.2 * math.exp(-step / 200) + rng.normal(0, 0.05)
        events.append({"step": step, "split": "train", "loss": loss, "lr": 1e-3, "seconds": step / 3})
        if step % 100 == 0:
            events.append({"step": step, "split": "valid", "loss": loss + 0.15})
    folder = Path("results/models") / name
    write_jsonl(folder / "events.jsonl", events)
    write_text(folder / "state_dict.bin", f"weights {name}")
    write_json(
        folder / "summary.json",
        {
            "name": name,
            "signature": signature,
            "steps": steps,
            "parameters": 3_600_000,
            "seconds": 95.0,
            "plan": {"lr": 1e-3, "batch_size": 16, "segment_seconds": 10},
            "job": {"id": "4711"},
        },
    )
    parent = ["results/models/base"] if name.startswith("tune-") else []
    write_sidecar(folder, "train", ["results/codec", *parent], {"lr": 1e-3, "steps": steps}, seed=3)


def build_clip(which, prompt, seed, seconds, heldout, rng):
    chords = parse(prompt).chords
    edges = np.linspace(0, seconds, len(chords) + 1)
    asked = [[round(a, 3), round(b, 3), chord.harte] for a, b, chord in zip(edges, edges[1:], chords)]
    heard = [span for start, end, name in asked for span in hear(start, end, name, (WRONG | WRONG_TOO)[which], rng)]
    name = re.sub(r"\W+", "-", prompt.lower()).strip("-")
    path = Path(f"results/demos/{which}/{name}-s{seed}.wav")
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(heard, seconds), RATE)
    model = "results/codec" if which == "reference" else "results/models/" + {"before": "base", "after": "tuned", "after-5": "tune-1", "control": "tune-1"}[which]
    write_sidecar(path, "reference" if which == "reference" else "demos", [model], {"top_k": 60}, seed, {"prompt": prompt})
    right = 100 * sum(b - a for a, b, n in heard if any(c <= a < d and m == n for c, d, m in asked)) / seconds
    metrics = {metric: float(np.clip(right + rng.normal(0, 4), 0, 100)) for metric in METRICS} | {"triads": right, "sevenths": None}
    return {
        "which": which,
        "demo": name,
        "prompt": prompt,
        "seed": seed,
        "path": str(path),
        "heldout": heldout,
        "duration": seconds,
        "metrics": metrics,
        "asked": asked,
        "heard": heard,
        "chroma": chroma(heard, seconds, rng),
    }


def hear(start, end, name, wrong, rng):
    middle = round(start + (end - start) * rng.uniform(0.3, 0.8), 3)
    for a, b in ((start, middle), (middle, end)):
        draw = rng.random()
        other = "N" if draw < 0.05 else f"{COMMON[rng.integers(12)]}:{rng.choice(['maj', 'min', '7', 'min7'])}"
        yield [a, b, other if rng.random() < wrong else name]


def sound(spans, seconds):
    times = np.arange(int(seconds * RATE)) / RATE
    samples = np.zeros_like(times)
    for start, end, name in spans:
        inside = (times >= start) & (times < end)
        for tone in Chord.parse(name).pitch_classes:
            for harmonic in (1, 2, 3):
                local = times[inside] - start
                samples[inside] += 0.1 / harmonic * np.sin(2 * np.pi * harmonic * 261.63 * 2 ** (tone / 12) * local) * np.exp(-local)
    return samples


def chroma(spans, seconds, rng):
    frames = max(1, round(seconds * 5))
    table = rng.integers(2, 22, (12, frames))
    for start, end, name in spans:
        for tone in Chord.parse(name).pitch_classes:
            table[tone, int(start * 5) : max(int(start * 5) + 1, int(end * 5))] = rng.integers(55, 100)
    return table.tolist()


def build_scores(heldout):
    """scores.json as `judge.summary.summarise` writes it."""
    levels = {"before": 22, "after": 74, "reference": 95, "reference-2": 93}
    sets = {which: {metric: about(level + i % 4) for i, metric in enumerate(METRICS)} | {"majmin_chordino": about(None)} for which, level in levels.items()}
    chance = {which: {metric: about(17 if which == "before" else 12) for metric in METRICS} for which in levels}
    stratum = {"measure": "triads", "prompts": 1, "sets": {which: about(level) for which, level in levels.items()}, "chance": dict.fromkeys(levels, 3.0)}
    names = (("kind", "triads"), ("kind", "suspended, diminished, augmented"), ("chords", "4 chords"), ("instrument", "guitar"), ("phrasing", "followed"))
    return {
        "headline": "triads",
        "unit": "percent",
        "confidence": 0.95,
        "min_share": 0.8,
        "heldout": list(heldout),
        "seen": [],
        "transposed": list(heldout),
        "in_part": [],
        "sets": sets,
        "chance": chance,
        "other_orders": {which: {"mean": about(level / 4), "best": about(level / 2)} for which, level in levels.items()},
        "strata": [{"by": by, "name": name} | stratum for by, name in names],
        "seed_prompts": dict(sets),
        "text_only": {
            which: {"instrument": about(40 if which in ("before", "after") else None), "sounding": about(99 if which in ("before", "after") else None)} for which in levels
        },
        "gain": {"value": 52.0, "low": 44.6, "high": 59.2, "n": 10},
        "gain_over_chance": {"value": 47.0, "low": 40.2, "high": 54.0, "n": 10},
        "after_minus_reference": {"value": -21.0, "low": -30.0, "high": -12.0, "n": 10},
    }


def about(value):
    """An estimate, or one of what is not defined."""
    return {"value": value, "low": None, "high": None, "n": 0} if value is None else {"value": float(value), "low": value - 6.0, "high": value + 5.0, "n": 10}


def build_evidence(heldout):
    """What `make evidence` adds to the scores and the demos: another training and a control."""
    scores = build_scores(heldout)
    for which, level in (("after-5", 70), ("control", 20)):
        for part in ("sets", "chance", "other_orders", "seed_prompts", "text_only"):
            scores[part][which] = {name: about(level if part == "sets" else 12) for name in scores[part]["after"]}
        for stratum in scores["strata"]:
            stratum["sets"][which], stratum["chance"][which] = about(level), 3.0
    rng = np.random.default_rng(9)
    more = [build_clip(which, prompt, 1, 1.0, prompt in heldout, rng) for which in ("after-5", "control") for prompt in (*PROMPTS, *heldout)]
    write_json("results/judgements.json", read_json("results/judgements.json") + more)
    write_json(
        "results/scores.json",
        scores
        | {
            "after_minus_control": {"value": 54.0, "low": 40.0, "high": 66.0, "n": 10},
            "trainings": {"values": {"after": 74.0, "after-5": 70.0}, "mean": 72.0, "deviation": 2.8},
            "sound": {"kad": {"before": about(0.31), "after": about(0.12), "after-5": about(0.14)}},
        },
    )


def report(*more):
    demos = [str(path) for path in sorted(Path("results/demos").iterdir())]
    models = [f"results/models/{name}" for name in ("base", "tune-1", "tune-2", "tuned")]
    return main(
        [
            "report",
            "--params",
            json.dumps({"title": "Ostinato", "players_per_prompt": 1}),
            "--scores",
            "results/scores.json",
            "--judgements",
            "results/judgements.json",
            "--demos",
            *demos,
            "--models",
            *models,
            "--set-aside",
            "results/corpus/set_aside.tsv",
            "--out",
            "results/report/index.html",
            *more,
        ]
    )


def build_midi(seconds=2.0):
    """Fake results of the MIDI track below the present folder, with the chain of sidecars behind them."""
    write_midi("raw/bach/one.mid", Piece.of([(i / 4, i / 4 + 0.2, 60 + i, 80, 0) for i in range(8)]))
    write_jsonl(MIDI / "pieces.jsonl", [{"id": "bach/one", "path": "raw/bach/one.mid"}])
    write_sidecar(MIDI / "pieces.jsonl", "pieces", ["raw"])
    for name in ("tokenizer.json", "midi-00.npy", "midi-00.jsonl"):
        write_text(MIDI / "tokens" / name, name)
        write_sidecar(MIDI / "tokens" / name, "tokens", [MIDI / "pieces.jsonl"])
    build_midi_model("pretrained", [])
    build_midi_model("Bach", [MIDI / "models/pretrained/state_dict.bin"])
    entries = [build_composition(kind, composer, seed, seconds) for composer in ("Bach", EVIL) for kind in ("sample", "continuation", "infilling", "style") for seed in (1, 2)]
    write_json(MIDI / "judgements.json", {"demos": entries})
    write_json(MIDI / "scores.json", build_midi_scores())


def build_midi_model(name, parent):
    folder = MIDI / "models" / name
    events = [{"step": step, "split": split, "loss": 3 - step / 200 + (split == "valid") / 9, "seconds": step} for step in range(10, 301, 10) for split in ("train", "valid")]
    write_jsonl(folder / "events.jsonl", [{"event": "start", "config": {"composer": name}}, *events])
    write_json(folder / "summary.json", {"name": f"midi-{name}", "signature": name, "plan": {"lr": 3e-3, "batch_size": 8}, "parameters": 2e6})
    write_text(folder / "state_dict.bin", name)
    write_sidecar(folder / "state_dict.bin", "midi-train", [*sorted((MIDI / "tokens").glob("*.npy")), *parent], {"name": name}, 4)


def build_composition(kind, composer, seed, seconds):
    rng = np.random.default_rng([seed, len(kind)])
    notes = [
        [round(time, 3), round(time + length, 3), int(pitch), int(velocity), int(program), int(given)]
        for time, length, pitch, velocity, program, given in zip(
            np.arange(0, seconds - 0.3, 0.06),
            rng.uniform(0.05, 0.6, 999),
            60 + 9 * rng.normal(size=999),
            rng.integers(30, 120, 999),
            rng.choice([0, 0, 0, 48, -1], 999),
            {"sample": [0] * 999}.get(kind, rng.random(999) < 0.2),
        )
    ]
    name = f"{'bach' if composer == 'Bach' else 'evil'}-{kind}-s{seed}"
    path, wav = MIDI / f"demos/{name}.mid", MIDI / f"demos/{name}.wav"
    write_midi(path, Piece.of([tuple(note[:5]) for note in notes]))
    times = np.arange(int(RATE * (seconds + 0.5))) / RATE
    soundfile.write(wav, sum(0.1 * np.sin(2 * np.pi * 440 * 2 ** ((note[2] - 69) / 12) * times) * ((times >= note[0]) & (times < note[1])) for note in notes), RATE)
    about = {
        "demo": name,
        "kind": kind,
        "composer": composer,
        "model": str(MIDI / "models/Bach"),
        "given": [],
        "melody": str(MIDI / f"demos/melodies/{name}.mid") if kind == "style" else None,
        "piece": "bach/one" if kind[0] in "ci" else None,
    }
    for artifact in (path, wav):
        write_sidecar(artifact, "compositions", [MIDI / "models/Bach"], {"melody": "happy_birthday"}, seed, about)
    metrics = {
        "pitch_class_entropy": 2.81,
        "scale_consistency": 0.94,
        "groove_consistency": None,
        "notes_per_second": 4.25,
        "longest_silence_s": 0.4,
        "copied_notes": 7,
        "copied_share": 0.2,
    } | ({"melody_recall": 1.0} if kind == "style" else {})
    return {
        "demo": name,
        "kind": kind,
        "composer": composer,
        "seed": seed,
        "path": str(path),
        "notes": len(notes),
        "seconds": seconds,
        "metrics": metrics,
        "copied_from": "bach/one",
        "roll": notes,
    }


def build_midi_scores():
    def about(value, n=42):
        return {"value": value, "low": 0.9 * value, "high": 1.1 * value, "n": n}

    nothing = {"value": None, "low": None, "high": None, "n": 0}
    costs = {"model": about(8.2), "no_composer": about(8.6), "ngram": about(11.3), "unigram": about(19.5)}
    named = dict(zip(("right_name", "no_name", "wrong_name", "best_wrong_name", "ngram", "unigram"), (about(value, 40) for value in (8.3, 8.7, 9.1, 8.4, 11.3, 19.5))))
    pairs = {
        "pitch_class_entropy": (2.8, 2.9),
        "scale_consistency": (0.94, 0.96),
        "groove_consistency": (0.9, 0.91),
        "notes_per_second": (4.2, 6.6),
        "longest_silence_s": (0.4, 0.2),
        "copied_notes": (7, 11),
        "copied_share": (0.1, 0.15),
    }
    return {
        "grid": "10 ms",
        "confidence": 0.95,
        "training_pieces": 400,
        "bits_per_note": costs,
        "bits_per_note_common": costs | {"unigram": nothing},
        "ngram_gain": about(3.1),
        "ngram": {"order": 7, "transposed": True, "pieces": 300, "of": 400, "chosen_on": 20},
        "unsaid": {"notes": 1, "of": 9000},
        "collections": {
            EVIL: {"model": about(8.0, 2), "ngram": about(9.0, 2), "gain": about(1.0, 2)},
            "mass": {"model": about(8.3, 40), "ngram": about(8.1, 40), "gain": about(-0.2, 40)},
        },
        "named": named,
        "name_gain": {"no_name": about(0.4, 40), "wrong_name": about(0.9, 40), "best_wrong_name": about(0.1, 40), "best_wrong_beside": about(-0.1, 40)},
        "composer_wins": about(85.0, 40),
        "composer_wins_beside": about(50.0, 40),
        "commonest_composer": {"name": "Bach", "share": about(60.0, 40)},
        "names": 4,
        "style": {
            "heldout": about(80.0, 40),
            "generated": about(30.0, 4),
            "commonest": about(60.0, 40),
            "permuted": 50.0,
            "pitches": {"heldout": about(70.0, 40), "generated": about(20.0, 4), "permuted": 40.0},
            "by_composer": {"Bach": {"heldout": about(90.0, 30), "generated": about(30.0, 4)}, "Palestrina": {"heldout": about(70.0, 10), "generated": nothing}},
            "left_out": ["Satie"],
            "seconds": 20.0,
        },
        "metrics": {key: {"generated": about(a, 4), "heldout": about(b)} for key, (a, b) in pairs.items()},
        "overlap_area": {"pitch_range": 0.71, "inter_onset_s": None},
        "overlap_pieces": {"generated": 4, "heldout": 42},
        "longest_copy": {"notes": 7, "demo": "bach-sample-s1", "from": "bach/one"},
        "melody_recall": about(1.0, 2),
    }
