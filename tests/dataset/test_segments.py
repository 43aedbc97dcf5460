"""Cutting: the cheapest cut, never in mid-chord, and files that audiocraft reads."""

from dataclasses import replace
from itertools import combinations
from math import log

import numpy as np
import pytest
import soundfile

from music import PARAMS, RATE, play
from ostinato.cli import main
from ostinato.codec.encoding import index_row
from ostinato.dataset.cuts import Places, bars_between, confidence, cut
from ostinato.dataset.manifests import read_manifest
from ostinato.dataset.segments import describe, instrument_of
from ostinato.files import read_json, sha256, write_jsonl
from ostinato.harmony.chords import Chord
from ostinato.harmony.prompts.prompt import Prompt, parse
from ostinato.listen import jamsfile
from ostinato.train.tasks.codes import describe as told

COSTS = PARAMS.segments.model_copy(update={"min_seconds": 4.0, "max_seconds": 12.0, "target_seconds": 6.0})


def song(seed: int, bars: int = 12) -> tuple[list, list, list, float]:
    """Random chords on 2 s bars, some held, one changing in mid-bar, and sections."""
    rng = np.random.default_rng(seed)
    borders = [0.0] + [2.0 * bar for bar in range(1, bars) if rng.random() < 0.7] + [2.0 * bars]
    borders = sorted({*borders, 2.0 * int(rng.integers(1, bars)) - 1.0})
    roots = "CDEFGAB"
    chords = [(a, b, Chord(roots[i % 7]) if rng.random() > 0.1 else Chord("N", "")) for i, (a, b) in enumerate(zip(borders, borders[1:]))]
    chords[0] = (*chords[0][:2], Chord("C"))
    chords[-1] = (*chords[-1][:2], Chord("G"))
    downbeats = [2.0 * bar for bar in range(bars)]
    return downbeats, chords, [(0.0, 8.0, "A"), (8.0, 2.0 * bars, "B")], 2.0 * bars


def cost(pieces: list[tuple[float, float]], times: list[float], downbeats: list, chords: list, sections: list, cadences: list) -> float:
    """The sum that the module promises to minimise, written a second time from its description."""
    starts = [start for start, _, _ in sections] + [sections[-1][1]]
    silences = {times[0], times[-1]} | {edge for start, end, chord in chords if not chord.is_chord for edge in (start, end)}

    def border(time: float) -> float:
        if time in silences:
            return 0.0
        price = COSTS.mid_chord_cost * (time not in {start for start, _, _ in chords[1:]})
        price += COSTS.off_bar_cost * (time not in downbeats) + COSTS.no_cadence_cost * (time not in cadences)
        if time in starts:
            return price
        bars = sum(1 for beat in downbeats if max(start for start in starts if start <= time) <= beat < time)
        return price + COSTS.no_section_cost + (COSTS.off_phrase_cost if bars % COSTS.phrase_bars else 0.0)

    total = COSTS.skip_cost * (times[-1] - times[0] - sum(end - start for start, end in pieces))
    for start, end in pieces:
        silent = sum(max(0.0, min(b, end) - max(a, start)) for a, b, chord in chords if not chord.is_chord)
        shape = (end - start) / COSTS.target_seconds * COSTS.length_cost * abs(log((end - start) / COSTS.target_seconds))
        total += shape + border(start) + border(end) + COSTS.skip_cost * silent
    return total


@pytest.mark.parametrize("seed", range(8))
def test_no_other_cut_is_cheaper(seed):
    downbeats, chords, sections, duration = song(seed)
    cadences = [8.0, 16.0]
    times = Places(downbeats, chords, sections, cadences, duration, COSTS).candidates()
    found = cut(downbeats, chords, sections, cadences, duration, COSTS)
    allowed = [(a, b) for a, b in combinations(times, 2) if COSTS.min_seconds <= b - a <= COSTS.max_seconds]
    ways = [[]]
    for piece in allowed:  # every set of pieces that do not overlap
        ways += [[*way, piece] for way in ways if all(piece[0] >= other[1] or piece[1] <= other[0] for other in way)]
    best = min(cost(way, times, downbeats, chords, sections, cadences) for way in ways)
    assert cost(found, times, downbeats, chords, sections, cadences) == pytest.approx(best)
    assert set(found) <= set(allowed)


