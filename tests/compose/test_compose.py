"""Composing with a tiny random model: what it must keep, it keeps, whatever the model says."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from odd_midi import HANDED, riff, song
from odd_midi import tune as bytes_of_tune
from ostinato.commands import compose as compose_command
from ostinato.commands import compositions as compositions_command
from ostinato.compose import compositions, files
from ostinato.compose.batch import Batch, Request
from ostinato.compose.compose import Composition, accompany, effective, go_on, infill, sample, systematic
from ostinato.compose.draft import Draft, Words
from ostinato.compose.melody import skyline
from ostinato.etudes.rendering import SAMPLE_RATE, soundfont
from ostinato.files import UserError, read_json
from ostinato.generate.sampling import Sampling
from ostinato.judge.midi.notes import melody_recall
from ostinato.lm.midi_model import build_midi, save_midi
from ostinato.midi.notes import DRUMS, Piece, read_midi, write_midi
from ostinato.midi.rendering import pedalled, render_piece
from ostinato.midi.tokens import Tokenizer
from ostinato.params.midi import Evidence, Gpt, Tokens
from ostinato.sidecars import sidecar_path
from ostinato.tables import read_table

#: Few shifts and durations: a model that says anything comes to an end sooner.
PLAIN = {
    "clock": "seconds",
    "resolution": [(1, 32), (4, 8)],
    "pitches": (21, 108),
    "velocities": 4,
    "pedal": True,
    "programs": True,
    "chords": False,
    "rests": False,
    "time_signatures": False,
    "bpe": 0,
}
HOW = Sampling(1.0, 0, 0.99, 1.5)
TUNE = [(0.0, 0.5, 60), (0.5, 0.75, 60), (1.0, 1.5, 62), (1.5, 2.0, 60), (2.5, 3.0, 65), (3.0, 4.0, 64)]


def model_of(context=160, known=(-1, 0, 40), **changes):
    """A model with random weights, so that it says anything."""
    tokenizer = Tokenizer.fit(Tokens(**{**PLAIN, **changes}), known, ["Bach", "Clara Schumann"], ["chorale"])
    if changes.get("bpe"):
        tokenizer.learn([tokenizer.encode(busy(seed)) for seed in range(8)], changes["bpe"])
    return build_midi(Gpt(dim=32, layers=2, heads=2, context=context, dropout=0.0, condition_dropout=0.1, short_windows=0.0), tokenizer, 1).eval()


def busy(seed=0, notes=60, seconds=12.0, programs=(-1, 0, 40)):
    """A piece of random notes that no key plays over itself, with pedals."""
    rng = np.random.default_rng(seed)
    rows = [
        (start, start + rng.uniform(0.05, 0.6), int(pitch), int(rng.integers(20, 120)), int(rng.choice(programs)))
        for start, pitch in zip(np.sort(rng.uniform(0, seconds, notes)), np.arange(notes) % 60 + 30)
    ]
    return Piece.of(rows, [(1.0, 2.5, 0), (4.0, 7.0, 0)])


def tune(up=0, notes=TUNE):
    """A melody."""
    return Piece.of([(start, end, pitch + up, 80, 0) for start, end, pitch in notes])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Steps so small are slower with two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model():
    """One model for all tests."""
    return model_of()


def test_greedy_with_the_cache_is_the_full_forward(model):
    """Every word is the likeliest of those allowed, as a forward pass over all that was said has it; guided, with prefixes of unequal length."""
    request, draft = Request("Bach", None, (0, 40)), Draft(Words(model.tokenizer), {0, 40})
    rows = Batch(model, [request], 1.5)
    rows.read([0], [])
    tokenizer, told, untold = model.tokenizer, request.prefix(model.tokenizer, True), Request().prefix(model.tokenizer, True)
    with torch.no_grad():
        for _ in range(60):
            full, free = (model(torch.tensor([[*prefix, *draft.words]]))[0, -1] for prefix in (told, untold))
            logits = free + 1.5 * (full - free)
            torch.testing.assert_close(rows.logits[0], logits, atol=1e-4, rtol=1e-4)
            mask = torch.from_numpy(draft.allowed())
            word = int(logits.masked_fill(~mask, -torch.inf).argmax())
            assert word == int(rows.logits[0].masked_fill(~mask, -torch.inf).argmax())
            draft.say(word)
            rows.say([word], [True])
    assert tokenizer.decode(draft.words).notes.size


def test_rows_of_unequal_length_are_as_each_alone(model):
    """Rows that wait, go on, slide and are drawn anew have the logits of a full forward of their own words."""
    rng = np.random.default_rng(0)
    rows, said = Batch(model, [Request("Bach")] * 3, 1.5), [[], [], []]
    with torch.no_grad():
        for row in range(3):
            said[row] = [int(word) for word in rng.integers(20, 200, 4 * row)]
            rows.read([row], said[row])
        for step in range(40):
            words, goes = rng.integers(20, 200, 3).tolist(), [True, step % 3 == 0, step % 2 == 0]
            rows.say(words, goes)
            said = [[*past, word] if going else past for past, word, going in zip(said, words, goes)]
            if step == 20:
                rows.become([0, 0, 2])
                said[1] = said[0]
        for row in range(3):
            told, untold = (model(torch.tensor([[*request.prefix(model.tokenizer, True), *said[row]]]))[0, -1] for request in (Request("Bach"), Request()))
            torch.testing.assert_close(rows.logits[row], untold + 1.5 * (told - untold), atol=1e-4, rtol=1e-4)


def test_what_a_tokenizer_says_is_allowed(model):
    """No piece is out of a draft's reach, and a draft reads it as the tokenizer does."""
    tokenizer, words = model.tokenizer, Words(model.tokenizer)
    for seed in range(4):
        draft, piece = Draft(words), busy(seed, 80, 6.0)
        for word in tokenizer.encode(piece):
            assert draft.allowed()[word], tokenizer.words[word]
            draft.say(int(word))
        assert draft.piece().notes.tolist() == tokenizer.decode(draft.words).notes.tolist()
        assert draft.piece().pedals.tolist() == tokenizer.decode(draft.words).pedals.tolist()


