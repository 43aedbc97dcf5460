"""The judge of the MIDI track against cases whose figures are known."""

import argparse
import json
import math
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from odd_midi import HANDED, riff, song
from odd_midi import tune as tune_of_bytes
from ostinato.cli import main
from ostinato.commands import bits_per_note as bits_per_note_command
from ostinato.commands import judge_midi as judge_midi_command
from ostinato.files import UserError, read_json, write_jsonl
from ostinato.judge.intervals import clopper_pearson
from ostinato.judge.midi import style
from ostinato.judge.midi.bits import Asked, Encoded, PieceBits, cut, encode_file, evaluate, program_bits, residual_bits, token_bits, unsaid_bits, wrong_labels
from ostinato.judge.midi.copies import Copy, TrainingSet, symbols
from ostinato.judge.midi.held_out import NAMED_SAYERS, Pieces, by_name, collections, mean
from ostinato.judge.midi.ngrams import MOST, chosen, ngram_bits
from ostinato.judge.midi.notes import longest_silence, melody_recall, note_metrics
from ostinato.judge.midi.overlap import overlap_area, overlap_areas
from ostinato.midi.notes import DRUMS, Piece, write_midi
from ostinato.params.midi import Augmentation
from ostinato.sidecars import write_sidecar

JUDGE = {"permutations": 50, "confidence": 0.95, "min_share": 0.5, "silence_db": -50, "clap": None, "seed": 7}
VARIED = {"semitones": 3, "velocity": 0, "duration": 0, "tempo": 0.0}
MAJOR, CHROMATIC = (60, 62, 64, 65, 67, 69, 71), tuple(range(60, 72))


def made(notes, pedals=()) -> Piece:
    return Piece.of(notes, list(pedals))


def tune(pitches, seconds: float = 0.25, start: float = 0.0, program: int = 0) -> Piece:
    """One note after another."""
    return made([(start + i * seconds, start + (i + 1) * seconds, pitch, 64, program) for i, pitch in enumerate(pitches)])


def walk(rng, notes: int, start: float = 0.0) -> Piece:
    return tune(60 + rng.integers(-12, 13, notes), start=start)


def test_metrics_of_known_pieces():
    major = note_metrics(tune(MAJOR).joined(tune([35] * 9, program=DRUMS)))  # drums have no pitch
    assert (major["pitch_class_entropy"], major["scale_consistency"]) == pytest.approx((math.log2(7), 1))
    chromatic = note_metrics(tune(CHROMATIC))
    assert (chromatic["pitch_class_entropy"], chromatic["scale_consistency"]) == pytest.approx((math.log2(12), 7 / 12))
    assert chromatic["notes_per_second"] == pytest.approx(4)
    same = note_metrics(made([(2.0 * bar + beat / 2, 2.0 * bar + beat / 2 + 0.4, 60, 64, 0) for bar in range(3) for beat in range(4)]))
    assert same["groove_consistency"] == pytest.approx(1)  # the last note ends before the fourth bar
    other = note_metrics(made([(0, 1, 60, 64, 0), (2.5, 3, 60, 64, 0)]))
    assert other["groove_consistency"] == pytest.approx(1 - 2 / 64)
    drums = note_metrics(tune([35, 38], program=DRUMS))
    assert drums["pitch_class_entropy"] is None and drums["groove_consistency"] is None and drums["notes_per_second"] == pytest.approx(4)
    assert set(note_metrics(made([])).values()) == {None}


def test_silence_is_where_nothing_sounds():
    assert longest_silence(made([(1.0, 9.0, 60, 64, 0), (2.0, 3.0, 62, 64, 0), (10.5, 11.0, 60, 64, 0)], [(0, 20, 0)])) == pytest.approx(1.5)
    assert longest_silence(tune(MAJOR, start=2.0)) == pytest.approx(2.0)
    assert longest_silence(made([])) == 0


def test_melody_recall():
    melody = tune(MAJOR)
    assert melody_recall(melody.joined(tune([48, 52, 55], program=5)), melody) == 1
    assert melody_recall(melody.moved(0.01), melody) == 1
    assert melody_recall(melody.moved(0.02), melody) == 0
    assert melody_recall(Piece(melody.notes[1:], melody.pedals), melody) == pytest.approx(6 / 7)
    assert melody_recall(tune([60]), made([(0, 0.25, 60, 64, 0), (0, 0.25, 60, 90, 1)])) == 0.5  # none serves twice
    assert melody_recall(melody, made([])) is None


