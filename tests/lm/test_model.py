"""Models as folders: built, saved, loaded by others, adapted, refused; and heard, as a whole or as they come."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import yaml

from music import PARAMS
from ostinato.cli import main
from ostinato.codec.audiocraft_compat import import_audiocraft
from ostinato.codec.codec import save_spectral
from ostinato.codec.spectral import build
from ostinato.files import UserError, read_json, sha256
from ostinato.generate.generator import Generator
from ostinato.generate.sampling import Sampling
from ostinato.harmony.prompts.prompt import parse
from ostinato.lm import adapters
from ostinato.lm.decoder import Decoder, Shape
from ostinato.lm.delays import inputs_and_targets
from ostinato.lm.model import LanguageModel, build_lm, load_lm, parameter_count, save_lm
from ostinato.lm.pretrained import SIZES, config_like, read_config
from ostinato.lm.t5 import T5Text
from ostinato.lm.text import describe
from ostinato.params.blocks import Lora
from ostinato.train import host, memory
from pretrained import NAME, SMALL, T5, TINY, conditions, config, pretrained, theirs

MODEL = PARAMS.model.model_copy(update={"dim": 32, "layers": 1, "heads": 2, "text_dim": 16})
CODEC = PARAMS.codec.model_copy(update={"codebooks": 2, "cardinality": 16, "components": 4, "griffin_lim_iterations": 2})
LORA = Lora(rank=2, alpha=8, dropout=0.0)
GREEDY = Sampling(temperature=0)
TEXTS = ["piano C", "organ F"]
FILES = ("state_dict.bin", "compression_state_dict.bin")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A tiny MusicGen as others publish it."""
    with pytest.MonkeyPatch.context() as patch:
        yield pretrained(tmp_path_factory.mktemp("hub"), patch)


@pytest.fixture
def copied(published, tmp_path):
    """Its two files, to be spoilt."""
    for file in FILES:
        shutil.copyfile(published / file, tmp_path / file)
    return tmp_path


def logits(lm: LanguageModel, texts: list[str | None] = TEXTS) -> torch.Tensor:
    shape = lm.decoder.shape
    tokens = torch.arange(2 * shape.codebooks * 10).reshape(2, shape.codebooks, 10) * 7 % shape.cardinality
    with torch.no_grad():
        return lm(tokens, texts)


def complaint(capsys, stage: str) -> str:
    """The one line that a stage says, below transformers' bars of progress."""
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f"ostinato {stage}: ")
    return line


def trained(lm: LanguageModel) -> LanguageModel:
    """The model after two steps of a training that shows."""
    shape = lm.decoder.shape
    codes = torch.zeros(2, shape.codebooks, 8, dtype=torch.long)
    tokens, targets, counts = inputs_and_targets(codes, torch.ones(2, 1, 8, dtype=torch.bool), shape.delays, lm.decoder.special)
    weights = [weight for weight in lm.parameters() if weight.requires_grad]
    for _ in range(2):
        loss = torch.nn.functional.cross_entropy(lm(tokens, TEXTS)[counts], targets[counts])
        with torch.no_grad():
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
                weight -= 0.01 * gradient.sign()  # torch's optimisers take 3 s to be imported
    return lm


def test_the_demos_model_keeps_to_its_size_and_its_seed():
    first, again, other = (build_lm(PARAMS.model, PARAMS.codec.codebooks, PARAMS.codec.cardinality, 16, seed) for seed in (1, 1, 2))
    assert parameter_count(first) <= 4_000_000
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    assert not all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), other.state_dict().values()))


def test_saved_and_loaded_it_predicts_the_same_and_follows_its_text(tmp_path):
    lm = trained(build_lm(MODEL, 2, 16, 16.0, 1)).eval()
    save_lm(tmp_path, lm)
    save_spectral(tmp_path, build(CODEC), CODEC)
    texts: list[str | None] = [describe("piano CMajor", 5.0), describe("piano GMajor", 5.0)]
    assert torch.equal(logits(load_lm(tmp_path), texts), logits(lm, texts))
    assert not torch.allclose(logits(lm, texts[::-1]), logits(lm, texts), atol=1e-3)
    assert Generator(tmp_path).generate(["piano CMajor", "organ GMajor"], 1.0, 1, Sampling()).shape == (2, 16000)


