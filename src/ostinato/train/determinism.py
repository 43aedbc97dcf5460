"""The same bits again on a GPU, where that is asked for (`train.method.deterministic`).

On the CPU a run that goes on from a checkpoint ends with the very weights of an undisturbed one, always. On a GPU, without this, it ends with weights that differ
in what rounding leaves, since sums are then made in whatever order threads come: in the backward passes of attention (flash and memory-efficient kernels) and in products
whose workspace cuBLAS shares between streams; and T5 is asked about texts in other company (lm.t5), since what it had said is not in a checkpoint.

What else a step does is deterministic on CUDA when torch is told to be (read in torch 2.13's sources and documentation, run on no GPU): the gradients of
embeddings (`embedding_bag` by sum, `embedding`) and of logits taken by a mask are summed in sorted order, and the cross-entropy of rows [N, C] has no kernel that is not; only that of images
has. An operation that cannot be deterministic is an error. Between GPUs of different kinds, or versions of torch, nothing makes bits the same; nor between other numbers of processes.
"""

from __future__ import annotations

import os


def make_deterministic() -> None:
    """Have torch use deterministic algorithms alone in this process. To be called before CUDA is first used: cuBLAS reads its setting when it starts."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    import torch

    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a help in finding faults that costs a write of all memory; nothing here reads what it has not written
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