def test_cuts_fall_on_chord_changes_on_bars():
    downbeats, chords, sections, duration = song(3)
    changes = {start for start, _, _ in chords} | {duration}
    for start, end in cut(downbeats, chords, sections, [], duration, COSTS):
        assert start in changes and end in changes
    halves = [(2.0 * i, 2.0 * i + 2, Chord("CG"[i % 2])) for i in range(30)]  # the chord changes twice a bar: cuts fall on bars all the same
    assert all(start % 4 == 0 for start, _ in cut([4.0 * bar for bar in range(15)], halves, [(0.0, 60.0, "A")], [], 60.0, COSTS))
    assert cut([], [(0.0, 60.0, Chord("N", ""))], [], [], 60.0, COSTS) == []
    assert cut([0.0], [(0.0, 60.0, Chord("C"))], [(0.0, 60.0, "A")], [], 60.0, COSTS) == []  # a minute of one chord, and no bars to cut it at
    minute = cut([4.0 * bar for bar in range(15)], [(0.0, 60.0, Chord("C"))], [(0.0, 60.0, "A")], [], 60.0, PARAMS.segments)
    assert minute and all(start % 4 == 0 and end % 4 == 0 for start, end in minute)  # on bars, rather than lose it


def test_confidence_is_weighted_by_time():
    chords = [(0.0, 2.0, Chord("C")), (2.0, 6.0, Chord("F"))]
    assert confidence(1.0, 6.0, chords, [1.0, 0.5]) == pytest.approx(0.6)