def test_planted_copies_are_found_in_transposition():
    rng = np.random.default_rng(1)
    pieces = [walk(rng, 400) for _ in range(20)]
    training = TrainingSet((f"piece {i}", symbols(piece)) for i, piece in enumerate(pieces))
    for length in (2, 5, 9, 60, 200):
        planted = Piece(pieces[7].notes[100 : 100 + length], pieces[7].pedals).moved(-20, 5)
        sample = made(np.concatenate([walk(rng, 40, -20).notes, planted.notes, walk(rng, 40, 80).notes]))
        copy = training.longest_copy(symbols(sample))
        assert copy.notes >= length and (length < 9 or (copy.start, copy.source) in [(40, "piece 7"), (39, "piece 7")])
    whole = training.longest_copy(symbols(pieces[3].moved(3.3, -2)))
    assert whole == Copy(400, 0, "piece 3")
    slower = tune(pieces[3].notes["pitch"], seconds=0.3)
    assert training.longest_copy(symbols(slower)).notes == 0
    intervals = TrainingSet((f"piece {i}", symbols(piece, rhythm=False)) for i, piece in enumerate(pieces))
    assert intervals.longest_copy(symbols(slower, rhythm=False)) == Copy(400, 0, "piece 3")


def test_copies_equal_those_found_by_trying_all():
    rng = np.random.default_rng(2)
    pieces = [(str(i), rng.integers(0, 3, rng.integers(0, 60))) for i in range(12)]
    training = TrainingSet(pieces)
    for _ in range(30):
        sample = rng.integers(0, 3, rng.integers(0, 50))
        runs = {tuple(told[i:j]) for _, told in pieces for i in range(len(told)) for j in range(i + 1, len(told) + 1)}
        longest = max((j - i for i in range(len(sample)) for j in range(i + 1, len(sample) + 1) if tuple(sample[i:j]) in runs), default=-1)
        copy = training.longest_copy(sample)
        assert copy.notes == longest + 1
        if copy.source:
            run = sample[copy.start : copy.start + longest]
            assert any(np.array_equal(dict(pieces)[copy.source][i : i + longest], run) for i in range(60))
    assert TrainingSet([]).longest_copy(np.zeros(5, np.int64)) == Copy(0)


def test_overlap_areas():
    rng = np.random.default_rng(3)
    spread = rng.normal(5, 1, 500)
    assert overlap_area(spread, spread) == pytest.approx(1, abs=0.01)
    assert overlap_area(spread, spread + 100) < 0.01
    assert overlap_area(spread, rng.normal(7, 1, 5000)) == pytest.approx(0.317, abs=0.05)  # two normals two deviations apart
    assert overlap_area(np.ones(5), spread) is None
    heldout = [walk(rng, 40) for _ in range(12)]
    areas = overlap_areas([walk(rng, 40) for _ in range(12)], heldout)
    assert areas["pitch_class_histogram"] > 0.6 and areas["inter_onset_s"] is None  # all tunes have the same pace
    assert set(overlap_areas(heldout[:2], heldout).values()) == {None}


def test_ngrams_of_three_tokens_by_hand():
    (first,), (second,) = ngram_bits([np.array([0, 0, 1])], [np.array([0, 2])], 3, 1)[0], ngram_bits([np.array([0, 1])], [np.array([0, 1])], 3, 2)[1]
    assert 2.0**-first == pytest.approx([1.5 / 3 + 1 / 3 * 1 / 3, 1 / 3 * 1 / 3])  # half of one is taken off both counts and goes to all three alike
    below = 0.25 + 0.5 / 3  # each token follows one context of two
    assert 2.0**-second == pytest.approx([0.5 + 0.5 * below] * 2)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_ngrams_sum_to_one(order):
    rng = np.random.default_rng(4)
    training = [rng.zipf(1.4, 300).clip(0, 9) for _ in range(6)] + [np.array([], np.int64)]
    for history in ([], [3], [1, 0, 0, 2], [11, 11, 11, 11], [0, 1, 11, 2, 0]):
        bits = ngram_bits(training, [np.array([*history, token]) for token in range(12)], 12, order)[-1]
        assert sum(2 ** -one[-1] for one in bits) == pytest.approx(1)


