"""Labels beside recordings: chord names in every spelling, the files they stand in, what is not believed, and what becomes of them."""

import errno
import json
import subprocess
import sys
import warnings

import jams
import mir_eval
import numpy as np
import pytest
import soundfile

from music import PARAMS, RATE, play
from ostinato.cli import main
from ostinato.corpus.beats import beat_entries, beats_of
from ostinato.corpus.labels import chord_entries, cover, labels_of
from ostinato.corpus.side_files import side_files
from ostinato.dataset.cuts import cut
from ostinato.files import UserError, read_json, read_jsonl, write_jsonl
from ostinato.harmony.chords import QUALITIES, Chord, ChordError, read
from ostinato.listen import jamsfile
from ostinato.listen import songs as stage
from ostinato.listen.chords import VOCABULARIES, recognise
from ostinato.listen.evidence import Evidence, columns
from ostinato.tables import read_table
from tracks import check

SONG_SECONDS = 24.0
#: Written, the chord it becomes, and with all its notes.
SPELLINGS = """
C C:maj C:maj | Cadd9 C:maj C:maj(9) | C(9) C:maj C:maj(9) | C/9 C:maj C:maj(9) | F#m7b5 F#:hdim7 F#:hdim7 | Bø B:hdim7 B:hdim7 | BØ7 B:hdim7 B:hdim7
B° B:dim B:dim | C°7 C:dim7 C:dim7 | CΔ7 C:maj7 C:maj7 | C∆ C:maj7 C:maj7 | C^7 C:maj7 C:maj7 | Cj7 C:maj7 C:maj7 | C7M C:maj7 C:maj7 | G13 G:9 G:13
Csus7/G C:sus4/5 C:sus4(b7)/5 | C7sus4 C:sus4 C:sus4(b7) | C:7sus4 C:sus4 C:sus4(b7) | C7#9 C:7 C:7(#9) | F13 F:9 F:13 | C6/9 C:maj6 C:maj6(9)
C⁶⁄₉ C:maj6 C:maj6(9) | Cm6/9/G C:min6/5 C:min6(9)/5 | Cm(maj7) C:minmaj7 C:minmaj7 | Cm/maj7 C:minmaj7 C:minmaj7 | C-Δ C:minmaj7 C:minmaj7 | C+ C:aug C:aug
C+7 C:aug C:aug(b7) | C7#5 C:aug C:aug(b7) | C:aug7 C:aug C:aug(b7) | C-7 C:min7 C:min7 | C−7 C:min7 C:min7 | C7-9 C:7 C:7(b9) | C7(b9,#11) C:7 C:7(b9,#11)
C7b5 C:7 C:(1,3,b7,b5) | C13b9 C:7 C:7(11,13,b9) | C7/9 C:9 C:9 | C:7/9 C:7/2 C:7/2 | C5 C:5 C:5 | F♯m F#:min F#:min | B♭7 Bb:7 Bb:7 | F𝄪 F##:maj F##:maj
C♭𝄫 Cbbb:maj Cbbb:maj | Bflat Bb:maj Bb:maj | Am/g A:min/b7 A:min/b7 | C/E C:maj/3 C:maj/3 | C/D C:maj/2 C:maj/2 | C7omit5 C:7 C:(1,3,b7) | N.C. N N | NC N N
N N N | X X X | C:maj(9) C:maj C:maj(9) | G:sus4(b7) G:sus4 G:sus4(b7) | C:(1,3,5,b7) C:7 C:(1,3,5,b7) | C:(1,5) C:5 C:(1,5) | C:maj(*3) C:5 C:maj(*3)
C:1 C:1 C:1 | C:(1,4) X C:(1,4) | C:7(*3) X C:7(*3) | C7no3 X C:5(b7) | C:maj(*5) C:maj C:maj(*5) | C:min11/b3 C:min9/b3 C:min11/b3
C:sus2(4) C:sus2 C:sus2(4) | C:maj6(b7) C:7 C:maj6(b7) | C:maj11 C:maj9 C:maj9(11) | C:maj/13 C:maj/6 C:maj/6 | C:min(*b3,b6)/b6 X C:min(*b3,b6)/b6
"""


