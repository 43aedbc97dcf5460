"""Several pieces in the making, side by side in one decoder: rows of words of lengths of their own, each with what stands in front of it.

With guidance each row has a second half that is told nothing: logits = any + guidance * (told - any). Where a row fills what the model has learned to see at
once, it reads the last part of it again, from an onset on, as training windows begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ostinato.files import UserError
from ostinato.lm.midi_model import MidiModel
from ostinato.midi.tokens import TIME, Tokenizer

#: How much of a full context is read again; the rest is new.
KEPT_SHARE = 0.6


@dataclass(frozen=True)
class Request:
    """What the music shall be; None: anything."""

    composer: str | None = None
    genre: str | None = None
    programs: tuple[int, ...] | None = None

    def prefix(self, tokenizer: Tokenizer, begins: bool) -> list[int]:
        """What stands in front of the piece. Raises UserError for what the tokenizer has no word for."""
        return tokenizer.prefix(self.composer, self.genre, self.programs, begins)


ANYTHING = Request()


class Batch:
    """Rows that are told their requests; `logits` are of what follows each, guided, [rows, ids]."""

    def __init__(self, model: MidiModel, requests: Sequence[Request], guidance: float) -> None:
        self.model, self.guidance, self.count = model, guidance, len(requests)
        self.guided = guidance != 1 and any(request != ANYTHING for request in requests)
        self.requests = [*requests, *([ANYTHING] * len(requests) if self.guided else [])]
        for request in requests:
            if len(request.prefix(model.tokenizer, True)) > model.context // 2:
                raise UserError(f"programs: {len(request.programs or ())} leave no room in a context of {model.context} words; ask for fewer")
        self.cache = model.decoder.start(len(self.requests), model.context)
        self.lengths, self.last = [0] * len(self.requests), [0] * len(self.requests)
        self.raw = torch.zeros(len(self.requests), model.tokenizer.size)

    @property
    def logits(self) -> torch.Tensor:
        """Of what follows each row, [rows, ids]."""
        if not self.guided:
            return self.raw
        told, untold = self.raw.chunk(2)
        return untold + self.guidance * (told - untold)

    def read(self, rows: Sequence[int], words: Sequence[int] | np.ndarray) -> None:
        """Begin rows anew with the same words, or as many of the last as can be seen."""
        halves = [*rows, *([row + self.count for row in rows] if self.guided else [])]
        for request in dict.fromkeys(self.requests[row] for row in halves):
            ids = self._seen(request, np.asarray(words, np.int64))
            alone = self.model.decoder.start(1, len(ids))
            logits = self.model.decoder.advance(torch.tensor(ids)[None, None], alone)[:, 0, 0]
            same = [row for row in halves if self.requests[row] == request]
            self.cache.keys[:, same, :, : len(ids)] = alone.keys
            self.cache.values[:, same, :, : len(ids)] = alone.values
            self.raw[same] = logits
            for row in same:
                self.lengths[row], self.last[row] = len(ids), ids[-1]

    def _seen(self, request: Request, words: np.ndarray) -> list[int]:
        tokenizer = self.model.tokenizer
        prefix, ids = request.prefix(tokenizer, True), tokenizer.merged(words)
        if len(prefix) + len(ids) < self.model.context:
            return [*prefix, *map(int, ids)]
        room = int(KEPT_SHARE * self.model.context)
        return [*request.prefix(tokenizer, False), *window(tokenizer, words, room - len(prefix))]

    def say(self, words: Sequence[int], rows: Sequence[bool]) -> None:
        """One more id [rows] in each of the rows marked; the others wait."""
        halves = 1 + self.guided
        goes = list(rows) * halves
        self.last = [word if going else last for word, last, going in zip(list(words) * halves, self.last, goes)]
        at = [length if going else length - 1 for length, going in zip(self.lengths, goes)]
        decoder, tokens = self.model.decoder, torch.tensor(self.last)[:, None, None]
        if min(at) == max(at):
            self.cache.length = at[0]
            logits = decoder.advance(tokens, self.cache)[:, 0, 0]
        else:
            logits = decoder.advance(tokens, self.cache, torch.tensor(at))[:, 0, 0]
        self.raw = logits if all(goes) else torch.where(torch.tensor(goes)[:, None], logits, self.raw)
        self.lengths = [place + 1 for place in at]

    def full(self, row: int) -> bool:
        """Whether a row has no room for another word."""
        return max(self.lengths[row :: self.count]) >= self.model.context

    def become(self, ancestors: Sequence[int]) -> None:
        """Each row goes on from where its ancestor is; all are told the same."""
        sources = [ancestor + half * self.count for half in range(1 + self.guided) for ancestor in ancestors]
        moved = [(source, target) for target, source in enumerate(sources) if source != target]
        if not moved:
            return
        source, target = (list(rows) for rows in zip(*moved))
        for part in (self.cache.keys, self.cache.values):
            part[:, target, :, : max(self.lengths)] = part[:, source, :, : max(self.lengths)]
        self.raw = self.raw[sources]
        self.lengths, self.last = [self.lengths[row] for row in sources], [self.last[row] for row in sources]


def window(tokenizer: Tokenizer, words: np.ndarray, room: int) -> list[int]:
    """The ids of the last of single words, at most `room` of them, from an onset on, the program that plays named in front."""
    still = ~np.isin(tokenizer.kinds[words], TIME)
    starts = np.flatnonzero(still[1:] & ~still[:-1]) + 1
    first = len(words) - room * (4 if tokenizer.merges else 1)
    while True:
        later = starts[starts >= first]
        start = int(later[0]) if len(later) else max(0, len(words) - room // 4)
        named = words[:start][tokenizer.kinds[words[:start]] == "Program"][-1:]
        ids = tokenizer.merged(np.concatenate([named, words[start:]]))
        if len(ids) <= room or not len(later):
            return [int(i) for i in ids[-room:]]
        first = start + 1