@pytest.mark.parametrize("guidance", [1.0, 1.5])
def test_samples_are_whole_and_the_same_again(model, guidance):
    """Beyond the context too; only programs that were asked for play; nobody else's random state is touched."""
    how, state = Sampling(1.0, 0, 0.0, guidance), torch.get_rng_state()
    requests = [Request("clara schumann", "chorale", (0, 40)), Request()]
    pieces = sample(model, requests, 30.0, how, 3)
    assert torch.equal(state, torch.get_rng_state())
    assert set(pieces[0].programs) <= {0, 40}
    for piece, again, other in zip(pieces, sample(model, requests, 30.0, how, 3), sample(model, requests, 30.0, how, 4)):
        assert piece.notes.tolist() == again.notes.tolist() != other.notes.tolist()
        assert 0 < piece.seconds <= 30 and (piece.notes["end"] > piece.notes["start"]).all()
        assert model.tokenizer.quantised(piece).notes["start"].tolist() == piece.notes["start"].tolist()


@pytest.mark.parametrize("changes", [{"bpe": 700}, {"clock": "beats", "rests": True, "chords": True, "time_signatures": True, "programs": False, "pedal": False}])
def test_other_tokenizers_compose_and_go_on(changes, tmp_path):
    """Byte pairs, and the words of the seed experiment; what these cannot do is said."""
    model, path = model_of(**changes), tmp_path / "given.mid"
    write_midi(path, busy(programs=(0,)))
    words = model.tokenizer.encode_file(path)
    piece = sample(model, [Request("Bach")], 40.0, HOW, 1)[0]
    assert len(piece.notes) and piece.seconds <= 40
    longer, given = go_on(model, Request(), words, 40.0, HOW, 1), model.tokenizer.decode(words)
    assert longer.piece.notes[: len(given.notes)].tolist() == given.notes.tolist()
    assert len(longer.piece.notes) > len(given.notes)
    with pytest.raises(UserError, match="single words"):
        accompany(model, Request(), tune(), HOW, 1, 2)