@pytest.mark.parametrize("written, chord, full", [spelling.split() for line in SPELLINGS.strip().splitlines() for spelling in line.split(" | ")])
def test_every_spelling_is_read(written, chord, full):
    reading = read(written)
    assert (str(reading.chord), reading.harte, reading.name) == (chord, full, written)
    if reading.chord.is_chord:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root, notes, bass = mir_eval.chord.encode(reading.harte.replace("Cbbb", "A"), reduce_extended_chords=True)
        steps = np.isin(np.arange(12), [*QUALITIES[reading.chord.quality], bass])
        assert (root, bass) == (reading.chord.pitch_class, reading.chord.bass) and reading.reduced == bool((steps != notes).any())


@pytest.mark.parametrize(
    "name, told",
    [
        ("H", "German for B: write 'B'"),
        ("Hm7", "write 'Bm7'"),
        ("am", "capital"),
        ("C#b", "mixes"),
        ("C2", "note"),
        ("A440", "note"),
        ("C/H", "C/H"),
        ("C:Q", "Q"),
        ("Emma", "Emma"),
        ("Add", "Add"),
        ("C(maj", "parentheses"),
        ("", "root"),
        ("C3", "C3"),
        ("verse", "root"),
    ],
)
def test_what_is_no_chord_is_refused_with_a_word(name, told):
    with pytest.raises(ChordError, match=told):
        read(name)


def test_plain_names_do_without_mir_eval():
    code = "import sys; from ostinato.harmony.chords import read; [read(name) for name in ('C', 'Am7', 'C:maj7/3', 'N')]; assert 'mir_eval' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def labelled(tmp_path, text: str | bytes, seconds: float = SONG_SECONDS) -> tuple[str, list[str]]:
    """Chords of a file beside a song, each with its end, and what is listed."""
    path = tmp_path / "song.lab"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    labels, problems = labels_of(chord_entries(path), seconds)
    return " ".join(f"{label.reading.chord}:{label.end:g}" for label in cover(labels, seconds)), problems


@pytest.mark.parametrize(
    "text, chords",
    [
        (b"\xef\xbb\xbf0 2 C:maj\n2 24 G\n", "C:maj:2 G:maj:24"),
        ("0 2.001 C:maj\n2.000 24 G:maj\n", "C:maj:2 G:maj:24"),
        ("0 2 C:maj\n2 2 N\n2 24 G:maj\n", "C:maj:2 G:maj:24"),
        ("0.0 N\n0.37 C\n26.2 Fm\n", "N:0.37 C:maj:24"),
        ("0 12 C:maj(9)\n12 24 G:maj\n", "C:maj:12 G:maj:24"),
        ("0 12 G:sus4(b7)\n12 24 G:maj\n", "G:sus4:12 G:maj:24"),
        ("# by ear\r\nTitle: Song\r\n0   2 \tC # verse\r\n2 24 F#m\r\n", "C:maj:2 F#:min:24"),
        ("0.0\t2.0\tC\n\\\t100.0\t200.0\n2.0\t24.0\tA minor\n", "C:maj:2 A:min:24"),
        ("0.0\t0.0\tC\n5.5\t5.5\tAm7\n", "C:maj:5.5 A:min7:24"),
        ('0.000000000,"N"\n0.371519274,"C7(b9,#11)"\n12.5,"F#m7b5/C"\n', "N:0.371519 C:7:12.5 F#:hdim7/b5:24"),
        ('"/music/a, b.wav",0.0,"N"\n,0.5,"C"\n', "N:0.5 C:maj:24"),
        ("start,end,chord,roman\n0,12,C:7(b9,#11),I\n12,24,G,V\n", "C:7:12 G:maj:24"),
        ("TIME,VALUE,DURATION,LABEL\n0,1,12,C\n12,2,12,G\n", "C:maj:12 G:maj:24"),
        ("0,1,8,C\n8,2,8,G\n16,3,8,Am\n", "C:maj:8 G:maj:16 A:min:24"),
        ("0 8 C\n8 8 G\n16 8 Am\n", "C:maj:8 G:maj:16 A:min:24"),
        ("0,0;2,5;C\n2,5;24;G:min\n", "C:maj:2.5 G:min:24"),
        ("0.0, 2.0, C:7(b9,#11)\n2.0, 24.0, G\n", "C:7:2 G:maj:24"),
        ("0:00 C\n0:12.5 Bb\n", "C:maj:12.5 Bb:maj:24"),
        ("0 2 C\r\n2 24 G\r\n".encode("utf-16"), "C:maj:2 G:maj:24"),
        ("0 12 C:maj 0.93\n12 24 G:maj 0.8\n", "C:maj:12 G:maj:24"),
        ("0 6 C 7\n6 12 A minor verse\n12 18 B flat major 0.9\n18 24 G 1\n", "C:maj:6 A:min:12 Bb:maj:18 G:maj:24"),
        ("0\t12\tC\t5\n12\t24\tAm\t9\n", "C:maj:12 A:min:24"),
        ("-0.01 5 C\n5.03 23.97 G\n", "C:maj:5.03 G:maj:24"),
        ("0 2 C\n0 2 C\n2 24 G\n", "C:maj:2 G:maj:24"),
        ("0 2 Silence\n2 24 G\n", "N:2 G:maj:24"),
        ("0.3 2 C\n2 12 X\n12 20 N\n20 24 C:(1,4)\n", "X:0.3 C:maj:2 X:12 N:20 X:24"),
    ],
)
def test_files_are_read_as_people_and_programs_write_them(tmp_path, text, chords):
    assert labelled(tmp_path, text) == (chords, [])


