"""Files and prints take any name that a file system holds: names need not be UTF-8, and may hold tabs and line ends. What is written is whole, on the disk, and all."""

import contextlib
import csv
import errno
import io
import os
import shutil
import subprocess
import sys
import time

import pytest

from ostinato.escapes import shown
from ostinato.files import UserError, atomic, contents, hash_value, read_json, read_jsonl, sha256, write_json, write_jsonl, write_text
from ostinato.scratch import tidy
from ostinato.tables import read_table, write_set_aside, write_table

LATIN = os.fsdecode(b"caf\xe9.wav")  # written where names are ISO 8859-1
NAMES = [
    "plain.wav",
    LATIN,
    "a\tb",
    "a\nb",
    "a\r\nb",
    "a\rb",
    '"q".wav',
    'in"q',
    "back\\slash",
    "\\t",
    "\\udce9",
    "\\",
    "a\u2028b\u2029c",
    "a\x85b\x0bc\x1cd",
    "\x00",
    "",
    " lead",
    "trail ",
    "a,b",
    "'",
    "é",
    "😀",
    "\ufeffx",
    "#x",
    "NA",
]


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_a_table_gives_back_every_name_and_other_readers_see_a_line_a_row(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    rows = [(name, str(number), name) for number, name in enumerate(NAMES)]
    write_table(path, ("path", "number", "again"), rows)
    assert [tuple(row.values()) for row in read_table(path, {"path", "again"})] == rows
    plain = list(csv.reader(io.StringIO(path.read_text(), newline=""), delimiter="," if suffix == "csv" else "\t"))
    assert [row[1] for row in plain[1:]] == [row[1] for row in rows] and {len(row) for row in plain} == {3}
    assert plain[1][0] == "plain.wav" and plain[2][0] == r"caf\udce9.wav" and path.read_bytes().count(b"\n") == len(rows) + 1
    write_table(path, ("path",), [(name,) for name in NAMES])
    assert [row["path"] for row in read_table(path, {"path"})] == NAMES
    write_table(path, ("path",), [])
    assert read_table(path, {"path"}) == []


def test_plain_names_are_written_as_ever_and_messages_of_several_lines_in_one(tmp_path, caplog):
    write_set_aside(tmp_path / "set_aside.tsv", [('a/song é (1) "live".wav', "unreadable", "no sound\n  in it"), ("b\nc", "empty", "0 bytes")])
    assert (tmp_path / "set_aside.tsv").read_bytes() == ('path\treason\tdetail\na/song é (1) "live".wav\tunreadable\tno sound in it\nb\\nc\tempty\t0 bytes\n').encode()


@pytest.mark.parametrize(
    "text, said",
    [
        ("path\treason\nx\ty\textra\n", "line 2: 3 fields; expected 2: path, reason"),
        ("name\treason\nx\ty\n", "expected the columns path, reason; path missing"),
        ("", "expected the columns path, reason"),
        ("path\treason\nx", "line 2: 1 fields"),
    ],
)
def test_a_table_of_another_kind_is_said_in_a_line(tmp_path, text, said):
    (tmp_path / "table.tsv").write_text(text)
    with pytest.raises(UserError, match=f"table.tsv: {said}"):
        read_table(tmp_path / "table.tsv", {"path", "reason"})


def test_json_gives_back_every_name(tmp_path):
    write_json(tmp_path / "a.json", {"names": NAMES})
    assert read_json(tmp_path / "a.json") == {"names": NAMES}
    assert (tmp_path / "a.json").read_bytes().decode().count('"é"') == 1
    write_jsonl(tmp_path / "a.jsonl", [{"name": name} for name in NAMES])
    assert [row["name"] for row in read_jsonl(tmp_path / "a.jsonl")] == NAMES
    (tmp_path / "b.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(UserError, match="b.json: not UTF-8"):
        read_json(tmp_path / "b.json")


def test_folders_with_any_names_have_a_hash(tmp_path):
    for folder, name in (("one", LATIN), ("two", "a\nb")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("x")
    assert sha256(tmp_path / "one") == hash_value([[LATIN, sha256(tmp_path / "one" / LATIN)]]) != sha256(tmp_path / "two")


def test_every_name_can_be_printed_whatever_the_terminal_knows(tmp_path):
    code = (
        "import logging, sys; from ostinato import cli, files; from types import SimpleNamespace as S\n"
        "def run(args):\n print(sys.argv[1], '♯'); logging.warning('%s', sys.argv[1]); raise files.UserError(sys.argv[1] + ': no such file')\n"
        "cli.importlib = S(import_module=lambda _: S(arguments=lambda _: None, run=run)); sys.exit(cli.main(['scores']))"
    )
    done = subprocess.run([sys.executable, "-c", code, os.fsencode(LATIN) + b"\n"], env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "caf\\udce9.wav\n \\u266f\n"
    assert done.stderr == "WARNING caf\\udce9.wav\\n\nostinato scores: caf\\udce9.wav\\n: no such file\n"
    assert shown("a\tb\u2028\\é") == "a\\tb\\u2028\\é"


WRITER = """
import sys, time
from ostinato.files import atomic
with atomic(sys.argv[1]) as path:
    path.mkdir()
    (path / "half").write_text("x")
    print(flush=True)
    time.sleep(float(sys.argv[2]))
"""


def writer(path, seconds: float = 100) -> subprocess.Popen:
    """A process that is in the middle of writing a folder, for so many seconds."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, path, str(seconds)], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_what_a_killed_writer_leaves_is_gone_with_the_next_and_a_living_one_is_left_alone(tmp_path):
    (tmp_path / "out/.some.settings").mkdir(parents=True)
    dead, living = writer(tmp_path / "out/folder"), writer(tmp_path / "out/folder")
    dead.kill()
    dead.wait()
    assert len(list(tmp_path.glob("out/.*/folder/half"))) == 2 and set(contents(tmp_path)) == set()
    assert writer(tmp_path / "out/other", 0).wait() == 0
    assert len(list(tmp_path.glob("out/.*/folder/half"))) == 1
    living.kill()
    living.wait()
    tidy(tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["out", "out/.some.settings", "out/other", "out/other/half"]


@pytest.mark.parametrize(
    "name, days, stays",
    [
        (".ostinato.a.txt.{here}-{me}-{begin}.abcdefgh", 2, True),  # this process, which takes its time
        (".ostinato.a.txt.{here}-{me}-1.abcdefgh", 0, False),  # another that had its number
        (".ostinato.a.txt.0badcafe-{me}-{begin}.abcdefgh", 0, True),  # of another host, or container
        (".ostinato.a.txt.0badcafe-{me}-{begin}.abcdefgh", 2, False),
        (".a.txt.abcdefgh", 0, True),
        (".a.txt.abcdefgh", 2, False),  # as earlier versions called them
        (".b.txt.abcdefgh", 2, True),
        (".a.settings", 2, True),  # somebody else's
    ],
)
def test_whose_a_scratch_folder_is_says_its_name(tmp_path, name, days, stays):
    with atomic(tmp_path / "a.txt") as path:
        path.write_text("")
        here, me, begin = path.parent.name.split(".")[-2].split("-")
    folder = tmp_path / "below" / name.format(here=here, me=me, begin=begin)
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("")
    for one in (folder / "a.txt", folder):
        os.utime(one, (time.time() - 86400 * days,) * 2)
    tidy(tmp_path)
    assert folder.exists() == stays


def test_what_takes_its_name_is_on_the_disk(tmp_path, monkeypatch):
    said = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: said.append(os.readlink(f"/proc/self/fd/{file}").rpartition("/")[2]) or fsync(file))
    monkeypatch.setattr(os, "replace", lambda one, other: said.append("renamed") or replace(one, other))
    write_text(tmp_path / "a.txt", "x")
    assert said == ["a.txt", "renamed", tmp_path.name]
    said.clear()
    with atomic(tmp_path / "folder") as folder:
        (folder / "below").mkdir(parents=True)
        (folder / "below/b").write_text("x")
        write_text(folder / "c", "x")  # of which nobody knows before the folder is there
    assert said[0] == "renamed" and sorted(said[1:5]) == ["b", "below", "c", "folder"] and said[5:] == ["renamed", tmp_path.name]


@pytest.mark.parametrize("number, passes", [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_file_system_without_fsync_will_do_and_a_broken_one_is_said(tmp_path, monkeypatch, number, passes):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", refuse)
    with contextlib.nullcontext() if passes else pytest.raises(OSError, match="a.txt"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == ("new" if passes else "old") and len(list(tmp_path.iterdir())) == 1


def test_a_folder_takes_the_place_of_an_old_one_at_once(tmp_path, monkeypatch):
    """Removed in its place, what a kill leaves of the old one would pass for it."""
    (tmp_path / "folder/old").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", lambda path, remove=shutil.rmtree, **options: remove(path, **options) if path != tmp_path / "folder" else pytest.fail("half a folder"))
    with atomic(tmp_path / "folder") as folder:
        (folder / "new").mkdir(parents=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "new"]
