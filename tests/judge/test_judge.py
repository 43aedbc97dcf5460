"""The judge against cases whose scores are known."""

import gzip
import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile

from ostinato.cli import main
from ostinato.files import UserError, read_json, write_json, write_jsonl
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge.adherence import align, cadence, chord_metrics, last_chord, order_edit_distance, seen_prompts, triads_in_order
from ostinato.judge.intervals import bootstrap, chance, derangements, paired, partners
from ostinato.judge.table import table
from ostinato.judge.tonal import bass_share, quantise, sound_end, sounding_share

RATE = 16000
JUDGE = {"bootstrap": 200, "permutations": 50, "confidence": 0.95, "min_share": 0.5, "silence_db": -50, "seed": 7}
LISTEN = {"chord_switch": 2.0, "vocabulary": "sevenths", "ears": None}


def chords(names: str) -> list[Chord]:
    return [Chord.parse(name) for name in names.split()]


def line(names: str, *borders: float) -> list:
    """A timeline: `line("C F", 0, 4, 10)`."""
    return [(a, b, chord) for a, b, chord in zip(borders, borders[1:], chords(names))]


def judged(prompt: str, heard: list, duration: float = 10.0, min_share: float = 0.5) -> dict:
    return chord_metrics(align(parse(prompt), heard, duration, min_share), heard)