@pytest.mark.parametrize("notes", [6, 200])
def test_going_on_keeps_what_was_given(model, notes):
    """A short beginning, and one longer than the context."""
    words = model.tokenizer.encode(busy(notes=notes))
    given, longer = model.tokenizer.decode(words), go_on(model, Request("Bach"), words, 10.0, HOW, 2)
    assert longer.piece.notes[: len(given.notes)].tolist() == given.notes.tolist()
    new = longer.piece.notes[len(given.notes) :]
    assert len(new) and (new["start"] > longer.given[0][1]).all() and longer.piece.seconds <= given.seconds + 10


@pytest.mark.parametrize("gap", [(4.0, 6.5), (0.0, 2.0), (9.0, 11.5), (5.0, 5.01)])
@pytest.mark.parametrize("notes", [10, 100])
def test_filling_a_gap_changes_nothing_else(model, gap, notes, tmp_path):
    """In a file too, where a key cannot be held twice."""
    piece = Piece.of([*busy(notes=notes).notes, (11.8, 12.5, 70, 64, 0)], busy().pedals)
    made = infill(model, Request("Bach"), piece, gap, HOW, 5, 3)
    for at in (at for at in np.arange(0.05, 8.0, 0.1) if not gap[0] - 0.02 <= at <= gap[1] + 0.02):
        assert ((made.piece.pedals["start"] <= at) & (made.piece.pedals["end"] > at)).any() == ((piece.pedals["start"] <= at) & (piece.pedals["end"] > at)).any()
    write_midi(tmp_path / "filled.mid", made.piece)
    write_midi(tmp_path / "given.mid", piece)
    for filled, given in ((made.piece, piece), (read_midi(tmp_path / "filled.mid"), read_midi(tmp_path / "given.mid"))):
        left, right = made.given[0][1], made.given[1][0]
        old = [note for note in filled.notes.tolist() if not left <= note[0] < right]
        assert old == [note for note in given.notes.tolist() if not left <= note[0] < right]
        assert len(filled.notes) > len(old)
    assert abs(left - gap[0]) < 0.02 and right - gap[1] < 0.02
    assert made.piece.notes.tolist() == infill(model, Request("Bach"), piece, gap, HOW, 5, 3).piece.notes.tolist()


@pytest.mark.parametrize("melody", [tune(), tune(-36), tune(43), tune(notes=[(0.7, 1.2, 60), (1.2, 9.0, 60), (9.1, 9.2, 72)])])
@pytest.mark.parametrize("asked", [Request("Bach"), Request(programs=(40, -1, 0))])
def test_a_melody_is_kept_note_for_note(model, melody, asked, tmp_path):
    """At both ends of the range, after rests, in several programs; it stays the top line and the piece ends with it."""
    kept = model.tokenizer.quantised(melody)
    for seed in range(2):
        made = accompany(model, asked, melody, HOW, seed, 3)
        assert melody_recall(made.piece, kept, 0.0) == 1 and melody_recall(made.melody, kept, 0.0) == 1
        files.write_composition(tmp_path / "made.mid", made)
        assert melody_recall(read_midi(tmp_path / "made.mid"), kept) == 1
        assert made.piece.seconds == kept.seconds
        pitched = made.piece.notes[made.piece.notes["program"] != DRUMS]
        for note in kept.notes:
            during = pitched[(pitched["start"] < note["end"]) & (pitched["end"] > note["start"])]
            assert during["pitch"].max() == note["pitch"] and (during["pitch"] == note["pitch"]).sum() == 1
    assert made.piece.notes.tolist() == accompany(model, asked, melody, HOW, 1, 3).piece.notes.tolist()


def test_drafts_are_drawn_by_weight():
    """Systematic resampling: as often as the weight says, within one; who stays keeps their place."""
    torch.manual_seed(0)
    weights = torch.tensor([0.5, 0.26, 0.24, 0.0], dtype=torch.float64).log()
    drawn = systematic(weights)
    assert sorted(drawn) in ([0, 0, 1, 2], [0, 0, 1, 1], [0, 0, 2, 2]) and drawn[0] == 0
    assert effective(torch.zeros(4)) == pytest.approx(4) and effective(weights) == pytest.approx(1 / (0.25 + 0.26**2 + 0.24**2))