def test_longer_ngrams_win_where_there_is_a_pattern():
    pattern = np.tile([0, 1, 2, 0, 3], 40)
    by_order = [bits[0].mean() for bits in ngram_bits([pattern] * 3, [pattern], 5, 5)]
    assert by_order[4] < 0.1 < 1.5 < by_order[0]
    assert ngram_bits([np.zeros(3, np.int64)], [np.array([1, 2, 3])], 4, 5)[-1][0].max() < 64  # never seen, not impossible


def test_order_and_transpositions_are_chosen_on_validation_pieces(studio):
    def encoded(piece: Piece) -> Encoded:
        words = studio.tokenizer.encode(piece)
        return Encoded(np.append(words, studio.tokenizer.end), words, piece)

    rng = np.random.default_rng(11)
    tunes = [walk(rng, 50) for _ in range(4)]
    trained, moved = [encoded(piece) for piece in tunes], [encoded(piece.moved(0, 2)) for piece in tunes]
    params = Augmentation(**VARIED)
    there = chosen(studio.tokenizer, trained, moved[:2], moved[2:], params)
    same = chosen(studio.tokenizer, trained, trained[:2], moved[2:], params)
    assert there.transposed and not same.transposed and there.order > 4 and there.pieces == 4
    assert max(there.ngram) < min(same.ngram) / 3 and len(there.unigram) == 2
    assert chosen(studio.tokenizer, trained, [], moved, params).order == 5 < MOST  # nothing to choose by


class Words:
    """A tokenizer of four pitches in steps of 40 ms, with two composers."""

    words = ["EOS", "any", "A", "B", "BOS", "MID", *(["Pitch"] * 4), *(["Duration"] * 2), "TimeShift", *(["Velocity"] * 2)]
    kinds = np.array(words)
    values = np.array([np.nan] * 6 + [60, 61, 62, 63, 0.04, 0.08, 0.04, 63, 127])
    end, size, composers, genres, programs = 0, len(words), ["A", "B"], [], [0]

    def prefix(self, composer=None, genre=None, programs=None, begins=True):
        return [{None: 1, "A": 2, "B": 3}[composer], 4 if begins else 5]

    def split(self, ids):
        return ids


class Bigrams(torch.nn.Module):
    """Says what follows by the last two tokens and how many were seen, if `context` lets it; uniform without weights."""

    def __init__(self, context: int, weight: float) -> None:
        super().__init__()
        self.context, self.tokenizer, size = context, Words(), Words.size
        generator = torch.Generator().manual_seed(0)
        self.table = torch.nn.Parameter(weight * torch.randn(size, size, size, generator=generator))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        assert ids.shape[1] < self.context
        return self.table[ids, torch.cat([ids[:, :1], ids[:, :-1]], dim=1)]


def tokens(seed: int, count: int) -> np.ndarray:
    return np.append(np.random.default_rng(seed).integers(6, Words.size, count - 1), Words.end)


def test_uniform_model_needs_the_logarithm_of_its_words():
    asked = [Asked([1, 4], [1, 5], tokens(seed, count)) for seed, count in enumerate((1, 20, 33, 200))]
    for one, bits in zip(asked, token_bits(Bigrams(32, 0.0), asked)):
        assert bits == pytest.approx(np.full(len(one.tokens), math.log2(Words.size)), rel=1e-5)
    with pytest.raises(UserError, match="leaves no room"):
        token_bits(Bigrams(3, 0.0), asked)


