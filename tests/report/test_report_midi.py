"""The MIDI track on the page, in MLflow and in the table of scores; and its lineage, from a composition's sound to the raw MIDI."""

import re
from pathlib import Path

import pytest

from browser import CHROMIUM, luminance, seen_in_a_browser
from fake_results import EVIL, HELDOUT, MIDI, OPTIONS, PROMPTS, build, build_midi, report
from ostinato.cli import main
from ostinato.files import read_json, write_json, write_text
from ostinato.provenance import lineage, summary
from ostinato.report import rolls
from store import client, model, rows, section, store


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A small results folder with both tracks."""
    monkeypatch.chdir(tmp_path)
    build(PROMPTS[:1], HELDOUT, seconds=0.5)
    build_midi()
    return tmp_path


def page():
    assert report(*OPTIONS) == 0
    return Path("results/report/index.html").read_text()


def test_the_page_shows_the_midi_track(results):
    text = page()
    section = text[text.index('<section id="midi">') : text.index('<section id="set-aside">')]
    assert "costs the model 8.2 (95 % interval 7.4 to 9.0) bits, an n-gram (order 7) 11.3 (10.2 to 12.4) and a unigram –; lower is better" in section
    assert "the model saves +3.10 (+2.79 to +3.41) bits over the n-gram, and none on mass." in section and "7 notes (in bach-sample-s1, from bach/one)" in section
    assert (
        "suits best of all names for 85 % (76 % to 94 %) of 40 compositions (beside genre and instruments for 50 % (45 % to 55 %)); "
        "always Bach would be right for 60 % (54 % to 66 %)" in section
    )
    assert "80 % (72 % to 88 %) of 40 held-out compositions" in section and "Of 4 samples it recognises 30 % (27 % to 33 %) as" in section and "Satie" in section
    assert section.index("n-gram - model: -0.20") < section.index("n-gram - model: +1.00")  # the larger collection comes first
    headings = re.findall(r'<h3 id="midi-(\w+)">', section)
    assert headings == ["style", "sample", "continuation", "infilling"]
    assert section.count('data-player="midi"') == section.count("data:audio/mpeg") == section.count('<svg class="roll"') == 8
    assert "Happy Birthday in the style of Bach" in section and "bach/one, continued in the style of Bach" in section
    assert "seed 1 (of 2)" in section and "seed 2" not in section
    assert section.count('class="panel"') == 2 and "midi-pretrained" in section
    assert EVIL not in text and not re.search(r"""https?://|(?:src|href)=["'](?!data:|#)""", text)
    assert text == page() and "wrote no note" not in text
    (MIDI / "demos/set_aside.tsv").write_text("path\treason\tdetail\nbach-sample-s3\tno_note\twrote none\n")
    assert "wrote no note for 1 of the compositions asked for: bach-sample-s3" in page()


def test_without_its_options_the_page_has_no_midi_and_some_are_not_enough(results, capsys):
    assert report() == 0
    assert "midi" not in Path("results/report/index.html").read_text().lower()
    assert report(*OPTIONS[:2]) == 2
    assert "--midi-judgements, --midi-demos, --midi-models: missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("demos", "told"),
    [
        ([{"demo": "x"}], "demo 0: lacks kind, path, roll"),
        ([{"demo": "x", "kind": "opera", "path": "x", "roll": []}], "demo 0: kind is 'opera'; expected one of style"),
        (None, "an object with `demos`"),
        ([{"demo": "x", "kind": "sample", "path": "gone/x.mid", "roll": []}], "gone/x.wav: no such clip; results/midi/judgements.json names it"),
    ],
)
def test_broken_judgements_are_named(results, capsys, demos, told):
    write_json(MIDI / "judgements.json", {"demos": demos})
    assert report(*OPTIONS) == 2
    assert told in capsys.readouterr().err


def test_a_midi_track_without_scores_or_compositions(results):
    write_json(MIDI / "scores.json", {})
    write_json(MIDI / "judgements.json", {"demos": []})
    text = page()
    assert "There are no scores of the MIDI track yet" in text and "No compositions were judged" in text


def test_a_roll_tells_what_was_given_from_what_was_composed():
    drawn = rolls.roll([[0, 1, 72, 90, 0, 1], [0, 0.001, 48, 127, 48, 0], [1, 2, 50, 0, -1, 0]], 4.0, rolls.colours([0, 48, -1]), "the melody")
    assert [(entry["name"], entry["count"]) for entry in drawn["legend"]] == [("given: the melody", 1), ("composed: Drums", 1), ("composed: String Ensemble 1", 1)]
    assert drawn["layers"][-1]["given"] and drawn["layers"][-1]["rects"] == [{"x": 0, "y": 2, "width": 1, "opacity": 0.93}]
    assert drawn["layers"][1]["rects"][0]["width"] == round(4 / 300, 3)
    assert [octave["name"] for octave in drawn["octaves"]] == ["C3", "C4", "C5"] and drawn["semitones"] == 72 + 2 - (48 - 2) + 1
    assert drawn["spoken"] == "Piano roll of 3 notes from C3 to C5; 1 given: the melody, 1 composed: Drums, 1 composed: String Ensemble 1."
    assert rolls.roll([], 1.0, {}, "nothing")["spoken"] == "Piano roll without notes."


@pytest.mark.parametrize("background", ["#f1ebe0", "#292521"])
def test_notes_stand_off_the_page(background):
    for colour in rolls.colours(range(12)).values():
        lights = sorted([luminance(colour), luminance(background)])
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 3, colour  # WCAG, graphical objects