def test_the_top_line_of_a_piece():
    """What lies under a higher note is left out, what overlaps is shortened, drums are no melody."""
    chords = Piece.of([(0, 1, 60, 80, 0), (0, 1.02, 72, 80, 0), (1, 2, 71, 80, 0), (1.2, 1.6, 50, 80, 0), (0, 1, 36, 80, DRUMS)])
    line, left_out, shortened = skyline(chords)
    assert (line.notes["pitch"].tolist(), line.notes["end"].tolist(), left_out, shortened) == ([72, 71], [1.0, 2.0], 2, 1)
    with pytest.raises(UserError, match="only drums"):
        skyline(Piece.of([(0, 1, 36, 80, DRUMS)]))


def test_errors_say_what_is_wrong(model):
    """One line each, with what was found and what is known."""
    for call, match in (
        (lambda: accompany(model, Request(), tune(-45), HOW, 1, 2), r"Eb0 \(15\).*A0 to C8 \(21 to 108\).*by \+6 semitones"),
        (lambda: accompany(model, Request(), tune(50), HOW, 1, 2), r"transpose it by -7 semitones"),
        (lambda: accompany(model, Request(), Piece.of([(0, 1, 60, 80, 0), (0, 1, 64, 80, 0)]), HOW, 1, 2), "one note at a time"),
        (lambda: accompany(model, Request(programs=(-1,)), tune(), HOW, 1, 2), "one with pitches"),
        (lambda: sample(model, [Request("Elvis")], 5, HOW, 1), "known: Bach, Clara Schumann"),
        (lambda: sample(model, [Request()], 0, HOW, 1), "seconds: expected a number above 0"),
        (lambda: infill(model, Request(), tune(), (3, 9), HOW, 1, 2), "4.00 s long"),
        (lambda: infill(model, Request(), tune(), (3, 2), HOW, 1, 2), "expected a beginning and an end inside"),
        (lambda: accompany(model, Request(), tune(), HOW, 1, 0), "particles"),
    ):
        with pytest.raises(UserError, match=match):
            call()


def test_the_pedal_lengthens_sound():
    """Notes end with the pedal, or where their key is struck again; drums are left alone."""
    notes = [(0, 0.3, 60, 80, 0), (1.0, 1.2, 60, 80, 0), (0.5, 0.6, 64, 80, 0), (2.5, 2.6, 64, 80, 0), (0, 0.2, 40, 80, DRUMS)]
    held = pedalled(Piece.of(notes, [(0.2, 2.0, 0)]))
    assert {(note["start"], note["end"]) for note in held.notes} == {(0, 1.0), (1.0, 2.0), (0.5, 2.0), (2.5, 2.6), (0, 0.2)}
    font = soundfont(None)
    dry, wet = (render_piece(Piece.of([(0, 0.3, 60, 80, 0), (2.0, 2.2, 62, 80, 0)], pedals), font) for pedals in ([], [(0.1, 1.9, 0)]))
    late = slice(int(1.0 * SAMPLE_RATE), int(1.5 * SAMPLE_RATE))
    assert np.square(wet[late]).mean() > 30 * np.square(dry[late]).mean()


def test_many_programs_sound_and_are_written(tmp_path):
    """More than MIDI has channels for, drums among them."""
    piece = Piece.of([(0.2 * i, 0.2 * i + 0.2, 60, 80, i - 1) for i in range(20)])
    audio = render_piece(piece, soundfont(None))
    assert all(np.abs(audio[int((0.2 * i + 0.05) * SAMPLE_RATE) :][:2000]).max() > 0.01 for i in range(20))
    write_midi(tmp_path / "many.mid", piece)
    assert read_midi(tmp_path / "many.mid").programs == piece.programs


