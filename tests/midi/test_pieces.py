"""Pieces from folders of MIDI: what is set aside, what is one composition, which side it goes to; the scores and melodies that come with Ostinato."""

import argparse
import json
import os
import signal
import time
import unicodedata

import numpy as np
import pytest

from odd_midi import HANDED, OFF, ON, event, riff, song, tune
from ostinato.commands import melody as melody_command
from ostinato.commands import scores_to_midi as scores_to_midi_command
from ostinato.files import UserError, sha256
from ostinato.midi import melodies, reading, scores
from ostinato.midi.duplicates import highest
from ostinato.midi.metadata import same_composer
from ostinato.midi.notes import DRUMS, Piece, read_midi, write_midi
from ostinato.midi.vocabulary import Said, wordless
from ostinato.params.midi import Words
from ostinato.tables import read_table
from tracks import PIECES, TOKENS, pieces_of


def music(seed: int, notes: int = 60) -> Piece:
    """A tune over held basses, of its own for each seed."""
    rng = np.random.default_rng(seed)
    starts, line = np.cumsum(rng.choice([0.25, 0.5], notes)), 66 + np.cumsum(rng.integers(-3, 4, notes)) % 14
    tune = [(start, start + 0.24, pitch, 80, 0) for start, pitch in zip(starts, line)]
    return Piece.of(tune + [(start, start + 0.4, 40 + int(rng.integers(8)), 60, 0) for start in starts[::4]])


def faster(piece: Piece, share: float) -> Piece:
    """At another tempo."""
    notes = piece.notes.copy()
    notes["start"], notes["end"] = notes["start"] / share, notes["end"] / share
    return Piece.of(notes)


def performed(piece: Piece, seed: int) -> Piece:
    """As somebody plays it."""
    rng, notes = np.random.default_rng(seed), faster(piece, 0.9).notes.copy()
    shifts = rng.normal(0, 0.02, len(notes)).clip(-0.05, 0.05)
    notes["start"], notes["end"] = (notes[key] + 1 + shifts for key in ("start", "end"))
    notes["velocity"] += rng.integers(-20, 20, len(notes)).astype(np.int16)
    return Piece.of(notes)


def table(folder, out, words=None, **changed):
    """What the stages make of a folder: pieces by id, reasons by path below the folder."""
    rows = pieces_of(folder, out, TOKENS.model_copy(update=words or {}), PIECES | changed)
    return {row["id"]: row for row in rows}, reasons(folder, out)


def reasons(folder, out):
    return {os.path.relpath(row["path"], folder): row["reason"] for row in read_table(out / "set_aside.tsv", {"path", "reason"})}


def test_what_cannot_be_used_is_set_aside_with_its_reason(tmp_path):
    folder = tmp_path / "in"
    write_midi(folder / "good.mid", music(0))
    write_midi(folder / "later and louder.midi", music(0).moved(seconds=7.321))
    write_midi(folder / "other notes.mid", Piece.of([*music(0).notes.tolist()[:-1], (9.0, 9.2, 100, 80, 0)]))
    write_midi(folder / "short.mid", music(1, notes=8))
    write_midi(folder / "none.mid", Piece.of([]))
    (folder / "zero.mid").write_bytes(b"")
    (folder / "text.mid").write_text("no MIDI at all")
    (folder / "cut.mid").write_bytes((folder / "good.mid").read_bytes()[:30])
    (folder / ".hidden.mid").write_text("listed, whatever it is")
    rows, aside = table(folder, tmp_path)
    assert set(rows) == {"good", "other notes"}
    assert aside.pop("cut.mid") in ("unreadable", "empty")
    assert aside == {
        "later and louder.midi": "duplicate",
        "short.mid": "too_few_notes",
        "none.mid": "empty",
        "zero.mid": "empty",
        "text.mid": "unreadable",
        ".hidden.mid": "hidden",
    }
    row = rows["good"]
    assert (row["composer"], row["genre"], row["programs"], row["notes"]) == (None, None, [0], len(music(0).notes))
    assert row["sha256"] == sha256(row["path"]) and row["seconds"] == pytest.approx(music(0).seconds, abs=0.02)