@pytest.mark.parametrize(
    "text, chords, told",
    [
        ("0 2 C\n2 4 Q:maj\n4 24 G\n", "C:maj:2 X:4 G:maj:24", "line 2: found '2 4 Q:maj', expected a chord such as"),
        ("0 2 C\nx 4 F\n4 24 G\n", "C:maj:2 X:4 G:maj:24", "line 2: found 'x 4 F', expected start, end and chord"),
        ("0 C\n4 F\nx G\n8 Am\n", "C:maj:4 X:8 A:min:24", "line 3: found 'x G'"),
        ("0 13 C\n13 13 G\n", "C:maj:13 X:24", "line 2: found '13 13 G', expected an end after 13 s"),
        ("0 6 C\n4 24 G\n", "C:maj:4 X:6 G:maj:24", "line 2: found '4 24 G', expected a start from 6 s on"),
        ("0 2 C\n2 400 F\n4 24 G\n", "C:maj:2 X:4 G:maj:24", "line 2: found '2 400 F', expected an end by 4 s"),
        ("0 2 C\n2 4 F\n14 16 G\n6 8 Am\n8 10 C\n10 24 F\n", "C:maj:2 F:maj:4 X:6 A:min:8 C:maj:10 F:maj:24", "line 3: found '14 16 G', expected times that rise"),
    ],
)
def test_one_bad_line_costs_its_own_span(tmp_path, text, chords, told):
    found, problems = labelled(tmp_path, text)
    assert found == chords and len(problems) == 1 and problems[0].startswith(told)


@pytest.mark.parametrize(
    "text, told",
    [
        ("0 2000 C:maj\n2000 24000 G:maj\n", "ends at 24000 s, the song at 24.0 s; times in ms?"),
        ("0 500000 C\n500000 1058400 G\n", r"times in samples \(44100 Hz\)\?"),
        ("0 0.2 C\n0.2 0.4 G\n", "covers 0.4 s .*times in minutes?"),
        ("0 nan C:maj\n", "line 1: found '0 nan C:maj'"),
        ("0 5 C\n5 inf G\n", "line 2: found '5 inf G'"),
        ("", "empty"),
        ("la la\n", "empty"),
        ("0 30 C\n30 200 G\n", "ends at 200 s"),
        ("0 5 C\n", "covers 5 s of a song of 24.0 s"),
        ("24 12 C\n12 0 G\n", "an end after 24 s"),
        ("0 12 verse\n12 24 chorus\n", "covers 0 s .*found '0 12 verse'"),
        (b"\0\1", "zero byte"),
    ],
)
def test_labels_that_cannot_belong_to_the_song_are_not_believed(tmp_path, text, told):
    with pytest.raises(UserError, match=told):
        labelled(tmp_path, text)


