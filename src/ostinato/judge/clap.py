"""How well a clip fits a text, by a model that learnt both from others' recordings and captions: the CLAP score.

CLAP (Wu et al., "Large-scale contrastive language-audio pretraining", ICASSP 2023) embeds texts and sounds in one space; the score is the cosine of the two, in percent
(Huang et al., "Make-An-Audio", ICML 2023). The model is a local folder in the layout of transformers (laion/clap-htsat-unfused, laion/larger_clap_music); nothing is fetched.

It knows instruments and moods and no chord names: what it says of a prompt is what it says of the instrument in it. Scores compare for one model alone, and only beside
those of the true renderings and of other prompts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from ostinato.files import UserError
from ostinato.lm.pretrained import quiet_transformers

if TYPE_CHECKING:
    import torch

#: What a folder must hold: at least one of each.
FILES = (("config.json",), ("model.safetensors", "pytorch_model.bin"), ("preprocessor_config.json", "processor_config.json"), ("tokenizer.json", "vocab.json"))
EXAMPLE = "laion/clap-htsat-unfused"


class Clap:
    """A CLAP model of a local folder, on the CPU.

    Raises:
        UserError: the folder is none, lacks a file or weights, or holds another model; says how to get one.
    """

    def __init__(self, folder: Path | str) -> None:
        self.model, self.processor = _load(Path(folder))
        self.rate = int(self.processor.feature_extractor.sampling_rate)
        self.longest = int(self.processor.feature_extractor.nb_max_samples)
        self._texts: dict[str, np.ndarray] = {}

    def text(self, text: str) -> np.ndarray:
        """The embedding of a text, of norm 1: float32 [d]. What was asked once is kept."""
        if text not in self._texts:
            self._texts[text] = self._pooled(self.model.get_text_features, self.processor.tokenizer([text], return_tensors="pt", truncation=True))
        return self._texts[text]

    def audio(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """The embedding of mono audio [T], of norm 1: float32 [d]. What is longer than the model hears at once is heard in equal pieces, whose embeddings are averaged.

        Left to itself transformers would crop long clips at random.
        """
        wave = soxr.resample(samples, rate, self.rate) if rate != self.rate else samples
        extractor = self.processor.feature_extractor
        pieces = [extractor(piece, sampling_rate=self.rate, return_tensors="pt") for piece in np.array_split(wave, -(-len(wave) // self.longest))]
        mean = np.mean([self._pooled(self.model.get_audio_features, piece) for piece in pieces], axis=0)
        return mean / np.linalg.norm(mean)

    def score(self, samples: np.ndarray, rate: int, text: str) -> float:
        """100 * the cosine of the embeddings of mono audio [T] and of a text: -100 to 100."""
        return 100 * float(self.text(text) @ self.audio(samples, rate))

    def _pooled(self, features: Any, inputs: Any) -> np.ndarray:
        import torch

        with torch.inference_mode():
            found: torch.Tensor = features(**inputs).pooler_output[0]
        return found.numpy()


def _load(folder: Path) -> tuple[Any, Any]:
    import transformers
    from safetensors import SafetensorError

    get = f"expected a CLAP model of transformers, as `hf download {EXAMPLE} --local-dir {folder}` brings it where there is a network"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {get}")
    if lacking := [" or ".join(names) for names in FILES if not any((folder / name).is_file() for name in names)]:
        raise UserError(f"{folder}: lacks {', '.join(lacking)}; {get}")
    try:
        with quiet_transformers():
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            if not isinstance(config, transformers.ClapConfig):
                raise UserError(f"{folder / 'config.json'}: is of model type '{config.model_type}'; {get}")
            loaded: Any = transformers.ClapModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
            processor = transformers.ClapProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot be loaded ({' '.join(str(error).split())[:160]}); {get}") from None
    model, told = loaded
    if missing := sorted(told["missing_keys"]):
        raise UserError(f"{folder}: its weights lack {len(missing)} of those of a CLAP model, {missing[0]} among them; {get}")
    return model.float().eval(), processor
