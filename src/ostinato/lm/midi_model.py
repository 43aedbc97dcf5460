"""The MIDI GPT: the shared decoder with one stream of words, rotary positions and no text, and the tokenizer whose words it speaks.

A folder holds `state_dict.bin` (weights, and what they belong to) and `tokenizer.json`. They belong together: another tokenizer is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from ostinato.files import UserError, atomic
from ostinato.lm.decoder import Decoder
from ostinato.lm.pretrained import LM_FILE, read_package
from ostinato.lm.shape import Shape
from ostinato.midi.tokens import Tokenizer
from ostinato.params.midi import Gpt

LAYOUT = "ostinato.midi"
TOKENIZER_FILE = "tokenizer.json"


class MidiModel(nn.Module):
    """`decoder` says what follows each word; `params` are its size, `tokenizer` its words."""

    def __init__(self, params: Gpt, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.params, self.tokenizer = params, tokenizer
        self.decoder = Decoder(Shape(params.dim, params.layers, params.heads, 4 * params.dim, tokenizer.size, (0,), cross=False, rotary=True, dropout=params.dropout))

    @property
    def context(self) -> int:
        """How many words it has learned to see at once."""
        return self.params.context

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits [B, S, size] of what follows each of the words [B, S], which begin with a prefix (see midi.tokens)."""
        return self.decoder(ids[:, None])[:, 0]


def build_midi(params: Gpt, tokenizer: Tokenizer, seed: int) -> MidiModel:
    """A fresh model; weights depend on `seed` alone."""
    torch.manual_seed(seed)
    return MidiModel(params, tokenizer)


def save_midi(folder: Path, model: MidiModel) -> None:
    """Write model and tokenizer into `folder`, atomically, in 32-bit floats."""
    model.tokenizer.save(folder / TOKENIZER_FILE)
    config = {"layout": LAYOUT, "model": model.params.model_dump(), "tokenizer": model.tokenizer.fingerprint()}
    with atomic(folder / LM_FILE) as path:
        torch.save({"xp.cfg": json.dumps(config, sort_keys=True), "best_state": {name: value.float() for name, value in model.state_dict().items()}}, path)


def load_midi(folder: Path | str) -> MidiModel:
    """Load a model, in evaluation mode, on the CPU; its weights stay in the file, mapped, as those of `load_lm`.

    Raises:
        UserError: nothing to load there, a model of another kind, or a tokenizer that is not the one it was trained with.
    """
    path = Path(folder) / LM_FILE
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a folder with {LM_FILE} and {TOKENIZER_FILE}, as `ostinato midi-train` writes it")
    package = read_package(path)
    try:
        config = json.loads(package["xp.cfg"])
    except (json.JSONDecodeError, TypeError):
        config = {}
    if not isinstance(config, dict) or config.get("layout") != LAYOUT:
        raise UserError(f"{path}: expected a MIDI model of Ostinato, found another kind of model")
    tokenizer = Tokenizer.load(Path(folder) / TOKENIZER_FILE)
    if tokenizer.fingerprint() != config["tokenizer"]:
        raise UserError(f"{Path(folder) / TOKENIZER_FILE}: {tokenizer.size} words, not those the model in {path} was trained with; expected the tokenizer saved beside it")
    with torch.device("meta"):
        model = MidiModel(Gpt.model_validate(config["model"]), tokenizer)
    model.load_state_dict({name: value.float() for name, value in package["best_state"].items()}, assign=True)
    return model.eval()
