"""The text encoder of pretrained MusicGen: a frozen T5 of transformers and a trained projection, as audiocraft's T5Conditioner computes it.

T5 is not part of a MusicGen checkpoint: it comes from transformers' cache, the hub, or a local folder. What it says of a text does not change while
the projection is trained, so it is asked once for each distinct text. The answers are kept in the host's memory, where there is room: of a text some 50 KB go to
the GPU and are gone with their batch.

On the CPU texts are asked one at a time, so that an answer depends neither on the texts beside it nor on who asked first: a run that goes on has to ask again what
it had kept. On a GPU that would be slow, and those of a batch that are equally long, so that none is padded, are asked together; the last bits of an answer then
depend on how many they are, unless torch is to be deterministic (train.determinism).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ostinato.files import UserError
from ostinato.lm.pretrained import KEPT_TEXTS, quiet_transformers


class T5Text(nn.Module):
    """Texts (None: no condition) to features [B, L, dim], zeros where there is no word."""

    tokenizer: Any
    encoder: Any
    kept: OrderedDict[str, torch.Tensor]
    room: int

    def __init__(self, name: str, dim: int) -> None:
        super().__init__()
        tokenizer, encoder = _load(name)
        self.name = name
        self.output_proj = nn.Linear(encoder.config.d_model, dim)
        # not modules: frozen, and no part of the checkpoint
        self.__dict__.update(tokenizer=tokenizer, encoder=encoder.requires_grad_(False).eval(), kept=OrderedDict(), room=KEPT_TEXTS)

    def forward(self, texts: list[str | None]) -> torch.Tensor:
        """Project what T5 says of each text; rows are padded to the longest."""
        known = self._encodings([text for text in dict.fromkeys(texts) if text])
        rows = [known[text] if text else torch.zeros(0, self.output_proj.in_features) for text in texts]
        longest = max(1, *(len(row) for row in rows))
        padded = torch.stack([nn.functional.pad(row, (0, 0, 0, longest - len(row))) for row in rows]).to(self.output_proj.weight)
        mask = torch.tensor([[k < len(row) for k in range(longest)] for row in rows], device=padded.device)
        return self.output_proj(padded) * mask[..., None]

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> T5Text:
        """T5 follows the projection to its device, but not to its precision."""
        super()._apply(fn, recurse)
        self.encoder.to(self.output_proj.weight.device)
        return self

    def _encodings(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """What T5 says of each of some distinct texts, [L, width] on the CPU; what is new is kept, as long as there is room."""
        words = {text: self.tokenizer([text])["input_ids"][0] for text in texts if text not in self.kept}
        new = {text: row for group in self._groups(words) for text, row in zip(group, self._encode([words[text] for text in group]))}
        found = {text: new[text] if text in new else self.kept[text] for text in texts}  # before any of them makes room
        self.kept.update(new)
        self.room -= sum(row.nbytes for row in new.values())
        while self.room < 0:
            self.room += self.kept.popitem(last=False)[1].nbytes
        return found

    def _groups(self, words: dict[str, list[int]]) -> Iterator[list[str]]:
        """Texts that are asked together (see the module)."""
        if self.encoder.device.type == "cpu" or torch.are_deterministic_algorithms_enabled():
            yield from ([text] for text in words)
            return
        for length in sorted({len(ids) for ids in words.values()}):
            yield [text for text, ids in words.items() if len(ids) == length]

    @torch.no_grad()
    def _encode(self, words: list[list[int]]) -> list[torch.Tensor]:
        """What T5 says of texts of equally many words, in 32 bits: [L, width] each, on the CPU, apart, so that one can be let go alone."""
        ids = torch.tensor(words, device=self.encoder.device)
        with torch.autocast(ids.device.type, enabled=False):
            said = self.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return [row.clone() for row in said.cpu()]


def _load(name: str) -> tuple[Any, Any]:
    import transformers

    try:
        with quiet_transformers():
            return transformers.T5Tokenizer.from_pretrained(name), transformers.T5EncoderModel.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise UserError(
            f"text encoder {name}: neither a folder here, nor cached, nor reachable on the model hub; where there is a network, run "
            f"`hf download {name}` and bring the cache (set HF_HOME to it) ({' '.join(str(error).split())[:160]})"
        ) from None
