"""The directions that many users share, which count too much for new users unless corrected.

The kernel of the users that a model learns from has an eigenvalue e along each direction, of which
a user's own n-grams make up 1. New users lack that part: along a direction, their logits reach only
(e - 1) / e of those of training users. That is nearly all where many users are alike, and half of
it or less along the many directions that hardly two users share, so the former outweigh the latter
in ways that the model has not learned. Here, the coefficients along directions with large
eigenvalues are made smaller, until new users get the same share along each of them.

Shapes: B problems, N users, D directions, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tweetprofile.training.texts.solver import Multiply, Solutions, multiplied

_MOST = 64
"""The largest number of directions; among 2,800 users, some 50 need a correction."""

_ROUNDS = 4
"""Multiplications by the kernel from which directions are found. Those that are found least exactly
are corrected least."""

_LEAST = 2.0
"""The eigenvalue above which directions are corrected: new users get half along those below it."""


@dataclass(frozen=True, slots=True)
class SharedDirections:
    """Directions that many of the users to learn from share.

    Attributes:
        vectors_ND: The directions, of length 1; 0 for users who are not learned from.
        excess_D: The share of the coefficients along each that is too much.
    """

    vectors_ND: torch.Tensor
    excess_D: torch.Tensor

    @classmethod
    def of(cls, learns_N: torch.Tensor, multiply: Multiply) -> "SharedDirections":
        """Find the directions of the users to learn from.

        Args:
            learns_N: Whether each user is learned from, bool.
            multiply: Multiplies a matrix by the kernel of all users, whose similarity with
                themselves is about 1.
        """
        if not learns_N.any():
            return cls(torch.zeros(len(learns_N), 0), torch.zeros(0))
        mask_N1 = learns_N[:, None].float()
        generator = torch.Generator().manual_seed(0)  # the directions do not depend on it
        size = len(learns_N), min(_MOST, int(learns_N.sum()))
        product_ND = torch.randn(size, generator=generator) * mask_N1
        for _ in range(_ROUNDS):
            basis_ND = torch.linalg.qr(product_ND).Q * mask_N1
            product_ND = multiply(basis_ND) * mask_N1
        values_D, rotation_DD = torch.linalg.eigh(basis_ND.T @ product_ND)
        least = max(_LEAST, float(values_D[0]))
        large_D = values_D > least
        kept_D = (1 - 1 / least) / (1 - 1 / values_D[large_D])
        return cls(basis_ND @ rotation_DD[:, large_D], 1 - kept_D)

    def corrected(self, coefficients_NK: torch.Tensor) -> torch.Tensor:
        """Return coefficients that are made smaller along the directions."""
        along_DK = self.vectors_ND.T @ coefficients_NK
        return coefficients_NK - self.vectors_ND @ (self.excess_D[:, None] * along_DK)


def corrected(
    solutions: Solutions, directions: Sequence[SharedDirections], multiply: Multiply
) -> Solutions:
    """Return solutions with corrected coefficients, and the logits that follow from them.

    Args:
        solutions: The solutions of B problems.
        directions: The directions of the users that each of the B problems learns from.
        multiply: Multiplies a matrix by the kernel.
    """
    pairs = zip(directions, solutions.coefficients_BNK, strict=True)
    coefficients_BNK = torch.stack([own.corrected(each) for own, each in pairs])
    return Solutions(coefficients_BNK, multiplied(multiply, coefficients_BNK))
