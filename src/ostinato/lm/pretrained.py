"""MusicGen as others publish it: where its files are, what its configuration says, and a configuration of that kind for models of ours.

A name is a local folder, or a repository of the model hub such as facebook/musicgen-small. Only what our decoder computes exactly is loaded; anything
else in a configuration is refused by name.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ostinato.files import UserError
from ostinato.lm.shape import Shape

LM_FILE = "state_dict.bin"
CODEC_FILE = "compression_state_dict.bin"
#: Adapters alone, in a folder beside the model they are merged into; only models trained with `lora` have them.
ADAPTER = "adapter"
#: Of what T5 says of texts so much is kept, the latest, bytes of the host's memory: 5,000 texts of 16 words by T5-base.
KEPT_TEXTS = 2**28
#: The published sizes (Copet et al., 2023): width, layers, heads.
SIZES = {"small": (1024, 24, 16), "medium": (1536, 48, 24), "large": (2048, 48, 32)}
#: What our decoder computes, in the words of audiocraft's section transformer_lm. A key that is absent has audiocraft's default, which these are.
SUPPORTED: dict[str, tuple[Any, ...]] = {
    "causal": (True,),
    "norm_first": (True,),
    "norm": ("layer_norm",),
    "activation": ("gelu",),
    "bias_proj": (False,),
    "bias_ff": (False,),
    "bias_attn": (False,),
    "positional_embedding": ("sin",),
    "xpos": (False,),
    "qk_layer_norm": (False,),
    "qk_layer_norm_cross": (False,),
    "past_context": (None,),
    "layer_scale": (None,),
    "kv_repeat": (1,),
    "positional_scale": (1, 1.0),
    "two_step_cfg": (False,),
    "max_period": (10000,),
}
#: audiocraft's own defaults where they are not what we compute: absent means refused.
MUST_BE_SAID = {"norm_first": False, "bias_proj": True, "bias_ff": True, "bias_attn": True, "causal": False}


def locate(source: Path | str, file: str) -> Path:
    """A file of a model: in a local folder, or of a repository on the hub, from the cache if it is there.

    Raises:
        UserError: there is no such file; says which to bring, and where to put them.
    """
    folder = Path(source)
    if folder.is_dir() or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        if (folder / file).is_file():
            return folder / file
        raise UserError(f"{folder / file}: no such file; expected a model folder with {LM_FILE} and {CODEC_FILE}, as audiocraft exports them")
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(str(source), file))
    except (OSError, ValueError) as error:  # what huggingface_hub raises for no network, no cache, no such repository, a name that is none
        raise UserError(
            f"{source}: no such folder here, and {file} is neither cached nor reachable on the model hub; where there is a network, run "
            f"`hf download {source} {LM_FILE} {CODEC_FILE}`, put the two files into a folder and name that folder "
            f"({' '.join(str(error).split())[:120]})"
        ) from None


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Within the block transformers loads a model without a word; what goes wrong is raised, and said by whoever asked."""
    import transformers

    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()


def pretrained_bytes(source: str) -> int:
    """What a pretrained model's weights take in 32 bits, bytes; without torch, and without fetching anything: 0 where that cannot be known.

    A published size is known by its name; of a folder, the file's size tells, and its pickle in which floats it is.
    """
    folder, name = Path(source), source.rpartition("musicgen-")[2]
    if (folder / LM_FILE).is_file():
        return (folder / LM_FILE).stat().st_size * (2 if _is_half(folder / LM_FILE) else 1)
    if name not in SIZES:
        return 0
    dim, layers, _ = SIZES[name]
    return 4 * (16 * layers * dim**2 + 2 * 4 * 2048 * dim)


def _is_half(path: Path) -> bool:
    """Whether what torch saved holds 16-bit floats, as the published models do."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return any(kind in archive.read(name) for name in pickles for kind in (b"HalfStorage", b"BFloat16Storage"))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What torch saved in a file: a mapping, its tensors on the CPU and read when they are used. Raises UserError when it is none."""
    import torch

    try:
        package = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises whatever its unpickler and its zip reader do
        raise UserError(f"{path}: not a checkpoint that torch can read ({' '.join(str(error).split())[:160]})") from None
    if not isinstance(package, dict):
        raise UserError(f"{path}: expected xp.cfg and best_state, as audiocraft exports them, found {type(package).__name__}")
    return package


def read_package(path: Path) -> dict[str, Any]:
    """The content of a `state_dict.bin`. Raises UserError when it is none."""
    package = read_checkpoint(path)
    if not {"xp.cfg", "best_state"} <= package.keys():
        raise UserError(f"{path}: expected xp.cfg and best_state, as audiocraft exports them, found {', '.join(map(str, package))[:160]}")
    return package


