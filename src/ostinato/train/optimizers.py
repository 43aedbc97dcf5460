"""Optimisers: AdamW (Loshchilov & Hutter, 2019), or Muon (Jordan et al., 2024) for the matrices of the layers, or the kernels that a model names, with AdamW for
all else.

Muon makes a step's momentum orthogonal, with steps as large as AdamW's (Liu et al., 2025), so both take one learning rate. In short trainings from nothing it
needs half the steps and less (docs/log.md). Adapters are always AdamW's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from ostinato.params.blocks import Loop, Method, Schedule

BETAS = (0.9, 0.95)


def optimizer_for(model: Any, loop: Loop, plan: Schedule, method: Method | None) -> Any:
    """The optimiser of what is trained of a model."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inner = _for_muon(model, trained)
    if method is None or method.optimizer == "adamw" or method.lora or not inner:  # an adopted model has nothing that is trained
        return torch.optim.AdamW(groups(list(trained.values()), loop.weight_decay), lr=plan.lr, betas=BETAS)
    rest = [p for name, p in trained.items() if name not in inner]
    return Together(_muon(list(inner.values()), plan.lr, loop.weight_decay), torch.optim.AdamW(groups(rest, loop.weight_decay), lr=plan.lr, betas=BETAS))


def _for_muon(model: Any, trained: dict[str, torch.nn.Parameter]) -> dict[str, torch.nn.Parameter]:
    """The parameters that Muon trains: those that a model names (`kernels`), else the matrices of its layers."""
    if hasattr(model, "kernels"):
        return {name: trained[name] for name in sorted(model.kernels())}
    return {name: p for name, p in trained.items() if p.ndim == 2 and ".layers." in f".{name}"}


def _muon(parameters: list[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
    if parameters[0].device.type == "cpu":
        return MuonInFloat32(parameters, lr, weight_decay)
    return torch.optim.Muon(parameters, lr=lr, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")


class MuonInFloat32(torch.optim.Optimizer):
    """torch's Muon, with Newton and Schulz's iteration in float32: torch has it in bfloat16, which a CPU without instructions for it multiplies a hundred times
    slower, and then the optimiser takes longer than the model. Nesterov's momentum, steps as large as AdamW's. Kernels of convolutions, which torch's does not take, are matrices
    of [out, all that is summed]."""

    COEFFICIENTS, STEPS, MOMENTUM = (3.4445, -4.775, 2.0315), 5, 0.95

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step."""
        for group in self.param_groups:
            for parameter in (p for p in group["params"] if p.grad is not None):
                momentum = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - self.MOMENTUM)
                matrix = parameter.grad.lerp(momentum, self.MOMENTUM).flatten(1)
                update = orthogonal(matrix, self.COEFFICIENTS, self.STEPS).reshape(parameter.shape)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-0.2 * math.sqrt(max(matrix.shape)) * group["lr"])


def orthogonal(matrix: torch.Tensor, coefficients: tuple[float, float, float], steps: int) -> torch.Tensor:
    """A matrix [M, N] with its singular values brought near 1, by Newton and Schulz's iteration as Jordan et al. (2024) tuned it."""
    a, b, c = coefficients
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def groups(trained: list[torch.nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, gains and biases do not."""
    return [{"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay}, {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0}]


class Together:
    """Several optimisers as one."""

    def __init__(self, *optimizers: torch.optim.Optimizer) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of all."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        """One step of each."""
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """States of all."""
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