def test_windows_cover_each_token_once_with_half_a_context_before():
    for length, room in ((5, 10), (10, 10), (11, 10), (97, 10), (50, 7), (9, 2)):
        windows = cut(length, room)
        assert [i for begin, end, first in windows for i in range(first, end)] == list(range(length))
        assert all(end - begin <= room and first - begin >= room // 2 for begin, end, first in windows[1:])


def test_windows_equal_the_full_forward():
    prefix, charged = [2, 4], tokens(5, 300)
    whole = token_bits(Bigrams(1000, 2.0), [Asked(prefix, [2, 5], charged)])[0]
    model = Bigrams(1000, 2.0)
    logits = model(torch.tensor([[*prefix, *charged]]))[0].log_softmax(-1).detach()
    expected = [-float(logits[1 + i, token]) / math.log(2) for i, token in enumerate(charged)]
    assert whole == pytest.approx(expected, rel=1e-4)
    batch = [Asked(prefix, [2, 5], charged), Asked([1, 4], [1, 5], tokens(6, 70)), Asked(prefix, [2, 5], charged[:90])]
    windowed = token_bits(Bigrams(32, 2.0), batch)  # two tokens of the past are always seen
    assert windowed[0] == pytest.approx(whole, rel=1e-4) and windowed[2] == pytest.approx(whole[:90], rel=1e-4)


def test_bits_with_right_wrong_and_no_composer():
    piece = Encoded(tokens(8, 50), tokens(8, 50)[:-1], tune(MAJOR))
    with_label, without = evaluate(Bigrams(64, 1.0), [piece, piece], ["A", None], [None, None])
    totals = [token_bits(Bigrams(64, 1.0), [Asked([label, 4], [label, 5], piece.tokens)])[0].sum() for label in (1, 2, 3)]
    assert (with_label.no_name, with_label.right_name, with_label.wrong_name) == pytest.approx(totals, rel=1e-5)
    assert (with_label.no_composer, with_label.model) == pytest.approx(totals[:2], rel=1e-5)  # programs are no words of this one
    assert without.model == without.no_composer == pytest.approx(with_label.no_composer) and without.notes == 7
    assert (without.right_name, without.no_name, without.wrong_name, without.best_wrong_name) == (None,) * 4
    assert wrong_labels("ABCDE", "C") == ["D", "E", "A", "B"] and len(wrong_labels(range(100), 3)) == 15
    several = PieceBits(10, 40, 50.0, 60.0, 51.0, 61.0, (58.0, 54.0), (59.0, 49.0), 0.0, 0.0)
    assert (several.wrong_name, several.best_wrong_name, several.best_wrong_beside) == (56, 54, 49)


def test_what_has_no_word_is_charged(studio, tmp_path):
    """A tokenizer that drops what it cannot say does not gain by it."""
    file = tune([60, 10, 62]).joined(tune([64], program=40))  # 10 is below the range
    bits = unsaid_bits(file)
    assert bits == pytest.approx(7 + math.log2(127) + 2 * math.log2(75) + 1)  # 75 steps of 10 ms, two programs
    write_midi(tmp_path / "low.mid", file)
    said = encode_file(studio.tokenizer, tmp_path / "low.mid")
    assert (said.notes, said.unsaid, len(said.piece.notes)) == (4, 1, 3) and said.unsaid_bits == pytest.approx(bits)
    assert said.program_bits == program_bits(studio.tokenizer, file) == 4  # its words have one program for both
    one = PieceBits(said.notes, 9, 20.0, 20.0, None, None, (), (), 8.0, 4.0)
    assert (one.per_note(20.0, False), one.per_note(20.0, True), one.per_note(None, True)) == (7, 8, None)
    assert program_bits(studio.tokenizer, tune([60, 62])) == 0


def test_residual_of_a_coarse_grid():
    shift, short, long, soft, loud = 12, 10, 11, 13, 14
    # onset: 4 steps of 10 ms; 0.04 stands for 0.01-0.06, nearly: up to 0.06 from half a step, 5.5; 0.08 for 0.06-0.08; soft for 1-95, loud for 96-127
    assert residual_bits(Words(), np.array([shift, 6, soft, short])) == pytest.approx(2 + math.log2(5.5) + math.log2(95))
    assert residual_bits(Words(), np.array([7, loud, long])) == pytest.approx(2 + 1 + math.log2(32))
    assert residual_bits(Words(), np.array([], np.int64)) == 0


def rows_of(*names: str, **columns) -> list[dict]:
    """Rows of the table of pieces, a composition each."""
    return [{"composition": name, "composer": None, "genre": None} | {key: values[number] for key, values in columns.items()} for number, name in enumerate(names)]


def test_all_columns_of_a_row_are_of_the_same_pieces():
    """The right name wins on a and c, not on b (two performances, one of them lost); d has no composer, and is in no mean of the named."""
    rows = rows_of("a", "b", "b", "c", "d", genre=["mass", "mass", "mass", "song", None], composer=["Up", "Up", "Up", "Down", None])
    best_wrong = [5.5, 3.5, 4.5, 8.0, None]
    values = {"right_name": [5.0, 4.0, 4.0, 6.0, None], "no_name": [5.0, 4.0, 4.0, 6.5, None], "wrong_name": [6.0, 5.0, 5.0, 8.0, None], "best_wrong_name": best_wrong}
    values |= {"best_wrong_beside": [5.0, 4.5, 4.5, 5.0, None], "model": [5.0, 4.0, 4.0, 6.0, 90.0], "ngram": [6.0, 3.0, 3.0, 9.0, 95.0], "unigram": [9.0] * 5}
    told = by_name(rows, values, ["Up", "Up", "Up", "Down", None], ["Down", "Down", "Up", None, None, None], 0.95)
    assert set(told["named"]) == set(NAMED_SAYERS) and {entry["n"] for entry in told["named"].values()} == {4}
    assert told["named"]["right_name"]["value"] == 5 and told["named"]["wrong_name"]["value"] == pytest.approx(19 / 3, abs=1e-4)
    gain = told["name_gain"]["wrong_name"]  # of 1, 1 and 2 over compositions
    assert gain["value"] == pytest.approx(4 / 3, abs=1e-4) and gain["high"] - gain["value"] == pytest.approx(4.3027 / 3, abs=1e-3)
    low, high = (100 * limit for limit in clopper_pearson(2, 3, 0.95))
    assert told["composer_wins"] == {"value": 66.6667, "low": pytest.approx(low, abs=1e-3), "high": pytest.approx(high, abs=1e-3), "n": 3}
    assert told["commonest_composer"]["name"] == "Down" and told["commonest_composer"]["share"]["value"] == 33.3333
    found = collections(rows, values, 0.95)
    assert list(found) == ["mass", "others", "song"] and found["mass"]["gain"]["value"] == 0 and found["song"]["gain"] == {"value": 3, "low": None, "high": None, "n": 1}


def test_estimates_are_over_compositions():
    pieces = Pieces(rows_of("a", "a", "b"), 0.95)
    assert pieces.mean([1.0, 3.0, 4.0])["value"] == 3 and pieces.mean([1.0, 3.0, 4.0])["low"] == 0  # bits are not below 0
    assert pieces.gain([1.0, 3.0, 4.0], [0.0, 2.0, 3.0]) == {"value": -1, "low": -1, "high": -1, "n": 3}
    assert pieces.share([True, False, True])["value"] == 50 and pieces.share([None, None, None])["n"] == 0  # half of a composition is not more than half
    assert mean([("a", 1.0), ("b", None)], 0.95) == {"value": 1, "low": None, "high": None, "n": 1}


def phrase(rng, steps, notes: int = 80) -> Piece:
    return tune(60 + np.cumsum(rng.choice(steps, notes)) % 24 - 12)


def test_a_classifier_tells_composers_apart_in_any_key():
    rng = np.random.default_rng(12)
    steps = {"Leaps": (-9, -7, 7, 9), "Steps": (-2, -1, 1, 2)}

    def asked(names, count: int, of=lambda name: name) -> style.Asked:
        pieces = [(phrase(rng, steps[of(name)]).moved(0, int(rng.integers(-5, 6))), name) for name in names for _ in range(count)]
        return style.Asked([piece for piece, _ in pieces], [name for _, name in pieces], [str(number) for number in range(len(pieces))])

    def style_of(heldout: style.Asked, samples: style.Asked) -> dict:
        train = asked(steps, 6)
        few = style.Asked([*train.pieces, *train.pieces[:4]], [*train.composers, *["Few"] * 4], [*train.groups, *"abcd"])
        return style.style(few, asked(steps, 2), heldout, samples, rows_of(*few.groups), 10.0, 0.95)

    other = {"Leaps": "Steps", "Steps": "Leaps"}
    told = style_of(asked(steps, 4), asked(steps, 3))
    assert (told["heldout"]["value"], told["generated"]["value"], told["permuted"], told["left_out"]) == (100, 100, 50, ["Few"])
    assert told["pitches"]["heldout"]["value"] == told["pitches"]["generated"]["value"] == 100
    low, _ = clopper_pearson(6, 6, 0.95)
    assert told["generated"]["low"] == pytest.approx(100 * low, abs=1e-3) and told["by_composer"]["Leaps"]["heldout"]["n"] == 4 and told["commonest"]["value"] == 50
    swapped = style_of(asked(steps, 4), asked(steps, 3, other.get))
    assert swapped["generated"]["value"] == 0 and swapped["permuted"] == 50 and swapped["heldout"]["value"] == 100
    one_name = style_of(asked(steps, 4), asked(["Steps"], 5))
    assert one_name["generated"]["value"] == one_name["permuted"] == 100  # whatever was asked for, this would have come
    chord = made([(0, 1, 60, 64, 0), (0, 1, 64, 64, 0), (1, 2, 59, 64, 0), (1, 2, 67, 64, 0), (1.5, 2, 71, 64, 0)])
    assert style.describe(chord.moved(0, 5)) == pytest.approx(style.describe(chord))
    slower = made([(2 * note["start"], 2 * note["end"], note["pitch"], 64, 0) for note in chord.notes])
    assert style.describe(slower, times=False) == pytest.approx(style.describe(chord, times=False)) and len(style.describe(slower)) > len(style.describe(slower, times=False))


def test_without_two_composers_nothing_is_recognised():
    none = style.Asked([], [], [])
    told = style.style(style.Asked([tune(MAJOR)] * 5, ["One"] * 5, list("abcde")), none, none, none, rows_of(*"abcde"), np.inf, 0.95)
    assert told["heldout"]["n"] == told["generated"]["n"] == 0 and told["seconds"] is None


def test_excerpts_are_as_long_as_samples():
    parts = style.excerpts(tune([60] * 50), 5.0)  # 12.5 s
    assert [(len(part.notes), round(part.seconds, 3)) for part in parts] == [(20, 5), (20, 5), (10, 2.5)] and all(part.notes["start"][0] == 0 for part in parts)
    assert len(style.excerpts(tune([60] * 49), 5.0)) == 2 and len(style.excerpts(tune([60]), 5.0)) == 1


@pytest.fixture(scope="module")
def studio(tmp_path_factory) -> SimpleNamespace:
    """A fresh small model of our own, two composers' pieces, and compositions."""
    from ostinato.midi.tokens import Tokenizer

    folder = tmp_path_factory.mktemp("studio")
    rng, rows = np.random.default_rng(9), []
    for number in range(10):
        composer, split = ("Up", "Down")[number % 2], "test" if number > 5 else "train"
        path = folder / composer / f"{number}.mid"
        write_midi(path, walk(rng, 60))
        rows.append({"id": f"{composer}/{number}", "path": str(path), "composer": composer, "genre": None, "composition": f"{number}", "split": split})
    write_jsonl(folder / "pieces.jsonl", rows)
    tokenizer = Tokenizer.load(build_model(folder / "model", [0, DRUMS]) / "tokenizer.json")
    melody = tune(MAJOR)
    write_midi(folder / "melody.mid", melody)
    taken = encode_file(tokenizer, rows[0]["path"]).piece
    pieces = {
        "copy": ("sample", taken.moved(0, 3), None, []),
        "free": ("sample", walk(rng, 30), None, []),
        "other": ("sample", walk(rng, 31), None, []),
        "happy": ("style", melody.joined(walk(rng, 8)), str(folder / "melody.mid"), []),
        "goes-on": ("continuation", taken, None, [[0, 14.0]]),
    }
    for name, (kind, piece, song, given) in pieces.items():
        write_midi(folder / "demos" / f"{name}.mid", piece)
        about = {"demo": name, "kind": kind, "composer": "Up", "genre": None, "programs": [0], "model": "m", "melody": song, "given": given}
        write_sidecar(folder / "demos" / f"{name}.mid", "compositions", [], seed=1, about=about)
    return SimpleNamespace(folder=folder, rows=rows, taken=taken, tokenizer=tokenizer)


def build_model(folder: Path, programs: list[int]) -> Path:
    """A fresh model with words for these programs."""
    from ostinato.lm.midi_model import build_midi, save_midi
    from ostinato.midi.tokens import Tokenizer
    from ostinato.params.midi import Gpt, Tokens

    params = Tokens(
        clock="seconds", resolution=[(2, 32), (16, 2)], pitches=(21, 109), velocities=32, pedal=True, programs=True, chords=False, rests=False, time_signatures=False, bpe=0
    )
    tokenizer = Tokenizer.fit(params, programs, ["Up", "Down"], [])
    save_midi(folder, build_midi(Gpt(dim=16, layers=1, heads=2, context=64, dropout=0, condition_dropout=0, short_windows=0), tokenizer, 0))
    return folder


def judge_midi(studio, **paths: Path) -> tuple[dict, dict]:
    args = {"model": "model", "pieces": "pieces.jsonl", "demos": "demos", "scores": "scores.json", "judgements": "judgements.json"}
    options = {name: studio.folder / paths.get(name, path) for name, path in args.items()}
    judge_midi_command.run(argparse.Namespace(params=json.dumps(JUDGE), augmentation=json.dumps(VARIED), jobs=1, **options))
    return read_json(options["scores"]), {demo["demo"]: demo for demo in read_json(options["judgements"])["demos"]}


def test_judge_midi(studio):
    scores, demos = judge_midi(studio)
    assert {name for name, one in scores["bits_per_note"].items() if one["n"] == 4} == {"model", "no_composer", "ngram", "unigram"}
    assert {one["n"] for one in scores["named"].values()} == {4} and scores["named"]["ngram"] == scores["bits_per_note_common"]["ngram"]
    assert scores["ngram"] | {"order": 0} == {"order": 0, "transposed": True, "pieces": 6, "of": 6, "chosen_on": 0} and scores["unsaid"] == {"notes": 0, "of": 240}
    assert scores["bits_per_note"]["unigram"]["value"] < scores["bits_per_note"]["model"]["value"]  # it was never trained
    assert scores["bits_per_note_common"]["model"]["value"] > scores["bits_per_note"]["model"]["value"]
    assert scores["composer_wins"]["n"] == 4 and scores["commonest_composer"]["name"] == "Down" and scores["commonest_composer"]["share"]["value"] == 50
    assert scores["style"]["left_out"] == ["Down", "Up"]  # three pieces each
    assert scores["metrics"]["notes_per_second"]["generated"] == pytest.approx({"value": 4, "low": 4, "high": 4, "n": 3}, rel=0.1)
    assert scores["metrics"]["copied_notes"]["heldout"]["n"] == 4
    assert scores["longest_copy"] == {"notes": 60, "demo": "copy", "from": "Up/0"}
    assert scores["melody_recall"] == {"value": 1, "low": None, "high": None, "n": 1}
    assert demos["copy"]["metrics"]["copied_share"] == 1 and "melody_recall" not in demos["copy"]["metrics"]
    assert demos["goes-on"]["metrics"]["copied_notes"] == demos["goes-on"]["notes"] - sum(note[5] for note in demos["goes-on"]["roll"]) == 4
    assert sum(note[5] for note in demos["happy"]["roll"]) == 7 and demos["happy"]["metrics"]["melody_recall"] == 1


def test_judge_midi_says_what_is_missing(studio):
    with pytest.raises(UserError, match="expected compositions"):
        judge_midi(studio, demos=Path("Up/none"))
    write_jsonl(studio.folder / "few.jsonl", [row for row in studio.rows if row["split"] == "train"])
    with pytest.raises(UserError, match="no piece of split 'test'"):
        judge_midi(studio, pieces=Path("few.jsonl"))


def test_held_out_pieces_without_words_are_listed(studio, tmp_path):
    odd = HANDED | {"high.mid": song(tune_of_bytes(low=110, high=127)), "cut.mid": song(tune_of_bytes())[:-9]}
    for name, data in odd.items():
        (tmp_path / name).write_bytes(data)
    added = [{"id": name, "path": str(tmp_path / name), "composer": "Up", "genre": None, "composition": name, "split": "test"} for name in [*odd, "gone.mid"]]
    trained = {"id": "t", "path": str(tmp_path / "cut.mid"), "composer": "Up", "genre": None, "composition": "t", "split": "train"}
    write_jsonl(studio.folder / "odd.jsonl", [*studio.rows, *added, trained])
    no_drums, out = build_model(tmp_path / "model", [0]), {name: tmp_path / f"{name}.json" for name in ("scores", "judgements")}
    plain, _ = judge_midi(studio, model=no_drums, **out)
    assert "set_aside" not in read_json(out["judgements"])
    assert judge_midi(studio, model=no_drums, pieces=Path("odd.jsonl"), **out)[0] == plain
    reasons = {Path(row["path"]).name: row["reason"] for row in read_json(out["judgements"])["set_aside"]}
    assert set(reasons) == {*odd, "gone.mid"} and "none of its notes has a word" in reasons["beatb1.mid"] and "No such file" in reasons["gone.mid"]
    write_jsonl(studio.folder / "none.jsonl", [*(row for row in studio.rows if row["split"] == "train"), *added])
    scores, demos = judge_midi(studio, model=no_drums, pieces=Path("none.jsonl"), **out)
    assert scores["bits_per_note"]["model"] == {"value": None, "low": None, "high": None, "n": 0} and len(demos) == 5


def test_a_demo_that_cannot_be_read_is_listed(studio, tmp_path):
    shutil.copytree(studio.folder / "demos", tmp_path / "demos")
    (tmp_path / "demos/free.mid").write_bytes(HANDED["division_0.mid"])
    _, demos = judge_midi(studio, demos=tmp_path / "demos", judgements=tmp_path / "judgements.json", scores=tmp_path / "scores.json")
    assert set(demos) == {"copy", "other", "happy", "goes-on"} and "division" in read_json(tmp_path / "judgements.json")["set_aside"][0]["reason"]


def test_bits_per_note_of_odd_files(studio, capsys, tmp_path):
    for name, data in (HANDED | {"a.kar": song(tune_of_bytes()), "b.rmi": riff(song(tune_of_bytes(1))), "c.txt": song(tune_of_bytes())}).items():
        (tmp_path / name).write_bytes(data)
    with open(os.fsencode(tmp_path) + b"/caf\xe9.mid", "wb") as stream:
        stream.write(song(tune_of_bytes(2)))
    no_drums = build_model(tmp_path / "model", [0])
    assert main(["bits-per-note", str(tmp_path), "--model", str(no_drums), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [Path(row["path"]).name for row in report["pieces"]] == ["a.kar", "b.rmi", "caf\udce9.mid"] and report["total"]["notes"] == 120
    assert [Path(row["path"]).name for row in report["set_aside"]] == ["beatb1.mid", "c.txt", "division_0.mid", "huge_tick.mid"]
    with pytest.raises(UserError, match="none of 1 MIDI files can be used; the first: .*beatb1.mid: none of its notes has a word"):
        bits_per_note_command.run(argparse.Namespace(folder=tmp_path / "beatb1.mid", model=no_drums, composer=None, genre=None, json=True, jobs=1))


def test_bits_per_note_of_a_folder(studio, capsys, tmp_path):
    for path in (studio.folder / "Up").glob("*.mid"):
        (tmp_path / "up" / path.name).parent.mkdir(exist_ok=True)
        (tmp_path / "up" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.MID").write_bytes(b"RIFF")
    options = {"folder": tmp_path, "model": studio.folder / "model", "composer": None, "genre": None, "json": True, "jobs": 1}
    bits_per_note_command.run(argparse.Namespace(**options))
    report = json.loads(capsys.readouterr().out)
    assert [row["composer"] for row in report["pieces"]] == ["Up"] * 5 and "broken.MID" in report["set_aside"][0]["reason"]
    average = np.mean([row["bits_per_note"]["model"] for row in report["pieces"]])
    assert report["total"]["bits_per_note"]["model"] == pytest.approx(average, abs=1e-3) and report["total"]["notes"] == 300
    bits_per_note_command.run(argparse.Namespace(**options | {"json": False}))
    assert "set aside: " in (text := capsys.readouterr().out) and "steps of 15.62 ms" in text
    with pytest.raises(UserError, match="unknown to this model; known: Down, Up"):
        bits_per_note_command.run(argparse.Namespace(**options | {"composer": "Satie"}))
    with pytest.raises(UserError, match="none of 1 MIDI files"):
        bits_per_note_command.run(argparse.Namespace(**options | {"folder": tmp_path / "broken.MID"}))