def test_a_folder_without_a_usable_piece_is_an_error_that_says_where_the_reasons_are(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        table(tmp_path / "nowhere", tmp_path)
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="no MIDI file in it"):
        table(tmp_path / "in", tmp_path)
    (tmp_path / "in" / "a.mid").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"none of 1 MIDI files.*set_aside\.tsv"):
        table(tmp_path / "in", tmp_path)
    assert reasons(tmp_path / "in", tmp_path) == {"a.mid": "unreadable"}


def misbehave(item: str) -> str:
    """As a library that meets a file it cannot bear."""
    if item == "7":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "8":
        time.sleep(60)
    return item + (None if item == "9" else "0")


def test_a_file_that_crashes_or_holds_up_its_reader_does_not_end_the_run(monkeypatch):
    monkeypatch.setattr(reading, "_seconds", lambda path: 3)
    results = list(reading.each(misbehave, [str(number) for number in range(11)], 2))
    assert results[:7] == [f"{number}0" for number in range(7)] and results[10] == "100"
    assert results[7].startswith("7: the process that read it died") and results[8] == "8: the process that read it took over 3 s"
    assert results[9].startswith("9: cannot be read (TypeError")


def test_what_is_handed_to_us_is_set_aside_and_the_rest_goes_on(tmp_path):
    folder = tmp_path / "in"
    for seed in range(3):
        write_midi(folder / f"{seed}.mid", music(seed))
    for name, data in HANDED.items():
        (folder / name).write_bytes(data)
    rows, aside = table(folder, tmp_path)
    assert set(rows) == {"0", "1", "2"}
    assert aside == {"division_0.mid": "unreadable", "huge_tick.mid": "unreadable", "beatb1.mid": "no_words"}


def test_what_no_word_can_say_is_set_aside(tmp_path):
    folder, files = (
        tmp_path / "in",
        {
            "high": tune(low=110, high=127),
            "low": tune(low=0, high=20),
            "strange drums": tune(channel=9, low=90, high=110),
            "half": tune(low=110, high=120) + event(ON, 60, 80) + event(OFF, 60, 0, wait=240),
            "fine": tune(),
        },
    )
    folder.mkdir()
    for name, body in files.items():
        (folder / f"{name}.mid").write_bytes(song(body))
    all_train = {"valid": 0.0, "test": 0.0}
    rows, aside = table(folder, tmp_path, split=all_train)
    assert set(rows) == {"half", "fine"} and aside == dict.fromkeys(["high.mid", "low.mid", "strange drums.mid"], "no_words")
    detail = next(row["detail"] for row in read_table(tmp_path / "set_aside.tsv", {"path", "detail"}) if "high" in row["path"])
    assert detail == "none of its 40 notes has a word: pitches 110 to 125, where 21 to 109 have words"
    (folder / "drums.mid").write_bytes(song(tune(channel=9, low=36, high=60)))
    assert set(table(folder, tmp_path, split=all_train)[0]) == {"half", "fine", "drums"}  # the training set has drums, and so words for them
    assert set(table(folder, tmp_path, {"pitches": (0, 109), "programs": False}, split=all_train)[0]) == {"half", "fine", "low"}


def test_words_that_only_pieces_without_words_would_bring():
    words = Words(pitches=(21, 109), programs=True)
    pieces = [
        {"path": name, "split": split, "programs": programs}
        for name, split, programs in (("drums", "train", [DRUMS]), ("high", "train", [0]), ("piano", "test", [0]), ("both", "test", [DRUMS, 0]))
    ]
    said = {"drums": Said(False, True), "high": Said(False, False), "piano": Said(True, False), "both": Said(True, True)}
    assert [row["path"] for row in wordless(pieces, said, words)] == ["high", "piano"]
    assert wordless(pieces[2:], said, words) == []  # without a training set nobody knows


