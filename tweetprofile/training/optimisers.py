"""Optimisers: Adam as in the paper, AdamW, and Muon for the convolutions of the default recipe.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") moves a weight
matrix by its orthogonalised momentum: all directions of the gradient count alike, whereas Adam
follows the few largest. A convolution is treated as a matrix of outputs x (inputs x kernel). AdamW
moves all other parameters. The steps are as large as those of AdamW (Liu et al. 2025, "Muon is
Scalable for LLM Training", section 2.2), so one learning rate serves both.

`torch.optim.Muon` (torch 2.13) computes the same step with `adjust_lr_fn="match_rms_adamw"`, but:

- It refuses parameters that do not have two dimensions, which all convolutions here do not have.
- It orthogonalises in bf16, which is slow on CPUs without such instructions, and with two products
  of the wide matrix per iteration; the implementation below needs two in all.
- It is a second optimiser in addition to AdamW, and stores `momentum_buffer` in place of `momentum`
  and `step`, so the state of a training that was interrupted under an earlier version could not be
  resumed, and a finished one would not be reproduced.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import nn

OptimiserName = Literal["adam", "adamw", "muon"]


def make_optimiser(
    name: OptimiserName, network: nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return an optimiser of a network's parameters, without weight decay of scales and biases.

    Args:
        name: The name of the optimiser.
        network: The network.
        learning_rate: The initial learning rate.
        weight_decay: The weight decay of AdamW and Muon.
    """
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
    """AdamW, except that groups with `orthogonal` are moved by orthogonalised momentum.

    Args:
        groups: The groups of parameters; those with `orthogonal` have two dimensions or more.
        learning_rate: The learning rate of all groups.
        momentum: The share of the mean gradient that a step keeps.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], learning_rate: float, momentum: float = 0.95
    ) -> None:
        super().__init__([{"orthogonal": False, **group} for group in groups], learning_rate)
        self._momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; parameters that Muon moves lose theirs."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"] if group["orthogonal"] else ():
                self._move(parameter, group)
                parameter.grad = None  # AdamW skips parameters without one
        super().step()

    def _move(self, parameter: nn.Parameter, group: Mapping[str, Any]) -> None:
        gradient = parameter.grad
        if gradient is None:
            return
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # AdamW expects it when a state is restored
        mean: torch.Tensor = state["momentum"].lerp_(gradient, 1 - self._momentum)
        # Nesterov momentum looks one step ahead of the mean.
        ahead = gradient.lerp(mean, self._momentum).flatten(1)
        step = orthogonalise(ahead) * (_RMS * max(ahead.shape) ** 0.5)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(step.view(parameter.shape), alpha=group["lr"])


_RMS = 0.2
"""The root mean square of the entries of a step, as large as AdamW's."""

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""The polynomial that drives singular values to about 1 fastest (Jordan et al. 2024)."""

_ITERATIONS = 5


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix with its singular values set to about 1 (0.7 to 1.2).

    Args:
        matrix: The matrix (rows, columns) to change by Newton-Schulz iterations.
    """
    a, b, c = _COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    # Each iteration multiplies by a polynomial of the Gram matrix. The polynomials commute, so
    # their product is computed from small square matrices, and the wide matrix is multiplied only
    # once, which takes a third of the time.
    gram = wide @ wide.T
    identity = torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
    gathered = identity
    for _ in range(_ITERATIONS):
        factor = a * identity + b * gram + c * gram @ gram
        gathered = factor @ gathered
        gram = factor @ gram @ factor
    near: torch.Tensor = gathered @ wide
    return near if matrix.shape[0] <= matrix.shape[1] else near.T
