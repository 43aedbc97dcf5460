"""The decoder under Ostinato's language models: a causal transformer over K parallel streams of codes.

Choices:

- pre-norm layers of self-attention, cross-attention to a text (optional) and a feed-forward net with GELU, no biases, as MusicGen (Copet et al., 2023);
- positions as sinusoids added to the input, or rotary (Su et al., 2021) where `rotary` is set;
- one embedding table and one head for all streams: codebook k's rows are k * (cardinality + 1) and on, the last of each is the special token;
- codebook k is delayed by `delays[k]` frames, so that a frame's codes follow one another and each step still predicts K of them;
- scaled-dot-product attention of torch; keys and values of what is past lie in a `Cache` of fixed size, those of the text are computed once;
- rows of a batch beyond those that have a text skip cross-attention. A text of zeros gives exactly zero there, since nothing has a bias: this is the null half
  of classifier-free guidance, for free;
- texts of one batch are padded with zeros, which are attended to, as in audiocraft, whose weights were trained so.

Shapes: B examples, K codebooks, S steps, L words, `dim` features. Tokens are int64 [B, K, S] in 0..cardinality, logits float [B, K, S, cardinality].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ostinato.lm.positions import sinusoids, turned, turns
from ostinato.lm.shape import Shape
from ostinato.products import attend

#: Positions of steps [S]; their cosines and sines [2, S, dim / heads / 2] where they are rotary.
Where = tuple[torch.Tensor, torch.Tensor | None]


@dataclass
class Cache:
    """Keys and values of past steps [layers, B, heads, longest, dim / heads], of the text [layers, B', heads, L, dim / heads], and how many steps are past.

    `places`: what tells the positions apart, [longest, dim] or, where they are rotary, cosines and sines [2, longest, dim / heads / 2].
    """

    keys: torch.Tensor
    values: torch.Tensor
    places: torch.Tensor
    text: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    length: int = 0


class SelfAttention(nn.Module):
    """Causal attention to the past."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.qkv = nn.Linear(shape.dim, 3 * shape.dim, bias=False)
        self.out = nn.Linear(shape.dim, shape.dim, bias=False)

    def forward(self, x: torch.Tensor, where: Where, past: tuple[torch.Tensor, torch.Tensor] | None = None, seen: torch.Tensor | None = None) -> torch.Tensor:
        """[B, S, dim] -> [B, S, dim].

        Args:
            where: where the steps are; past: keys and values [B, heads, visible, dim / heads] to write theirs into and to read; seen: which of those each step may see,
            bool [S, visible], None: a single step sees all of them, several are the first and see those up to themselves.
        """
        positions, angles = where
        query, key, value = heads = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if angles is not None:
            query, key = turned(heads[:2], *angles.to(heads.dtype))
        if past is not None:
            for kept, new in zip(past, (key, value)):
                kept.index_copy_(2, positions, new.to(kept.dtype))
            key, value = past
        causal = seen is None and query.shape[2] > 1
        mixed = attend(query, key, value, seen, self.dropout if self.training else 0.0, causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Attention to the text."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.query = nn.Linear(shape.dim, shape.dim, bias=False)
        self.keys_values = nn.Linear(shape.dim, 2 * shape.dim, bias=False)
        self.out = nn.Linear(shape.dim, shape.dim, bias=False)

    def read(self, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a text [B, L, dim]: [B, heads, L, dim / heads] each."""
        key, value = self.keys_values(text).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return key, value

    def forward(self, x: torch.Tensor, text: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """[B, S, dim] -> [B, S, dim]; `text` is what `read` gave."""
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        mixed = attend(query, *text, None, self.dropout if self.training else 0.0)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """One layer, residual throughout."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.self_norm, self.self_attention = nn.LayerNorm(shape.dim), SelfAttention(shape)
        if shape.cross:
            self.cross_norm, self.cross_attention = nn.LayerNorm(shape.dim), CrossAttention(shape)
        self.norm = nn.LayerNorm(shape.dim)
        self.widen = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.narrow = nn.Linear(shape.hidden, shape.dim, bias=False)

    def forward(self, x: torch.Tensor, where: Where, text: torch.Tensor | tuple[torch.Tensor, torch.Tensor] | None, *past: Any) -> torch.Tensor:
        """[B, S, dim] -> [B, S, dim]. `text` belongs to the first rows: features [B', L, dim], or the keys and values of them."""
        x = x + self._dropped(self.self_attention(self.self_norm(x), where, *past))
        if text is not None:
            text = self.cross_attention.read(text) if isinstance(text, torch.Tensor) else text
            told = len(text[0])
            answer = self._dropped(self.cross_attention(self.cross_norm(x[:told]), text))
            x = x + answer if told == len(x) else torch.cat([x[:told] + answer, x[told:]])
        return x + self._dropped(self.narrow(self._dropped(functional.gelu(self.widen(self.norm(x))))))

    def _dropped(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


class Decoder(nn.Module):
    """See the module. `checkpointing` computes a layer's activations a second time in the backward pass instead of keeping them."""

    offsets: torch.Tensor
    layers: Any  # of Layer, which a ModuleList does not say

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape, self.checkpointing = shape, False
        self.embedding = nn.Parameter(torch.empty(shape.codebooks * (shape.cardinality + 1), shape.dim))
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.dim)
        self.head = nn.Linear(shape.dim, shape.codebooks * shape.cardinality, bias=False)
        # on the CPU by name, for no file holds it: a decoder built empty, on the meta device, has it all the same
        self.register_buffer("offsets", torch.arange(shape.codebooks, device="cpu") * (shape.cardinality + 1), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """As audiocraft (`weight_init: gaussian`, `depthwise_init: current`): truncated normal by fan-in, deeper layers smaller; queries, keys and values uniform."""
        _gaussian(self.embedding, self.shape.dim)
        _gaussian(self.head.weight, self.shape.dim)
        for depth, layer in enumerate(self.layers, start=1):
            outs = [layer.self_attention.out, layer.widen, layer.narrow, *([layer.cross_attention.out] if self.shape.cross else [])]
            for linear in outs:
                _gaussian(linear.weight, 2 * depth * linear.in_features)

    @classmethod
    def empty(cls, shape: Shape) -> Decoder:
        """A decoder whose weights are yet to be assigned, and take no memory: initialising three billion takes minutes."""
        with torch.device("meta"):
            return cls(shape)

    @property
    def special(self) -> int:
        """The token that stands where a codebook has no code yet."""
        return self.shape.cardinality

    def forward(self, tokens: torch.Tensor, text: torch.Tensor | None = None, cache: Cache | None = None, at: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [B, K, S, cardinality] of what follows each of the steps of `tokens` [B, K, S]; with a cache, of what follows the last alone, [B, K, 1, cardinality].

        Args:
            text: the texts [B', L, dim] of the first rows; with a cache, `start` has read them. cache: what is past; the steps are added to it.
            at: where in the cache a single step of all rows stands, [1], in shapes that never change, as CUDA graphs want them; the caller counts.
        """
        begun, steps = 0 if cache is None else cache.length, tokens.shape[2]
        visible = begun + steps if at is None or cache is None else cache.keys.shape[3]
        positions = torch.arange(begun, visible, device=tokens.device) if at is None else at
        seen = None if at is None and (steps == 1 or begun == 0) else torch.arange(visible, device=tokens.device) <= positions[:, None]
        rows = (tokens + self.offsets[:, None]).transpose(1, 2)
        x = functional.embedding_bag(rows.flatten(0, 1), self.embedding, mode="sum").unflatten(0, rows.shape[:2])
        x = x if self.shape.rotary else x + sinusoids(positions, self.shape.dim).to(x.dtype)
        where, past = (positions, turns(positions, self.shape.dim // self.shape.heads) if self.shape.rotary else None), None
        told: Any = text
        for number, layer in enumerate(self.layers):
            if cache is not None:
                told, past = cache.text[number] if cache.text else None, (cache.keys[number, :, :, :visible], cache.values[number, :, :, :visible])
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer, x, where, told, past, seen, use_reentrant=False)
            else:
                x = layer(x, where, told, past, seen)
        if cache is not None:
            x, cache.length = x[:, -1:], visible if at is None else begun
        return self.head(self.norm(x)).unflatten(-1, (self.shape.codebooks, self.shape.cardinality)).transpose(1, 2)

    def start(self, batch: int, longest: int, text: torch.Tensor | None = None) -> Cache:
        """An empty cache for `batch` rows and up to `longest` steps; the text [B', L, dim] is read here, once."""
        where: dict[str, Any] = {"device": self.embedding.device, "dtype": self.head.weight.dtype}
        size = (self.shape.layers, batch, self.shape.heads, longest, self.shape.dim // self.shape.heads)
        read = [] if text is None else [layer.cross_attention.read(text.to(where["dtype"])) for layer in self.layers]
        positions = torch.arange(longest, device=where["device"])
        places = turns(positions, size[-1]) if self.shape.rotary else sinusoids(positions, self.shape.dim)
        return Cache(torch.zeros(size, **where), torch.zeros(size, **where), places.to(where["dtype"]), read)

    def advance(self, tokens: torch.Tensor, cache: Cache, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """`forward` with a cache, for those who sample. A small step on the CPU takes longer to call than to compute, by `forward` 1.3 times as long as here, in rows
        [B, dim] with no module or copy that can be done without.

        Args:
            lengths: of each row's past, [B], where these differ: one step, and the caller counts. A row may say its last step again to wait.
        """
        if lengths is None and (tokens.shape[2] > 1 or not tokens.is_cpu or self.training or hasattr(self, "peft_config")):  # adapters that are not merged are modules
            return self(tokens, cache=cache)
        kept: tuple[slice | torch.Tensor, ...]
        cos: Any
        sin: Any
        (batch, codebooks, _), dim, heads, now = tokens.shape, self.shape.dim, self.shape.heads, cache.length
        if lengths is None:
            visible, seen, kept, places = now + 1, None, (slice(None), slice(None), slice(now, now + 1)), cache.places[..., now, :]
        else:
            visible, rows, columns = int(lengths.max()) + 1, torch.arange(batch, device=tokens.device), torch.arange(heads, device=tokens.device)
            seen = (torch.arange(visible, device=tokens.device) <= lengths[:, None])[:, None, None]
            kept, places = (rows[:, None, None], columns[:, None], lengths[:, None, None]), cache.places[..., lengths, :]
        cos, sin = (places if lengths is None else places[:, :, None, None, None]) if self.shape.rotary else (None, None)
        x = functional.embedding_bag(tokens[:, :, 0] + self.offsets, self.embedding, mode="sum")
        x = x if self.shape.rotary else x + places
        for number, layer in enumerate(self.layers):
            keys, values = cache.keys[number, :, :, :visible], cache.values[number, :, :, :visible]
            mixed = _product(_normal(x, layer.self_norm), layer.self_attention.qkv).view(batch, 3, heads, 1, -1)
            query, key, value = (*turned(mixed[:, :2], cos, sin).unbind(1), mixed[:, 2]) if self.shape.rotary else mixed.unbind(1)
            keys[kept], values[kept] = key, value
            mixed = functional.scaled_dot_product_attention(query, keys, values, seen)
            x = x + _product(mixed.reshape(batch, dim), layer.self_attention.out)
            if cache.text:
                told, across = x[: len(cache.text[number][0])], layer.cross_attention
                query = _product(_normal(told, layer.cross_norm), across.query).view(len(told), heads, 1, -1)
                mixed = functional.scaled_dot_product_attention(query, *cache.text[number])
                told += _product(mixed.reshape(len(told), dim), across.out)
            x = x + _product(functional.gelu(_product(_normal(x, layer.norm), layer.widen)), layer.narrow)
        cache.length = visible if lengths is None else now
        return _product(_normal(x, self.norm), self.head).view(batch, 1, codebooks, -1).transpose(1, 2)


#: Above so many weights a product with two rows, as guidance has them, is faster the other way round: 1.1 to 1.4 times, measured with MKL.
LARGE = 2**18


def _product(x: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
    """Rows [B, in] times the weights of a layer without bias: [B, out]."""
    weight = linear.weight
    if len(x) == 2 and weight.shape[0] >= weight.shape[1] and weight.numel() >= LARGE:
        return torch.mm(weight, x.t()).t()
    return functional.linear(x, weight)


def _normal(x: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    return functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _gaussian(weight: torch.Tensor, fan_in: float) -> None:
    spread = 1 / math.sqrt(fan_in)
    nn.init.trunc_normal_(weight, 0.0, spread, -3 * spread, 3 * spread)
