"""The text encoder of pretrained MusicGen: a frozen T5 of transformers and a trained projection, as audiocraft's T5Conditioner computes it.

T5 is not part of a MusicGen checkpoint: it comes from transformers' cache, the hub, or a local folder. What it says of a text does not change while
the projection is trained, so it is asked once for each distinct text.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict

import torch
from torch import nn

from ostinato.files import UserError

#: Texts whose encodings are kept, the latest; about 60 KB each of T5-base.
KEPT = 4096


class T5Text(nn.Module):
    """Texts (None: no condition) to features [B, L, dim], zeros where there is no word."""

    def __init__(self, name: str, dim: int) -> None:
        super().__init__()
        tokenizer, encoder = _load(name)
        self.name = name
        self.output_proj = nn.Linear(encoder.config.d_model, dim)
        # not modules: frozen, and no part of the checkpoint
        self.__dict__.update(tokenizer=tokenizer, encoder=encoder.requires_grad_(False).eval(), kept=OrderedDict())

    def forward(self, texts: list[str | None]) -> torch.Tensor:
        """Project what T5 says of each text; rows are padded to the longest."""
        rows = [self._encoding(text) if text else torch.zeros(0, self.output_proj.in_features, device=self.output_proj.weight.device) for text in texts]
        longest = max(1, *(len(row) for row in rows))
        padded = torch.stack([nn.functional.pad(row, (0, 0, 0, longest - len(row))) for row in rows]).to(self.output_proj.weight)
        mask = torch.tensor([[k < len(row) for k in range(longest)] for row in rows], device=padded.device)
        return self.output_proj(padded) * mask[..., None]

    def _apply(self, fn, recurse: bool = True) -> T5Text:
        """T5 follows the projection to its device, but not to its precision."""
        super()._apply(fn, recurse)
        self.encoder.to(self.output_proj.weight.device)
        return self

    @torch.no_grad()
    def _encoding(self, text: str) -> torch.Tensor:
        # one at a time and in 32 bits: what is kept depends neither on the texts beside it nor on who asked first
        if text not in self.kept:
            device = self.encoder.device
            words = self.tokenizer([text], return_tensors="pt").to(device)
            with torch.autocast(device.type, enabled=False):
                self.kept[text] = self.encoder(input_ids=words["input_ids"], attention_mask=words["attention_mask"]).last_hidden_state[0]
            if len(self.kept) > KEPT:
                self.kept.popitem(last=False)
        return self.kept[text]


def _load(name: str) -> tuple:
    import transformers

    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return transformers.T5Tokenizer.from_pretrained(name), transformers.T5EncoderModel.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise UserError(f"text encoder {name}: neither a folder here, nor cached, nor reachable on the model hub; where there is a network, run "
                        f"`hf download {name}` and bring the cache (set HF_HOME to it) ({' '.join(str(error).split())[:160]})") from None
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()
