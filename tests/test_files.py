"""Files and prints take any name that a file system holds: names need not be UTF-8, and may hold tabs and line ends."""

import csv
import io
import os
import subprocess
import sys

import pytest

from ostinato.files import UserError, hash_value, read_json, read_jsonl, read_table, sha256, shown, write_json, write_jsonl, write_set_aside, write_table

LATIN = os.fsdecode(b"caf\xe9.wav")  # written where names are ISO 8859-1
NAMES = ["plain.wav", LATIN, "a\tb", "a\nb", "a\r\nb", "a\rb", '"q".wav', 'in"q', "back\\slash", "\\t", "\\udce9", "\\", "a\u2028b\u2029c", "a\x85b\x0bc\x1cd",
         "\x00", "", " lead", "trail ", "a,b", "'", "é", "😀", "\ufeffx", "#x", "NA"]


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
    write_set_aside(tmp_path / "set_aside.tsv", [("a/song é (1) \"live\".wav", "unreadable", "no sound\n  in it"), ("b\nc", "empty", "0 bytes")])
    assert (tmp_path / "set_aside.tsv").read_bytes() == ("path\treason\tdetail\na/song é (1) \"live\".wav\tunreadable\tno sound in it\n"
                                                         "b\\nc\tempty\t0 bytes\n").encode()


@pytest.mark.parametrize("text, said", [
    ("path\treason\nx\ty\textra\n", "line 2: 3 fields; expected 2: path, reason"),
    ("name\treason\nx\ty\n", "expected the columns path, reason; path missing"), ("", "expected the columns path, reason"), ("path\treason\nx", "line 2: 1 fields"),
])
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
    code = "import logging, sys; from ostinato import cli, files; from types import SimpleNamespace as S\n" \
           "def run(args):\n print(sys.argv[1], '♯'); logging.warning('%s', sys.argv[1]); raise files.UserError(sys.argv[1] + ': no such file')\n" \
           "cli.importlib = S(import_module=lambda _: S(arguments=lambda _: None, run=run)); sys.exit(cli.main(['scores']))"
    done = subprocess.run([sys.executable, "-c", code, os.fsencode(LATIN) + b"\n"], env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "caf\\udce9.wav\n \\u266f\n"
    assert done.stderr == "WARNING caf\\udce9.wav\\n\nostinato scores: caf\\udce9.wav\\n: no such file\n"
    assert shown("a\tb\u2028\\é") == "a\\tb\\u2028\\é"
