"""The text encoder that is trained with the demo model, in T5's place.

A prompt is read by the project's grammar. Each word of the instrument becomes one token (hashed into buckets), each chord one token, the sum
of embeddings of its root, quality and bass, and of sinusoids of the frames where it would start and end if bars were equally long. The decoder's own
sinusoids, averaged over that span, are added at last, so that cross-attention can find "the chord that is due now" by position. Text that is no
prompt of the grammar is read word by word. The wished length stands at the end of the description: "piano CMajor; 10.00 s".
"""

from __future__ import annotations

import math
import re
from hashlib import sha256

import torch
from torch import nn

from ostinato.harmony.chords import QUALITIES, Chord
from ostinato.harmony.prompts.prompt import PromptError, parse
from ostinato.lm.positions import sinusoids
from ostinato.params import Model

QUALITY_INDEX = {name: i for i, name in enumerate(QUALITIES)}
NO_CHORD = 12
#: A chord asked for longer than a slow bar becomes several tokens, since that is how long training examples hold one.
LONGEST_SECONDS = 3.2
#: Points at which the sinusoids of a span are averaged.
SPAN_POINTS = 8
_LENGTH = re.compile(r"; ([0-9.]+) s$")


def describe(prompt: str, seconds: float) -> str:
    """The description the model is given: the prompt and the length in seconds."""
    return f"{prompt}; {seconds:.2f} s"


class ChordTextEncoder(nn.Module):
    """See the module. Texts (None: no condition) to features [B, L, output_dim], zeros where there is no word."""

    def __init__(self, params: Model, output_dim: int, frame_rate: float) -> None:
        super().__init__()
        self.dim, self.output_dim, self.buckets, self.frame_rate = params.text_dim, output_dim, params.words, frame_rate
        self.output_proj = nn.Linear(params.text_dim, output_dim)
        self.word = nn.Embedding(params.words + 1, params.text_dim, padding_idx=0)
        self.root = nn.Embedding(NO_CHORD + 1, params.text_dim)
        self.quality = nn.Embedding(len(QUALITIES), params.text_dim)
        self.bass = nn.Embedding(12, params.text_dim)
        self.start = nn.Linear(params.text_dim, params.text_dim, bias=False)
        self.end = nn.Linear(params.text_dim, params.text_dim, bias=False)
        layer = nn.TransformerEncoderLayer(params.text_dim, 4, 2 * params.text_dim, 0.0, "gelu", batch_first=True, norm_first=True)
        self.mixer = nn.TransformerEncoder(layer, params.text_layers, enable_nested_tensor=False) if params.text_layers else None

    def tokenize(self, x: list[str | None]) -> tuple[torch.Tensor, torch.Tensor]:
        """Texts -> (tokens [B, L, 6]: word, root, quality, bass, start frame, end frame; mask [B, L], 1 where there is a token)."""
        rows = [self._tokens(text) if text else [] for text in x]
        tokens = torch.zeros(len(rows), max(1, *map(len, rows)), 6)
        mask = torch.zeros(tokens.shape[:2])
        for i, row in enumerate(rows):
            if row:
                tokens[i, : len(row)] = torch.tensor(row)
                mask[i, : len(row)] = 1
        device = self.output_proj.weight.device
        return tokens.to(device), mask.to(device)

    def _tokens(self, text: str) -> list[list[float]]:
        length = _LENGTH.search(text)
        frames = float(length[1]) * self.frame_rate if length else 0.0
        text = _LENGTH.sub("", text)
        try:
            prompt = parse(text)
        except PromptError:
            return [self._word(word, frames) for word in text.split()]
        words = [self._word(word, frames) for word in prompt.instrument.split()]
        spans = zip(prompt.chords, prompt.fractions)
        return words + [token for chord, (start, end) in spans for token in self._chord(chord, start * frames, end * frames)]

    def _word(self, word: str, frames: float) -> list[float]:
        # Python's hash() changes from process to process
        bucket = 1 + int.from_bytes(sha256(word.lower().encode()).digest()[:4], "big") % self.buckets
        return [bucket, 0, 0, 0, 0.0, frames]

    def _chord(self, chord: Chord, start: float, end: float) -> list[list[float]]:
        name = [0, chord.pitch_class, QUALITY_INDEX[chord.quality], chord.bass] if chord.is_chord else [0, NO_CHORD, 0, 0]
        parts = max(1, math.ceil((end - start) / (LONGEST_SECONDS * self.frame_rate)))
        edges = [start + (end - start) * k / parts for k in range(parts + 1)]
        return [[*name, left, right] for left, right in zip(edges, edges[1:])]

    def forward(self, texts: list[str | None]) -> torch.Tensor:
        """Embed the texts; rows are padded to the longest."""
        tokens, mask = self.tokenize(texts)
        word, root, quality, bass = (tokens[..., i].long() for i in range(4))
        is_chord = (word == 0)[..., None]
        name = torch.where(is_chord, self.root(root) + self.quality(quality) + self.bass(bass), self.word(word))
        start, end = (sinusoids(tokens[..., i], self.dim) for i in (4, 5))
        embedded = name + self.start(start) + self.end(end)
        if self.mixer is not None:
            padding = mask == 0
            padding[:, 0] = False  # a row of padding alone would give NaN
            embedded = self.mixer(embedded, src_key_padding_mask=padding)
        position = span_embedding(tokens[..., 4], tokens[..., 5], self.output_dim)
        return (self.output_proj(embedded) + position) * mask[..., None]


def span_embedding(start: torch.Tensor, end: torch.Tensor, dim: int) -> torch.Tensor:
    """The decoder's sinusoids averaged over spans of frames, [B, L] each -> [B, L, dim]: nearest to the sinusoids of the frames within."""
    middles = (torch.arange(SPAN_POINTS, device=start.device) + 0.5) / SPAN_POINTS
    return sinusoids(start[..., None] + (end - start)[..., None] * middles, dim).mean(dim=2)