def sines(*notes: int, seconds: float = 4.0, amplitude: float = 0.2) -> np.ndarray:
    """MIDI notes as sines with two harmonics."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * h * 440 * 2 ** ((note - 69) / 12) * time) / h for note in notes for h in (1, 2, 3)]
    return (amplitude * np.sum(tones, axis=0)).astype(np.float32)


def test_all_right_whatever_the_tempo():
    metrics = judged("C F G C", line("C F G C", 0, 2.0, 5.5, 7.0, 10))
    assert {name: metrics[name] for name in ("root", "thirds", "majmin", "triads", "sevenths", "judged")} == pytest.approx(
        dict.fromkeys(("root", "thirds", "majmin", "triads", "sevenths", "judged"), 100)
    )


def test_borders_of_the_alignment():
    asked = align(parse("C F"), line("C F", 0, 3.0, 10), 10, 0.5)
    assert [(a, b) for a, b, _ in asked] == [(0, pytest.approx(3.0)), (pytest.approx(3.0), 10)]
    never_below = align(parse("C F"), line("C", 0, 10), 10, 0.5)
    assert never_below[0][1] == pytest.approx(7.5)  # F keeps half of its even share
    tie = align(parse("C F"), line("E", 0, 10), 10, 0.5)
    assert tie[0][1] == pytest.approx(5.0)  # nothing agrees: the even grid
    assert len(align(parse("C F G C"), [], 0.05, 1.0)) == 4  # shorter than the grid
    with pytest.raises(UserError, match="0 chords asked"):
        align(parse("piano"), [], 10, 0.5)


def test_wrong_half_right_and_silent():
    assert judged("C F G C", line("C# F# G# C#", 0, 2.5, 5, 7.5, 10))["majmin"] == 0
    assert judged("C F", line("C", 0, 10), min_share=1.0)["majmin"] == pytest.approx(50)
    silent = judged("C F", line("N", 0, 10))
    assert (silent["majmin"], silent["judged"]) == (0, 100)


def test_one_asked_chord_held_scores_what_the_docstring_says():
    assert judged("C F G Am", line("C", 0, 10))["majmin"] == pytest.approx(62.5, abs=2)


def test_sevenths_and_what_cannot_be_judged():
    metrics = judged("C7 F", line("C:maj F", 0, 5, 10), min_share=1.0)
    assert (metrics["root"], metrics["triads"], metrics["sevenths"]) == pytest.approx((100, 100, 50))
    metrics = judged("Bdim C", line("B:dim C", 0, 5, 10), min_share=1.0)
    assert (metrics["majmin"], metrics["majmin_judged"], metrics["judged"]) == pytest.approx((100, 50, 50))
    metrics = judged("Bdim", line("B:dim", 0, 10))
    assert metrics["majmin"] is None and metrics["triads"] == 100


def test_order_of_chords():
    assert order_edit_distance(chords("C F G C"), chords("C C:maj7 N F G:7 C")) == 0
    assert order_edit_distance(chords("C F G C"), chords("C G C")) == 0.25
    assert order_edit_distance(chords("C F"), chords("D E A B")) == 1
    assert order_edit_distance(chords("C F"), chords("N")) == 1


def test_last_chord_and_cadence():
    heard = line("C G C N", 0, 4, 8, 11.5, 12)
    asked = align(parse("C G C"), heard, 12, 0.5)
    assert last_chord(asked, heard) == 100
    assert last_chord(align(parse("C G F"), heard, 12, 0.5), heard) == 0
    assert cadence(chords("F G C"), heard, sound_end=11.8) == 100  # the last two are what closes
    assert cadence(chords("F G C"), heard, sound_end=12.9) == 0  # the sound goes on without the chord
    assert cadence(chords("C F C"), heard, sound_end=11.8) == 0
    assert cadence(chords("C"), heard, sound_end=11.8) is None


def test_bass_of_synthesised_chords():
    c_major, c_over_e = sines(36, 60, 64, 67), sines(40, 60, 64, 67)
    assert bass_share(c_major, RATE, line("C", 0, 4)) > 95
    assert bass_share(c_major, RATE, line("C/E", 0, 4)) < 2
    assert bass_share(c_over_e, RATE, line("C/E", 0, 4)) > 95
    assert bass_share(c_over_e, RATE, line("C", 0, 4)) < 2
    assert bass_share(np.concatenate([c_major, c_over_e]), RATE, line("C C", 0, 4, 8)) == pytest.approx(50, abs=5)
    assert bass_share(sines(60, 64, 67), RATE, line("C", 0, 4)) == 0  # no bass at all
    assert bass_share(np.zeros(4 * RATE, np.float32), RATE, line("C", 0, 4)) == 0


def test_what_sounds():
    half = np.concatenate([sines(60, seconds=3), np.zeros(3 * RATE, np.float32)])
    assert sounding_share(half, RATE, -50) == pytest.approx(50)
    assert sound_end(half, RATE, -50) == pytest.approx(3.0)
    assert (sounding_share(half * 0, RATE, -50), sound_end(half * 0, RATE, -50)) == (0, 0)


def test_quantised_chroma():
    chroma = np.zeros((12, 40))
    chroma[0, :20], chroma[7, 20:] = 2.0, 1.0
    small = np.array(quantise(chroma, rate=20.0))
    assert small.shape == (12, 10)
    assert (small[0, 0], small[7, -1], small[0, -1]) == (99, 50, 0)
    assert not np.any(quantise(np.zeros((12, 7)), rate=43.1))


def test_bootstrap_interval():
    assert bootstrap({"a": [40.0, 40.0], "b": [40.0]}, 100, 0.95, 1) == {"value": 40, "low": 40, "high": 40, "n": 3}
    assert bootstrap({"a": []}, 100, 0.95, 1) == {"value": None, "low": None, "high": None, "n": 0}
    covered = 0
    for trial in range(100):
        effects = np.random.default_rng(trial).normal(0, 10, 30)
        values = {str(prompt): [50 + effect] * 3 for prompt, effect in enumerate(effects)}
        found = bootstrap(values, 300, 0.95, trial)
        covered += found["low"] <= 50 <= found["high"]
    assert covered >= 88  # three copies a prompt do not make the interval narrower
    with pytest.raises(UserError, match="'x' with seed 2"):
        paired({("p", "x", 1): 1.0}, {("p", "x", 1): 1.0, ("p", "x", 2): 1.0}, 10, 0.95, 1)


def test_chance_of_a_perfect_system():
    prompts = [parse(text) for text in ("C F", "D G", "E A", "F# B")]
    scores = np.repeat(100 * np.eye(4), 2, axis=0)  # two clips a prompt, right for their own and wrong for any other
    owners = np.repeat(np.arange(4), 2)
    choices = derangements(partners(prompts, prompts), 50, 1)
    assert chance(scores, owners, choices, 0.95) == {"value": 0, "low": 0, "high": 0, "n": 8}
    assert all(sorted(row) == [0, 1, 2, 3] and not np.any(row == np.arange(4)) for row in choices)
    assert len(np.unique(choices, axis=0)) == 9  # every derangement of four occurs
    assert chance(np.full((8, 4), np.nan), owners, choices, 0.95)["n"] == 0


def test_equal_sequences_are_never_chance():
    pool = [parse(text) for text in ("piano C F", "ukulele C, C, F", "guitar C7 F", "D G", "D G A")]
    allowed = partners(pool, pool)
    assert not allowed[:3, :3].any()
    assert allowed[1].tolist() == [False, False, False, False, True]
    assert allowed[0].tolist() == [False, False, False, True, False]  # as many chords, other triads
    choices = derangements(allowed, 50, 1)
    assert all(allowed[i, row[i]] for row in choices for i in range(len(pool)))
    assert (derangements(partners(pool[:3], pool[:3]), 5, 1) == -1).all()


def test_prompts_that_occur_in_training():
    progressions = [triads_in_order(chords(names)) for names in ("G C C:7 F N G", "A:min E")]
    assert seen_prompts({"piano C, F, and G", "piano F C", "organ Am"}, progressions) == {"piano C, F, and G", "organ Am"}


@pytest.fixture
def demos(tmp_path, monkeypatch):
    """Three folders of demos and a recogniser that hears exactly what a clip's file name says."""
    prompts = {"h0": ("piano C F", True), "h1": ("piano D G", True), "h2": ("organ A E", True), "seed": ("ukulele C", False)}
    played = {"after": {"h0": "C F", "h1": "D G", "h2": "A E", "seed": "C"}, "before": dict.fromkeys(prompts, "B:min")}
    played["ceiling"] = played["after"]
    truth = {}
    for which, clips in played.items():
        for name, sounds in clips.items():
            path = tmp_path / which / f"{name}-s1.wav"
            path.parent.mkdir(exist_ok=True)
            level = 0.1 + 0.05 * len(truth)
            truth[round(level, 2)] = chords(sounds)
            soundfile.write(path, np.full(4 * RATE, level, np.float32), RATE, subtype="FLOAT")
            about = {"demo": name, "prompt": prompts[name][0], "heldout": prompts[name][1], "which": which}
            write_json(f"{path}.made.json", {"seed": 1, "about": about})
    segment = str(tmp_path / "segment.wav")
    write_jsonl(tmp_path / "segments.jsonl", [{"path": "segment.wav", "chords": [[0, 2, "G:maj"], [2, 4, "A:maj"], [4, 6, "E:7"]]}])
    manifest = tmp_path / "manifests" / "train" / "data.jsonl.gz"
    manifest.parent.mkdir(parents=True)
    manifest.write_bytes(gzip.compress(json.dumps({"path": segment}).encode()))

    def hear(samples, rate, params, want_form, ear):
        found = truth[round(float(samples[0]), 2)]
        spans = [(4 * i / len(found), 4 * (i + 1) / len(found), chord) for i, chord in enumerate(found)]
        return SimpleNamespace(chords=spans, chroma=np.ones((12, 40)), chroma_rate=10.0)

    fake = ModuleType("ostinato.listen.hear")
    fake.hear = hear
    monkeypatch.setitem(sys.modules, "ostinato.listen.hear", fake)
    return tmp_path