def test_a_model_that_writes_no_note_is_listed_and_the_other_demos_are_made(model, tmp_path, monkeypatch):
    save_midi(tmp_path / "pretrained", model)
    (tmp_path / "pieces.jsonl").write_text("")
    section = {"composers": ["Bach"], "seeds": [1, 2], "seconds": 4, "temperature": 1.0, "top_p": 0.9, "guidance": 1.0, "particles": 1, "melody": "happy_birthday"}
    whole, silent = compositions.make, ["bach-sample-s1"]
    monkeypatch.setattr(compositions, "make", lambda task, *rest: Composition(Piece.of([])) if task.name in silent else whole(task, *rest))
    words = ["--params", json.dumps(section), "--models", tmp_path / "pretrained", "--pieces", tmp_path / "pieces.jsonl", "--out", tmp_path / "demos"]
    compositions_command.run(parsed(compositions_command, *words))
    assert {path.stem for path in (tmp_path / "demos").glob("*.mid")} == {"bach-sample-s2", "bach-style-s1", "bach-style-s2"}
    assert [row["path"] for row in read_table(tmp_path / "demos/set_aside.tsv", {"path", "reason", "detail"})] == silent
    silent += ["bach-sample-s2", "bach-style-s1", "bach-style-s2"]
    with pytest.raises(UserError, match="bach-sample-s1: .*pretrained wrote none in 4 s.*all 4 compositions"):
        compositions_command.run(parsed(compositions_command, *words))


def test_evidence_is_spread_over_composers_with_enough_pieces_and_over_tunes():
    counts = {"Bach": 9, "Satie": 4, "Clara": 5, None: 30}
    rows = [{"composer": name, "composition": f"{name} {number}", "split": "train"} for name, count in counts.items() for number in range(count)]
    tasks = list(compositions.plan_evidence(Evidence(samples=17, melodies=8), [Path("Bach"), Path("pretrained")], rows))
    samples, settings = ([task for task in tasks if task.kind == kind] for kind in ("sample", "style"))
    assert [(task.composer, task.seed) for task in samples] == [(name, seed) for seed in range(1, 9) for name in ("Bach", "Clara")] + [("Bach", 9)]
    assert len({(task.composer, task.melody) for task in settings}) == 6 and [task.seed for task in settings] == [1] * 6 + [2] * 2
    assert {task.model for task in tasks} == {Path("pretrained")} and len({task.name for task in tasks}) == 25
    few = list(compositions.plan_evidence(Evidence(samples=3, melodies=1), [Path("pretrained")], []))
    assert [task.name for task in few] == ["anyone-sample-s1", "anyone-sample-s2", "anyone-sample-s3", "anyone-happy-birthday-s1"]
    with pytest.raises(UserError, match="expected a folder named pretrained, got Bach"):
        next(compositions.plan_evidence(Evidence(samples=1, melodies=1), [Path("Bach")], rows))


@pytest.mark.parametrize("name", [*HANDED, "gone.mid", "high at first.mid"])
def test_a_held_out_piece_that_cannot_be_used_is_listed_and_the_other_demos_are_made(tmp_path, name):
    files = HANDED | {"gone.mid": None, "high at first.mid": song(bytes_of_tune(low=110, high=127) + bytes_of_tune(1))}
    if files[name]:
        (tmp_path / name).write_bytes(files[name])
    save_midi(tmp_path / "pretrained", model_of(known=(0, 40)))
    (tmp_path / "pieces.jsonl").write_text(json.dumps({"id": name, "path": str(tmp_path / name), "composer": "bach", "split": "test", "seconds": 20.0}))
    section = {"composers": ["BACH"], "seeds": [1], "seconds": 4, "temperature": 1.0, "top_p": 0.9, "guidance": 1.0, "particles": 1, "melody": "happy_birthday"}
    compositions_command.run(
        parsed(compositions_command, "--params", json.dumps(section), "--models", tmp_path / "pretrained", "--pieces", tmp_path / "pieces.jsonl", "--out", tmp_path / "demos")
    )
    made = {path.stem for path in (tmp_path / "demos").glob("*.mid")}
    listed = read_table(tmp_path / "demos/set_aside.tsv", {"path", "reason", "detail"})
    assert made >= {"bach-sample-s1", "bach-style-s1"} and {row["path"] for row in listed} == {"bach-continuation-s1", "bach-infilling-s1"} - made
    assert listed and all(row["reason"] == "unusable_piece" and row["detail"].startswith(f"{tmp_path / name}: ") for row in listed)


