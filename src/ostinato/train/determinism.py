"""The same bits again on a GPU, where that is asked for (`train.method.deterministic`).

On the CPU a run that goes on from a checkpoint ends with the very weights of an undisturbed one, always. On a GPU, without this, it ends with weights that
differ in what rounding leaves: sums are made in whatever order threads come, in the backward passes of attention (flash and memory-efficient kernels) and in
products whose workspace cuBLAS chooses; and T5 is asked about texts in other company (lm.t5), since what it had said is in no checkpoint.

With it, torch takes the kernels that it has for that: of attention, and of embeddings and logits taken by a mask, whose gradients are then summed in sorted
order. The cross-entropy of rows [N, C] is deterministic as it is; that of images is not. An operation that cannot be is an error. This was read in torch 2.13's
documentation; no GPU was at hand. Nothing makes bits the same between kinds of GPU, versions of torch, or numbers of processes.
"""

from __future__ import annotations

import os


def make_deterministic() -> None:
    """Have torch use deterministic algorithms alone in this process. To be called before CUDA is first used: cuBLAS reads its setting when it starts."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    import torch

    torch.use_deterministic_algorithms(True)
    # a help in finding faults that costs a write of all memory; nothing here reads what it has not written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch makes it when it runs
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
