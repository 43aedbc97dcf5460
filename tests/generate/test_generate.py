"""`ostinato generate`: what is understood is said, what cannot be is refused before a model is loaded, and what is written can be heard."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from music import PARAMS
from ostinato.cli import main
from ostinato.codec.codec import save_spectral
from ostinato.codec.spectral import build
from ostinato.commands.generate import SUFFIXES
from ostinato.etudes.mixes import PROGRAMS
from ostinato.etudes.rendering import SAMPLE_RATE, soundfont
from ostinato.files import read_json, sha256, write_json
from ostinato.generate.clips import write_clip
from ostinato.generate.generator import Generator
from ostinato.generate.reference import perform, perform_plainly, players
from ostinato.harmony.prompts.prompt import parse
from ostinato.lm.model import build_lm, save_lm
from ostinato.machine import machine
from pretrained import pretrained

MODEL = PARAMS.model.model_copy(update={"dim": 32, "layers": 1, "heads": 2, "text_dim": 16})
CODEC = PARAMS.codec.model_copy(update={"codebooks": 2, "cardinality": 16, "components": 4, "griffin_lim_iterations": 2})


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A tiny MusicGen, told by free text."""
    with pytest.MonkeyPatch.context() as patch:
        yield pretrained(tmp_path_factory.mktemp("hub"), patch)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A tiny model of ours, told by chords."""
    folder = tmp_path_factory.mktemp("ours")
    save_lm(folder, build_lm(MODEL, 2, 16, 16.0, 1))
    save_spectral(folder, build(CODEC), CODEC)
    return folder


@pytest.fixture
def generate(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder of its own: what it says, and the one line it refuses with."""
    monkeypatch.chdir(tmp_path)

    def run(*words) -> tuple[list[str], str]:
        status = main(["generate", *map(str, words)])
        said = capsys.readouterr()
        refused = said.err.strip().splitlines()[-1] if status else ""
        assert status == 2 * refused.startswith("ostinato generate: ")
        return said.out.splitlines(), refused.removeprefix("ostinato generate: ")

    return run


def test_what_is_understood_is_said_before_the_work(generate, ours):
    said, _ = generate("piano C7#9 G", "--model", ours, "--seconds", 1)
    assert said == ["piano: C:7 0-0.5 s, G:maj 0.5-1 s", "C7#9 is reduced to C:7", "generated.wav: piano C7#9 G, 1 s"]
    said, _ = generate("organ I V vi IV", "--model", ours, "--seconds", 1)
    assert said[:2] == ["organ: C:maj 0-0.25 s, G:maj 0.25-0.5 s, A:min 0.5-0.75 s, F:maj 0.75-1 s", "no key is named: the numerals are read in C major"]


