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

A GPU computes a step faster than Python can launch its operations one by one. Each operation here
therefore covers all parameters at once, or all matrices of one size.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
        return torch.optim.Adam(parameters, learning_rate, fused=_fused(parameters))
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
        groups = [{"orthogonal": False, **group} for group in groups]
        parameters = [each for group in groups for each in group["params"]]
        super().__init__(groups, learning_rate, fused=_fused(parameters))
        self._momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; parameters that Muon moves lose theirs."""
        assert closure is None
        for group in self.param_groups:
            parameters = [each for each in group["params"] if each.grad is not None]
            if group["orthogonal"] and parameters:
                self._move(parameters, group)
                for parameter in parameters:
                    parameter.grad = None  # AdamW skips parameters without one
        super().step()

    def _move(self, parameters: Sequence[nn.Parameter], group: Mapping[str, Any]) -> None:
        gradients = [each.grad for each in parameters if each.grad is not None]
        means = [self._mean_of(each) for each in parameters]
        torch._foreach_lerp_(means, gradients, 1 - self._momentum)
        # Nesterov momentum looks one step ahead of the mean.
        ahead = torch._foreach_lerp(gradients, means, self._momentum)
        last = [_is_channels_last(each) for each in parameters]
        matrices = [
            (each.movedim(1, -1) if is_last else each).flatten(1)
            for each, is_last in zip(ahead, last, strict=True)
        ]
        steps = orthogonalise(matrices, _SMALLEST_ON_GPU if parameters[0].is_cuda else 1)
        torch._foreach_mul_(steps, [_RMS * max(each.shape) ** 0.5 for each in matrices])
        shaped = [
            step.view_as(each.movedim(1, -1)).movedim(-1, 1) if is_last else step.view_as(each)
            for step, each, is_last in zip(steps, parameters, last, strict=True)
        ]
        torch._foreach_mul_(list(parameters), 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(list(parameters), shaped, alpha=-group["lr"])

    def _mean_of(self, parameter: nn.Parameter) -> torch.Tensor:
        """Return the mean gradient of a parameter, which begins at 0."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # AdamW expects it when a state is restored
        mean: torch.Tensor = state["momentum"]
        return mean


def _fused(parameters: Sequence[nn.Parameter]) -> bool | None:
    """Return whether AdamW moves all parameters in one operation, as it does on a GPU."""
    return True if all(each.is_cuda for each in parameters) else None


def _is_channels_last(parameter: torch.Tensor) -> bool:
    """Return whether a convolution's inputs are last in memory, where a matrix needs no copy."""
    return parameter.movedim(1, -1).is_contiguous()


_RMS = 0.2
"""The root mean square of the entries of a step, as large as AdamW's."""

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""The polynomial that drives singular values to about 1 fastest (Jordan et al. 2024)."""

_ITERATIONS = 5

_SMALLEST_ON_GPU = 128
"""Matrices of fewer rows are padded to this size on a GPU, which multiplies them as fast as smaller
ones. As one batch, they take a fifth of the launches."""


def orthogonalise(matrices: Sequence[torch.Tensor], smallest: int = 1) -> list[torch.Tensor]:
    """Return matrices with their singular values set to about 1 (0.7 to 1.2).

    Args:
        matrices: The matrices (rows, columns) to change by Newton-Schulz iterations.
        smallest: The smallest size of the square matrices that are computed with.
    """
    by_size: dict[int, list[int]] = {}
    for number, matrix in enumerate(matrices):
        by_size.setdefault(max(smallest, min(matrix.shape)), []).append(number)
    near: dict[int, torch.Tensor] = {}
    for size, numbers in by_size.items():
        factors = _factors([matrices[number] for number in numbers], size)
        for number, factor in zip(numbers, factors, strict=True):
            matrix, side = matrices[number], min(matrices[number].shape)
            own = factor[:side, :side]
            is_wide = matrix.shape[0] == side
            near[number] = own @ matrix if is_wide else matrix @ own.T
    return [near[number] for number in range(len(matrices))]


def _factors(matrices: Sequence[torch.Tensor], size: int) -> torch.Tensor:
    """Return square matrices (matrices, size, size) whose products with the matrices are sought.

    Each iteration multiplies by a polynomial of the Gram matrix. The polynomials commute, so their
    product is computed from small square matrices, and the wide matrix is multiplied only once,
    which takes a third of the time. Rows and columns of zeros, which fill a Gram matrix up to
    `size`, stay apart from the others.
    """
    a, b, c = _COEFFICIENTS
    gram = matrices[0].new_zeros(len(matrices), size, size)
    for matrix, target in zip(matrices, gram, strict=True):
        wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        torch.mm(wide, wide.T, out=target[: len(wide), : len(wide)])
    norm = gram.diagonal(dim1=1, dim2=2).sum(1).sqrt_()[:, None, None]
    scale = norm.add_(1e-7).reciprocal_()
    gram.mul_(scale.square())
    identity = torch.eye(size, dtype=gram.dtype, device=gram.device).expand_as(gram)
    gathered = scale * identity
    for left in reversed(range(_ITERATIONS)):
        # The polynomial is `rest` and a times the identity, which is not multiplied by.
        rest = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        gathered = torch.baddbmm(gathered, rest, gathered, beta=a)
        if left:
            gram = torch.baddbmm(gram, rest, gram, beta=a)
            gram = torch.baddbmm(gram, gram, rest, beta=a)
    return gathered