@pytest.mark.parametrize(
    "text, positions, told",
    [
        ("0.5 1\n1.0 2\n1.5 3\n2.0 1\n2.5 2\n3.0 3\n", [1, 2, 3, 1, 2, 3], ""),
        ("# time\n0.5\n1.0\n1.5\n2.0\n3.0\n", None, ""),
        ('TIME,LABEL\n0.5,"1"\n1.0,"2"\n2.0,"3"\n3.5,"4"\n', [1, 2, 3, 4], ""),
        ("0.5 1\n1 2\n1 3\n1.5 3\n3.5 4\n", [1, 2, 3, 4], "line 3: found '1 3', expected a time after 1 s"),
        ("0.5 7\n1.0 3\n1.5 9\n3.5 5\n", None, "found places such as 7, 3, 9, 5, expected 1, 2, 3, 4"),
        ("0.5 1\n0.6 2\n0.7 3\n0.8 1\n0.9 2\n1 3\n1.1 x\n1.2 2\n1.3 3\n1.4 1\n1.5 2\n3 3\n", [1, 2, 3] * 4, "line 7: found '1.1 x', expected a place"),
        ("0.5 1\n1 2.5\n3.5 3\n", None, "line 2: found '1 2.5', expected a place in the bar"),
    ],
)
def test_beats_are_read_with_and_without_places(tmp_path, text, positions, told):
    (tmp_path / "song.beats").write_text(text)
    beats, problems = beats_of(beat_entries(tmp_path / "song.beats"), 4.0)
    assert (None if beats.positions is None else beats.positions.tolist()) == positions and beats.times[0] == 0.5
    assert all(told in problem for problem in problems) and bool(problems) == bool(told)


def test_beats_of_another_song_are_not_believed(tmp_path):
    (tmp_path / "song.beats").write_text("500 1\n1000 2\n3900 3\n")
    with pytest.raises(UserError, match="times in ms"):
        beats_of(beat_entries(tmp_path / "song.beats"), 4.0)


def annotation(namespace: str, rows: list[tuple]) -> jams.Annotation:
    """Rows of time, duration, value."""
    made = jams.Annotation(namespace, duration=SONG_SECONDS)
    for time, duration, value in rows:
        made.append(time=time, duration=duration, value=value, confidence=None)
    return made


def write_jams(path, *annotations: jams.Annotation) -> None:
    """A JAMS file as another program writes it."""
    document = jams.JAMS(file_metadata=jams.FileMetadata(title="song", duration=SONG_SECONDS), annotations=annotations)
    document.save(str(path))


WALTZ = annotation("beat", [(0.5 * k, 0.0, float(k % 3 + 1)) for k in range(48)])
HARTE = annotation("chord_harte", [(0, 12, "C:maj(9)"), (12, 12, "G:7")])
KEYS = annotation("key_mode", [(0, 12, "C:lydian"), (12, 12, "E:minor")])


def test_a_heading_makes_a_table_of_chords_whatever_column_comes_first(tmp_path):
    (tmp_path / "song.csv").write_text("chord,start,end\nC,0,12\nG,12,24\n")
    row, problems = side_files(tmp_path / "song.wav", SONG_SECONDS)
    assert row["lab"] == str(tmp_path / "song.csv") and not problems


@pytest.mark.parametrize("suffix", [".LAB", ".Lab"])
def test_suffixes_of_labels_are_found_in_capitals(tmp_path, suffix):
    (tmp_path / f"song{suffix}").write_text("0 12 C\n12 24 G\n")
    assert side_files(tmp_path / "song.wav", SONG_SECONDS)[0]["lab"] == str(tmp_path / f"song{suffix}")


