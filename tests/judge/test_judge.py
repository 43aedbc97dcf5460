"""The judge against cases whose scores are known."""

import gzip
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from scipy import stats

from ostinato.cli import main
from ostinato.codec.encoding import TABLE, write_gathered
from ostinato.files import UserError, read_json, write_json, write_jsonl
from ostinato.generate.demos import CODES
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import parse
from ostinato.judge import hearing, occurrences
from ostinato.judge.adherence import align, cadence, chord_metrics, last_chord, on_grid, order_edit_distance, segmentation, triads_in_order
from ostinato.judge.demos import Demo
from ostinato.judge.embedding import Embedding
from ostinato.judge.hearing import Clip
from ostinato.judge.intervals import cluster_mean, not_negative, paired, proportion
from ostinato.judge.nulls import chance, derangements, other_orders, partners
from ostinato.judge.scoring import score, share_obeyed
from ostinato.judge.summary import differences
from ostinato.judge.table import table
from ostinato.judge.templates import by_templates
from ostinato.judge.tempo import beat_f1, tempo_error
from ostinato.judge.tonal import bass_share, quantise, sound_end, sounding_share
from ostinato.params import Judge
from ostinato.sidecars import sidecar_path

RATE = 16000
JUDGE = {"permutations": 50, "confidence": 0.95, "min_share": 0.5, "silence_db": -50, "clap": None, "seed": 7}
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


def test_strict_knows_where_each_chord_is_to_be():
    late = line("C F G C", 0, 3.5, 6, 8, 10)
    asked = on_grid(parse("C F G C"), 10)
    assert [(start, end) for start, end, _ in asked] == [(0, 2.5), (2.5, 5), (5, 7.5), (7.5, 10)]
    assert chord_metrics(asked, late)["triads"] == pytest.approx(100 - 10 * (1 + 1 + 0.5)) and judged("C F G C", late)["triads"] == pytest.approx(100)
    assert chord_metrics(on_grid(parse("C/E F"), 10), line("C F", 0, 5, 10))["triads_inv"] == 50
    assert segmentation(asked, line("D E D E", 0, 2.5, 5, 7.5, 10)) == 100  # the borders, whatever the chords
    assert segmentation(asked, line("C", 0, 10)) == pytest.approx(25)
    assert segmentation(asked, late) == pytest.approx(100 - 10 * 2.5)


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
    assert cadence(chords("C F C"), heard, sound_end=11.8) == 0  # plagal, and not what is heard
    assert cadence(chords("G C:7 F:min"), heard, sound_end=11.8) == 0
    asks_for_none = ("C", "F C", "G C", "A E C", "F C G", "C G:min C", "F G:sus4 C")
    assert not any(cadence(chords(names), heard, sound_end=11.8) is not None for names in asks_for_none)


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


def test_intervals_over_prompts():
    found = cluster_mean({"a": [40.0, 40.0], "b": [50.0], "c": [60.0]}, 0.95, None)
    half = stats.t.ppf(0.975, 2) * 10 / 3**0.5  # three prompts, whatever the number of their clips
    assert found == {"value": 50, "low": pytest.approx(50 - half, abs=1e-3), "high": pytest.approx(50 + half, abs=1e-3), "n": 4}
    assert cluster_mean({"a": []}, 0.95) == {"value": None, "low": None, "high": None, "n": 0}
    assert cluster_mean({"a": [1.0, 3.0]}, 0.95) == {"value": 2, "low": None, "high": None, "n": 2}  # of other prompts it says nothing
    right = {str(number): [100.0] * 3 for number in range(22)}  # by luck as well; one more supposed at each end: 23 of 24
    assert cluster_mean(right, 0.95) == {"value": 100, "low": pytest.approx(95.833 - 2.0796 * 4.1667, abs=1e-2), "high": 100, "n": 66}
    assert cluster_mean({"a": [0.0], "b": [0.0]}, 0.95) == {"value": 0, "low": 0, "high": 100, "n": 2}
    assert cluster_mean({"a": [5.0], "b": [5.0]}, 0.95, None)["high"] == 5
    assert not_negative({"value": 1, "low": -2.0, "high": 4, "n": 3})["low"] == 0
    assert proportion(15, 22, 0.95) == {"value": pytest.approx(68.18, abs=0.01), "low": pytest.approx(45.13, abs=0.01), "high": pytest.approx(86.14, abs=0.01), "n": 22}
    with pytest.raises(UserError, match="'x' with seed 2"):
        paired({("p", "x", 1): 1.0}, {("p", "x", 1): 1.0, ("p", "x", 2): 1.0}, 0.95)


