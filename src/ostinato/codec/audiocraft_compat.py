"""audiocraft 1.3.0 beside a current torch, and imported in a quarter of the time.

Two kinds of stand-ins stand in `sys.modules` while audiocraft is imported:

- for what is not installed and, as used here, not needed. xformers: only `ops.unbind` is called with the torch attention backend.
  spacy: only by a tokenizer nobody here asks for. torchaudio: only by losses and metrics of the codec's own training; PyPI's torchaudio
  is a CUDA build that breaks a CPU torch. Asking anything else of them raises, naming the library.
- for what is installed but rarely used and slow: transformers, librosa's filters and audiocraft's own solvers cost 15 of 19 CPU seconds
  at every start. Their names become proxies that import the real thing when first used (T5 does, when a T5 is asked for).

Import audiocraft through `import_audiocraft()` and nowhere else.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

#: Not installed: module -> names that audiocraft imports from it.
ABSENT: dict[str, tuple[str, ...]] = {
    "torchaudio": (),
    "torchaudio.transforms": ("MelSpectrogram",),
    "xformers": (),
    "xformers.ops": ("memory_efficient_attention", "LowerTriangularMask"),
    "spacy": (),
}
#: Installed, but deferred: module -> names that audiocraft imports from it.
DEFERRED: dict[str, tuple[str, ...]] = {
    "transformers": ("T5EncoderModel", "T5Tokenizer", "EncodecModel", "RobertaTokenizer"),
    "librosa": ("filters",),
    "librosa.filters": (),
    "audiocraft.solvers": (),
    "audiocraft.solvers.compression": ("CompressionSolver",),
}


def import_audiocraft(module: str = "audiocraft") -> Any:
    """Import `audiocraft` or one of its modules."""
    if "audiocraft" not in sys.modules:
        _import_first()
    return importlib.import_module(module)


def _import_first() -> None:
    import torch

    for name, members in ABSENT.items():
        if find_spec(name.split(".")[0]) is None or isinstance(sys.modules.get(name.split(".")[0]), _Absent):
            _install(_Absent(name), {member: type(member, (), {}) for member in members})
    if isinstance(sys.modules.get("xformers"), _Absent):
        sys.modules["xformers.ops"].unbind = torch.unbind  # type: ignore[attr-defined]
    deferred = [name for name in DEFERRED if name not in sys.modules]
    for name in deferred:
        _install(ModuleType(name), {member: _Deferred(name, member) for member in DEFERRED[name]})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch.nn.utils.weight_norm, deprecated but present
            importlib.import_module("audiocraft.models")
    finally:
        for name in deferred:
            stand_in, (parent, _, child) = sys.modules.pop(name), name.rpartition(".")
            if vars(sys.modules.get(parent, stand_in)).get(child) is stand_in:  # in a package that is there, what is imported later would find it
                delattr(sys.modules[parent], child)


def _install(module: ModuleType, members: dict[str, Any]) -> None:
    module.__spec__ = ModuleSpec(module.__name__, None)
    module.__path__ = []
    for member, value in members.items():
        setattr(module, member, value)
    sys.modules[module.__name__] = module
    parent, _, child = module.__name__.rpartition(".")
    if isinstance(sys.modules.get(parent), ModuleType):
        setattr(sys.modules[parent], child, module)


class _Absent(ModuleType):
    """A library that is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ImportError(
            f"audiocraft asked for {self.__name__}.{name}, but {self.__name__.split('.')[0]} is not installed; Ostinato does not use the part of audiocraft that needs it"
        )


class _Deferred:
    """A name of a module that is imported when the name is first used."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _real(self) -> Any:
        return getattr(importlib.import_module(self._module), self._name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._real(), attribute)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)
