"""What this process computes on. The last bits of weights and demos depend on it, so it is recorded with them."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: What is recorded; results are the same bit for bit only where all of it is.
DECISIVE = ("device", "precision", "torch")


def machine(device: str, precision: str) -> dict[str, Any]:
    """`device`, the name of a GPU or processor; `precision`, as it is given; and the version of `torch`.

    Args:
        device: as torch calls it, such as cpu or cuda:1. precision: fp32 or bf16, of computation.
    """
    import torch

    return {"device": torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor(), "precision": precision, "torch": torch.__version__}


def _processor() -> str:
    """The processor's name, and which instructions torch uses of it, which decide how sums are rounded."""
    import torch

    listed = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", listed.read_text(errors="replace"), re.MULTILINE) if listed.is_file() else None
    return f"{found[1].strip() if found else platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def trained_on(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a training's summary (`done.json`) says of its machines, for a sidecar; nothing, where it was written before that was recorded."""
    return {name: summary[name] for name in (*DECISIVE, "processes", "commit") if name in summary}


def difference(made: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In words, how what something was made on differs from what is here; empty where it does not, or was not recorded."""
    return "; ".join(f"{name} {made[name]}, here {here[name]}" for name in DECISIVE if made.get(name) and made[name] != here[name])
