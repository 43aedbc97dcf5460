"""Words of music: what survives them, what stands in front, how they are varied, and that the loader shows what it should."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from odd_midi import HANDED, event, song, tune
from ostinato.files import UserError, read_jsonl
from ostinato.midi.augmentation import Augment
from ostinato.midi.encoding import every_word, gathered, translated, translation
from ostinato.midi.notes import DRUMS, Piece, write_midi
from ostinato.midi.tokens import TIME, Tokenizer
from ostinato.params import load
from ostinato.params.midi import Augmentation, Tokens
from ostinato.tables import read_table
from ostinato.train.tasks.words import PiecesDataset
from project import ROOT
from tracks import check_midi, words_of

OURS = load(ROOT / "params.yaml").midi.tokens
SEED = load(ROOT / "params.yaml", ROOT / "workflow/presets/music-lm.yaml").midi.tokens
STILL = Augmentation(semitones=0, velocity=0, duration=0, tempo=0.0)


def played(rng: np.random.Generator, notes: int = 200, programs: tuple[int, ...] = (0, 40, DRUMS)) -> Piece:
    """A piece as nobody would notate it, with pedals."""
    start = np.cumsum(rng.exponential(0.15, notes)) + 0.5
    rows = [(s, s + rng.uniform(0.05, 1.5), rng.integers(40, 80), rng.integers(20, 110), rng.choice(programs)) for s in start]
    return Piece.of(rows, [(s, s + 0.8, 0) for s in np.arange(1, start[-1] - 1, 1.3)] if 0 in programs else [])


def tokenizer(params: Tokens = OURS) -> Tokenizer:
    return Tokenizer.fit(params, [0, 40, DRUMS] if params.programs else [0], ["Bach", "Van Beethoven"], ["chorale"])


def test_timing_pedal_and_programs_survive():
    piece, words = played(np.random.default_rng(1)), tokenizer()
    back = words.quantised(piece)
    assert len(back.notes) == len(piece.notes) and back.programs == piece.programs
    for program in piece.programs:
        ours, theirs = (np.sort(p.notes[p.notes["program"] == program], order=["pitch", "start"]) for p in (piece, back))
        assert np.abs(ours["start"] - theirs["start"]).max() <= 0.010  # to the last note: no drift
        assert np.abs(ours["end"] - theirs["end"]).max() <= 0.030 and np.abs(ours["velocity"] - theirs["velocity"]).max() <= 4
    assert np.abs(back.pedals["start"] - piece.pedals["start"]).max() <= 0.010 and len(back.pedals) == len(piece.pedals)
    assert words.size < 700 and np.array_equal(words.encode(back), words.encode(piece))


def test_chords_are_written_from_below_whoever_came_first():
    words, late = tokenizer(), Piece.of([(1.003, 2, 60, 80, 0), (1.0, 2, 67, 80, 0), (1.006, 2, 64, 80, 0)])
    ids = words.encode(late)
    assert words.values[ids[words.kinds[ids] == "Pitch"]].tolist() == [60, 64, 67]


def test_the_seed_preset_is_the_experiments():
    config = tokenizer(SEED).tsd.config
    assert config.beat_res == {(0, 4): 8, (4, 12): 4} and config.num_velocities == 16 and config.pitch_range == (21, 109) and SEED.bpe == 30_000
    assert config.use_chords and config.use_rests and config.use_tempos and config.use_time_signatures and not config.use_programs
    assert (config.num_tempos, config.tempo_range) == (16, (40, 250))


def test_what_stands_in_front(tmp_path):
    words = tokenizer()
    assert [words.words[i] for i in words.prefix("bach", None, [40, 0])] == ["Composer_Bach", "Genre_?", "Plays_0", "Plays_40", "BOS_None"]
    assert words.composers == ["Bach", "Van Beethoven"] and words.programs == [DRUMS, 0, 40]
    french = Tokenizer.fit(OURS, [0], ["Fre\u0301de\u0301ric Chopin", "A_B", "A-B"], [])  # an e and its accent
    assert french.words[french.prefix("frédéric chopin")[0]] == "Composer_Fre\u0301de\u0301ric Chopin" and french.composers[0] == "A-B"
    with pytest.raises(UserError, match="composer 'Mozart' is unknown to this model; known: Bach, Van Beethoven"):
        words.prefix("Mozart")
    words.save(tmp_path / "tokenizer.json")
    assert Tokenizer.load(tmp_path / "tokenizer.json").fingerprint() == words.fingerprint() != tokenizer(SEED).fingerprint()
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(UserError, match="broken.json: expected a tokenizer"):
        Tokenizer.load(tmp_path / "broken.json")


def test_programs_without_a_word_are_played_by_their_family():
    words = Tokenizer.fit(OURS, [0, 40], [], [])
    assert [words.nearest_program(program) for program in (0, 41, 73, DRUMS)] == [0, 40, 0, -2]
    assert words.quantised(Piece.of([(0, 1, 60, 80, 42), (0, 1, 38, 80, DRUMS)])).programs == [40]


def test_merged_words_say_the_same():
    words = tokenizer(SEED)
    ids = [words.encode(played(np.random.default_rng(seed), 100, (0,))) for seed in range(12)]
    words.learn(ids, len(words.words) + 60)
    assert words.merges and words.size == len(words.words) + 60
    merged = words.merged(ids[0])
    assert len(merged) < len(ids[0]) and np.array_equal(words.split(merged), ids[0])


def test_transpositions_leave_every_pitch_in_range():
    words = tokenizer()
    ids = words.encode(Piece.of([(0, 1, 107, 64, 0), (1, 2, 60, 64, 0), (1, 2, 35, 64, DRUMS)]))  # 109 is the highest
    moved = Augment(words, STILL.model_copy(update={"semitones": 3})).transpositions(ids)
    assert [sorted(words.decode(one).notes["pitch"].tolist()) for one in moved] == [[35, 60 + steps, 107 + steps] for steps in (-3, -2, -1, 0, 1, 2)]
    assert len(Augment(words, STILL).transpositions(ids)) == 1


def test_variations():
    words, piece = tokenizer(), played(np.random.default_rng(2), 60, (0, DRUMS))
    ids, vary = words.encode(piece), Augment(tokenizer(), Augmentation(semitones=12, velocity=3, duration=2, tempo=0.1))
    kept = words.decode(ids)
    higher = words.decode(vary.stepped(ids, "Pitch", 3))
    assert all(
        np.array_equal(np.sort(kept.moved(semitones=3).notes, order=list(kept.notes.dtype.names))[name], np.sort(higher.notes, order=list(kept.notes.dtype.names))[name])
        for name in ("start", "end", "pitch", "program")
    )
    assert np.array_equal(vary.stretched(ids, 1.0), ids)  # shifts are made as MidiTok makes them
    slower = words.decode(vary.stretched(ids, 1.1))
    assert np.abs(np.sort(slower.notes["start"]) - 1.1 * np.sort(kept.notes["start"])).max() <= words.tick_seconds  # on its grid, without drift
    louder = words.decode(vary.stepped(ids, "Velocity", 2))
    assert (louder.notes["velocity"].astype(int) >= kept.notes["velocity"]).all()
    drawn = [vary(ids, np.random.default_rng(seed)) for seed in range(20)]
    assert np.array_equal(drawn[3], vary(ids, np.random.default_rng(3))) and len({tuple(d) for d in drawn}) > 15
    pitches = np.concatenate([words.values[d[words.kinds[d] == "Pitch"]] for d in drawn])
    assert pitches.min() >= 21 and pitches.max() <= 108 and len({tuple(d[words.kinds[d] == "PitchDrum"]) for d in drawn}) == 1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Eight pieces by two composers as words, in two shards, as training finds them."""
    folder = tmp_path_factory.mktemp("tokens")
    for number in range(8):
        write_midi(folder / f"in/{number}.mid", played(np.random.default_rng(number), 150 if number else 20, (0, 40)))

    def about(path):
        number = int(path.stem)
        return {"composer": "Bach" if number % 2 else "Satie", "composition": path.stem, "split": "valid" if number == 7 else "train"}

    words_of(folder / "in", folder, OURS, about)
    return folder


