"""An exponential moving average of what is trained, kept beside it (Polyak & Juditsky, 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Average:
    """`weights` holds the average of each trained parameter, by name; `decay` close to 1 remembers long.

    At first it remembers shorter, a ninth of the steps so far or thereabouts: the random weights that it starts from would otherwise be most of it in a short training.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.weights = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        self.outside: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the parameters of a step in; the first is 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self.trained.items():
            self.weights[name].lerp_(parameter, 1 - decay)

    @contextmanager
    def moved_in(self) -> Iterator[None]:
        """The average stands where the parameters were while the block runs."""
        self.move_in()
        try:
            yield
        finally:
            self.move_out()

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