def test_every_file_that_is_midi_is_used_or_listed(tmp_path):
    folder, files = tmp_path / "in", {"a.kar": 0, "b.rmi": 1, "c.SMF": 2, "d.Mid": 3, "e.mid/inner.mid": 4, "f.txt": 5, "no suffix": 6, "../out/linked.mid": 7}
    for name, seed in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(riff(song(tune(seed))) if name in ("b.rmi", "no suffix") else song(tune(seed)))
    (folder / "words.txt").write_text("MThd is what MIDI files begin with; not this one")
    (folder / "gone.mid").symlink_to("nowhere.mid")
    (folder / "there").symlink_to("../out")
    (folder / "round").symlink_to(".")
    (folder / "itself.mid").symlink_to("itself.mid")
    rows, aside = table(folder, tmp_path)
    assert set(rows) == {"a", "b", "c", "d", "e.mid/inner", "there/linked"}
    assert aside == {"f.txt": "unknown_suffix", "no suffix": "unknown_suffix", "gone.mid": "link", "round": "link", "itself.mid": "link"}


def test_names_that_are_no_utf8(tmp_path):
    folder = os.fsencode(tmp_path / "in")
    os.makedirs(folder + b"/Fr\xe9d\xe9ric")
    for seed, name in enumerate((b"/caf\xe9.mid", b"/Fr\xe9d\xe9ric/a.mid", b"/b\xff.mid", b"/good.mid")):
        with open(folder + name, "wb") as stream:
            stream.write(song(tune(seed)) if seed != 2 else b"")
    rows, aside = table(tmp_path / "in", tmp_path)
    assert set(rows) == {"caf\\xe9", "Fr\\xe9d\\xe9ric/a", "good"} and rows["Fr\\xe9d\\xe9ric/a"]["composer"] == "Fr\\xe9d\\xe9ric"
    assert aside == {"b\udcff.mid": "empty"} and all(len(read_midi(row["path"]).notes) == 40 for row in rows.values())  # the path opens the file again


def test_a_composer_has_one_name(tmp_path):
    folder, decomposed = tmp_path / "in", unicodedata.normalize("NFD", "Frédéric Chopin")
    homes = ["Chopin", "chopin", "Chopin", "CHOPIN", "Frédéric Chopin", decomposed, "Dvorak", "Dvořák", "Bach", "Bach"]
    for seed, home in enumerate(homes):
        write_midi(folder / home / f"{seed}.mid", music(seed))
    write_midi(folder / "chopin" / "waltz.mid", music(90))
    write_midi(folder / "Chopin" / "waltz_v2.mid", music(91))
    rows, _ = table(folder, tmp_path)
    spelled = {unicodedata.normalize("NFC", name): row["composer"] for name, row in rows.items()}
    assert {spelled[name] for name in ("Chopin/0", "chopin/1", "Chopin/2", "CHOPIN/3")} == {"Chopin"}  # the commonest
    assert {spelled["Frédéric Chopin/4"], spelled["Frédéric Chopin/5"]} == {min("Frédéric Chopin", decomposed)}  # the first of two
    assert (spelled["Dvorak/6"], spelled["Dvořák/7"], len(set(spelled.values()))) == ("Dvorak", "Dvořák", 5)
    assert rows["chopin/waltz"]["composition"] == rows["Chopin/waltz_v2"]["composition"]
    assert same_composer("frédéric  chopin", decomposed) and not same_composer("Chopin", "Frédéric Chopin") and same_composer(None, None)


def test_nothing_of_a_composition_stands_on_two_sides(tmp_path):
    folder = tmp_path / "in"
    for seed in range(24):
        piece = music(seed)
        write_midi(folder / "Bach" / f"piece {seed}.mid", piece)
        write_midi(folder / "Bach" / f"piece {seed}_v2.mid", performed(piece, seed))
        write_midi(folder / "elsewhere" / f"{100 + seed}.mid", piece.moved(semitones=seed % 11 + 1))
        write_midi(folder / "elsewhere" / f"{200 + seed}.mid", faster(piece.moved(semitones=-2), 1.25))
    rows, aside = table(folder, tmp_path)
    assert not aside and len(rows) == 96
    families = [[rows[name] for name in (f"Bach/piece {seed}", f"Bach/piece {seed}_v2", f"elsewhere/{100 + seed}", f"elsewhere/{200 + seed}")] for seed in range(24)]
    for key in ("composition", "split"):
        assert all(len({row[key] for row in family}) == 1 for family in families)
    assert len({family[0]["composition"] for family in families}) == 24
    assert {row["split"] for row in rows.values()} == {"train", "valid", "test"} and {row["shard"] for row in rows.values()} == {"midi-00", "midi-01"}
    assert {row["composer"] for row in rows.values()} == {"Bach", "elsewhere"}


