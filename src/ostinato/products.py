"""Matrix products of whole batches on the CPU: three quarters of a training's time, and much of a judgement's.

torch asks MKL for products in float32, and on CPUs that are not Intel's MKL leaves half of each 512-bit register alone: 100 GFLOP/s a core of an AMD EPYC of 2024, where
oneDNN, which torch brings as well, does 235. torch has no word for "by oneDNN"; it goes there when it is allowed to compute in bfloat16. oneDNN then does so where the
CPU has instructions for whole matrices (AMX), and is left alone there, since `precision: fp32` says otherwise; elsewhere it computes in float32, to the same error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

#: Up to so many steps attention is faster as product, softmax, product of all: torch's kernel for CPUs has it in small blocks, for each of which oneDNN is set up anew
#: (254 steps: 470 ms in place of 610 for a step of the demo's audio model; 1024 of its MIDI GPT: 480 in place of 196).
SHORT = 512


@contextmanager
def fast_products(device: torch.device | str) -> Iterator[None]:
    """Within the block, products of float32 are oneDNN's where that is exact; on a GPU, and on a CPU for which oneDNN has nothing else, nothing changes."""
    setting = _setting()
    before = setting.fp32_precision
    try:
        if torch.device(device).type == "cpu" and torch.backends.mkldnn.is_available():
            setting.fp32_precision = "bf16"
            setting.fp32_precision = "bf16" if is_exact() else before
        yield
    finally:
        setting.fp32_precision = before


def _setting() -> Any:
    """torch's word on products of float32 by oneDNN, of which its types do not know."""
    return torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


def is_exact() -> bool:
    """Whether a product of float32 keeps digits that bfloat16 has not."""
    fine = torch.full((64, 64), 1 + 2**-12)
    return torch.equal(fine @ torch.eye(64), fine)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, seen: torch.Tensor | None, dropout: float, causal: bool = False) -> torch.Tensor:
    """torch's scaled-dot-product attention, [B, heads, S, D] to the like; within `fast_products` the plain way where that is faster."""
    plain = query.is_cpu and query.shape[2] <= SHORT and _setting().fp32_precision == "bf16"
    with sdpa_kernel(SDPBackend.MATH) if plain else nullcontext():
        return functional.scaled_dot_product_attention(query, key, value, seen, dropout, causal)
