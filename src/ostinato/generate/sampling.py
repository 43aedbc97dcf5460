"""From prompts to codes: batched sampling with a key-value cache, classifier-free guidance, and a sliding window beyond what a model hears at once.

Probabilities are softmax(logits / temperature) with logits = unconditional + guidance * (conditional - unconditional), cut to the `top_p` most likely mass or
the `top_k` most likely codes, as in audiocraft's API; temperature 0 takes the likeliest. On a GPU a step is a CUDA graph.
Codes are int64 [B, K, T].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ostinato.files import UserError
from ostinato.lm.decoder import Cache, Decoder
from ostinato.lm.model import LanguageModel

#: How much of a full window the next one hears of the past; the rest is new (audiocraft's extend_stride, 18 of 30 s, leaves as much).
KEPT_SHARE = 0.4
#: Steps on a side stream before a graph is captured, as CUDA wants them.
WARM_UP = 3


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn; `top_k` 0 and `top_p` 0: no limit; `guidance` 1: none. `validate` says what is wrong."""

    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 0.0
    guidance: float = 3.0

    def validate(self) -> None:
        """Raises UserError on a value out of range."""
        for name, value, low, high in (
            ("temperature", self.temperature, 0, None),
            ("top_k", self.top_k, 0, None),
            ("top_p", self.top_p, 0, 1),
            ("guidance", self.guidance, 0, None),
        ):
            if not low <= value or (high is not None and value > high):
                raise UserError(f"{name}: expected a number of at least {low}" + (f" and at most {high}" if high is not None else "") + f", got {value:g}")


def draw(logits: torch.Tensor, how: Sampling) -> torch.Tensor:
    """One code of each distribution: [..., cardinality] -> [...]."""
    if how.temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.float() / how.temperature, dim=-1)
    if how.top_p:
        ranked, order = probabilities.sort(dim=-1, descending=True)
        ranked = ranked * (ranked.cumsum(dim=-1) - ranked <= how.top_p)
        return order.gather(-1, torch.multinomial(ranked.flatten(0, -2), 1).unflatten(0, ranked.shape[:-1]))[..., 0]
    if 0 < how.top_k < probabilities.shape[-1]:
        least = probabilities.topk(how.top_k, dim=-1).values[..., -1:]
        probabilities = probabilities * (probabilities >= least)
    return torch.multinomial(probabilities.flatten(0, -2), 1).unflatten(0, probabilities.shape[:-1])[..., 0]


def window_frames(lm: LanguageModel, frame_rate: float) -> int | None:
    """What a model hears at once, frames; None: no limit is known."""
    return round(lm.window_seconds * frame_rate) if lm.window_seconds else None


def generate(lm: LanguageModel, texts: list[str | None], frames: int, how: Sampling, prompt: torch.Tensor | None = None, window: int | None = None) -> torch.Tensor:
    """Codes [B, K, frames] for one text each; see `stream`. A prompt is part of the result."""
    new = list(stream(lm, texts, frames, how, prompt, window))
    return torch.cat(new if prompt is None else [prompt.to(new[0].device), *new], dim=2)


@torch.no_grad()
def stream(
    lm: LanguageModel, texts: list[str | None], frames: int, how: Sampling, prompt: torch.Tensor | None = None, window: int | None = None, piece: int | None = None
) -> Iterator[torch.Tensor]:
    """Generate until there are `frames` for one text each, from torch's random state; yields what is new as it comes, [B, K, T'].

    Beyond `window` frames, each window goes on from the end of the last.

    Args:
        prompt: codes [B, K, T] to go on from; piece: how many frames are yielded at once, None: a window's.

    Raises:
        UserError: nothing is left to generate, or sampling is out of range.
    """
    how.validate()
    decoder, window = lm.decoder, min(window or frames, frames)
    done = torch.zeros(len(texts), decoder.shape.codebooks, 0, dtype=torch.long) if prompt is None else prompt
    done = done.to(decoder.embedding.device)
    if done.shape[2] >= frames:
        raise UserError(f"frames: {frames} are asked for and {done.shape[2]} are given as a prompt; nothing is left to generate")
    text = lm.text(texts) if any(texts) else None
    while done.shape[2] < frames:
        kept = done[:, :, done.shape[2] - int(KEPT_SHARE * window) :] if done.shape[2] >= window else done
        for new in _window(decoder, text, kept, min(window, frames - done.shape[2] + kept.shape[2]), how, piece or window):
            done = torch.cat([done, new], dim=2)
            yield new


def _window(decoder: Decoder, text: torch.Tensor | None, prompt: torch.Tensor, frames: int, how: Sampling, piece: int) -> Iterator[torch.Tensor]:
    """`stream` for one window of so many frames, the prompt's included."""
    batch, codebooks, given = prompt.shape
    delays, last = decoder.shape.delays, max(decoder.shape.delays)
    # column s + 1 holds what step s is to say: the code of frame s - delay, or the special token where there is no such frame
    sequence = torch.full((batch, codebooks, frames + last + 1), decoder.special, device=prompt.device)
    unknown = torch.zeros(codebooks, frames + last + 1, dtype=torch.bool, device=prompt.device)
    for k, delay in enumerate(delays):
        sequence[:, k, 1 + delay : 1 + delay + given] = prompt[:, k]
        unknown[k, 1 + delay + given : 1 + delay + frames] = True
    guided = text is not None and how.guidance != 1
    cache = decoder.start(batch * (1 + guided), frames + last, text)
    advance, said = _stepper(decoder, cache), given
    for column in range(given + 1, frames + last + 1):
        tokens = sequence[:, :, cache.length : column]
        logits = advance(torch.cat([tokens, tokens]) if guided else tokens)[:, :, 0]
        if guided:
            told, untold = logits.chunk(2)
            logits = untold + how.guidance * (told - untold)
        sequence[:, :, column] = torch.where(unknown[:, column], draw(logits, how), sequence[:, :, column])
        whole = column - last  # frames whose codes are all there
        if whole - said >= piece or whole == frames:
            yield torch.stack([sequence[:, k, 1 + delay + said : 1 + delay + whole] for k, delay in enumerate(delays)], dim=1)
            said = whole


def _stepper(decoder: Decoder, cache: Cache) -> Callable[[torch.Tensor], torch.Tensor]:
    """What takes tokens [B, K, S] to the logits of the last, [B, K, 1, cardinality]: the decoder itself, or on a GPU a graph of it for single steps."""
    if cache.keys.device.type != "cuda":
        return lambda tokens: decoder.advance(tokens, cache)
    graphed: list[GraphedStep] = []

    def advance(tokens: torch.Tensor) -> torch.Tensor:
        if tokens.shape[2] > 1:
            return decoder.advance(tokens, cache)
        if not graphed:
            graphed.append(GraphedStep(decoder, cache, tokens))
        return graphed[0](tokens)

    return advance


class GraphedStep:
    """One step of the decoder as a CUDA graph: captured once for a cache, replayed for every frame without Python or launches between."""

    def __init__(self, decoder: Decoder, cache: Cache, token: torch.Tensor) -> None:
        self.cache, self.token = cache, token.clone()
        self.position = torch.full((1,), cache.length, device=token.device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):  # writes the same place of the cache each time, as does the first replay
                decoder(self.token, cache=cache, at=self.position)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits = decoder(self.token, cache=cache, at=self.position)

    def __call__(self, token: torch.Tensor) -> torch.Tensor:
        """Logits of the next step, [B, K, 1, cardinality]."""
        self.token.copy_(token)
        self.position.fill_(self.cache.length)
        self.graph.replay()
        self.cache.length += 1
        return self.logits