@pytest.mark.parametrize("count", [5, 10, 40])
def test_intervals_hold_the_truth_where_few_prompts_fail(count):
    population = np.where(np.random.default_rng(0).random(5000) < 0.9, 100, 50).astype(float)
    draws = [np.random.default_rng(trial).choice(population, count) for trial in range(200)]
    found = [cluster_mean({str(number): [value] for number, value in enumerate(drawn)}, 0.95) for drawn in draws]
    assert np.mean([one["low"] <= population.mean() <= one["high"] for one in found]) >= 0.95


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


def test_own_chords_in_other_orders():
    perfect = line("C F G C", 0, 2.5, 5, 7.5, 10)
    # of 24 orders two are the same; over all, each place is right once in four, but those of C twice: 1.5 of four, less the two whole ones
    assert other_orders(parse("C F G C"), perfect, 10, 1) == pytest.approx((100 * (24 * 1.5 - 2 * 4) / 22 / 4, 50))  # at best, two chords are swapped
    assert other_orders(parse("C F"), line("C F", 0, 5, 10), 10, 1) == (0, 0)
    assert other_orders(parse("C F"), line("C", 0, 10), 10, 1) == pytest.approx((50, 50))  # what holds one chord cannot tell orders apart
    assert other_orders(parse("C, C"), line("C", 0, 10), 10, 1) is None
    long = parse(" ".join(["C F"] * 6))
    assert other_orders(long, line("C F " * 6, *np.linspace(0, 12, 13)), 12, 1)[0] == pytest.approx(50, abs=1)  # too many orders to try them all


def test_prompts_that_occur_in_training():
    progressions = [triads_in_order(chords(names)) for names in ("G C C:7 F N G", "A:min E")]
    found = occurrences.find({"piano C, F, and G", "piano F C", "organ Am", "organ Bb Eb F Bb", "piano D G C D", "organ G C F D"}, progressions)
    assert found.as_they_are == {"piano C, F, and G", "organ Am"}
    assert found.transposed == {"piano C, F, and G", "organ Am", "piano D G C D"}
    assert found.in_part == {"piano C, F, and G", "organ G C F D"}


def test_what_untrained_ears_hear():
    played = np.concatenate([sines(48, 60, 64, 67), sines(45, 60, 64, 69), np.zeros(2 * RATE, np.float32)])
    heard = by_templates(played, RATE)
    assert [chord.harte for _, _, chord in heard] == ["C:maj", "A:min", "N"] and heard[-1][1] == 10
    assert [start for start, _, _ in heard] == pytest.approx([0, 4, 8], abs=0.3)


def test_tempo():
    beats = np.arange(0.2, 10, 0.5)  # 120 a minute
    assert beat_f1(beats, 120, 10) == 100
    assert beat_f1(beats, 60, 10) == pytest.approx(100 * 2 * 0.5 / 1.5, abs=2)  # every second one is no beat
    assert beat_f1(np.zeros(0), 120, 10) == 0
    assert tempo_error(126, 120) == pytest.approx((5, 5)) and tempo_error(60, 120) == pytest.approx((50, 0))


# demos whose sound says what is heard in them

PROMPTS = {"h0": ("piano C F", True), "h1": ("piano D7 G", True), "h2": ("organ A E", True), "seed": ("ukulele C", False), "text": ("piano", False)}
PLAYED = {"h0": "C F", "h1": "D:7 G", "h2": "A E", "seed": "C", "text": "C"}


