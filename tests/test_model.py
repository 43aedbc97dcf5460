"""The language model: its size, what it says of broken folders, and folders that audiocraft exported."""

import json

import pytest
import torch
from music import PARAMS

from ostinato.dataset.prompts import parse
from ostinato.files import UserError
from ostinato.lm.audiocraft_compat import import_audiocraft
from ostinato.lm.codec import save_spectral
from ostinato.lm.model import build_lm, conditions, load_lm, parameter_count, save_lm
from ostinato.lm.sampling import Generator
from ostinato.lm.spectral import build
from ostinato.lm.text import describe

CODEC = PARAMS.codec.model_copy(update={"codebooks": 2, "cardinality": 16, "components": 4, "griffin_lim_iterations": 2})
SMALL = PARAMS.model.model_copy(update={"dim": 32, "layers": 1, "heads": 2, "text_dim": 16})
LUT = {"model": "lut", "lut": {"n_bins": 64, "dim": 8, "tokenizer": "noop"}}


def exported(folder, conditioner: dict):
    """A small MusicGen with random weights, written as audiocraft's `export_lm` writes one, beside a codec. Returns the model."""
    from omegaconf import OmegaConf

    config = OmegaConf.create({
        "lm_model": "transformer_lm", "device": "cpu", "dtype": "float32", "dataset": {"segment_duration": 10},
        "transformer_lm": {"n_q": 2, "card": 16, "dim": 16, "num_heads": 2, "num_layers": 1, "hidden_scale": 2, "causal": True, "custom": False,
                           "memory_efficient": True, "norm_first": True, "cross_attention": True, "bias_proj": False, "bias_ff": False, "bias_attn": False},
        "codebooks_pattern": {"modeling": "delay", "delay": {"delays": [0, 1]}}, "attribute_dropout": {},
        "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
        "conditioners": {"args": {"drop_desc_p": 0.5, "merge_text_conditions_p": 0.25}, "description": conditioner},
        "fuser": {"cross": ["description"], "sum": [], "prepend": [], "input_interpolate": [], "cross_attention_pos_emb": False,
                  "cross_attention_pos_emb_scale": 1},
    })
    lm = import_audiocraft("audiocraft.models.builders").get_lm_model(OmegaConf.merge(config, {"conditioners": {"args": {}}}))
    torch.save({"best_state": lm.state_dict(), "xp.cfg": OmegaConf.to_yaml(config), "version": "1.3.0", "exported": True}, folder / "state_dict.bin")
    save_spectral(folder, build(CODEC), CODEC)
    return lm.eval()


def logits(lm, text: str) -> torch.Tensor:
    codes = torch.arange(20).reshape(1, 2, 10) % 16
    with torch.no_grad():
        return lm.compute_predictions(codes, conditions([text])).logits.nan_to_num()


def test_the_demos_model_keeps_to_its_size_and_its_seed():
    first, again, other = (build_lm(PARAMS.model, PARAMS.codec.codebooks, PARAMS.codec.cardinality, 16, seed) for seed in (1, 1, 2))
    assert parameter_count(first) <= 4_000_000
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    assert not all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), other.state_dict().values()))


def test_saved_and_loaded_it_predicts_the_same(tmp_path):
    codec = build(CODEC)
    lm = build_lm(SMALL, 2, 16, codec.frame_rate, 1).eval()
    save_lm(tmp_path, lm, SMALL, codec)
    text = describe("piano CMajor", 5.0)
    assert torch.equal(logits(load_lm(tmp_path), text), logits(lm, text))
    assert not torch.equal(logits(lm, describe("piano GMajor", 5.0)), logits(lm, text))
    package = torch.load(tmp_path / "state_dict.bin")
    package["best_state"].pop("emb.0.weight")
    torch.save(package, tmp_path / "state_dict.bin")
    with pytest.raises(UserError, match="weights do not fit.*emb.0.weight"):
        load_lm(tmp_path)
    torch.save(package | {"xp.cfg": json.dumps({"layout": "other"})}, tmp_path / "state_dict.bin")
    with pytest.raises(UserError, match="layout is 'other'"):
        load_lm(tmp_path)


def test_a_model_that_audiocraft_exported_loads_and_generates(tmp_path):
    lm = exported(tmp_path, LUT)
    assert torch.equal(logits(load_lm(tmp_path), "piano"), logits(lm, "piano"))
    clips = Generator(tmp_path).generate(["piano CMajor", "organ GMajor"], 1.0, 1, temperature=1.0, top_k=250, guidance=3.0)
    assert clips.shape == (2, 16000)


def test_its_t5_is_the_real_one_when_it_is_there_and_asked_for_in_one_line_when_not(tmp_path, monkeypatch):
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    name = str(tmp_path / "t5")
    T5EncoderModel(T5Config(vocab_size=64, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)).save_pretrained(name)
    T5Tokenizer(vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"▁{word}", -1.0) for word in ("piano", "organ", "C", "G"))], extra_ids=0).save_pretrained(name)
    conditioner = import_audiocraft("audiocraft.modules.conditioners").T5Conditioner
    monkeypatch.setattr(conditioner, "MODELS", [*conditioner.MODELS, name])
    monkeypatch.setitem(conditioner.MODELS_DIMS, name, 8)
    lm = exported(tmp_path, {"model": "t5", "t5": {"name": name, "finetune": False, "word_dropout": 0.0}})
    loaded = load_lm(tmp_path)
    assert torch.equal(logits(loaded, "piano C"), logits(lm, "piano C")) and not torch.equal(logits(loaded, "organ G"), logits(loaded, "piano C"))
    (tmp_path / "t5").rename(tmp_path / "elsewhere")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="text encoder is neither cached nor reachable"):
        load_lm(tmp_path)


def test_the_text_encoder_reads_chords_and_words_and_ignores_padding():
    encoder = next(iter(build_lm(SMALL, 2, 16, 16.0, 1).condition_provider.conditioners.values())).eval()
    prompt = "ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj"
    tokens, mask = encoder.tokenize([describe(prompt, 8.0), None, "dreamy music"])
    assert mask.sum(1).tolist() == [5, 0, 2]
    assert tokens[0, 1:5, 1].tolist() == [chord.pitch_class for chord in parse(prompt).chords]
    assert tokens[0, 1:5, 4].tolist() == [0, 32, 64, 96]
    with torch.no_grad():
        alone, _ = encoder(encoder.tokenize(["dreamy music"]))
        padded, _ = encoder((tokens, mask))
    assert torch.allclose(padded[2, :2], alone[0], atol=1e-6) and not padded[1].any()