def test_a_new_piece_moves_no_other(tmp_path):
    folder = tmp_path / "in"
    for seed in range(8):
        write_midi(folder / f"{seed}.mid", music(seed))
    before, _ = table(folder, tmp_path)
    first = (tmp_path / "pieces.jsonl").read_bytes()
    table(folder, tmp_path)
    assert (tmp_path / "pieces.jsonl").read_bytes() == first
    write_midi(folder / "0 new.mid", music(99))
    after, _ = table(folder, tmp_path)
    assert after.pop("0 new") and after == before


def test_maestro_keeps_its_official_split_and_asap_follows_it(tmp_path):
    maestro, asap = tmp_path / "in" / "maestro", tmp_path / "in" / "asap"
    lines = ["canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration"]
    for seed in range(6):
        write_midi(maestro / "2004" / f"{seed}.midi", performed(music(seed), seed))
        split = ("train", "validation", "test")[seed % 3]
        lines.append(f'Frédéric Chopin,"Étude {seed}, Op. 10",{split},2004,2004/{seed}.midi,2004/{seed}.wav,30.5')
    (maestro / "maestro-v3.0.0.csv").write_text("\n".join(lines), encoding="utf-8")
    write_midi(asap / "Chopin" / "Etude" / "A.mid", performed(music(2), 50).between(2, 100))
    write_midi(asap / "Chopin" / "Etude" / "midi_score.mid", music(2))
    (asap / "metadata.csv").write_text(
        "composer,title,folder,midi_score,midi_performance,maestro_midi_performance\n"
        "Chopin,Etude_2,Chopin/Etude,Chopin/Etude/midi_score.mid,Chopin/Etude/A.mid,{maestro}/2004/2.midi\n"
    )
    rows, _ = table(tmp_path / "in", tmp_path)
    assert [rows[f"maestro/2004/{seed}"]["split"] for seed in range(6)] == ["train", "valid", "test"] * 2
    assert rows["maestro/2004/3"]["composer"] == "Frédéric Chopin" and rows["maestro/2004/3"]["composition"] == "Frédéric Chopin/Étude 3, Op. 10"
    ours = [rows[name] for name in ("maestro/2004/2", "asap/Chopin/Etude/A", "asap/Chopin/Etude/midi_score")]
    assert len({row["composition"] for row in ours}) == 1 and {row["split"] for row in ours} == {"test"}
    (maestro / "maestro-v3.0.0.csv").write_text(lines[0] + "\nChopin,Etude,dev,2004,2004/0.midi,,\n")
    with pytest.raises(UserError, match=r"maestro-v3.0.0.csv: line 2: split 'dev'; expected one of train, validation, test"):
        table(tmp_path / "in", tmp_path)


def test_asap_groups_performances_with_their_score(tmp_path):
    folder, lines = tmp_path / "in", ["composer,title,folder,midi_score,midi_performance"]
    for number, version in ((1, ""), (1, "_no_repeat"), (2, "")):
        for player in "AB":
            home = f"Bach/Fugue/{number}{version}"
            write_midi(folder / home / f"{player}.mid", performed(music(number), ord(player) + len(version)))
            lines.append(f"Bach,Fugue_{number},{home},{home}/midi_score.mid,{home}/{player}.mid")
        write_midi(folder / home / "midi_score.mid", music(number, notes=60 - len(version)))
    (folder / "metadata.csv").write_text("\n".join(lines))
    rows, aside = table(folder, tmp_path)
    assert not aside and {row["composer"] for row in rows.values()} == {"Bach"}
    assert {row["composition"] for name, row in rows.items() if "/1" in name} == {"Bach/Fugue_1"} and rows["Bach/Fugue/2/midi_score"]["composition"] == "Bach/Fugue_2"


