"""Pretrained models for the tests: MusicGen of any size with random weights, in the layout in which the true ones are published.

audiocraft itself builds the language model. Its T5 and its EnCodec, tiny, go by their published names and lie in what is taken for the hub's cache.
"""

from pathlib import Path

import pytest
import torch

from ostinato.codec.audiocraft_compat import import_audiocraft
from ostinato.lm.decoder import Shape

TINY = Shape(64, 3, 4, 256, 32, (0, 1, 2, 3))
#: facebook/musicgen-small.
SMALL = Shape(1024, 24, 16, 4096, 2048, (0, 1, 2, 3))
#: What the hub calls it, whatever its size here; the others are what it asks for.
NAME, T5, ENCODEC = "facebook/musicgen-small", "t5-base", "facebook/encodec_32khz"
WORDS = ("piano", "organ", "ukulele", "C", "F", "G", "playing")
#: What matters of the `xp.cfg` of facebook/musicgen-small, in its own words; sizes are filled in.
CONFIG = """
lm_model: transformer_lm
device: cuda
dtype: float16
dataset: {{segment_duration: 30, batch_size: 192}}
codebooks_pattern: {{modeling: delay, delay: {{delays: {delays}, flatten_first: 0, empty_initial: 0}}}}
transformer_lm: {{dim: {dim}, num_heads: {heads}, num_layers: {layers}, hidden_scale: {scale}, n_q: {codebooks}, card: {cardinality}, dropout: 0.0,
  emb_lr: null, activation: gelu, norm_first: true, bias_ff: false, bias_attn: false, bias_proj: false, past_context: null, causal: true, custom: false,
  memory_efficient: true, attention_as_float32: false, layer_scale: null, positional_embedding: sin, xpos: false, checkpointing: none,
  weight_init: gaussian, depthwise_init: current, zero_bias_init: true, norm: layer_norm, cross_attention: false, qk_layer_norm: false,
  qk_layer_norm_cross: false, attention_dropout: null, kv_repeat: 1}}
conditioners: {{args: {{merge_text_conditions_p: 0.25, drop_desc_p: 0.5}}, description: {{model: t5, t5: {{name: t5-base, finetune: false, word_dropout: 0.3,
  normalize_text: false}}}}}}
fuser: {{cross_attention_pos_emb: false, cross_attention_pos_emb_scale: 1, sum: [], prepend: [], cross: [description], input_interpolate: []}}
classifier_free_guidance: {{training_dropout: 0.3, inference_coef: 3.0}}
attribute_dropout: {{}}
interleave_stereo_codebooks: {{use: false, per_timestep: false}}
"""


def config(shape: Shape) -> str:
    """The `xp.cfg` of a model of that shape."""
    return CONFIG.format(
        dim=shape.dim, heads=shape.heads, layers=shape.layers, scale=shape.hidden // shape.dim, codebooks=shape.codebooks, cardinality=shape.cardinality, delays=list(shape.delays)
    )


def pretrained(hub: Path, patch: pytest.MonkeyPatch, shape: Shape = TINY, dtype: torch.dtype = torch.float32, seed: int = 0) -> Path:
    """Make `hub` the hub's cache, with a model, its T5 and its EnCodec in it. Returns the folder of the model's two files."""
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    torch.manual_seed(seed)
    save_t5(cached(hub, T5))
    encodec_model(shape).save_pretrained(cached(hub, ENCODEC))
    folder = cached(hub, NAME)
    torch.save({"best_state": audiocraft_state(config(shape), dtype), "xp.cfg": config(shape), "version": "1.3.0", "exported": True}, folder / "state_dict.bin")
    torch.save({"pretrained": ENCODEC, "exported": True, "version": "1.3.0"}, folder / "compression_state_dict.bin")
    return folder


def cached(hub: Path, name: str) -> Path:
    """The folder of a repository in the hub's cache, made."""
    repository, commit = hub / f"models--{name.replace('/', '--')}", 40 * "0"
    for folder in ("refs", f"snapshots/{commit}"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs/main").write_text(commit)
    return repository / "snapshots" / commit


def save_t5(folder: Path) -> None:
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    T5EncoderModel(T5Config(vocab_size=64, d_model=768, d_kv=4, d_ff=8, num_layers=1, num_heads=2)).save_pretrained(folder)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"▁{word}", -1.0) for word in WORDS)]
    T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder)


def save_clap(folder: Path) -> None:
    """A small laion/clap-htsat-unfused with random weights, which reads letters."""
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, RobertaTokenizer

    text = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 40}
    audio = {"depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2], "patch_embeds_hidden_size": 8, "hidden_size": 64}
    ClapModel(ClapConfig(text_config={**text, "projection_dim": 8}, audio_config={**audio, "projection_dim": 8}, projection_dim=8)).save_pretrained(folder)
    letters = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz", "Ġ"]
    tokenizer = RobertaTokenizer(vocab={letter: number for number, letter in enumerate(letters)}, merges=[])
    ClapProcessor(ClapFeatureExtractor(truncation="rand_trunc"), tokenizer).save_pretrained(folder)


def encodec_model(shape: Shape):
    """A small facebook/encodec_32khz: 50 frames a second, of as many codes as the shape's."""
    from transformers import EncodecConfig, EncodecModel

    bits = (shape.cardinality - 1).bit_length()
    model = EncodecModel(
        EncodecConfig(
            sampling_rate=32000,
            upsampling_ratios=[8, 5, 4, 4],
            num_filters=4,
            hidden_size=8,
            codebook_size=shape.cardinality,
            codebook_dim=8,
            normalize=False,
            target_bandwidths=[50 * bits * shape.codebooks / 1000],
            use_causal_conv=False,
            num_residual_layers=1,
            use_conv_shortcut=False,
        )
    ).eval()
    for layer in model.quantizer.layers:  # zeros at first: all codes would sound alike
        layer.codebook.embed.normal_()
    return model


def audiocraft_state(text: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Random weights of audiocraft's model of that configuration.

    Norms and biases are random too, so that none can take another's place; embeddings are as large as positions, so that what is said depends on what was.
    """
    from omegaconf import OmegaConf

    lm = import_audiocraft("audiocraft.models.builders").get_lm_model(OmegaConf.merge(OmegaConf.create(text), {"device": "cpu", "dtype": "float32"}))
    with torch.no_grad():
        for name, parameter in lm.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            elif name.startswith("emb."):
                parameter.mul_(lm.dim**0.5)
    return {name: value.to(dtype) for name, value in lm.state_dict().items()}


def theirs(folder: Path):
    """The model of a folder, loaded by audiocraft."""
    return import_audiocraft("audiocraft.models.loaders").load_lm_model(folder, device="cpu")


def conditions(texts: list[str | None]) -> list:
    """Texts as audiocraft's attributes."""
    return [import_audiocraft("audiocraft.modules.conditioners").ConditioningAttributes(text={"description": text}) for text in texts]
