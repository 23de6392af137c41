"""New users get the same share of their logits along directions that many users share, and others.

Half of the users in these examples belong to a few large groups, whose members are alike.
"""

import numpy as np
import pytest
import torch

from tweetprofile.training.texts.directions import SharedDirections, corrected
from tweetprofile.training.texts.solver import Multiply, Problems, Solutions, solve

USERS, GROUPS = 200, 3


def draw_vectors(seed: int = 0) -> torch.Tensor:
    """Draw vectors of length 1: each has a part of its own, and some that of a group."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(USERS, 2000)) / 2000**0.5
    members = np.arange(USERS // 2)
    vectors[members, members % GROUPS] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return torch.from_numpy(vectors).float()


VECTORS = draw_vectors()
KERNEL = VECTORS @ VECTORS.T
EVERYBODY = torch.ones(USERS, dtype=torch.bool)


def multiply(matrix: torch.Tensor) -> torch.Tensor:
    return KERNEL @ matrix


def test_directions_are_the_eigenvectors_with_large_eigenvalues() -> None:
    values, vectors = torch.linalg.eigh(KERNEL)
    large = values > 2
    found = SharedDirections.of(EVERYBODY, multiply)
    assert found.vectors_ND.shape == (USERS, GROUPS)
    assert int(large.sum()) == GROUPS
    overlaps = (found.vectors_ND.T @ vectors[:, large]).square().sum(dim=0)
    assert overlaps.tolist() == pytest.approx([1] * GROUPS, abs=1e-3)


def test_coefficients_along_directions_shrink_and_others_stay() -> None:
    values, vectors = torch.linalg.eigh(KERNEL)
    shrunk = vectors.T @ SharedDirections.of(EVERYBODY, multiply).corrected(vectors)
    expected = torch.where(values > 2, 0.5 / (1 - 1 / values.clamp(min=1.5)), 1.0)
    assert torch.allclose(shrunk, torch.diag(expected), atol=5e-3)


def test_users_who_are_not_learned_from_have_no_part_in_directions() -> None:
    learns = torch.arange(USERS) % 4 != 0
    found = SharedDirections.of(learns, multiply)
    assert found.vectors_ND.shape[1] == GROUPS
    assert (found.vectors_ND[~learns] == 0).all()

    def without_them(matrix: torch.Tensor) -> torch.Tensor:
        kernel = KERNEL.clone()
        kernel[~learns] = kernel[:, ~learns] = 7.0
        return kernel @ matrix

    other = SharedDirections.of(learns, without_them)
    assert torch.allclose(other.excess_D, found.excess_D, atol=1e-4)


def test_users_who_have_nothing_in_common_need_no_correction() -> None:
    found = SharedDirections.of(EVERYBODY, lambda matrix: matrix)
    assert found.vectors_ND.shape == (USERS, 0)
    coefficients = torch.randn(USERS, 2)
    assert torch.equal(found.corrected(coefficients), coefficients)


@pytest.mark.parametrize("users", [0, 1, 3])
def test_hardly_any_users_to_learn_from_have_no_directions(users: int) -> None:
    found = SharedDirections.of(torch.arange(USERS) < users, multiply)
    assert found.vectors_ND.shape == (USERS, 0)


def test_corrected_logits_are_the_kernel_times_the_coefficients() -> None:
    solutions = solve_for(torch.arange(USERS) % 2, EVERYBODY, multiply)
    own = SharedDirections.of(EVERYBODY, multiply)
    found = corrected(solutions, [own], multiply)
    assert not torch.allclose(found.coefficients_BNK, solutions.coefficients_BNK)
    expected = KERNEL @ found.coefficients_BNK[0]
    assert torch.allclose(found.logits_BNK[0], expected, atol=1e-4)


def test_new_users_reach_the_same_share_of_logits_along_all_directions() -> None:
    """What the correction is for: without it, the share along the directions is larger."""
    learns = torch.arange(USERS) % 4 != 0
    labels = torch.arange(USERS) % 2
    plain = solve_for(labels, learns, multiply)
    own = SharedDirections.of(learns, multiply)
    shares = []
    for each in (plain, corrected(plain, [own], multiply)):
        part = own.vectors_ND @ (own.vectors_ND.T @ each.coefficients_BNK[0])
        along = KERNEL @ part
        shares.append(float(along[~learns].norm() / each.logits_BNK[0][~learns].norm()))
    assert shares[1] < 0.8 * shares[0]


def solve_for(labels: torch.Tensor, learns_N: torch.Tensor, multiply: Multiply) -> Solutions:
    return solve(Problems(labels, learns_N[None], torch.tensor([1e4]), 2), multiply)