#: Prints how much more memory than before a process had at most while it loaded a model and read every weight, and while it saved it, bytes.
MEASURED = """
import re, sys
from pathlib import Path
from ostinato.lm.model import load_lm, save_lm

def of(name):
    return 1024 * int(re.search(name + r":\\s+([0-9]+)", Path("/proc/self/status").read_text())[1])

load_lm(sys.argv[1])  # a small one: what is imported is imported now
Path("/proc/self/clear_refs").write_text("5")
before = of("VmRSS")
lm = load_lm(sys.argv[2])
assert all(bool((weight == weight).all()) for weight in lm.parameters())
print(of("VmHWM") - before)
save_lm(Path(sys.argv[2], "saved"), lm)
print(of("VmHWM") - before)
"""


@pytest.mark.parametrize("dtype, most", [(torch.float32, 1.25), (torch.float16, 1.75)])
def test_loading_and_saving_copy_what_they_must_and_no_more(published, tmp_path, dtype, most):
    torch.manual_seed(1)
    shape = Shape(512, 8, 8, 2048, 256, (0, 1, 2, 3))
    lm = LanguageModel(Decoder(shape), T5Text(T5, 512), config_like(shape, T5))
    save_lm(tmp_path, lm)
    package = torch.load(tmp_path / FILES[0])
    torch.save(package | {"best_state": {name: value.to(dtype) for name, value in package["best_state"].items()}}, tmp_path / FILES[0])
    settings = os.environ | {"HF_HUB_CACHE": str(published.parents[2]), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", MEASURED, str(published), str(tmp_path)], env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    size = sum(weight.nbytes for weight in lm.parameters())
    loaded, saved = (int(line) / size for line in done.stdout.split())
    assert loaded < most and saved < most + 0.25
    subject = memory.Subject("", shape, memory.Text(768, 769 * 512), 50.0, {torch.float32: 4, torch.float16: 2}[dtype])
    said = host.of(memory.Run(subject, PARAMS.train.method, 1.0, 1, 1), PARAMS.train.launch.model_copy(update={"gpus": 1})).moments["loading"]
    assert loaded == pytest.approx((said.peak - host.PROCESS - host.CUDA) / size, rel=0.15)
    again = load_lm(tmp_path / "saved")
    assert {weight.dtype for weight in again.state_dict().values()} == {torch.float32}
    assert all(torch.equal(again.state_dict()[name], weight.to(dtype).float()) for name, weight in lm.state_dict().items())


def test_a_model_that_is_trained_leaves_the_file_it_came_from_as_it_was(published):
    before = sha256(published / FILES[0])
    trained(load_lm(published))
    assert sha256(published / FILES[0]) == before


def test_what_t5_says_is_kept_within_bounds_and_asked_alone_where_that_counts(published, monkeypatch):
    monkeypatch.setattr("ostinato.lm.t5.KEPT_TEXTS", 3 * 4 * 768 * 4)  # bytes: three texts of four words
    texts = ["piano C F", "organ C F", "piano G F", "organ G F", "piano C", None]
    text, alone = load_lm(published).text, load_lm(published).text
    with torch.no_grad():
        for _ in range(2):
            together = text(texts)
            assert sum(row.nbytes for row in text.kept.values()) <= 3 * 4 * 768 * 4 and len(text.kept) == 3
            for row, one in zip(together, texts):
                expected = alone([one])[0]
                assert torch.allclose(row[: len(expected)], expected, atol=1e-5) and not row[len(expected) :].any()
        words = {one: text.tokenizer([one])["input_ids"][0] for one in texts[:5]}
        on_gpu = SimpleNamespace(encoder=SimpleNamespace(device=torch.device("cuda")))
        assert list(T5Text._groups(on_gpu, words)) == [texts[4:5], texts[:4]] and list(T5Text._groups(text, words)) == [[one] for one in texts[:5]]
        for row, one in zip(text._encode([words[one] for one in texts[:4]]), texts):
            assert torch.allclose(row, text._encode([words[one]])[0], atol=1e-5)


def test_a_hubs_name_is_found_in_its_cache(published):
    assert torch.equal(logits(load_lm(NAME)), logits(load_lm(published)))


def test_a_tuned_pretrained_model_is_one_that_stock_audiocraft_loads_and_plays(published, tmp_path):
    lm = trained(load_lm(published)).eval()
    save_lm(tmp_path, lm)
    shutil.copyfile(published / FILES[1], tmp_path / FILES[1])
    stock = import_audiocraft("audiocraft.models").MusicGen.get_pretrained(str(tmp_path))
    before, after = (model.condition_provider.conditioners.description.output_proj.weight for model in (theirs(published), stock.lm))
    assert not torch.equal(before, after)
    stock.set_generation_params(use_sampling=False, duration=1.0, cfg_coef=3.0)
    clips = Generator(tmp_path).generate(TEXTS, 1.0, 1, GREEDY)
    assert clips.shape == (2, 32000) and np.allclose(stock.generate(TEXTS)[:, 0].numpy(), clips, atol=1e-5) and clips.std() > 1e-3
    with torch.no_grad():
        expected = stock.lm(torch.full((2, 4, 1), 5), conditions(TEXTS))
        assert (expected - lm(torch.full((2, 4, 1), 5), TEXTS)).abs().max() < 2e-5


def test_exported_it_is_one_that_transformers_loads_with_its_processor(published, tmp_path, capsys):
    from transformers import MusicgenForConditionalGeneration, MusicgenProcessor

    out = tmp_path / "exported"
    assert main(["export", "--model", str(published), "--to", "transformers", "--out", str(out)]) == 0
    model, processor = MusicgenForConditionalGeneration.from_pretrained(out), MusicgenProcessor.from_pretrained(out)
    inputs, lm = processor(text=TEXTS, return_tensors="pt"), load_lm(published)
    tokens = torch.arange(2 * 4 * 10).reshape(8, 10) * 7 % 32
    with torch.no_grad():
        assert (model(**inputs, decoder_input_ids=tokens).logits.view(2, 4, 10, 32) - logits(lm)).abs().max() < 2e-5
    audio = model.generate(**inputs, do_sample=False, max_new_tokens=13)[:, 0].numpy()  # 10 frames and the longest delay
    assert np.allclose(audio, Generator(published).generate(TEXTS, 0.2, 1, GREEDY), atol=1e-5) and model.generation_config.guidance_scale == 3.0
    made = read_json(tmp_path / "exported.made.json")
    assert made["step"] == "export" and made["about"]["model_sha256"] == sha256(published / FILES[0])
    assert main(["export", "--model", str(published), "--to", "transformers", "--out", str(out)]) == 2
    assert f"--out {out}: is there already" in complaint(capsys, "export")


def test_what_transformers_does_not_know_is_not_exported(published, tmp_path, capsys):
    save_lm(tmp_path / "ours", build_lm(MODEL, 4, 32, 50.0, 1))
    shutil.copyfile(published / FILES[1], tmp_path / "ours" / FILES[1])
    spectral = CODEC.model_copy(update={"codebooks": 4, "cardinality": 32})
    shutil.copytree(published, tmp_path / "spectral")
    save_spectral(tmp_path / "spectral", build(spectral), spectral)
    for name, expected in (("ours", "text encoder is Ostinato's own"), ("spectral", "codec is SpectralCodec; expected EnCodec")):
        assert main(["export", "--model", str(tmp_path / name), "--to", "transformers", "--out", str(tmp_path / "out")]) == 2
        assert expected in complaint(capsys, "export") and not (tmp_path / "out").exists()


def test_adapters_change_nothing_until_trained_and_are_kept_alone(published, tmp_path):
    base, lm = load_lm(published), load_lm(published)
    adapters.add(lm, LORA, seed=1)
    assert torch.equal(logits(lm), logits(base))
    adapters.save(tmp_path / "adapter", trained(lm).eval(), adapters.fingerprint(published))
    again, generator = load_lm(published), Generator(published, tmp_path / "adapter")
    adapters.load(tmp_path / "adapter", again, published)
    assert (logits(again) - logits(lm)).abs().max() < 2e-5 < 0.1 < (logits(lm) - logits(base)).abs().max()
    assert torch.equal(logits(generator.lm), logits(again)) and again.state_dict().keys() == base.state_dict().keys()
    matrices = [weight for name, weight in base.decoder.named_parameters() if "layers" in name and weight.dim() == 2]
    expected = 4 * LORA.rank * sum(sum(weight.shape) for weight in matrices)
    assert expected < (tmp_path / "adapter" / adapters.WEIGHTS).stat().st_size < expected + 8000 < os.path.getsize(published / FILES[0]) / 8


def test_adapters_are_merged_on_export_and_refused_by_another_base(published, tmp_path, monkeypatch, capsys):
    lm = load_lm(published)
    adapters.add(lm, LORA, seed=1)
    adapters.save(tmp_path / "adapter", trained(lm).eval(), adapters.fingerprint(published))
    arguments = ["export", "--to", "audiocraft", "--adapter", str(tmp_path / "adapter")]
    assert main([*arguments, "--model", str(published), "--out", str(tmp_path / "merged")]) == 0
    assert (logits(load_lm(tmp_path / "merged")) - logits(lm)).abs().max() < 2e-5
    assert theirs(tmp_path / "merged").state_dict().keys() == theirs(published).state_dict().keys()
    assert sha256(tmp_path / "merged" / FILES[1]) == sha256(published / FILES[1])
    other = pretrained(tmp_path / "other", monkeypatch, seed=1)
    for folder, expected in ((other, f"belong to a base whose {FILES[0]} is {sha256(published / FILES[0])[:12]}"), (published, "expected adapters")):
        assert main([*arguments, "--model", str(folder), "--out", str(tmp_path / "out")]) == 2
        error = complaint(capsys, "export")
        assert expected in error and str(tmp_path / "adapter") in error and not (tmp_path / "out").exists()
        (tmp_path / "adapter" / adapters.WEIGHTS).write_bytes(b"no adapters")


def test_configurations_are_read_and_written_as_audiocraft_does(published):
    from omegaconf import OmegaConf

    assert read_config(config(SMALL), "here") == read_config(config_like(SMALL, "t5-base"), "here") == (SMALL, "t5-base", 30.0)
    assert SIZES["small"] == (SMALL.dim, SMALL.layers, SMALL.heads)
    like = import_audiocraft("audiocraft.models.builders").get_lm_model(OmegaConf.create(config_like(TINY, T5)))
    like.load_state_dict(theirs(published).state_dict())


def changed(package: dict, section: str | None = None, **values) -> dict:
    """The package of a model whose configuration says other things."""
    about = yaml.safe_load(package["xp.cfg"])
    (about[section] if section else about).update(values)
    return package | {"xp.cfg": yaml.safe_dump(about)}


def without(package: dict, *names: str) -> dict:
    return package | {"best_state": {name: value for name, value in package["best_state"].items() if name not in names}}


MELODY = {"self_wav": {"model": "chroma_stem", "chroma_stem": {"sample_rate": 32000}}}
STRANGE = {"x": torch.zeros(1)}
REFUSED = {
    "a missing key": (lambda p: without(p, "emb.0.weight", "out_norm.bias"), "weights do not fit.*emb.0.weight is missing; out_norm.bias is missing$"),
    "many missing keys": (lambda p: without(p, *list(p["best_state"])[:9]), "is missing; .* is missing; .* is missing; 6 more$"),
    "a strange key": (lambda p: p | {"best_state": p["best_state"] | STRANGE}, "x is not expected"),
    "another size": (lambda p: changed(p, "transformer_lm", dim=32, num_layers=2), r"layers\.2\..* is not expected"),
    "another width": (lambda p: changed(p, "transformer_lm", hidden_scale=2), r"linear1.weight is \(256, 64\), expected \(128, 64\)"),
    "melody": (lambda p: changed(p, "conditioners", **MELODY), r"self_wav \(chroma_stem\); supported .* the melody and style variants are not"),
    "stereo": (lambda p: changed(p, "interleave_stereo_codebooks", use=True), "stereo model; supported are mono models"),
    "another pattern": (lambda p: changed(p, "codebooks_pattern", modeling="parallel"), "codebooks_pattern is .*parallel.*; supported is modeling 'delay'"),
    "another norm": (lambda p: changed(p, "transformer_lm", qk_layer_norm=True), "transformer_lm.qk_layer_norm is True; supported is False"),
    "other positions": (lambda p: changed(p, "transformer_lm", positional_embedding="rope"), "positional_embedding is 'rope'; supported is 'sin'"),
    "another kind": (lambda p: changed(p, lm_model="transformer_lm_magnet"), "lm_model is 'transformer_lm_magnet'"),
    "half a configuration": (lambda p: changed(p, transformer_lm={}), "transformer_lm.*supported|no configuration of audiocraft's MusicGen"),
    "no configuration": (lambda p: p | {"xp.cfg": "a: [b"}, "no configuration of audiocraft's MusicGen"),
    "another layout": (lambda p: p | {"xp.cfg": json.dumps({"layout": "other"})}, "layout is 'other', expected 'ostinato.lm'"),
    "another version": (lambda p: p | {"xp.cfg": json.dumps({"layout": "ostinato.lm", "model": {"dim": 8}})}, "not what this version of Ostinato writes"),
    "no package": (lambda p: p["best_state"], "expected xp.cfg and best_state, as audiocraft exports them, found "),
    "a list": (lambda p: [1, 2], "expected xp.cfg and best_state, .* found list"),
}


@pytest.mark.parametrize("spoil, expected", REFUSED.values(), ids=REFUSED)
def test_a_model_that_does_not_fit_is_one_line(copied, spoil, expected):
    torch.save(spoil(torch.load(copied / FILES[0])), copied / FILES[0])
    with pytest.raises(UserError, match=expected) as error:
        load_lm(copied)
    assert str(error.value).startswith(str(copied / FILES[0])) and "\n" not in str(error.value)


def test_files_that_are_not_there_or_none_are_one_line(published, copied, capsys):
    lm_file, codec_file = (copied / file for file in FILES)
    package = lm_file.read_bytes()

    def refused(source, expected: str) -> None:
        assert main(["generate", "piano C", "--model", str(source), "--out", str(copied / "out.wav")]) == 2
        assert expected in complaint(capsys, "generate") and not (copied / "out.wav").exists()

    refused("facebook/musicgen-large", f"`hf download facebook/musicgen-large {FILES[0]} {FILES[1]}`, put the two files into a folder and name that folder")
    refused(copied / "nowhere", f"{copied / 'nowhere' / FILES[0]}: no such file; expected a model folder with {FILES[0]} and {FILES[1]}, as audiocraft")
    for content in (b"", b"no weights", package[:2000], package[:-2000]):
        lm_file.write_bytes(content)
        refused(copied, f"{lm_file}: not a checkpoint that torch can read")
    torch.save(changed(torch.load(published / FILES[0]), "conditioners", description={"model": "t5", "t5": {"name": "t5-large"}}), lm_file)
    refused(copied, "text encoder t5-large: neither a folder here, nor cached, nor reachable on the model hub; where there is a network, run `hf download t5-l")
    lm_file.write_bytes(package)
    save_spectral(copied, build(CODEC), CODEC)
    refused(copied, f"{copied}: the model has 4 codebooks of 32 codes, its codec 2 of 16: they do not belong together")
    codec_file.unlink()
    refused(copied, f"{codec_file}: no such file")


def test_streamed_pieces_are_the_clip(published):
    generator, how = Generator(published), Sampling(top_k=10)
    whole = generator.generate(TEXTS, 7.3, 1, how)
    pieces = list(generator.stream(TEXTS, 7.3, 1, how, piece_seconds=1.5))
    streamed = np.concatenate(pieces, axis=1)
    assert len(pieces) == 5 and pieces[0].shape == (2, 16000) and streamed.shape == whole.shape == (2, 7.3 * 32000)
    assert whole.std() > 1e-3 and np.abs(streamed - whole).max() < 0.01 * whole.std()


def test_the_command_writes_the_clip_whole_or_as_it_comes(published, tmp_path, monkeypatch):
    monkeypatch.setattr("ostinato.generate.generator.window_frames", lambda lm, rate: 100)  # in place of 30 s
    arguments = ["generate", "ukulele C F G playing", "--model", str(published), "--seconds", "5", "--seed", "4", "--out"]
    assert main([*arguments, str(tmp_path / "whole.wav")]) == 0 == main([*arguments, str(tmp_path / "streamed.wav"), "--stream"])
    (whole, rate), (streamed, _) = (soundfile.read(tmp_path / f"{name}.wav") for name in ("whole", "streamed"))
    assert rate == 32000 and whole.shape == streamed.shape == (5 * 32000,) and np.abs(whole - streamed).max() < 0.02 * whole.std() + 2e-4
    made = read_json(tmp_path / "streamed.wav.made.json")
    assert made["sha256"] == sha256(tmp_path / "streamed.wav") and made["seed"] == 4 and made["about"]["prompt"] == "ukulele C F G playing"


def test_the_text_encoder_reads_chords_and_words_and_ignores_padding():
    encoder = build_lm(MODEL, 2, 16, 16.0, 1).text.eval()
    prompt = "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj"
    texts: list[str | None] = [describe(prompt, 8.0), None, "dreamy music"]
    tokens, mask = encoder.tokenize(texts)
    assert mask.sum(1).tolist() == [5, 0, 2]
    assert tokens[0, 1:5, 1].tolist() == [chord.pitch_class for chord in parse(prompt).chords]
    assert tokens[0, 1:5, 4].tolist() == [0, 32, 64, 96]
    with torch.no_grad():
        alone, padded = encoder(["dreamy music"]), encoder(texts)
    assert torch.allclose(padded[2, :2], alone[0], atol=1e-6) and alone.any() and not padded[1].any() and not padded[2, 2:].any()