def test_side_files_are_found_named_and_their_content_is_in_the_table(tmp_path):
    song = tmp_path / "song.mp3"
    assert side_files(song, SONG_SECONDS) == ({"lab": None, "tags": {}}, [])
    (tmp_path / "song.txt").write_text("Words,\nwords of love\n")  # nobody's labels
    assert side_files(song, SONG_SECONDS) == ({"lab": None, "tags": {}}, [])
    (tmp_path / "song.txt").write_text("0\t12\tC\n12\t24\tG\n")
    row, _ = side_files(song, SONG_SECONDS)
    assert row["lab"] == str(tmp_path / "song.txt")
    (tmp_path / "song.txt").write_text("0\t12\tC\n12\t24\tA\n")
    assert side_files(song, SONG_SECONDS)[0] != row  # so that `listen` runs again
    write_jams(tmp_path / "song.jams", HARTE, WALTZ, KEYS)
    (tmp_path / "song.LAB").write_text("0 12 Cadd9\n12 20 ?\n20 24 F\n")
    row, problems = side_files(song, SONG_SECONDS)
    names = {kind: row[kind].rpartition("/")[2] for kind in ("lab", "beats", "key")}
    assert names == {"lab": "song.LAB", "beats": "song.jams", "key": "song.jams"} and len(row["side_files"]) == 2
    assert [(path.name, told) for path, told in problems][1:] == [("song.jams", "not used: song.LAB is"), ("song.txt", "not used: song.LAB is")]
    assert problems[0][1].startswith("line 2: found '12 20 ?'")
    (tmp_path / "song.LAB").write_text("0 12000 C\n12000 24000 F\n")
    row, problems = side_files(song, SONG_SECONDS)
    assert row["lab"].endswith("song.jams") and "times in ms?" in problems[0][1]
    (tmp_path / "song.jams").write_text("{}")
    assert {path.name for path, told in side_files(song, SONG_SECONDS)[1] if told.startswith("not used: ")} == {"song.LAB", "song.jams"}


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """Songs with side files, from the folder to segments: rows of the song table by name, the folder of JAMS files, and the segments' side files."""
    folder = tmp_path_factory.mktemp("labels")
    (folder / "music").mkdir()
    sound = play("piano " + " ".join(["C A:min F G"] * 3), SONG_SECONDS)
    for number, name in enumerate(("plain", "lab", "jams", "beats")):
        soundfile.write(folder / f"music/{name}.flac", sound * (1 - 0.1 * number), RATE)
    (folder / "music/lab.lab").write_text("0 2 C:maj(9)\n2 4 A:Q\n4 6 X\n6 12 N\n12 24 G13\n")
    write_jams(folder / "music/jams.jams", HARTE, WALTZ, KEYS)
    (folder / "music/beats.beats").write_text("".join(f"{time:.3f}\n" for time in np.arange(1, 24, 1.0)))
    corpus = PARAMS.corpus.model_copy(update={"shards": 1})
    segments = PARAMS.segments.model_copy(update={"min_seconds": 2.0})
    songs = ["--songs", str(folder / "out/shards/shard-00.jsonl")]
    assert check(folder / "music", folder / "out", corpus)[0] == 0
    assert main(["listen", "--params", PARAMS.listen.model_dump_json(), *songs, "--out", str(folder / "jams")]) == 0
    assert main(["segments", "--params", segments.model_dump_json(), *songs, "--listened", str(folder / "jams"), "--out", str(folder / "pieces")]) == 0
    rows = {row["path"].rpartition("/")[2].partition(".")[0]: row for row in read_jsonl(songs[1])}
    return folder, rows, [read_json(path) for path in (folder / "pieces").glob("*-*.json")]


def test_bad_lines_are_in_the_table_and_songs_without_side_files_are_as_they_were(heard):
    folder, rows, _ = heard
    listed = read_table(folder / "out/set_aside.tsv", {"path", "reason", "detail"})
    assert [(row["path"].rpartition("/")[2], row["reason"]) for row in listed] == [("lab.lab", "side_file")]
    assert listed[0]["detail"].startswith("line 2: found '2 4 A:Q'")
    assert set(rows["plain"]) == {"id", "path", "sha256", "duration", "sample_rate", "channels", "split", "tags", "lab"} and rows["plain"]["lab"] is None


def test_what_is_given_is_believed_and_kept_as_it_was_written(heard):
    folder, rows, _ = heard
    told = {name: jamsfile.read(folder / f"jams/{row['id']}.jams") for name, row in rows.items()}
    assert [(str(chord), end) for _, end, chord in told["lab"].chords] == [("C:maj", 2), ("X", 4), ("X", 6), ("N", 12), ("G:9", 24)]
    assert told["jams"].downbeats == [1.5 * k for k in range(16)] and told["jams"].tempo == 120
    assert [(end, str(key)) for _, end, key in told["jams"].keys] == [(12, "C:major"), (24, "E:minor")]
    assert told["beats"].tempo == 60 and {time % 1 for time in told["beats"].downbeats} == {0} and told["beats"].key == told["plain"].key
    document = jams.load(str(folder / f"jams/{rows['lab']['id']}.jams"))  # validated by the library, as others will
    kept = document.search(namespace="chord")[1]
    assert [row.value for row in kept.data] == ["C:maj(9)", "X", "X", "N", "G:13"] and kept.sandbox.written == ["C:maj(9)", "A:Q", "X", "N", "G13"]
    assert document.search(namespace="chord")[0].annotation_metadata.data_source.endswith("lab.lab")
    assert len(jams.load(str(folder / f"jams/{rows['plain']['id']}.jams")).search(namespace="chord")) == 1