def test_free_words_are_for_pretrained_models_alone(generate, ours, published):
    _, refused = generate("a sad piano in A minor at 90 bpm", "--model", ours)
    assert refused == "in 'a sad piano in A minor at 90 bpm' no chord is named; did you mean `a sad piano Amin` or `a sad piano i iv V i in A minor`?"
    _, refused = generate("dreamy music", "--model", ours, "--free-text")
    assert refused.startswith("--free-text is for pretrained models")
    said, _ = generate("a sad piano in A minor at 90 bpm", "--model", published, "--seconds", 0.2)
    assert said[:2] == ["no chord was read in the prompt", "the model is given the text as it is"]
    _, refused = generate("World War II march", "--model", published)
    assert "did you mean `World War march II`? (--free-text: give it to a pretrained model as it is)" in refused
    said, _ = generate("World War II march", "--model", published, "--free-text", "--seconds", 0.2)
    assert said[0] == "no chord was read in the prompt" and read_json("generated.wav.made.json")["about"]["prompt"] == "World War II march"


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], "a prompt is missing"),
        (["  "], "a prompt is missing"),
        (["piano Hmaj"], "'Hmaj' is no chord name; did you mean `piano Bmaj`?"),
        (["..."], "no word is said"),
        *((["piano C", "--seconds", seconds], f"--seconds: expected a number above 0 and at most 86400, got {seconds}") for seconds in ("0", "-2", "nan", "inf", "1e+09")),
        *((["piano C", "--seed", seed], f"--seed: expected a whole number from 0 to 4294967295, got {seed}") for seed in ("-1", "4294967296", str(10**30))),
        *((["piano C", "--temperature", value], f"--temperature: expected a number from 0 to 100, got {value}") for value in ("-1", "nan", "inf")),
        (["piano C", "--temperature", "1e-30"], "--temperature: expected 0, or a number of at least 0.001, got 1e-30"),
        (["piano C", "--top-p", "2"], "--top-p: expected a number from 0 to 1, got 2"),
        (["piano C", "--top-k", "-1"], "--top-k: expected a number from 0 to 2.14748e+09, got -1"),
        (["piano C", "--guidance", "nan"], "--guidance: expected a number from 0 to 100, got nan"),
        (["piano C", "--top-k", "5", "--top-p", "0.5"], "--top-k 5 and --top-p 0.5: one at a time"),
        (["piano C", "--out", "song.xyz"], "--out song.xyz: nobody here writes .xyz; expected one of .wav, .flac, .ogg, .mp3, .aiff"),
        (["piano C", "--out", "song"], "--out song: has no suffix"),
        (["piano C", "--out", "folder"], "--out folder: is a folder; expected a file, such as folder/out.wav"),
        (["piano C", "--out", "folder.wav"], "--out folder.wav: is a folder"),
        (["piano C", "--out", "file/out.wav"], "cannot be written (file"),
        (["piano C", "--out", "file/deep/out.wav"], "cannot be written (file"),
        (["piano C", "--out", "/proc/nowhere/out.wav"], "--out /proc/nowhere/out.wav: cannot be written"),
        (["piano C", "--out", f"{'x' * 250}.wav"], "File name too long"),
        (["piano C", "--out", f"{'x' * 240}.wav"], "File name too long"),
        (["piano C", "--out", "taken.wav"], "taken.wav.made.json, which is to be written beside it, is a folder"),
        (["piano C", "--out", "song.flac", "--stream"], "--out song.flac: with --stream a .wav is written"),
        (["piano C", "--adapter", "nowhere"], "--adapter nowhere: no such folder"),
        (["piano C", "--like", "demo.wav.made.json"], "leave a prompt out"),
        (["--like", "demo.wav.made.json", "--seed", "0", "--top-k", "3"], "leave --seed and --top-k out"),
        (["--like", "demo.wav.made.json", "--out", "demo.wav"], "--out demo.wav: is the demo that --like demo.wav.made.json describes"),
        (["--like", "list.json"], "list.json: not the side file of a demo"),
        (["--like", "demo.wav.made.json"], "demo.wav.made.json: lacks a key of a demo's side file (KeyError: 'params')"),
    ],
)
def test_what_cannot_be_is_refused_before_a_model_is_sought(generate, tmp_path, words, expected):
    for folder in ("folder", "folder.wav", "taken.wav.made.json"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").write_text("")
    write_json("list.json", [1])
    write_json("demo.wav.made.json", {"about": {"batch": []}})
    before = sorted(tmp_path.rglob("*"))
    said, refused = generate(*words, "--model", "nowhere")
    assert expected in refused and not said and sorted(tmp_path.rglob("*")) == before


def test_what_only_the_model_shows_is_one_line_too(generate, ours):
    assert "seconds: 0.001 is shorter than one frame" in generate("piano C", "--model", ours, "--seconds", 0.001)[1]


@pytest.mark.parametrize("suffix, name", list(zip(SUFFIXES, ("WAV", "FLAC", "OGG", "MP3", "AIFF"))))
def test_every_format_that_is_offered_is_written(generate, ours, suffix, name):
    generate("piano C", "--model", ours, "--seconds", 2, "--out", f"new/folder/clip{suffix.upper()}")
    info = soundfile.info(f"new/folder/clip{suffix.upper()}")
    assert info.format == name and info.samplerate == 16000 and info.duration == pytest.approx(2, abs=0.15)


def test_long_clips_are_written_in_pieces(tmp_path):
    write_clip(tmp_path / "long.ogg", np.random.default_rng(0).uniform(-0.1, 0.1, 120 * 16000).astype(np.float32), 16000)
    assert soundfile.info(tmp_path / "long.ogg").duration == 120


def test_a_rate_that_a_format_has_not_is_refused(generate, ours, monkeypatch):
    monkeypatch.setattr("ostinato.generate.generator.Generator.generate", None)  # it does not come so far
    monkeypatch.setattr("ostinato.codec.spectral.SpectralCodec.sample_rate", 20000)
    assert "no .mp3 has 20000 Hz, the rate of this model" in generate("piano C", "--model", ours, "--out", "clip.mp3")[1]


def test_streamed_it_makes_its_folder(generate, ours):
    generate("piano C", "--model", ours, "--seconds", 2, "--stream", "--out", "new/clip.wav")
    assert soundfile.info("new/clip.wav").frames == 32000


def test_a_demo_of_another_machine_is_said_not_to_come_again_bit_for_bit(generate, ours):
    demos = PARAMS.demos.model_copy(update={"prompts": ["piano C"], "heldout_set": None, "heldout": [], "text_only": [], "seeds": [1], "seconds": 1.0})
    assert main(["demos", "--params", demos.model_dump_json(), "--model", str(ours), "--which", "after", "--out", "demos"]) == 0
    made = read_json("demos/00-piano-c-s1.wav.made.json")
    assert made["about"] | machine("cpu", "fp32") == made["about"] and made["about"]["torch"] == torch.__version__
    said, _ = generate("--like", "demos/00-piano-c-s1.wav.made.json", "--model", ours)
    assert sha256("generated.wav") == made["sha256"] and not any("elsewhere" in line for line in said)
    made["about"] |= {"device": "NVIDIA H100", "precision": "bf16"}
    write_json("other.wav.made.json", made)
    said, _ = generate("--like", "other.wav.made.json", "--model", ours)
    (line,) = (line for line in said if "elsewhere" in line)
    assert line == (
        f"the demo was made elsewhere (device NVIDIA H100, here {machine('cpu', 'fp32')['device']}; precision bf16, here fp32): this clip need not be the same bit for bit"
    )


def test_what_the_model_said_lies_beside_the_demos(ours, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    demos = PARAMS.demos.model_copy(update={"prompts": ["piano C", "organ F"], "heldout_set": None, "heldout": [], "text_only": [], "seeds": [1, 2], "seconds": 1.0})
    for out in ("demos", "again"):
        assert main(["demos", "--params", demos.model_dump_json(), "--model", str(ours), "--which", "after", "--out", out]) == 0
    assert sha256("demos/codes.npz") == sha256("again/codes.npz")
    with np.load("demos/codes.npz") as kept:
        codes = dict(kept)
    assert set(codes) == {path.stem for path in tmp_path.glob("demos/*.wav")} and {(code.dtype, code.shape) for code in codes.values()} == {(np.dtype(np.int16), (2, 16))}
    generator = Generator(ours)
    for seed in (1, 2):
        names = [f"00-piano-c-s{seed}", f"01-organ-f-s{seed}"]
        for name, clip in zip(names, generator.clips(torch.from_numpy(np.stack([codes[name] for name in names])).long())):
            soundfile.write("clip.wav", clip, 16000, subtype="PCM_16")
            assert sha256("clip.wav") == sha256(f"demos/{name}.wav")
    made = read_json("demos/codes.npz.made.json")
    assert made["step"] == "demos" and made["about"]["seeds"] == [1, 2] and made["about"]["frame_rate"] == generator.codec.frame_rate
    capsys.readouterr()
    assert main(["verify", "demos"]) == 0 and "5 artifacts are whole" in capsys.readouterr().out
    Path("demos/codes.npz").write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["verify", "demos"])
    assert "demos/codes.npz: changed" in capsys.readouterr().out


def test_the_reference_plays_every_instrument_that_a_prompt_names():
    prompt = parse("guitar, bass and drums C, G")
    assert [(player.family, player.programs) for player in players(prompt)] == [("acoustic guitar", (24, 25)), ("bass", PROGRAMS["bass"]), ("drums", PROGRAMS["drums"])]
    assert [player.family for player in players(parse("something unheard of C"))] == ["piano"]
    alone, together = (perform(parse(f"{words} C, G"), 4.0, soundfont(None), np.random.default_rng(3)) for words in ("piano", "piano and drums"))
    highs = [float(np.abs(np.diff(sound, 2)).mean()) for sound in (alone, together)]
    assert len(alone) == len(together) == 4 * SAMPLE_RATE and highs[1] > 2 * highs[0]
    plain = perform_plainly(prompt, 4.0, np.random.default_rng(3))
    assert len(plain) == 4 * SAMPLE_RATE and 0.6 < np.abs(plain).max() <= 0.71