@pytest.fixture
def ears(monkeypatch):
    """What is heard in a clip is what was written under its level; by all ears alike."""
    truth = {}

    def hear(path, listen, silence_db):
        samples, rate = hearing.read_clip(path)
        found, instrument = truth[round(float(samples[0]), 2)]
        seconds = len(samples) / rate
        spans = [(seconds * i / len(found), seconds * (i + 1) / len(found), chord) for i, chord in enumerate(found)]
        silent = SimpleNamespace(classes=np.zeros((12, 1)), total=np.zeros(1), rate=1.0)
        instruments = dict.fromkeys(("piano", "organ", "ukulele"), 0.1) | {instrument: 0.5}
        same = np.zeros((20, 4), np.float32), Embedding(np.full(3, float(samples[0])), np.zeros(3))
        return Clip(seconds, spans, spans, spans, None, silent, 100.0, seconds, [[0]] * 12, instruments, np.arange(0, seconds, 0.5), 120.0, 0.0, *same)

    monkeypatch.setattr(hearing, "hear_clip", hear)
    return truth


def clip(path, sounds, instrument, truth):
    """A clip of 4 s in which ears hear some chords and an instrument."""
    path.parent.mkdir(exist_ok=True, parents=True)
    level = 0.1 + 0.02 * len(truth)
    truth[round(level, 2)] = chords(sounds), instrument
    soundfile.write(path, np.full(4 * RATE, level, np.float32), RATE, subtype="FLOAT")


@pytest.fixture
def demos(tmp_path, ears):
    """Folders of demos: before plays B minor, after what is asked, the control the second prompt's chords always."""
    played = {"after": PLAYED, "reference": PLAYED, "before": dict.fromkeys(PROMPTS, "B:min"), "control": dict.fromkeys(PROMPTS, "D:7 G"), "after-4": PLAYED | {"h0": "C C"}}
    for which, clips in played.items():
        for name, sounds in clips.items():
            prompt, heldout = PROMPTS[name]
            path = tmp_path / which / f"{name}-s1.wav"
            clip(path, sounds, "piano", ears)
            write_json(f"{path}.made.json", {"seed": 1, "about": {"demo": name, "prompt": prompt, "heldout": heldout, "which": which}})
    segment = str(tmp_path / "segment.wav")
    write_jsonl(tmp_path / "segments.jsonl", [{"path": "segment.wav", "chords": [[0, 2, "G:maj"], [2, 4, "A:maj"], [4, 6, "E:7"], [6, 8, "A:maj"]]}])
    for split, lines in (("train", json.dumps({"path": segment})), ("test", "")):
        manifest = tmp_path / "manifests" / split / "data.jsonl.gz"
        manifest.parent.mkdir(parents=True)
        manifest.write_bytes(gzip.compress(lines.encode()))
    return tmp_path


def judge(folder, *which, codes=None) -> int:
    options = ({"--codes": str(codes)} if codes else {}) | {"--params": json.dumps(JUDGE), "--listen": json.dumps(LISTEN), "--jobs": "1", "--manifests": str(folder / "manifests")}
    options |= {"--scores": str(folder / "scores.json"), "--judgements": str(folder / "judgements.json")}
    return main(["judge", *(word for pair in options.items() for word in pair), "--demos", *(str(folder / name) for name in which)])