def is_ours(source: Path | str) -> bool:
    """Whether a model is told by chords, through Ostinato's own text encoder: what its configuration says, without its weights. Others are given free text."""
    config: Any = read_checkpoint(locate(source, LM_FILE)).get("xp.cfg")
    try:
        return isinstance(json.loads(config), dict)  # ours is JSON, audiocraft's YAML
    except (TypeError, ValueError):
        return False


def read_config(text: str, where: Any) -> tuple[Shape, str, float]:
    """The decoder's shape, the name of the T5, and how many seconds the model was trained on, of audiocraft's `xp.cfg` (YAML).

    Raises:
        UserError: it is no such configuration, or asks for what is not supported.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        config: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        lm = config["transformer_lm"]
        conditioners = {name: value for name, value in config["conditioners"].items() if name != "args"}
        if config.get("lm_model") != "transformer_lm":
            raise UserError(f"{where}: lm_model is {config.get('lm_model')!r}; supported is transformer_lm, MusicGen's")
        _refuse(lm, conditioners, config, where)
        delays = (config.get("codebooks_pattern") or {}).get("delay", {}).get("delays", range(lm["n_q"]))
        shape = Shape(lm["dim"], lm["num_layers"], lm["num_heads"], int(lm["hidden_scale"] * lm["dim"]), lm["card"], tuple(delays), dropout=lm.get("dropout") or 0.0)
        return shape, conditioners["description"]["t5"]["name"], float(config["dataset"]["segment_duration"])
    except (KeyError, TypeError, AttributeError, YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{where}: xp.cfg is no configuration of audiocraft's MusicGen ({type(error).__name__}: {' '.join(str(error).split())[:120]})") from None


def _refuse(lm: dict[str, Any], conditioners: dict[str, Any], config: dict[str, Any], where: Any) -> None:
    if set(conditioners) != {"description"} or conditioners["description"]["model"] != "t5":
        kinds = ", ".join(f"{name} ({value.get('model')})" for name, value in conditioners.items())
        raise UserError(f"{where}: is conditioned on {kinds or 'nothing'}; supported are models told by a text alone, through T5: the melody and style variants are not")
    if (config.get("interleave_stereo_codebooks") or {}).get("use"):
        raise UserError(f"{where}: is a stereo model; supported are mono models")
    pattern = config.get("codebooks_pattern") or {}
    if pattern.get("modeling", "delay") != "delay" or any(pattern.get("delay", {}).get(name) for name in ("flatten_first", "empty_initial")):
        raise UserError(f"{where}: codebooks_pattern is {pattern}; supported is modeling 'delay' without flatten_first and empty_initial")
    for name, values in SUPPORTED.items():
        value = lm.get(name, MUST_BE_SAID.get(name, values[0]))
        if value not in values:
            raise UserError(f"{where}: transformer_lm.{name} is {value!r}; supported is {values[0]!r}")


def config_like(shape: Shape, t5: str, seconds: float = 30.0) -> str:
    """What audiocraft would write as `xp.cfg` of a MusicGen of that shape: enough for its own loaders and for ours."""
    import yaml

    lm = {name: values[0] for name, values in SUPPORTED.items() if name != "max_period"}
    lm |= {
        "n_q": shape.codebooks,
        "card": shape.cardinality,
        "dim": shape.dim,
        "num_heads": shape.heads,
        "num_layers": shape.layers,
        "hidden_scale": shape.hidden // shape.dim,
        "dropout": shape.dropout,
        "custom": False,
        "memory_efficient": True,
        "cross_attention": True,
    }
    return yaml.safe_dump(
        {
            "lm_model": "transformer_lm",
            "device": "cpu",
            "dtype": "float32",
            "dataset": {"segment_duration": seconds},
            "transformer_lm": lm,
            "codebooks_pattern": {"modeling": "delay", "delay": {"delays": list(shape.delays)}},
            "attribute_dropout": {},
            "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
            "interleave_stereo_codebooks": {"use": False},
            "conditioners": {"args": {}, "description": {"model": "t5", "t5": {"name": t5, "finetune": False, "word_dropout": 0.3, "normalize_text": False}}},
            "fuser": {"cross": ["description"], "sum": [], "prepend": [], "input_interpolate": [], "cross_attention_pos_emb": False, "cross_attention_pos_emb_scale": 1},
        },
        sort_keys=False,
    )
