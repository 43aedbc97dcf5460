"""An exponential moving average of what is trained, kept beside it (Polyak & Juditsky, 1992)."""

from __future__ import annotations

import torch


class Average:
    """`weights` holds the average of each trained parameter, by name; `decay` close to 1 remembers long."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.weights = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        self.outside: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters of this step in."""
        for name, parameter in self.trained.items():
            self.weights[name].lerp_(parameter, 1 - self.decay)

    @torch.no_grad()
    def move_in(self) -> None:
        """Put the average where the parameters were, until `move_out`."""
        self.outside = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        for name, parameter in self.trained.items():
            parameter.copy_(self.weights[name])

    @torch.no_grad()
    def move_out(self) -> None:
        """Put the parameters back."""
        for name, parameter in self.trained.items():
            parameter.copy_(self.outside[name])
        self.outside = {}
