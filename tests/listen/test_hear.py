"""`ostinato hear` at its door: what it prints and saves, what it goes on after, and sounds that are no chord."""

import csv
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from music import PARAMS, RATE, play
from ostinato.cli import main
from ostinato.etudes.effects import speech
from ostinato.etudes.rendering import Part, Player, soundfont
from ostinato.harmony.chords import Chord
from ostinato.listen import jamsfile
from ostinato.listen.hear import hear
from project import ROOT

LOOP, LOOPS, BAR = ["C", "A:min", "F", "G"], 3, 2.5
SECONDS = LOOPS * len(LOOP) * BAR
CHORDS = ["C:maj", "A:min", "F:maj", "G:maj"] * LOOPS


def read_lab(path) -> list:
    """Start, end and chord of each line."""
    return [(float(start), float(end), Chord.parse(name)) for start, end, name in map(str.split, path.read_text().splitlines())]


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """A recording whose name is no plain text."""
    path = tmp_path_factory.mktemp("music") / "Für $5_ & 7^$ %.flac"
    soundfile.write(path, play("piano " + " ".join(LOOP * LOOPS), SECONDS), RATE)
    return path


@pytest.fixture
def folder(tmp_path, song, monkeypatch):
    """Where we are: a song, silence, text that is called mp3, a flac cut short, and notes that are no recording."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/song.flac").write_bytes(song.read_bytes())
    soundfile.write(tmp_path / "in/silent.wav", np.zeros(RATE), RATE)
    (tmp_path / "in/text.mp3").write_text("Dear diary,\n")
    (tmp_path / "in/short.flac").write_bytes(song.read_bytes()[:100_000])
    (tmp_path / "in/notes.txt").write_text("C A:min F G\n")
    return tmp_path


def test_one_recording_is_printed_whole(song, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["hear", str(song)]) == 0
    title, facts, *rest = capsys.readouterr().out.splitlines()
    assert title == str(song)
    assert re.match(r"0:30  C major  9[56]\.\d bpm  4/4 \(\d+%\)  \w+ \(\d+%\)  tuned [+-]?\w+", facts)
    table = [line[3:].split() for line in rest if re.match(r".{3} +\d:\d\d\.\d", line)]
    assert [row[2] for row in table] == CHORDS and [row[3] for row in table] == ["I", "vi", "IV", "V"] * LOOPS
    assert [row[1] for row in table] == [f"{bar}.1" for bar in range(1, 13)] and [row[0] for row in table][::4] == ["0:00.0", "0:10.0", "0:20.0"]
    assert not list(tmp_path.iterdir())


def test_what_is_saved_can_be_read_and_says_the_same(song, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["hear", str(song), "--lab", "--jams", "deep/er", "--csv", ".", "--png"]) == 0
    assert f"saved {song.stem}.lab, deep/er/{song.stem}.jams, {song.stem}.csv, {song.stem}.png" in capsys.readouterr().out
    lab, told = read_lab(tmp_path / f"{song.stem}.lab"), jamsfile.read(f"deep/er/{song.stem}.jams")
    assert [chord.harte for _, _, chord in lab] == CHORDS and lab[0][0] == 0 and lab[-1][1] == pytest.approx(SECONDS)
    assert [chord.harte for _, _, chord in told.chords] == CHORDS and np.allclose([row[:2] for row in told.chords], [row[:2] for row in lab], atol=1e-3)
    assert str(told.key) == "C:major" and told.tempo == pytest.approx(96, rel=0.01) and len(told.downbeats) == len(CHORDS)
    with open(f"{song.stem}.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["start", "end", "chord", "roman", "key", "bass", "confidence", "section", "bar", "beat", "cadence"]
    assert [row["chord"] for row in rows] == CHORDS and [row["bass"] for row in rows[:4]] == ["C", "A", "F", "G"]
    assert [float(row["start"]) for row in rows] == pytest.approx([start for start, _, _ in lab], abs=1e-3)
    assert [row["cadence"] for row in rows if row["cadence"]] == [kind for _, kind in told.cadences] == ["half"] * LOOPS
    assert (tmp_path / f"{song.stem}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_goes_on_and_lists_what_failed(folder, jobs, capsys):
    assert main(["hear", "in", "--lab", "out", "--jobs", str(jobs)]) == 0
    out, err = capsys.readouterr()
    first, second, last = out.splitlines()
    assert re.match(r"in/deep/song.flac +0:30  C major +9[56]\.\d bpm  4/4 \(\d+%\) +\w+ +12 chords +\d+% sure$", first)
    assert second.startswith("in/silent.wav ") and last == "2 of 4 recordings listened to"
    assert sorted(line.split(":")[1].strip() for line in err.splitlines()) == ["in/short.flac", "in/text.mp3"] and err.count("set aside: ") == 2
    assert sorted(path.relative_to(folder).as_posix() for path in folder.glob("out/**/*.*")) == ["out/deep/song.lab", "out/silent.lab"]
    assert {chord.harte for _, _, chord in read_lab(folder / "out/silent.lab")} == {"N"} and len(read_lab(folder / "out/deep/song.lab")) == 12


@pytest.mark.parametrize(
    "words, said",
    [
        ("in", "none of 2 recordings can be listened to; the first, in/short.flac: "),
        ("in/text.mp3", "in/text.mp3: unreadable: "),
        ("in/none.wav", "in/none.wav: empty: 0 bytes"),
        ("in/deep", "in/deep: no recording in it"),
        ("gone.flac", "gone.flac: no such file or folder"),
        ("--lab in/short.flac in", "--lab in/short.flac: not a folder"),
        ("in --params gone.yaml", "gone.yaml: no such file"),
    ],
)
def test_where_nothing_can_be_heard_it_says_so_in_a_line(folder, words, said, capsys):
    (folder / "in/deep/song.flac").unlink()
    (folder / "in/silent.wav").unlink()
    if "none" in words:
        (folder / "in/none.wav").touch()
    assert main(["hear", *words.split(), "--jobs", "1"]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith(f"ostinato hear: {said}") and err.count("\n") == 1


@pytest.mark.parametrize("path", ["in/silent.wav", "in"])
def test_files_that_are_there_stay_unless_forced(folder, path, capsys):
    for name in ("short.flac", "text.mp3", "deep/song.flac"):
        (folder / "in" / name).unlink()
    (folder / "in/silent.lab").write_text("0 1 A:min\n")
    asked = ["hear", path, "--lab", "in", "--csv", "tables", "--jobs", "1"]
    assert main(asked) == 0 and (folder / "in/silent.lab").read_text() == "0 1 A:min\n" and (folder / "tables/silent.csv").is_file()
    assert capsys.readouterr().err == "kept as it was: in/silent.lab (--force overwrites)\n"
    assert main(asked) == 0 and ("in/silent.wav" in capsys.readouterr().out) == (path != "in")  # of many, those that are done are not listened to again
    assert main([*asked, "--force"]) == 0 and (folder / "in/silent.lab").read_text() == "0.000000 1.000000 N\n"
    assert not capsys.readouterr().err


def test_no_two_songs_are_saved_under_one_name(folder):
    for name in ("in/silent.flac", "in/deep/silent.wav", "in/Silent.ogg"):
        soundfile.write(folder / name, np.zeros(RATE), RATE)
    paths = ["in/silent.wav", "in/deep", "in/silent.flac", f"{folder}/in/deep/song.flac", "in/Silent.ogg"]
    assert main(["hear", *paths, "--lab", "out", "--jobs", "1"]) == 0
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("out/**/*.lab"))
    assert names == [f"out/{name}.lab" for name in ("Silent.ogg", "deep/silent", "deep/song", "silent.flac", "silent.wav")]


def drum(pitch: int) -> np.ndarray:
    """Eight seconds of one drum, twice a second."""
    return Player(soundfont(None)).play([Part(0, [(beat / 2, 0.2, pitch, 100) for beat in range(16)], drums=True)], 8.0)


CHORDLESS = {
    "noise": np.random.default_rng(0).normal(0, 0.1, 8 * RATE),
    "talk": 0.5 * speech(8 * RATE, np.random.default_rng(1)),
    "kick": drum(36),
    "near silence": np.random.default_rng(2).normal(0, 1e-4, 8 * RATE),
}


@pytest.mark.parametrize("ear", ["labeller", "judge"])
@pytest.mark.parametrize("sound", CHORDLESS)
def test_sounds_without_a_chord_are_called_none(ear, sound):
    heard = hear(CHORDLESS[sound].astype(np.float32), RATE, PARAMS.listen, want_form=False, ear=ear)
    assert [chord.harte for _, _, chord in heard.chords] == ["N"]


def test_a_process_that_is_ended_while_it_ends_says_nothing():
    code = "import atexit, os\nfrom music import PARAMS\nfrom ostinato.listen.batch import _begin\natexit.register(os.kill, os.getpid(), 15)\n_begin(PARAMS.listen, False)\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
