"""The page: what is on it, that nothing breaks out of it, and that it works in a real browser at 390 px; and the lineage behind it."""

import html
import json
import os
import re
from pathlib import Path

import pytest

from browser import CHROMIUM, luminance, seen_in_a_browser
from fake_results import EVIL, HELDOUT, PROMPTS, build, report
from ostinato.cli import main
from ostinato.files import UserError, read_json, write_json, write_text
from ostinato.harmony.chords import COMMON
from ostinato.provenance import lineage
from ostinato.report import figures, players
from ostinato.sidecars import write_sidecar
from ostinato.tables import write_set_aside, write_table


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A small results folder, with the present folder beside it, as in the project."""
    monkeypatch.chdir(tmp_path)
    build(PROMPTS, HELDOUT, seconds=1.0)
    return tmp_path


def page():
    assert report() == 0
    return Path("results/report/index.html").read_text()


def test_the_page_shows_each_prompt_with_its_players(results):
    text = page()
    assert re.findall(r'data-player="(\w+)"', text) == ["before", "after", "before", "after", "ceiling", "before", "after", "ceiling"]
    assert text.count("data:audio/mpeg;base64,") == 8
    for prompt in (*PROMPTS, *HELDOUT):
        assert html.escape(prompt) in text
    assert "Seed 1" in text and "Seed 2" not in text


def test_the_page_says_what_was_gained(results):
    text = page()
    assert "a gain of 52 points (95 % interval +45 to +59)" in text
    assert text.count('<table class="scores"') == 2
    for name, _ in figures.METRICS.values():
        assert name in text


def test_nothing_breaks_out_of_the_page_and_nothing_is_fetched(results):
    text = page()
    assert EVIL not in text and str(html.escape(EVIL)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in text
    assert text.count("<script") == 2
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert not re.search(r"https?://", text)


def test_any_name_is_shown_and_files_that_were_used_are_not_among_those_that_were_not(results):
    name = os.fsdecode(b"caf\xe9\n<b>.wav")
    write_set_aside(Path("results/corpus/set_aside.tsv"), [(name, "silent", "-91 dBFS"), ("loud.wav", "used_scaled", "by 0.5")])
    write_text(name, "song")
    write_sidecar("results/codec", "codec", [name])
    text = page()
    assert text.count(html.escape(r"caf\udce9\n<b>.wav")) > 1 and "1 file of the corpus was not used" in text
    assert text.index("was not used") < text.index("What was odd about files that were used") < text.index("loud.wav")


def test_of_very_many_rows_the_first_are_listed_and_all_are_counted(results):
    aside = [(f"{number:05d}.wav", "silent" if number % 2 else "used_scaled", "") for number in range(50_000)]
    write_set_aside(Path("results/corpus/set_aside.tsv"), aside, tell=False)
    folders = [Path(f"segments/shard-{shard:02d}") for shard in range(3)]
    for folder in folders:
        rows = [("id", f"{folder.name}-{number}.wav", 0, 6, f"chords are doubtful: confidence 0.{number}" if number % 2 else "beside the segments") for number in range(10_000)]
        write_table(folder / "left_out.tsv", ("id", "path", "start", "end", "reason"), rows)
    assert report("--segments", *map(str, folders)) == 0
    text = Path("results/report/index.html").read_text()
    assert "25000 files of the corpus were not used" in text and text.count("The first 200 of 25000; all are in <code>results/corpus/set_aside.tsv</code>") == 2
    assert "3000.0 minutes became no segment" in text and "chords are doubtful <b>1500.0 min</b>, 15000&times;" in text and "The first 200 of 15000; all are in" in text
    assert len(text) < 2_000_000
    made_from = [given["path"] for given in read_json("results/report/index.html.made.json")["inputs"]]
    assert str(folders[0] / "left_out.tsv") in made_from and str(folders[0]) not in made_from  # a folder of segments is a dataset's sound


def test_of_very_many_inputs_some_are_looked_at_and_it_is_said(results):
    for number in range(500):
        write_text(f"corpus/{number}.flac", f"song {number}")
        write_text(f"segments/{number}.flac", f"segment {number}")
    write_sidecar("segments", "segments", [f"corpus/{number}.flac" for number in range(500)])
    write_sidecar("results/codec", "codec", ["segments"])
    text = page()
    assert "and 61 more of a sample" in text and "from more than 64 files, 64 of them, spread evenly, were followed" in text and "changed since" not in text
    for path in ("corpus/0.flac", "segments/0.flac"):  # the first are among them
        write_text(path, "another")
    text = page()
    assert "corpus/0.flac: changed since" in text and "segments: changed since" in text
    clip = str(next(Path("results/demos/after").glob("*.wav")))
    assert len(list(lineage.reachable(lineage.walk(clip)))) > 500  # whoever asks for all gets all


def test_the_same_inputs_give_the_same_page(results):
    assert page() == page()


def test_a_page_without_set_aside_files_scores_or_clips(results):
    write_text("results/corpus/set_aside.tsv", "path\treason\tdetail\n")
    write_json("results/judgements.json", [])
    write_json("results/scores.json", {})
    text = page()
    assert "Nothing: every file" in text and "No clips were judged" in text and "There are no scores" in text


def test_a_missing_clip_and_a_broken_table_are_named(results, capsys):
    next(Path("results/demos/after").glob("guitar*-s1.wav")).unlink()
    assert report() == 2
    assert "no such clip" in capsys.readouterr().err
    write_json("results/judgements.json", [{"which": "after"}])
    assert report() == 2
    assert "entry 0: lacks prompt, path" in capsys.readouterr().err


def test_lineage_reaches_the_raw_files_and_sees_changes(results, capsys):
    clip = next(Path("results/demos/after").glob("*.wav"))
    write_text("corpus/song-0.flac", "another song")
    Path("corpus/song-1.flac").unlink()
    root = lineage.walk(clip)
    assert [item["step"] for item in lineage.chain(root)] == ["raw", "codec", "train", "best", "demos"]
    assert lineage.troubles(root) == ["corpus/song-0.flac: changed since", "corpus/song-1.flac: missing"]
    assert main(["lineage", str(clip)]) == 0
    printed = capsys.readouterr().out
    assert "corpus/song-0.flac  [raw]  !! changed since" in printed and "[train, seed 3]" in printed
    assert main(["lineage", "--json", str(clip)]) == 0
    assert json.loads(capsys.readouterr().out)["nodes"]["corpus/song-1.flac"]["state"] == "missing"


def test_lineage_of_a_file_in_a_folder_goes_through_the_folder_and_sums_up_many(results, capsys):
    for song in range(5, 400):
        write_text(f"corpus/song-{song}.flac", "x")
    write_sidecar("results/codec", "codec", sorted(Path("corpus").glob("*.flac")))
    assert main(["lineage", "results/codec/codec.bin"]) == 0
    assert "corpus/*.flac (400 of them)  [raw]" in capsys.readouterr().out


def test_lineage_visits_a_shared_input_once(tmp_path, monkeypatch):
    """Thirty layers that use the layer below twice are 2^30 paths, but sixty files."""
    monkeypatch.chdir(tmp_path)
    for layer in range(30):
        for side in "ab":
            write_text(f"{side}{layer}", f"{side}{layer}")
            write_sidecar(f"{side}{layer}", "mix", [f"{below}{layer - 1}" for below in "ab"] if layer else [])
    root = lineage.walk("a29")
    assert len(list(lineage.reachable(root))) == 59
    assert lineage.text(root).count("\n") < 150


def test_lineage_of_nothing_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        lineage.walk(tmp_path / "nothing.wav")


def test_chords_are_written_as_musicians_write_them():
    assert [players.short(name) for name in ("Bb:maj", "F#:min7", "C:maj/3", "N", "strange")] == ["B♭", "F♯m7", "C/3", "–", "strange"]
    assert players.agreement([[0, 4, "C:maj"]], [[0, 1, "C:7"], [1, 3, "C:min"], [3, 4, "C:maj"]], 4) == [{"left": 0.0, "width": 25.0}, {"left": 75.0, "width": 25.0}]


@pytest.mark.parametrize("name", [f"{root}:{quality}" for root in COMMON for quality in ("maj", "min", "sus4")])
def test_letters_are_legible_on_every_chord(name):
    back, ink = (luminance(colour) for colour in players.colours(name))
    assert (max(back, ink) + 0.05) / (min(back, ink) + 0.05) >= 4.5  # WCAG AA


# A frame as wide as a phone, because a headless window is never that narrow; it plays one clip, then another, and tells what it sees.
PHONE = """<!doctype html><iframe src="index.html" width="390" height="844" style="border:0"></iframe><script>
onload = async () => {
  const seen = document.querySelector("iframe").contentDocument, root = seen.documentElement, out = document.documentElement.dataset;
  const buttons = seen.querySelectorAll("[data-player] .play"), audio = seen.querySelectorAll("audio");
  const range = seen.querySelector("input[type=range]"); range.value = 0.5; range.dispatchEvent(new Event("input"));
  out.now = seen.querySelector(".now").textContent; out.head = seen.querySelector(".playhead").style.left;
  buttons[0].click(); await new Promise((done) => setTimeout(done, 150)); out.first = !audio[0].paused;
  buttons[1].click(); await new Promise((done) => setTimeout(done, 150)); out.switched = audio[0].paused && !audio[1].paused;
  out.players = root.dataset.players; out.scroll = root.scrollWidth; out.errors = root.dataset.errors || "none"; out.done = "yes";
};
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_opens_the_page_plays_it_and_finds_no_errors(results):
    page()
    seen = seen_in_a_browser(results, PHONE)
    assert (seen["players"], seen["errors"]) == ("8", "none")
    assert int(seen["scroll"]) <= 390
    assert seen["head"] == "50%" and seen["now"].startswith("0.5 s · asked C")
    assert (seen["first"], seen["switched"]) == ("true", "true")
