"""Optimisers: Adam as the paper has it, AdamW, and Muon for what the default recipe trains.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") moves a weight
matrix by its momentum made orthogonal: all directions in which the gradient points count alike,
where Adam follows the few largest. Convolutions are taken as matrices of outputs x (inputs x
kernel); everything else is AdamW's. Steps have the size of AdamW's (Liu et al. 2025, "Muon is
Scalable for LLM Training", section 2.2), so that one learning rate serves both.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import nn

OptimiserName = Literal["adam", "adamw", "muon"]


def make_optimiser(
    name: OptimiserName, network: nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimiser of a network's parameters; scales and biases are never decayed."""
    parameters = list(network.parameters())
    if name == "adam":
        return torch.optim.Adam(parameters, learning_rate)
    of_convolutions = [each for each in parameters if each.ndim > 2]
    matrices = [each for each in parameters if each.ndim == 2]
    vectors = [each for each in parameters if each.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": of_convolutions, "weight_decay": weight_decay, "orthogonal": name == "muon"},
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return Muon(groups, learning_rate)


class Muon(torch.optim.AdamW):
    """AdamW that moves the parameters of groups with `orthogonal` by orthogonal momentum.

    Args:
        groups: of parameters; those that are to be orthogonal have two dimensions or more.
        learning_rate: of all.
        momentum: share of the mean of gradients that a step keeps.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], learning_rate: float, momentum: float = 0.95
    ) -> None:
        super().__init__([{"orthogonal": False, **group} for group in groups], learning_rate)
        self._momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient, which those moved by Muon lose."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"] if group["orthogonal"] else ():
                self._move(parameter, group)
                parameter.grad = None  # AdamW passes over what has none
        super().step()

    def _move(self, parameter: nn.Parameter, group: Mapping[str, Any]) -> None:
        gradient = parameter.grad
        if gradient is None:
            return
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # which AdamW looks for when it is restored
        mean: torch.Tensor = state["momentum"].lerp_(gradient, 1 - self._momentum)
        # Nesterov's: a step further than the mean is.
        ahead = gradient.lerp(mean, self._momentum).flatten(1)
        step = orthogonalise(ahead) * (_RMS * max(ahead.shape) ** 0.5)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(step.view(parameter.shape), alpha=group["lr"])


_RMS = 0.2
"""Of the entries of a step, as those of AdamW's are."""

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial that drives singular values to about 1 fastest (Jordan et al. 2024)."""

_ITERATIONS = 5


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with its singular values made about 1 (0.7 to 1.2), by Newton-Schulz iterations.

    Args:
        matrix: (rows, columns) float.
    """
    a, b, c = _COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    # Each iteration multiplies by a polynomial of the Gram matrix. These commute, so they are
    # gathered among small square matrices; the wide one is multiplied once (a third of the time).
    gram = wide @ wide.T
    identity = torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
    gathered = identity
    for _ in range(_ITERATIONS):
        factor = a * identity + b * gram + c * gram @ gram
        gathered = factor @ gathered
        gram = factor @ gram @ factor
    near: torch.Tensor = gathered @ wide
    return near if matrix.shape[0] <= matrix.shape[1] else near.T