@pytest.mark.parametrize("name", HANDED)
@pytest.mark.parametrize("option", ["--continue", "--melody", "--infill"])
def test_compose_says_in_a_line_what_is_wrong_with_a_file(tmp_path, name, option):
    save_midi(tmp_path / "pretrained", model_of(known=(0, 40)))
    (tmp_path / name).write_bytes(HANDED[name])
    gap = ["--gap", 1, 2] if option == "--infill" else []
    with pytest.raises(UserError, match=rf"{name}: (its division is 0|its last note would end after|none of its notes has a word|.*only drums)"):
        compose_command.run(parsed(compose_command, "--model", tmp_path / "pretrained", "-o", tmp_path / "out.mid", option, tmp_path / name, *gap))
    assert not (tmp_path / "out.mid").exists()


def test_compose_reads_what_is_called_otherwise(tmp_path):
    save_midi(tmp_path / "pretrained", model_of())
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.rmi")
    with open(path, "wb") as stream:
        stream.write(riff(song(bytes_of_tune(notes=6))))
    compose_command.run(parsed(compose_command, "--model", tmp_path / "pretrained", "-o", tmp_path / "out.mid", "--continue", path, "--seconds", 1))
    assert len(read_midi(tmp_path / "out.mid").notes) >= 6 and read_json(sidecar_path(tmp_path / "out.mid"))["inputs"][-1]["path"] == path


