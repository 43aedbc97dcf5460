"""The page: what is on it, that nothing breaks out of it, and that it works in a real browser at 390 px; and the lineage behind it."""

from __future__ import annotations

import html
import json
import os
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ostinato.cli import main
from ostinato.dataset.prompts import parse
from ostinato.files import UserError, write_json, write_jsonl, write_set_aside, write_sidecar, write_text
from ostinato.report import clips, figures, lineage
from ostinato.theory import COMMON, Chord

PROMPTS = ("piano CMajor", "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj")
HELDOUT = ("guitar Amaj, followed by C#min, Dmaj, and Emaj",)
EVIL = "<script>alert(1)</script> \"quoted\" & 'more'.wav"
METRICS = tuple(figures.METRICS)
RATE = 16000


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A small results folder, with the present folder beside it, as in the project."""
    monkeypatch.chdir(tmp_path)
    build(PROMPTS, HELDOUT, seconds=1.0)
    return tmp_path


def build(prompts, heldout, seconds, seeds=(1, 2), songs=5):
    """Fake results below the present folder: songs, a codec, models with events, demos, judgements, scores, set-aside files."""
    rng = np.random.default_rng(0)
    for song in range(songs):
        write_text(f"corpus/song-{song}.flac", f"song {song}")
    write_text("results/codec/codec.bin", "codec")
    write_sidecar("results/codec", "codec", [f"corpus/song-{song}.flac" for song in range(songs)], {"codebooks": 4}, seed=5)
    for name, signature, steps in (("base", "b", 400), ("tune-1", "t1", 800), ("tune-2", "t2", 800), ("tuned", "t2", 800)):
        build_model(name, signature, steps, rng)
    write_sidecar("results/models/tuned", "best", ["results/models/tune-1", "results/models/tune-2"])
    entries = [build_clip(which, prompt, seed, seconds, prompt in heldout, rng)
               for which in ("before", "after", "ceiling") for prompt in (*prompts, *heldout) for seed in seeds
               if not (which == "ceiling" and prompt == prompts[0] and len(prompts) == 2)]
    write_json("results/judgements.json", entries)
    write_json("results/scores.json", build_scores(heldout))
    write_text("results/corpus/set_aside.tsv", f"path\treason\tdetail\n{EVIL}\tunreadable\tno audio in it\nsilence.wav\tsilent\t-91 dBFS\n")


def build_model(name, signature, steps, rng):
    events = [{"event": "start", "config": {"dim": 192}}]
    for step in range(10, steps + 1, 10):
        loss = 2.1 + 4 * math.exp(-step / 90) * (name == "base") + 1.2 * math.exp(-step / 200) + rng.normal(0, .05)
        events.append({"step": step, "split": "train", "loss": loss, "lr": 1e-3, "seconds": step / 3})
        if step % 100 == 0:
            events.append({"step": step, "split": "valid", "loss": loss + .15})
    folder = Path("results/models") / name
    write_jsonl(folder / "events.jsonl", events)
    write_text(folder / "state_dict.bin", f"weights {name}")
    write_json(folder / "summary.json", {"name": name, "signature": signature, "steps": steps, "parameters": 3_600_000, "seconds": 95.0,
                                         "plan": {"lr": 1e-3, "batch_size": 16, "segment_seconds": 10}, "job": {"id": "4711"}})
    parent = ["results/models/base"] if name.startswith("tune-") else []
    write_sidecar(folder, "train", ["results/codec", *parent], {"lr": 1e-3, "steps": steps}, seed=3)


def build_clip(which, prompt, seed, seconds, heldout, rng):
    chords = parse(prompt).chords
    edges = np.linspace(0, seconds, len(chords) + 1)
    asked = [[round(a, 3), round(b, 3), chord.harte] for a, b, chord in zip(edges, edges[1:], chords)]
    wrong = {"before": .85, "after": .2, "ceiling": .03}[which]
    heard = [span for start, end, name in asked for span in hear(start, end, name, wrong, rng)]
    name = re.sub(r"\W+", "-", prompt.lower()).strip("-")
    path = Path(f"results/demos/{which}/{name}-s{seed}.wav")
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(heard, seconds), RATE)
    model = "results/codec" if which == "ceiling" else "results/models/" + {"before": "base", "after": "tuned"}[which]
    write_sidecar(path, "ceiling" if which == "ceiling" else "demos", [model], {"top_k": 60}, seed, {"prompt": prompt})
    right = 100 * sum(b - a for a, b, n in heard if any(c <= a < d and m == n for c, d, m in asked)) / seconds
    metrics = {metric: float(np.clip(right + rng.normal(0, 4), 0, 100)) for metric in METRICS} | {"majmin": right, "sevenths": None}
    return {"which": which, "demo": name, "prompt": prompt, "seed": seed, "path": str(path), "heldout": heldout, "duration": seconds,
            "metrics": metrics, "asked": asked, "heard": heard, "chroma": chroma(heard, seconds, rng)}


def hear(start, end, name, wrong, rng):
    middle = round(start + (end - start) * rng.uniform(.3, .8), 3)
    for a, b in ((start, middle), (middle, end)):
        draw = rng.random()
        other = "N" if draw < .05 else f"{COMMON[rng.integers(12)]}:{rng.choice(['maj', 'min', '7', 'min7'])}"
        yield [a, b, other if rng.random() < wrong else name]


def sound(spans, seconds):
    times = np.arange(int(seconds * RATE)) / RATE
    samples = np.zeros_like(times)
    for start, end, name in spans:
        inside = (times >= start) & (times < end)
        for tone in Chord.parse(name).pitch_classes:
            for harmonic in (1, 2, 3):
                local = times[inside] - start
                samples[inside] += .1 / harmonic * np.sin(2 * np.pi * harmonic * 261.63 * 2 ** (tone / 12) * local) * np.exp(-local)
    return samples


def chroma(spans, seconds, rng):
    frames = max(1, round(seconds * 5))
    table = rng.integers(2, 22, (12, frames))
    for start, end, name in spans:
        for tone in Chord.parse(name).pitch_classes:
            table[tone, int(start * 5):max(int(start * 5) + 1, int(end * 5))] = rng.integers(55, 100)
    return table.tolist()


def build_scores(heldout):
    levels = {"before": 22, "after": 74, "ceiling": 95, "chance": 17}
    scores = {which: {metric: {"value": level + i % 4, "low": level - 6, "high": level + 5, "n": 10} for i, metric in enumerate(METRICS)}
              for which, level in levels.items()}
    return scores | {"gain": {"value": 52.0, "low": 44.6, "high": 59.2, "n": 10},
                     "permuted_gain": {"value": -3.0, "low": -8, "high": 1, "n": 10},
                     "seed_prompts": scores, "unit": "percent", "confidence": .95, "heldout": list(heldout), "seen": []}


def report(*more):
    demos = [str(path) for path in sorted(Path("results/demos").iterdir())]
    models = [f"results/models/{name}" for name in ("base", "tune-1", "tune-2", "tuned")]
    return main(["report", "--params", json.dumps({"title": "Ostinato", "players_per_prompt": 1}), "--scores", "results/scores.json",
                 "--judgements", "results/judgements.json", "--demos", *demos, "--models", *models,
                 "--set-aside", "results/corpus/set_aside.tsv", "--out", "results/report/index.html", *more])


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
    assert [clips.short(name) for name in ("Bb:maj", "F#:min7", "C:maj/3", "N", "strange")] == ["B♭", "F♯m7", "C/3", "–", "strange"]
    assert clips.agreement([[0, 4, "C:maj"]], [[0, 1, "C:7"], [1, 3, "C:min"], [3, 4, "C:maj"]], 4) == [
        {"left": 0.0, "width": 25.0}, {"left": 75.0, "width": 25.0}]


@pytest.mark.parametrize("name", [f"{root}:{quality}" for root in COMMON for quality in ("maj", "min", "sus4")])
def test_letters_are_legible_on_every_chord(name):
    back, ink = (luminance(colour) for colour in clips.colours(name))
    assert (max(back, ink) + .05) / (min(back, ink) + .05) >= 4.5  # WCAG AA


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    return sum(w * (p / 12.92 if p <= .04045 else ((p + .055) / 1.055) ** 2.4) for w, p in zip((.2126, .7152, .0722), parts))


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--allow-file-access-from-files",
         "--enable-logging=stderr", "--autoplay-policy=no-user-gesture-required", "--window-size=1280,900")
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
    Path("results/report/phone.html").write_text(PHONE)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={results}/profile",
               "--virtual-time-budget=4000", "--dump-dom", (results / "results/report/phone.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    seen = dict(re.findall(r'data-(\w+)="([^"]*)"', done.stdout.split(">", 2)[1]))
    assert "CONSOLE" not in done.stderr, done.stderr
    assert seen.get("done") == "yes", done.stdout[:500]
    assert (seen["players"], seen["errors"]) == ("8", "none")
    assert int(seen["scroll"]) <= 390
    assert seen["head"] == "50%" and seen["now"].startswith("0.5 s · asked C")
    assert (seen["first"], seen["switched"]) == ("true", "true")