def test_lineage_goes_from_the_sound_to_the_raw_midi(results, capsys):
    clip = MIDI / "demos/bach-style-s1.wav"
    root = lineage.walk(clip)
    assert [item["step"] for item in summary.chain(root)] == ["raw", "pieces", "tokens", "midi-train", "compositions"]
    assert summary.troubles(root) == []
    write_text("raw/bach/one.mid", "MThd, but another")
    assert main(["lineage", str(clip)]) == 0
    assert "raw  [raw]  !! changed since" in capsys.readouterr().out


def test_mlflow_has_the_midi_track_beside_the_other(tmp_path, monkeypatch, empty_store):
    monkeypatch.chdir(tmp_path)
    Path("mlflow.db").write_bytes(empty_store)
    model("base", "b", 3)
    write_json("scores.json", {"gain": {"value": 40.0}})
    build_midi(0.5)

    def tracked(*more):
        assert main(["track", "--params", section(store()), "--models", "models/base", "--scores", "scores.json", "--stamp", "tracked.json", *more]) == 0
        return read_json("tracked.json"), rows()

    alone, _ = tracked()
    stamp, counted = tracked(*OPTIONS[:2], *OPTIONS[4:])
    assert tracked(*OPTIONS[:2], *OPTIONS[4:]) == (stamp, counted)
    assert stamp["parent"] != alone["parent"] and stamp["runs"].keys() == {"base", "midi-pretrained", "midi-Bach"}
    there = client()
    metrics, child = there.get_run(stamp["parent"]).data.metrics, there.get_run(stamp["runs"]["midi-Bach"])
    assert metrics["gain"] == 40 and metrics["midi.bits_per_note.ngram"] == 11.3 and metrics["midi.metrics.copied_share.heldout"] == 0.15
    assert metrics["midi.name_gain.wrong_name.low"] == 0.81 and metrics["midi.collections.mass.gain"] == -0.2
    assert metrics["midi.longest_copy.notes"] == 7 and "midi.confidence" not in metrics
    assert child.data.tags["mlflow.parentRunId"] == stamp["parent"] and child.info.run_name == "midi-Bach" and child.data.metrics["valid.loss"] < 2
    assert "midi/scores.json" in [item.path for item in there.list_artifacts(stamp["parent"], "midi")]
    assert "demos/midi/bach-style-s1.wav" in [item.path for item in there.list_artifacts(stamp["parent"], "demos/midi")]


def test_the_table_of_scores_has_the_midi_track(results, capsys):
    main(["scores", "results/scores.json", "--midi", str(MIDI / "scores.json")])
    printed = capsys.readouterr().out.splitlines()
    printed = printed[printed.index("MIDI: 42 held-out pieces; bits per note on the common grid, lower is better, [95 % interval]") :]
    assert [re.split("  +", line) for line in printed[1:4]] == [
        ["", "model", "no name", "wrong name", "n-gram", "unigram"],
        ["all (42)", "8.2 [7.4, 9.0]", "8.6 [7.7, 9.5]", "11.3 [10.2, 12.4] -"],
        ["name alone (40)", "8.3 [7.5, 9.1]", "8.7 [7.8, 9.6]", "9.1 [8.2, 10.0]", "11.3 [10.2, 12.4] 19.5 [17.6, 21.5]"],
    ]
    assert printed[4] == "n-gram - model: +3.10 [+2.79, +3.41] bits (order 7, transposed, 300 of 400 pieces); above 0 the model is better"
    assert printed[5].startswith("  mass (40) -0.20 [-0.18, -0.22]") and EVIL in printed[5]
    assert printed[6:] == [
        "wrong - right name: +0.900 [+0.810, +0.990] bits; best wrong - right: +0.100 [+0.090, +0.110]",
        "right name likeliest, told alone: 85 [76, 94] %; beside genre and instruments: 50 [45, 55] %",
        "always Bach: 60 [54, 66] %",
        "recognised: samples 30 [27, 33] %, names permuted 50 %; real pieces 80 [72, 88] %, always the commonest 60 %",
        "by pitches alone: samples 20 [18, 22] %, names permuted 40 %; real pieces 70 [63, 77] %",
        "longest copy of training notes: 7; melody kept (share): 1.00 [0.90, 1.10]",
    ]
    assert main(["scores", "results/scores.json", "--midi", "results/scores.json"]) == 2 and "lacks bits_per_note_common" in capsys.readouterr().err


# As in test_report: the page in a frame as wide as a phone; the playhead of a roll follows the slider, a roll is as wide as its slider.
PHONE = """<!doctype html><iframe src="index.html" width="390" height="844" style="border:0"></iframe><script>
onload = async () => {
  const seen = document.querySelector("iframe").contentDocument, root = seen.documentElement, out = document.documentElement.dataset;
  const figure = seen.querySelector(".player.midi"), range = figure.querySelector("input"), roll = figure.querySelector(".roll");
  range.value = range.max / 2; range.dispatchEvent(new Event("input"));
  out.now = figure.querySelector(".now").textContent; out.head = figure.querySelector(".playhead").style.left;
  out.lines = Math.round(roll.getBoundingClientRect().left - range.getBoundingClientRect().left);
  figure.querySelector(".play").click(); await new Promise((done) => setTimeout(done, 150)); out.plays = !figure.querySelector("audio").paused;
  out.scroll = root.scrollWidth; out.errors = root.dataset.errors || "none"; out.done = "yes";
};
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_plays_a_composition_at_390_pixels(results):
    page()
    seen = seen_in_a_browser(results, PHONE)
    assert seen["errors"] == "none"
    assert int(seen["scroll"]) <= 390 and seen["lines"] == "0"
    assert (seen["now"], seen["head"], seen["plays"]) == ("1.3 s", "50%", "true")