def found(folder):
    return Tokenizer.load(folder / "tokens/tokenizer.json"), gathered(folder / "tokens", folder / "shards")


def test_shards_hold_every_piece_and_a_model_reads_them_in_its_own_words(made):
    tokenizer, words = found(made)
    assert len(words.rows) == 8 and sum(row["length"] for row in words.rows) == sum(map(len, words.arrays.arrays.values()))
    assert tokenizer.composers == ["Bach", "Satie"] and len(words.translation) > len(tokenizer.words)
    for row in words.rows:
        ids = translated(words.arrays.of(row), words.translation)
        assert np.array_equal(ids, tokenizer.encode_file(row["path"])) and len(tokenizer.decode(ids).notes) == row["notes"]


def test_what_a_model_has_no_word_for_is_played_by_the_nearest_or_left_out():
    piece = Piece.of([(0, 1, 60, 80, 41), (0.5, 1, 38, 90, DRUMS), (1, 2, 64, 80, 0), (2, 3, 40, 70, DRUMS), (2, 3, 65, 70, 73)])
    whole = every_word(OURS)
    for programs in ([0, 40], [0, 40, DRUMS], [DRUMS, *range(128)]):
        model = Tokenizer.fit(OURS, programs, [], [])
        ids = translated(whole.encode(piece).astype(np.uint16), translation(whole.words, model))
        there, expected = model.decode(ids), model.quantised(piece)
        assert sorted(there.notes.tolist()) == sorted(expected.notes.tolist()) and there.programs == expected.programs


