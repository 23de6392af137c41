"""Multinomial logistic regression with an L2 penalty, several problems over one kernel at a time.

A linear model of many more n-grams than users is a sum over the users, so what is learned is one
coefficient per user and class (the representer theorem). All that it takes to learn them is the
product of the kernel, the users' similarities, with a matrix. The folds of a cross-validation and
the penalties to choose from are problems over the same kernel, which share its products.

The loss is minimised by Newton's method, whose steps are found by conjugate gradients, in the inner
product of the kernel (after Lin, Weng, Keerthi 2008, "Trust Region Newton Method for Large-Scale
Logistic Regression", with a line search in place of the trust region).

Shapes: B problems, N users, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

Multiply = Callable[[torch.Tensor], torch.Tensor]
"""Returns the product of the kernel (N, N) with a matrix (N, B * K)."""

_MOST_STEPS = 30
_MOST_INNER_STEPS = 40
_TOLERANCE = 1e-3
"""The share of the gradient's first length at which a problem counts as solved."""

_INNER_TOLERANCE = 0.1
_SMALLEST_STEP = 1 / 64


@dataclass(frozen=True, slots=True)
class Problems:
    """Several trainings over the same users.

    Attributes:
        labels_N: The class number of each user, int64; any number for users without a label.
        learns_BN: Whether each problem learns from each user, who must then have a label.
        costs_B: The weight of the loss relative to the penalty: C as in LIBLINEAR.
        classes: The number of classes.
    """

    labels_N: torch.Tensor
    learns_BN: torch.Tensor
    costs_B: torch.Tensor
    classes: int


@dataclass(frozen=True, slots=True)
class Solutions:
    """The solutions of several problems.

    Attributes:
        coefficients_BNK: What each user contributes to each class; 0 for users not learned from.
        logits_BNK: The logits of all users, also of those whom the problem did not learn from.
    """

    coefficients_BNK: torch.Tensor
    logits_BNK: torch.Tensor


def solve(problems: Problems, multiply: Multiply) -> Solutions:
    """Learn the coefficients of several problems.

    Args:
        problems: The problems.
        multiply: Multiplies a matrix by the kernel.
    """
    shape = (*problems.learns_BN.shape, problems.classes)
    coefficients = torch.zeros(shape)
    logits = torch.zeros(shape)
    first_B: torch.Tensor | None = None
    for _ in range(_MOST_STEPS):
        probabilities = logits.softmax(dim=2)
        gradient = _gradient(problems, coefficients, probabilities)
        product = multiplied(multiply, gradient)
        length_B = _inner(gradient, product).clamp(min=0).sqrt()
        first_B = length_B if first_B is None else first_B
        open_B = length_B > _TOLERANCE * first_B
        if not open_B.any():
            break
        step, step_logits = _newton_step(problems, multiply, probabilities, (gradient, product))
        size_B = _line_search(problems, (coefficients, logits), (step, step_logits)) * open_B
        coefficients = coefficients + size_B[:, None, None] * step
        logits = logits + size_B[:, None, None] * step_logits
        if not size_B.any():
            break
    return Solutions(coefficients, logits)


def multiplied(multiply: Multiply, matrices_BNK: torch.Tensor) -> torch.Tensor:
    """Return the products of the kernel and the matrices of several problems: (B, N, K)."""
    problems, users, classes = matrices_BNK.shape
    flat = matrices_BNK.permute(1, 0, 2).reshape(users, problems * classes)
    return multiply(flat).reshape(users, problems, classes).permute(1, 0, 2).contiguous()


def _inner(one_BNK: torch.Tensor, other_BNK: torch.Tensor) -> torch.Tensor:
    return (one_BNK * other_BNK).sum(dim=(1, 2), dtype=torch.float64).float()


def _gradient(
    problems: Problems, coefficients: torch.Tensor, probabilities: torch.Tensor
) -> torch.Tensor:
    """Return the gradient in the inner product of the kernel, as coefficients."""
    residuals = probabilities.clone()
    residuals[:, torch.arange(residuals.shape[1]), problems.labels_N] -= 1
    residuals *= problems.learns_BN[:, :, None]
    return residuals + coefficients / problems.costs_B[:, None, None]


def _newton_step(
    problems: Problems,
    multiply: Multiply,
    probabilities: torch.Tensor,
    start: tuple[torch.Tensor, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the step, and what it adds to the logits, from the gradient and its product."""
    step, step_logits = torch.zeros_like(start[0]), torch.zeros_like(start[0])
    rest, rest_product = -start[0], -start[1]
    direction, direction_product = rest, rest_product
    length_B = _inner(rest, rest_product)
    goal_B = length_B * _INNER_TOLERANCE**2
    for _ in range(_MOST_INNER_STEPS):
        curved = _hessian(problems, probabilities, direction, direction_product)
        curvature_B = _inner(curved, direction_product)
        size_B = torch.where(curvature_B > 0, length_B / curvature_B.clamp(min=1e-30), 0)
        size_B = torch.where(length_B > goal_B, size_B, 0)[:, None, None]
        step = step + size_B * direction
        step_logits = step_logits + size_B * direction_product
        rest = rest - size_B * curved
        rest_product = multiplied(multiply, rest)
        shorter_B = _inner(rest, rest_product).clamp(min=0)
        if not (shorter_B > goal_B).any():
            break
        ratio_B = (shorter_B / length_B.clamp(min=1e-30))[:, None, None]
        direction = rest + ratio_B * direction
        direction_product = rest_product + ratio_B * direction_product
        length_B = shorter_B
    return step, step_logits


def _hessian(
    problems: Problems,
    probabilities: torch.Tensor,
    direction: torch.Tensor,
    direction_product: torch.Tensor,
) -> torch.Tensor:
    mean = (probabilities * direction_product).sum(dim=2, keepdim=True)
    curved = probabilities * (direction_product - mean) * problems.learns_BN[:, :, None]
    return curved + direction / problems.costs_B[:, None, None]


def _line_search(
    problems: Problems,
    place: tuple[torch.Tensor, torch.Tensor],
    step: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """Return the largest of 1, 1/2, 1/4, ... that lowers each loss; 0 if none does."""
    before_B = _losses(problems, *place)
    sizes_B = torch.ones(len(before_B))
    while True:
        scale = sizes_B[:, None, None]
        after_B = _losses(problems, place[0] + scale * step[0], place[1] + scale * step[1])
        worse_B = ~(after_B < before_B) & (sizes_B > 0)
        if not worse_B.any():
            return sizes_B
        sizes_B = torch.where(worse_B, sizes_B / 2, sizes_B)
        sizes_B[sizes_B < _SMALLEST_STEP] = 0


def _losses(problems: Problems, coefficients: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return the loss of each problem, penalty included."""
    each_BN = logits.logsumexp(dim=2) - logits[:, torch.arange(logits.shape[1]), problems.labels_N]
    errors_B = (each_BN * problems.learns_BN).sum(dim=1, dtype=torch.float64)
    penalty_B = (coefficients * logits).sum(dim=(1, 2), dtype=torch.float64)
    return errors_B + penalty_B / (2 * problems.costs_B)
