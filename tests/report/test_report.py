"""The page: what is on it, that nothing breaks out of it, and that it works in a real browser at 390 px; and the lineage behind it."""

import html
import json
import os
import re
from pathlib import Path

import pytest

from browser import CHROMIUM, luminance, seen_in_a_browser
from fake_results import EVIL, HELDOUT, PROMPTS, build, build_evidence, report
from ostinato.cli import main
from ostinato.files import UserError, read_json, write_json, write_text
from ostinato.harmony.chords import COMMON
from ostinato.provenance import lineage, summary
from ostinato.report import players, scores
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
    assert re.findall(r'data-player="(.*?)"', text) == ["before", "after", "before", "after", "reference", "before", "after", "reference"]
    assert text.count("data:audio/mpeg;base64,") == 8
    for prompt in (*PROMPTS, *HELDOUT):
        assert html.escape(prompt) in text
    assert "Seed 1" in text and "Seed 2" not in text


def test_the_page_says_what_was_gained_and_what_that_is_to_be_held_against(results):
    text = page()
    assert "74 % of the time after fine-tuning and 22 % before: a gain of 52 points (95 % interval +45 to +59)." in text
    assert "Gain less chance, each model&#39;s from its own clips: +47 points (+40 to +54)." in text
    assert "scores 95 %, a second one 93 %; after less the first: −21 points (−30 to −12)" in text and "One training stands behind this" in text
    bars = text[text.index('class="headline"') : text.index('class="facts"')]
    assert re.findall(r'class="bar-name"><b>(.*?)</b>', bars) == ["Before", "After", "Reference"] and re.findall(r"chance (\d+)", bars) == ["17", "12", "12"]
    assert "at least 80 % as long as its even share" in text and "1 in another key" in text
    scored = text[text.index('<section id="scores">') :]
    assert re.findall(r"<h3>(.*?)</h3>", scored)[:7] == ["Strict", "A harder null", "Lenient", "Other listeners", "Tempo", "Sound", "Strata"]
    for metric, (name, _) in scores.METRICS.items():
        assert (f"{name} <code>{metric}</code>" in scored) == (metric not in ("majmin_chordino", "judged") and not metric.startswith(("kad_", "diversity"))), metric
    assert "suspended, diminished, augmented <code>triads</code><small>1 prompt, by triad</small>" in scored and "By phrasing" in scored


def test_a_dot_for_every_prompt_and_cards_for_the_first_of_a_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heldout = [f"{instrument} {chords}" for chords in ("Amaj, followed by C#min, and Dmaj", "C:7 F G:7") for instrument in ("guitar", "piano", "organ")]
    build(PROMPTS, heldout, seconds=0.5)
    entries = read_json("results/judgements.json")
    entries.append(entries[0] | {"prompt": "piano", "metrics": {"sounding": 100.0}, "asked": []})  # which names no chord
    write_json("results/judgements.json", entries)
    text = page()
    assert re.findall(r'<h3 id="prompt-\d+">(.*?)</h3>', text) == [*PROMPTS, *(html.escape(heldout[place]) for place in (0, 1, 3, 4))]
    assert "2 more held-out prompts are in <code>results/demos</code>" in text
    dots = text[text.index('<section id="prompts">') : text.index('<section id="training">')]
    assert dots.count("<circle") == 2 * 3 * len(heldout)
    mean = sum(entry["metrics"]["triads"] for entry in entries if entry["prompt"] == heldout[0] and entry["which"] == "after") / 2
    assert f"<title>{html.escape(heldout[0])}: after {mean:.0f} %</title>" in dots
    assert 'aria-label="sevenths, percent of 3 prompts: before ' in dots and f"<td>{html.escape(heldout[5])}</td>" in dots


def test_a_page_of_evidence_has_the_control_the_other_trainings_and_the_sound(results):
    build_evidence(HELDOUT)
    text = page()
    assert re.findall(r'data-player="(.*?)"', text)[-4:] == ["before", "after", "reference", "control"] and 'data-player="after-5"' not in text
    assert "2 trainings from the same base with other seeds score 74.0, 70.0 %: mean 72.0 %, standard deviation 2.8 points" in text
    assert "on shuffled prompts, scores 20 %; after less control: +54 points (+40 to +66)" in text and "Training with seed 5" in text
    sound = text[text.index("<h3>Sound</h3>") : text.index("<h3>Trainings</h3>")]
    assert "make evidence" in text and "make demo" not in text
    assert "0.31" in sound and "0.12" in sound and "<circle" not in sound


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
    assert [item["step"] for item in summary.chain(root)] == ["raw", "codec", "train", "best", "demos"]
    assert summary.troubles(root) == ["corpus/song-0.flac: changed since", "corpus/song-1.flac: missing"]
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
    assert summary.text(root).count("\n") < 150


def test_lineage_of_nothing_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        lineage.walk(tmp_path / "nothing.wav")


def test_chords_are_written_as_musicians_write_them():
    assert [players.short(name) for name in ("Bb:maj", "F#:min7", "C:maj/3", "N", "strange")] == ["B♭", "F♯m7", "C/3", "–", "strange"]
    heard = [[0, 1, "C:7"], [1, 2, "C:min"], [2, 3, "strange"], [3, 4, "C:maj"]]
    assert players.agreement([[0, 4, "C:maj"]], heard, 4, "triads") == [
        {"left": 0.0, "width": 25.0},
        {"left": 75.0, "width": 25.0},
    ]


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