def parsed(stage, *words):
    """Options of a stage."""
    parser = argparse.ArgumentParser()
    stage.arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_the_commands(model, tmp_path):
    """`compose` and `compositions` write what they say, with sidecars; a demo is what `compose` makes with the same options."""
    for name in ("pretrained", "Bach"):
        save_midi(tmp_path / name, model)
    write_midi(tmp_path / "tune.mid", tune())
    write_midi(tmp_path / "piece.mid", busy())
    row = {"id": "bach/x", "path": str(tmp_path / "piece.mid"), "composer": "Bach", "split": "test", "seconds": 12.0}
    (tmp_path / "pieces.jsonl").write_text(json.dumps(row) + "\n")
    section = {"composers": ["Bach"], "seeds": [1, 2], "seconds": 6, "temperature": 1.0, "top_p": 0.9, "guidance": 1.5, "particles": 2, "melody": str(tmp_path / "tune.mid")}
    compositions_command.run(
        parsed(
            compositions_command,
            "--params",
            json.dumps(section),
            "--models",
            tmp_path / "pretrained",
            tmp_path / "Bach",
            "--pieces",
            tmp_path / "pieces.jsonl",
            "--out",
            tmp_path / "demos",
        )
    )
    names = {path.stem for path in (tmp_path / "demos").glob("*.mid")}
    assert (
        names
        == {path.stem for path in (tmp_path / "demos").glob("*.wav")}
        == {*(f"bach-{kind}-s{seed}" for kind in ("sample", "style", "sample-pretrained") for seed in (1, 2)), "bach-continuation-s1", "bach-infilling-s1"}
    )
    about = read_json(sidecar_path(tmp_path / "demos" / "bach-style-s1.mid"))["about"]
    assert about["kind"] == "style" and melody_recall(read_midi(tmp_path / "demos" / "bach-style-s1.mid"), read_midi(about["melody"])) == 1
    same = ["--model", tmp_path / "Bach", "--composer", "bach", "--seed", 2, "--temperature", 1.0, "--top-p", 0.9, "--particles", 2, "--seconds", 6, "-o"]
    compose_command.run(parsed(compose_command, *same, tmp_path / "again.mid", "--melody", tmp_path / "tune.mid", "--wav"))
    compose_command.run(parsed(compose_command, *same, tmp_path / "sample.mid"))
    assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "demos" / "bach-style-s2.mid").read_bytes()
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "demos" / "bach-style-s2.wav").read_bytes()
    assert (tmp_path / "sample.mid").read_bytes() == (tmp_path / "demos" / "bach-sample-s2.mid").read_bytes()
    compose_command.run(parsed(compose_command, *same, tmp_path / "on.mid", "--continue", tmp_path / "piece.mid"))
    compose_command.run(parsed(compose_command, *same, tmp_path / "in.mid", "--infill", tmp_path / "piece.mid", "--gap", 4, 6))
    (tmp_path / "text.mid").write_text("no MIDI")
    wrong = (["--melody", tmp_path / "text.mid"], "no MIDI file"), (["--programs", "x"], "such as 0,40"), (["--infill", tmp_path / "piece.mid"], "--gap")
    for words, match in wrong:
        with pytest.raises(UserError, match=match):
            compose_command.run(parsed(compose_command, *same, tmp_path / "no.mid", *words))


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--composer", "Bahc"], "composer 'Bahc' is unknown to this model; did you mean 'Bach'; known: Bach, Clara Schumann"),
        (["--composer", "schuman"], "did you mean 'Clara Schumann'"),
        (["--composer", "Elvis"], "composer 'Elvis' is unknown to this model; known: Bach"),
        (["--genre", "choral"], "genre 'choral' is unknown to this model; did you mean 'chorale'; known: chorale"),
        (["--programs", "5"], "program '5' is unknown to this model; known"),
        (["--programs", "0,128"], "from 0 to 127, or -1 for drums"),
        (["--programs", "piano"], "from 0 to 127, or -1 for drums"),
        (["--programs", ""], "from 0 to 127"),
        (["--seed", "-1"], "--seed: expected a whole number from 0 to 4294967295, got -1"),
        (["--seconds", "nan"], "--seconds: expected a number above 0"),
        (["--particles", "0"], "--particles: expected a number from 1 to 4096, got 0"),
        (["--top-p", "1.5"], "--top-p: expected a number from 0 to 1, got 1.5"),
        (["--top-k", "3", "--top-p", "0.5"], "one at a time"),
        (["--soundfont", "x.sf2"], "--soundfont x.sf2: is not used without --wav"),
        (["--wav", "--soundfont", "x.sf2"], "SoundFont x.sf2: no such file"),
        (["--gap", "1", "2"], "--infill and --gap belong together"),
        (["--infill", "tune.mid", "--gap", "3", "2"], "--gap: expected a beginning and an end in seconds, such as 4.0 8.0, got 3 2"),
        (["--infill", "tune.mid", "--gap", "nan", "2"], "--gap: expected"),
        (["--continue", "tune.mid", "-o", "tune.mid"], "-o tune.mid: is the file that --continue reads"),
        (["--melody", "yesterday"], "--melody yesterday: no such file, and no melody of that name; known: happy_birthday"),
        (["--continue", "no.mid"], "--continue no.mid: no such file"),
        (["-o", "out.wav"], "-o out.wav: nobody here writes .wav; expected one of .mid, .midi"),
        (["-o", "tune.mid/out.mid"], "cannot be written (tune.mid"),
        (["-o", "."], "is a folder"),
    ],
)
def test_what_cannot_be_composed_is_refused_before_the_weights_are_loaded(model, tmp_path, monkeypatch, words, expected):
    save_midi(tmp_path / "model", model)
    (tmp_path / "model/state_dict.bin").write_text("not read")
    write_midi(tmp_path / "tune.mid", tune())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refusal:
        compose_command.run(parsed(compose_command, "--model", "model", *words))
    assert expected in str(refusal.value) and not (tmp_path / "composed.mid").exists()


def test_case_does_not_matter_and_what_is_not_used_is_said(model, tmp_path, capsys):
    save_midi(tmp_path / "model", model)
    words = ["--model", tmp_path / "model", "--composer", "CLARA schumann", "--genre", "Chorale", "--particles", 2, "--seconds", 4, "--top-k", 20, "-o", tmp_path / "new/out.mid"]
    compose_command.run(parsed(compose_command, *words))
    assert "; --particles is not used: it belongs to --melody and --infill" in capsys.readouterr().out
    assert read_json(tmp_path / "new/out.mid.made.json")["params"]["top_p"] == 0  # --top-k counts where it is given
