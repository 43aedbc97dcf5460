"""Names of weights elsewhere: audiocraft's LMModel and transformers' MusicgenForConditionalGeneration, strictly mapped to ours and back.

A layout is a list of pairs (our names, their names): the tensors of either side, stacked along their first axis, are the same. So one fused tensor of ours
may be several of theirs (a head for each codebook) and the other way round (queries, keys and values of audiocraft's cross-attention). Nothing may be
missing, left over, or of another shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from ostinato.files import UserError
from ostinato.lm.shape import Shape

Pairs = list[tuple[tuple[str, ...], tuple[str, ...]]]
State = Mapping[str, torch.Tensor]
TEXT = "condition_provider.conditioners.description."
#: (ours, audiocraft's, transformers') within a layer.
_LAYER = (
    (("self_attention.qkv.weight",), ("self_attn.in_proj_weight",), tuple(f"self_attn.{name}_proj.weight" for name in "qkv")),
    (("self_attention.out.weight",), ("self_attn.out_proj.weight",), ("self_attn.out_proj.weight",)),
    (("widen.weight",), ("linear1.weight",), ("fc1.weight",)),
    (("narrow.weight",), ("linear2.weight",), ("fc2.weight",)),
    (("cross_attention.query.weight", "cross_attention.keys_values.weight"), ("cross_attention.in_proj_weight",), tuple(f"encoder_attn.{name}_proj.weight" for name in "qkv")),
    (("cross_attention.out.weight",), ("cross_attention.out_proj.weight",), ("encoder_attn.out_proj.weight",)),
    *(
        ((f"{ours}.{kind}",), (f"{theirs}.{kind}",), (f"{other}.{kind}",))
        for kind in ("weight", "bias")
        for ours, theirs, other in (("self_norm", "norm1", "self_attn_layer_norm"), ("cross_norm", "norm_cross", "encoder_attn_layer_norm"), ("norm", "norm2", "final_layer_norm"))
    ),
)


def audiocraft(shape: Shape, text: Iterable[str]) -> Pairs:
    """Pairs for a LanguageModel of that shape in audiocraft's LMModel; `text` names the weights of its text encoder."""
    pairs = [
        (("decoder.embedding",), tuple(f"emb.{k}.weight" for k in range(shape.codebooks))),
        (("decoder.head.weight",), tuple(f"linears.{k}.weight" for k in range(shape.codebooks))),
        *(((f"decoder.norm.{kind}",), (f"out_norm.{kind}",)) for kind in ("weight", "bias")),
    ]
    return pairs + _layers(shape, 1, "transformer.layers") + [((f"text.{name}",), (TEXT + name,)) for name in text]


def transformers(shape: Shape) -> Pairs:
    """Pairs for a LanguageModel of that shape in transformers' model, but for its T5 and its codec, which are not ours."""
    inside = "decoder.model.decoder."
    pairs = [
        (("decoder.embedding",), tuple(f"{inside}embed_tokens.{k}.weight" for k in range(shape.codebooks))),
        (("decoder.head.weight",), tuple(f"decoder.lm_heads.{k}.weight" for k in range(shape.codebooks))),
        *(((f"decoder.norm.{kind}",), (f"{inside}layer_norm.{kind}",)) for kind in ("weight", "bias")),
        *(((f"text.output_proj.{kind}",), (f"enc_to_dec_proj.{kind}",)) for kind in ("weight", "bias")),
    ]
    return pairs + _layers(shape, 2, inside + "layers")


def _layers(shape: Shape, column: int, prefix: str) -> Pairs:
    return [
        (tuple(f"decoder.layers.{number}.{name}" for name in row[0]), tuple(f"{prefix}.{number}.{name}" for name in row[column]))
        for number in range(shape.layers)
        for row in _LAYER
        if shape.cross or not row[0][0].startswith("cross")
    ]


def write(state: State, pairs: Pairs) -> dict[str, torch.Tensor]:
    """Our weights under their names. What is one tensor on both sides is that very tensor; what is put together or taken apart is a copy."""
    found: dict[str, torch.Tensor] = {}
    for ours, theirs in pairs:
        whole = _stacked([state[name] for name in ours])
        # parts are copied, since a file would hold the whole for each
        found |= dict(zip(theirs, [whole] if len(theirs) == 1 else [part.clone() for part in whole.chunk(len(theirs))]))
    return found


def read(state: State, pairs: Pairs, like: State, where: Any) -> dict[str, torch.Tensor]:
    """Their weights under our names, shaped like ours in `like`, in 32-bit floats.

    Only what is put together of several, or is not 32-bit, is copied; all else is their tensor or a part of it, and stays where theirs is: in the file that
    they are mapped from.

    Raises:
        UserError: keys are missing, left over or of another shape; the first of them are named. `where` is what the message calls the file.
    """
    expected: dict[str, tuple[int, ...]] = {}
    for ours, theirs in pairs:
        rows = sum(like[name].shape[0] for name in ours) // len(theirs)
        expected |= dict.fromkeys(theirs, (rows, *like[ours[0]].shape[1:]))
    wrong = [f"{name} is missing" for name in expected if name not in state] + [f"{name} is not expected" for name in state if name not in expected]
    wrong += [f"{name} is {tuple(state[name].shape)}, expected {tuple(size)}" for name, size in expected.items() if name in state and tuple(state[name].shape) != tuple(size)]
    if wrong:
        raise UserError(f"{where}: weights do not fit their configuration: {'; '.join(wrong[:3])}" + (f"; {len(wrong) - 3} more" if len(wrong) > 3 else ""))
    return {name: part for ours, theirs in pairs for name, part in zip(ours, _stacked([state[name].float() for name in theirs]).split([like[name].shape[0] for name in ours]))}


def _stacked(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Tensors one after another; one alone as it is, without a copy."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