def test_words_that_changed_since_they_were_gathered_are_refused(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "copy")
    with (folder / "shards/midi-01.jsonl").open("a") as stream:
        stream.write("{}\n")
    with pytest.raises(UserError, match="midi-01.jsonl: is not what it was when the words were gathered"):
        found(folder)


def test_files_without_words_are_set_aside_and_the_others_are_read(tmp_path):
    files = HANDED | {"high.mid": song(tune(low=110, high=127) + event(0xB0, 64, 127)), "good.mid": song(tune())}
    (tmp_path / "in").mkdir()
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    tables = check_midi(tmp_path / "in", tmp_path, OURS)
    rows = [row for table in tables for row in read_jsonl(table)]
    aside = {Path(row["path"]).name: row["reason"] for table in tables for row in read_table(table.with_suffix(".tsv"), {"path", "reason"})}
    usable = {"good.mid", "beatb1.mid"}  # drums, for which a training set may have words or not
    assert {Path(row["path"]).name for row in rows} == usable and aside.keys() == files.keys() - usable


def test_beats_with_programs_are_played_by_programs_that_have_words(tmp_path):
    (tmp_path / "a.mid").write_bytes(song(event(0xC0, 41) + tune(notes=8), tune(1, 8, channel=9, low=36, high=50)))
    params = SEED.model_copy(update={"programs": True, "chords": False})
    assert programs_of(params, [40], tmp_path / "a.mid") == {"Program_40"}
    assert programs_of(params, [40, DRUMS], tmp_path / "a.mid") == {"Program_40", "Program_-1"}


def programs_of(params: Tokens, programs: list[int], path) -> set[str]:
    words = Tokenizer.fit(params, programs, [], [])
    return {words.words[i] for i in words.encode_file(path) if words.kinds[i] == "Program"}


def test_windows_begin_between_onsets_and_depend_on_the_draw_alone(made):
    words, pieces = found(made)
    data = PiecesDataset(pieces, words, "train", load(ROOT / "params.yaml").midi.augmentation)
    one, same, other = (data.batch(np.random.default_rng(seed), 32, 128, 0.2) for seed in (1, 1, 2))
    assert np.array_equal(one.ids, same.ids) and not np.array_equal(one.ids, other.ids)
    assert one.ids.shape == one.counts.shape == (32, 129)
    for ids, counts in zip(one.ids, one.counts):
        prefix, music = ids[: counts.argmax()], ids[counts]
        assert words.kinds[prefix].tolist()[0] == "Composer" and words.words[prefix[-1]] in ("BOS_None", "MID_None")
        if words.words[prefix[-1]] == "MID_None":
            assert words.kinds[music[0]] == "Program" and words.kinds[music[1]] not in ("Velocity", "Duration", *TIME)
        assert (ids[~counts][len(prefix) :] == words.padding).all()
    said = {words.words[ids[0]] for ids in one.ids}
    assert said == {"Composer_Bach", "Composer_Satie", "Composer_?"} and (one.ids == words.end).any()


def test_a_composers_pieces_alone_and_validation_as_it_is(made):
    words, pieces = found(made)
    assert {row["composer"] for row in PiecesDataset(pieces, words, "train", STILL, "satie").rows} == {"Satie"}
    assert PiecesDataset(pieces, words, "valid", load(ROOT / "params.yaml").midi.augmentation).augment is None
    with pytest.raises(UserError, match="no piece of split 'train' by Liszt"):
        PiecesDataset(pieces, words, "train", STILL, "Liszt")