def test_unknown_chords_are_not_trained_on_and_silence_may_be(heard):
    _, rows, pieces = heard
    cut_from = {name: sorted((piece["start"], piece["end"]) for piece in pieces if piece["song"] == row["id"]) for name, row in rows.items()}
    assert cut_from["plain"] and cut_from["lab"] and all(end <= 2.1 or start >= 5.9 for start, end in cut_from["lab"])
    assert not any("X" in json.dumps(piece["bars"]) for piece in pieces)
    grid = [float(time) for time in range(0, 25, 2)]
    params = PARAMS.segments.model_copy(update={"target_seconds": 22})
    for name, spans in (("N", [(0.0, 22.0)]), ("X", [(0.0, 10.0), (12.0, 22.0)])):
        chords = [(0.0, 10.0, Chord("C")), (10.0, 12.0, Chord(name, "")), (12.0, 22.0, Chord("F"))]
        assert cut(grid, chords, [(0.0, 24.0, "A")], [], 24.0, params) == spans


@pytest.mark.parametrize("error, ends", [(MemoryError("no room"), 0), (KeyError("x"), 0), (OSError(errno.ENOSPC, "No space left on device", "x.jams"), 2)])
def test_whatever_a_song_raises_is_listed_but_a_full_disk_ends_the_stage(tmp_path, monkeypatch, capsys, error, ends):
    def fail(*_):
        raise error

    monkeypatch.setattr(stage, "hear_file", fail)
    write_jsonl(tmp_path / "songs.jsonl", [{"id": "a", "path": "gone.flac", "lab": None, "tags": {}, "split": "train", "duration": 8.0}])
    assert main(["listen", "--params", PARAMS.listen.model_dump_json(), "--songs", str(tmp_path / "songs.jsonl"), "--out", str(tmp_path / "out")]) == ends
    if ends:
        assert "disk full: x.jams" in capsys.readouterr().err and not (tmp_path / "out").exists()
    else:
        assert f"{type(error).__name__}: " in (tmp_path / "out/failed.tsv").read_text()


@pytest.mark.parametrize(
    "sounds, bass, named",
    [
        ({"C:sus4": 0.9, "F:maj": 0.06, "C:maj": 0.03}, 0, {"full": "C:sus4", "majmin": "C:maj", "sevenths": "C:maj"}),
        ({"C:min7": 0.6, "Eb:maj": 0.3, "C:min": 0.1}, 0, {"full": "C:min7", "majmin": "C:min", "sevenths": "C:min7"}),
        ({"C:7": 0.3, "C:maj7": 0.25, "A:min": 0.45}, 9, {"sevenths": "A:min", "full": "A:min"}),
        ({"F#:hdim7": 0.8, "A:min": 0.2}, 9, {"full": "F#:hdim7/b3", "majmin": "A:min", "sevenths": "A:min"}),
        ({"F#:hdim7": 0.8, "A:min": 0.2}, 6, {"full": "F#:hdim7", "majmin": "F#:min", "sevenths": "F#:min7"}),
    ],
)
def test_a_smaller_vocabulary_keeps_the_root(sounds, bass, named):
    chords = [f"{Chord('C', quality).transpose(root)}" for quality in VOCABULARIES["full"] for root in range(12)]
    shares = np.full(max(columns(VOCABULARIES["full"])) + 1, 1e-4)
    shares[np.array(columns(VOCABULARIES["full"]))[[chords.index(name) for name in sounds]]] = list(sounds.values())
    bottom = np.log(np.where(np.arange(13) == bass, 0.9, 0.01))
    evidence = Evidence(np.tile(np.log(shares), (40, 1)), np.tile(bottom, (40, 1)), np.zeros((40, 12)))
    for vocabulary, expected in named.items():
        ((start, end, chord),) = recognise(evidence, 4.0, vocabulary, 3.0, np.zeros(100))[0]
        assert (start, end, str(chord)) == (0.0, 4.0, expected), vocabulary