def judge(folder, *which) -> int:
    return main(
        [
            "judge",
            "--params",
            json.dumps(JUDGE),
            "--listen",
            json.dumps(LISTEN),
            "--jobs",
            "1",
            "--demos",
            *[str(folder / name) for name in which],
            "--manifests",
            str(folder / "manifests"),
            "--scores",
            str(folder / "scores.json"),
            "--judgements",
            str(folder / "judgements.json"),
        ]
    )


def test_stage_and_table(demos, capsys):
    assert judge(demos, "before", "after", "ceiling") == 0
    scores = read_json(demos / "scores.json")
    assert scores["seen"] == ["organ A E"] and scores["heldout"] == ["piano C F", "piano D G"]
    assert {name: scores[name]["majmin"]["value"] for name in ("before", "after", "ceiling", "chance")} == {"before": 0, "after": 100, "ceiling": 100, "chance": 0}
    assert scores["gain"]["value"] == 100 and scores["permuted_gain"]["value"] == 0 and scores["gain"]["n"] == 2
    assert scores["seed_prompts"]["after"]["cadence"]["value"] is None
    entry = next(e for e in read_json(demos / "judgements.json") if e["which"] == "after" and e["demo"] == "h0")
    assert [name for _, _, name in entry["asked"]] == ["C:maj", "F:maj"] and len(entry["chroma"][0]) == 20
    assert (demos / "scores.json.made.json").exists() and (demos / "judgements.json.made.json").exists()

    assert main(["scores", str(demos / "scores.json")]) == 0
    printed = capsys.readouterr().out
    heading = next(row for row in printed.splitlines() if "before" in row)
    assert heading.split() == ["before", "after", "ceiling", "chance"]
    assert "+100.0 [+100.0, +100.0]" in printed and "organ A E" in printed
    with pytest.raises(UserError, match="lacks ceiling, chance"):
        table({key: value for key, value in scores.items() if key not in ("ceiling", "chance")})


def test_same_bytes_twice_and_missing_folders(demos, capsys):
    judge(demos, "before", "after", "ceiling")
    first = (demos / "scores.json").read_bytes(), (demos / "judgements.json").read_bytes()
    judge(demos, "ceiling", "after", "before")
    assert first == ((demos / "scores.json").read_bytes(), (demos / "judgements.json").read_bytes())
    assert judge(demos, "before", "after") == 2
    assert "no clips of ceiling" in capsys.readouterr().err
    assert judge(demos, "before", "after", "nowhere") == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