def test_stage_and_table(demos, capsys):
    assert judge(demos, "before", "after", "reference") == 0
    scores = read_json(demos / "scores.json")
    assert scores["seen"] == ["organ A E"] and scores["heldout"] == ["piano C F", "piano D7 G"]
    assert scores["transposed"] == ["piano C F", "piano D7 G"]  # as E A does, they fall a fifth
    assert {which: scores["sets"][which]["triads"]["value"] for which in scores["sets"]} == {"before": 0, "after": 100, "reference": 100}
    assert {which: scores["chance"][which]["triads"]["value"] for which in scores["sets"]} == dict.fromkeys(scores["sets"], 0)
    assert scores["gain"]["value"] == scores["gain_over_chance"]["value"] == 100 and scores["after_minus_reference"]["value"] == 0
    assert {(row["name"], row["measure"]): row["sets"]["after"]["value"] for row in scores["strata"] if row["by"] == "kind"} == {
        ("triads", "triads"): 100,
        ("sevenths", "sevenths"): 100,
    }
    assert scores["sets"]["after"]["instrument"]["value"] == 100 and scores["text_only"]["after"]["instrument"]["n"] == 1
    assert scores["sets"]["after"]["cadence"]["n"] == 0 and scores["sets"]["after"]["majmin_templates"]["value"] == scores["sets"]["after"]["agreement"]["value"] == 100
    assert {(row["by"], row["name"]): (row["prompts"], row["chance"]["after"]) for row in scores["strata"] if row["by"] != "kind"} == {
        ("chords", "2 chords"): (2, 0),
        ("instrument", "piano"): (2, 0),
        ("phrasing", "bars"): (1, 0),
        ("phrasing", "free"): (1, 0),
    }
    assert scores["sound"]["kad_harmony_before"]["after"]["n"] == 2 and scores["music"]["n"] == 0 and scores["text_only"]["after"]["sounding"]["value"] == 100
    assert "trainings" not in scores and "after_minus_control" not in scores
    entry = next(e for e in read_json(demos / "judgements.json") if e["which"] == "after" and e["demo"] == "h0")
    assert [name for _, _, name in entry["asked"]] == ["C:maj", "F:maj"]
    assert (demos / "scores.json.made.json").exists() and (demos / "judgements.json.made.json").exists()

    assert main(["scores", str(demos / "scores.json")]) == 0
    printed = capsys.readouterr().out
    assert next(row for row in printed.splitlines() if "before" in row).split() == ["before", "after", "reference"]
    assert "+100.0" in printed and "organ A E" in printed and "One training" in printed
    with pytest.raises(UserError, match="lacks chance"):
        table({key: value for key, value in scores.items() if key != "chance"})


def test_a_control_and_another_training(demos, capsys):
    assert judge(demos, "before", "after", "reference", "control", "after-4") == 0
    scores = read_json(demos / "scores.json")
    assert scores["sets"]["control"]["triads"]["value"] == 50 and scores["chance"]["control"]["triads"]["value"] == 50
    assert scores["after_minus_control"]["value"] == 50
    assert scores["trainings"]["values"] == {"after": 100, "after-4": 75} and scores["trainings"]["deviation"] == pytest.approx(25 / 2**0.5)
    assert "control, tuned as long on shuffled prompts: 50.0" in table(scores)


def test_differences_are_paired_and_less_each_ones_own_chance(demos):
    scored = {("after", "a"): 90.0, ("after", "b"): 60.0, ("before", "a"): 50.0, ("before", "b"): 0.0}
    rows = [(Demo("", which, name, name, 1, True), None, {"triads": value}) for (which, name), value in scored.items()]
    luck = {which: SimpleNamespace(by_clip={"triads": {(name, name, 1): by for name in "ab"}}) for which, by in (("after", 30.0), ("before", 10.0))}
    found = differences(rows, luck, Judge(**JUDGE), {"gain": ("after", "before"), "gain_over_chance": ("after", "before"), "after_minus_control": ("after", "control")})
    assert found["gain"]["value"] == 50 and found["gain_over_chance"]["value"] == 30 and set(found) == {"gain", "gain_over_chance"}
    assert found["gain"]["high"] - 50 == pytest.approx(12.7062 * 10, abs=0.01)  # 40 and 60: two prompts say little


def test_a_clip_that_is_shorter_than_asked_is_silent_for_the_rest(ears, tmp_path):
    clip(tmp_path / "short.wav", "C F", "piano", ears)
    short = hearing.hear_clip(str(tmp_path / "short.wav"), None, -50)  # 4 s
    for seconds, triads in ((None, 100), (4.1, 100), (8.0, 25)):  # of 8 s: C for 2 of its 4, no F
        demo = Demo("short.wav", "after", "short", "C F", 1, True, seconds=seconds)
        assert score(demo, short, parse("C F"), Judge(**JUDGE), ["piano"])["triads"] == pytest.approx(triads)