def test_pop909_groups_versions_and_a_table_of_ones_own_is_read(tmp_path):
    pop, own = tmp_path / "in" / "POP909", tmp_path / "in" / "own"
    for song in ("001", "002"):
        write_midi(pop / song / f"{song}.mid", music(int(song)))
        for version in (1, 2):
            write_midi(pop / song / "versions" / f"{song}-v{version}.mid", performed(music(int(song)), version))
    for name in ("x", "y", "z"):
        write_midi(own / f"{name}.mid", music(ord(name)))
    (own / "metadata.csv").write_text("path,composer,genre,composition,title\nx.mid,Ann,air,Air 1,\ny.mid,,air,Air 1,\n")
    rows, _ = table(tmp_path / "in", tmp_path)
    songs = {song: [row for name, row in rows.items() if name.startswith(f"POP909/{song}/")] for song in ("001", "002")}
    assert all(len(song) == 3 and len({row["composition"] for row in song}) == 1 for song in songs.values())
    assert {(row["genre"], row["composer"]) for song in songs.values() for row in song} == {("pop", None)}
    assert [(rows[f"own/{name}"]["composer"], rows[f"own/{name}"]["genre"], rows[f"own/{name}"]["composition"]) for name in "xyz"] == [
        ("Ann", "air", "Air 1"),
        (None, "air", "Air 1"),
        ("own", None, "own/z"),
    ]
    (own / "metadata.csv").write_text("path,composer\nx.mid\n")
    assert table(tmp_path / "in", tmp_path)[0]["own/x"]["composer"] is None


def test_the_highest_voice_is_above_all_that_sounds():
    held = [(0.0, 2.0, 72, 80, 0), (0.0, 0.5, 60, 80, 0), (0.5, 1.0, 64, 80, 0), (1.0, 1.5, 74, 80, 0), (2.0, 3.0, 71, 80, 0), (2.01, 3.0, 76, 80, 0)]
    assert highest(Piece.of(held)) == [72, 74, 76]
    assert highest(Piece.of([(0.0, 0.1, 36, 80, DRUMS), (0.0, 0.1, 42, 80, DRUMS)])) == [36, 42]


def test_happy_birthday_is_right(tmp_path):
    parser = argparse.ArgumentParser()
    melody_command.arguments(parser)
    melody_command.run(parser.parse_args(["--name", "happy_birthday", "--out", str(tmp_path / "hb.mid")]))
    notes = read_midi(tmp_path / "hb.mid").notes
    assert notes["pitch"].tolist() == [62, 62, 64, 62, 67, 66, 62, 62, 64, 62, 69, 67, 62, 62, 74, 71, 67, 66, 64, 72, 72, 71, 67, 69, 67]
    beats = notes["start"] / (60 / melodies.MELODIES["happy_birthday"].tempo)
    assert beats == pytest.approx([0, 0.75, 1, 2, 3, 4, 6, 6.75, 7, 8, 9, 10, 12, 12.75, 13, 14, 15, 16, 17, 18, 18.75, 19, 20, 21, 22], abs=0.01)
    assert np.all(notes["end"][:-1] <= notes["start"][1:]) and melodies.happy_birthday().programs == [0]
    with pytest.raises(UserError, match="expected one of happy_birthday, ode_to_joy, twinkle"):
        melodies.melody("yesterday")


def test_scores_of_the_wheel_are_the_same_bytes_twice_and_become_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(scores_to_midi_command, "COLLECTIONS", [collection for collection in scores.COLLECTIONS if collection.name in ("bach", "chinese")])
    parser = argparse.ArgumentParser()
    scores_to_midi_command.arguments(parser)
    for out, jobs in (("one", "1"), ("two", "2")):
        scores_to_midi_command.run(parser.parse_args(["--params", json.dumps(PIECES), "--out", str(tmp_path / out), "--jobs", jobs]))
    files = {path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert files == {path.relative_to(tmp_path / "two"): path.read_bytes() for path in (tmp_path / "two").rglob("*") if path.is_file()}
    rows, aside = table(tmp_path / "one", tmp_path)
    assert not aside and len(rows) == 4 and {(row["composer"], row["genre"]) for row in rows.values()} == {("Bach", "chorale"), (None, "chinese song")}
    chorale = read_midi(rows["bach/bwv1.6"]["path"])
    assert chorale.programs == [19] and chorale.notes["pitch"][0] < chorale.notes["pitch"].max() and 20 < chorale.seconds < 90