def test_bars_name_what_sounds_longest_in_each_half():
    chords = [(0.0, 2.2, Chord("C")), (2.2, 3.0, Chord("F")), (3.0, 4.0, Chord("G"))]
    bars = bars_between(0.0, 4.0, [0.0, 2.0], chords)
    assert [[chord.harte for chord in names] for _, _, names in bars] == [["C:maj"], ["F:maj", "G:maj"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two songs, and one of a single chord, through listen, segments and manifests."""
    folder = tmp_path_factory.mktemp("segments")
    rows = []
    for name, split, prompt in (("a", "train", "piano C A:min F G"), ("b", "valid", "guitar D G A D"), ("held", "train", "organ C C C C")):
        samples = play(" ".join([prompt] + [prompt.split(" ", 1)[1]] * 3), 40.0)
        # one far over full scale, its channels in opposite phase
        soundfile.write(folder / f"{name}.wav", samples[:, None] * ([[12, -12]] if name == "b" else [[1]]), RATE, subtype="FLOAT")
        rows.append(
            {"id": name, "path": str(folder / f"{name}.wav"), "lab": None, "tags": {"instrument": prompt.split()[0]}, "split": split, "duration": 40.0}
            | ({"levels": {"mix": "side"}} if name == "b" else {})
        )
    write_jsonl(folder / "songs.jsonl", rows)
    assert main(["listen", "--params", PARAMS.listen.model_dump_json(), "--songs", f"{folder}/songs.jsonl", "--out", f"{folder}/listened"]) == 0
    for out in ("segments", "again"):
        assert (
            main(["segments", "--params", PARAMS.segments.model_dump_json(), "--songs", f"{folder}/songs.jsonl", "--listened", f"{folder}/listened", "--out", f"{folder}/{out}"])
            == 0
        )
    (folder / "duplicates.jsonl").write_text("")
    assert main(["manifests", "--segments", f"{folder}/segments", "--duplicates", f"{folder}/duplicates.jsonl", "--out", f"{folder}/manifests"]) == 0
    return folder


def test_segments_keep_to_the_bounds_and_describe_themselves(made):
    assert sha256(made / "segments") == sha256(made / "again")
    sides = [read_json(path) for path in sorted((made / "segments").glob("*.json"))]
    assert {side["song"] for side in sides} >= {"a", "b"} and all(0.5 <= side["confidence"] <= 1 for side in sides)
    for side in sides:
        info = soundfile.info(made / f"segments/{side['name']}.flac")
        assert info.samplerate == 16000 and PARAMS.segments.min_seconds <= info.duration <= PARAMS.segments.max_seconds
        assert info.duration == pytest.approx(side["end"] - side["start"], abs=1e-3)
        prompt = parse(side["description"])
        assert prompt.instrument == side["instrument"] and [[chord.harte for chord in bar] for bar in prompt.bars] == [bar[2] for bar in side["bars"]]
        assert side["chords"][0][0] == 0 and side["chords"][-1][1] == pytest.approx(side["end"] - side["start"], abs=1e-3)


def test_an_instrument_that_reads_as_harmony_is_not_believed(caplog):
    for said, taken in (("Bb clarinet", "Bb clarinet"), ("electric  guitar", "electric guitar"), (None, "organ"), ("piano Cmaj", "organ"), ("A minor", "organ")):
        assert instrument_of({"path": "song.flac", "tags": {"instrument": said}}, "organ") == taken
    assert [record.getMessage() for record in caplog.records][0] == (
        "song.flac: the instrument of its side file, 'piano Cmaj', reads as harmony; organ, which is heard, takes its place"
    )


def test_a_segment_says_what_is_heard_in_it_or_nothing(made):
    song = {"id": "a", "path": "a.wav", "tags": {}, "split": "train"}
    heard = replace(jamsfile.read(made / "listened/a.jams"), instruments=[(0.0, 20.0, "piano", 0.9), (5.0, 20.0, "strings", 0.8)])
    asked = ["C:maj"]
    for start, end, instrument in ((0.0, 20.0, "piano and strings"), (0.0, 7.5, "piano"), (20.0, 30.0, None)):
        side = describe("a-000", song, heard, start, end)
        assert side["instrument"] == instrument and parse(side["description"]).instrument == (instrument or "")
        row = index_row(side, 0, np.zeros((1, 4), np.int16), 1.0)
        rng = np.random.default_rng(0)
        assert row["instrument"] == (instrument or "") and told(row, [], rng) == row["instrument"]
        assert parse(told(row, [[0, 4, asked]], rng)) == Prompt(row["instrument"], ((Chord("C"),),))
    assert describe("a-000", song | {"tags": {"instrument": "harp"}}, heard, 20.0, 30.0)["instrument"] == "harp"


def test_what_is_over_full_scale_is_scaled_down_and_nothing_clipped(made):
    samples = [soundfile.read(path, dtype="int16")[0] for path in sorted((made / "segments").glob("b-*.flac"))]
    assert max(np.abs(part).max() for part in samples) > 32000 and sum((np.abs(part) >= 32767).sum() for part in samples) <= 2


def test_doubtful_segments_are_left_out_and_listed(made):
    strict = PARAMS.segments.model_copy(update={"min_confidence": 1.0})
    assert main(["segments", "--params", strict.model_dump_json(), "--songs", f"{made}/songs.jsonl", "--listened", f"{made}/listened", "--out", f"{made}/strict"]) == 0
    rows = [line.split("\t") for line in (made / "strict/left_out.tsv").read_text().splitlines()]
    assert rows[0] == ["id", "path", "start", "end", "reason"] and not list((made / "strict").glob("*.flac"))
    assert any(row[4].startswith("chords are doubtful: confidence 0.") for row in rows[1:])


def test_audiocraft_loads_the_manifests(made, tmp_path, monkeypatch):
    from ostinato.codec.audiocraft_compat import import_audiocraft

    (tmp_path / "team.yaml").write_text("default: {}\n")  # audiocraft's datasets want this file, and its wheel comes without
    monkeypatch.setenv("AUDIOCRAFT_CONFIG", str(tmp_path / "team.yaml"))
    monkeypatch.setenv("AUDIOCRAFT_CLUSTER", "default")

    dataset_class = import_audiocraft("audiocraft.data.music_dataset").MusicDataset
    for split, instruments, key in (("train", ("piano", "organ"), "c major"), ("valid", ("guitar",), "d major")):
        dataset = dataset_class.from_meta(made / f"manifests/{split}", segment_duration=5.0, sample_rate=16000, channels=1, shuffle=False, num_samples=4, return_info=True)
        assert len(dataset.meta) == len(list(read_manifest(made / f"manifests/{split}/data.jsonl.gz"))) > 0
        wav, info = dataset[0]
        assert wav.shape == (1, 80000) and info.instrument in instruments and info.key == key
        assert parse(info.description).instrument == info.instrument and 90 < info.bpm < 102