def test_copies_and_codes_of_demos(demos):
    codes, said = demos / "codes", {"h0-s1": np.arange(100, 140), "h1-s1": np.arange(40)}
    for which in ("before", "after"):
        np.savez(demos / which / CODES, **{name: np.stack([row, row]).astype(np.int16) for name, row in said.items()})
        write_json(sidecar_path(demos / which / CODES), {"about": {"frame_rate": 10.0}})
    codes.mkdir()
    np.save(codes / "shard-00.npy", np.tile(np.arange(60), (2, 1)).astype(np.int16))
    row = {"id": "s", "start": 0, "frames": 60, "codes": "00", "split": "train", "song": "s", "instrument": "piano", "bars": [], "prompt": ""}
    write_jsonl(codes / "shard-00.jsonl", [row])
    write_gathered([codes / "shard-00.npy"], set())
    assert judge(demos, "before", "after", "reference", codes=codes / TABLE) == 0
    scores = read_json(demos / "scores.json")
    assert scores["sets"]["after"]["longest_copy"]["value"] == 2 and scores["sets"]["after"]["longest_copy"]["n"] == 2  # 0 s and 4 s
    assert scores["copies"] == {"chance": {"mean": None, "p95": None, "n": 0}, "searched": 1, "segments": 1} and scores["sets"]["reference"]["longest_copy"]["n"] == 0


def test_same_bytes_twice_and_missing_folders(demos, capsys):
    judge(demos, "before", "after", "reference")
    first = (demos / "scores.json").read_bytes(), (demos / "judgements.json").read_bytes()
    judge(demos, "reference", "after", "before")
    assert first == ((demos / "scores.json").read_bytes(), (demos / "judgements.json").read_bytes())
    assert judge(demos, "before", "after") == 2
    assert "no clips of reference" in capsys.readouterr().err
    assert judge(demos, "before", "after", "nowhere") == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_clips_that_somebody_else_made(tmp_path, ears, capsys, caplog):
    clip(tmp_path / "a/one.wav", "C F", "piano", ears)
    clip(tmp_path / "a/two.wav", "D G", "piano", ears)
    clip(tmp_path / "b/one.wav", "B:min", "organ", ears)
    (tmp_path / "noise.wav").write_text("no sound")
    lines = [
        "a/one.wav piano_C_F one 120",
        "a/two.wav organ_D_G one",
        "b/one.wav piano_C_F other",
        "noise.wav piano_C one",
        "none.wav piano_C one",
        "a/one.wav piano one",
        "a/one.wav piano_C one x",
    ]
    rows = [[*line.replace(" ", "\t").split("\t"), ""][:4] for line in lines]
    (tmp_path / "prompts.tsv").write_text("clip\tprompt\tmodel\ttempo\n" + "".join("\t".join(row).replace("_", " ") + "\n" for row in rows))
    options = ["--params", json.dumps(JUDGE), "--listen", json.dumps(LISTEN), "--jobs", "1"]
    assert main(["judge-clips", str(tmp_path), str(tmp_path / "prompts.tsv"), *options, "--out", str(tmp_path / "out/scores.json")]) == 0
    scores = read_json(tmp_path / "out/scores.json")
    assert {which: scores["sets"][which]["triads"]["value"] for which in scores["sets"]} == {"one": 100, "other": 0}
    assert scores["sets"]["one"]["instrument"]["value"] == 50 and scores["sets"]["one"]["beat_f1"] == {"value": 100, "low": None, "high": None, "n": 1}
    assert len(scores["set_aside"]) == 4 and len(read_json(tmp_path / "out/scores.judgements.json")) == 3
    assert (
        "noise.wav: Format not recognised" in caplog.text
        and "line 6: clip: no file 'none.wav'" in caplog.text
        and "tempo: expected a number from 10 to 400, got 'x'" in caplog.text
    )
    assert capsys.readouterr().out.count("[?]") > 3  # one prompt says nothing of others
    assert main(["judge-clips", str(tmp_path), str(tmp_path / "none.tsv"), *options]) == 2
    assert "none.tsv: no such file; expected a table with the columns clip, prompt" in capsys.readouterr().err


def test_several_instruments_are_compared_with_as_many_that_are_heard():
    heard = {"electric guitar": 0.8, "drums": 0.7, "piano": 0.3, "acoustic guitar": 0.1, "strings": 0.05}
    known = ["drums", "electric guitar", "guitar", "piano", "strings"]
    assert share_obeyed(["guitar"], heard, known) == 100 and share_obeyed(["guitar", "drums"], heard, known) == 100
    assert share_obeyed(["piano", "drums"], heard, known) == 50 and share_obeyed(["piano"], heard, known) == 0
    assert share_obeyed(["piano", "drums", "strings"], heard, known) == pytest.approx(100 * 2 / 3)
