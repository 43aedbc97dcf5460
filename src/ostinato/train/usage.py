"""Where a training process runs, and what it takes of its machine: for events.jsonl, and from there for MLflow.

Memory in GiB; processor in percent of one core, of this process with all its threads, since it was last asked; the GPU's utilisation is that of the
whole device, whoever uses it. What a machine does not tell is left out.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import Any

import psutil

log = logging.getLogger(__name__)


def whereabouts() -> dict[str, Any]:
    """What an attempt at a run notes first: the time (s since 1970), the node, Slurm's job (None outside; `12_3` in an array), its restarts."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return {
        "at": round(time.time(), 2),
        "node": socket.gethostname(),
        "job": f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID"),
        "restart": int(os.environ.get("SLURM_RESTART_COUNT", 0)),
    }


class Usage:
    """What this process takes of its machine."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.process.cpu_percent()  # the first call only starts the clock
        self.gpu_tells = True

    def read(self) -> dict[str, float]:
        """`rss_gib`, `cpu_percent`, and on a GPU `gpu_gib`, the most memory held so far, and `gpu_percent`."""
        return {"rss_gib": round(self.process.memory_info().rss / 2**30, 3), "cpu_percent": round(self.process.cpu_percent(), 1), **self._gpu()}

    def _gpu(self) -> dict[str, float]:
        import torch

        if not torch.cuda.is_available():
            return {}
        percent = self._gpu_percent() if self.gpu_tells else {}
        return {"gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2), **percent}

    def _gpu_percent(self) -> dict[str, float]:
        """NVML's figure, through nvidia-ml-py; drivers, a part of a GPU (MIG) and containers may refuse it, and no training ends for that."""
        import torch

        try:
            return {"gpu_percent": float(torch.cuda.utilization())}
        except Exception as error:  # ModuleNotFoundError, RuntimeError, or NVML's own errors, which only exist where it is installed
            self.gpu_tells = False
            log.info("the GPU's utilisation is not recorded: %s", error)
            return {}
