"""Hand a model on: as a folder that stock audiocraft loads (adapters merged), or as one that transformers' MusicgenForConditionalGeneration loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ostinato.files import UserError
from ostinato.lm import layout
from ostinato.lm.model import LanguageModel
from ostinato.lm.t5 import T5Text

#: Positions for which transformers computes sinusoids beforehand, as in the published models; more are computed when needed.
POSITIONS = 2048


def save_transformers(folder: Path, lm: LanguageModel, codec: Any) -> None:
    """Write a model with its T5, its EnCodec and its processor.

    Raises:
        UserError: the codec is no EnCodec of transformers: transformers knows nothing else.
    """
    import transformers

    audio = getattr(codec, "model", None)
    if not isinstance(audio, transformers.EncodecModel):
        raise UserError(f"the model's codec is {type(codec).__name__}; expected EnCodec as transformers keeps it, such as facebook/encodec_32khz")
    model = transformers_model(lm, audio)
    model.save_pretrained(folder)
    features = transformers.EncodecFeatureExtractor(feature_size=audio.config.audio_channels, sampling_rate=audio.config.sampling_rate)
    transformers.MusicgenProcessor(features, lm.text.tokenizer).save_pretrained(folder)


def transformers_model(lm: LanguageModel, audio: Any) -> Any:
    """The MusicgenForConditionalGeneration that computes what `lm` does, with `audio` as its codec."""
    import transformers

    shape = lm.decoder.shape
    if shape.delays != tuple(range(shape.codebooks)):
        raise UserError(f"the model's delays are {list(shape.delays)}: transformers knows no others than {list(range(shape.codebooks))}")
    assert isinstance(lm.text, T5Text)
    if shape.dim == lm.text.encoder.config.d_model:
        raise UserError(f"the decoder is as wide as its T5, {shape.dim}: transformers leaves the projection between them out then, and MusicGen has one")
    config = transformers.MusicgenDecoderConfig(
        vocab_size=shape.cardinality,
        max_position_embeddings=POSITIONS,
        num_hidden_layers=shape.layers,
        ffn_dim=shape.hidden,
        num_attention_heads=shape.heads,
        hidden_size=shape.dim,
        num_codebooks=shape.codebooks,
        audio_channels=1,
        dropout=shape.dropout,
        activation_function="gelu",
        pad_token_id=shape.cardinality,
        bos_token_id=shape.cardinality,
        tie_word_embeddings=False,
    )
    parts = {"text_encoder": lm.text.encoder, "audio_encoder": audio}
    whole = transformers.MusicgenConfig(**{name: part.config for name, part in parts.items()}, decoder=config)
    model = transformers.MusicgenForConditionalGeneration(whole, **parts, decoder=transformers.MusicgenForCausalLM._from_config(config)).eval()
    ours = layout.write({name: value.float() for name, value in lm.state_dict().items()}, layout.transformers(shape))
    kept = ("text_encoder.", "audio_encoder.")
    theirs = {name for name in model.state_dict() if not name.startswith(kept)}
    if theirs != set(ours):
        raise RuntimeError(f"transformers {transformers.__version__} names weights otherwise: {sorted(theirs ^ set(ours))[:3]}")
    with torch.no_grad():
        model.load_state_dict(ours, strict=False)
    special = {"decoder_start_token_id": shape.cardinality, "pad_token_id": shape.cardinality, "bos_token_id": shape.cardinality}
    model.generation_config.update(**special, do_sample=True, guidance_scale=3.0, max_length=1500)
    return model
