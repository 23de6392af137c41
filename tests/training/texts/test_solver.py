"""The solver finds what scikit-learn finds, for several problems at once as for one."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from tweetprofile.training.texts.solver import Problems, Solutions, solve

USERS, CLASSES = 60, 3


@pytest.fixture(scope="module")
def features() -> torch.Tensor:
    """Vectors of length 1 that tell something about the classes, and a constant for the bias."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(USERS, 40))
    vectors[np.arange(USERS), np.arange(USERS) % CLASSES] += 1.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return torch.from_numpy(np.hstack([vectors, np.full((USERS, 1), 0.1**0.5)])).float()


LABELS = np.arange(USERS) % CLASSES


def learns(*left_out: Sequence[int]) -> NDArray[np.bool_]:
    """Return, for each problem, that it learns from all users but some."""
    matrix = np.ones((len(left_out), USERS), bool)
    for row, users in enumerate(left_out):
        matrix[row, list(users)] = False
    return matrix


def solutions_of(
    features: torch.Tensor, learns_BN: NDArray[np.bool_], costs: Sequence[float]
) -> Solutions:
    problems = Problems(
        torch.from_numpy(LABELS), torch.from_numpy(learns_BN), torch.tensor(costs), CLASSES
    )
    kernel = features @ features.T
    return solve(problems, lambda matrix: kernel @ matrix)


@pytest.mark.parametrize("cost", [0.1, 1.0, 10.0, 100.0])
def test_logits_agree_with_scikit_learn(features: torch.Tensor, cost: float) -> None:
    own = learns(range(0, USERS, 4))
    found = solutions_of(features, own, [cost]).logits_BNK[0]
    peer = LogisticRegression(C=cost, fit_intercept=False, tol=1e-8, max_iter=10_000)
    peer.fit(features.numpy()[own[0]], LABELS[own[0]])
    expected = peer.decision_function(features.numpy())
    assert found.numpy() == pytest.approx(expected, abs=0.01 * float(np.abs(expected).max()))


def test_logits_are_the_kernel_times_the_coefficients(features: torch.Tensor) -> None:
    found = solutions_of(features, learns([]), [10.0])
    expected = features @ (features.T @ found.coefficients_BNK[0])
    assert torch.allclose(found.logits_BNK[0], expected, atol=1e-4)


def test_users_whom_a_problem_does_not_learn_from_contribute_nothing(
    features: torch.Tensor,
) -> None:
    held_out = [range(10), range(10, 20), []]
    found = solutions_of(features, learns(*held_out), [1.0, 100.0, 10.0])
    for row, users in enumerate(held_out):
        is_zero = (found.coefficients_BNK[row] == 0).all(dim=1)
        assert is_zero.nonzero().flatten().tolist() == list(users)


def test_labels_of_users_who_are_held_out_do_not_matter(features: torch.Tensor) -> None:
    own = learns(range(30))
    problems = [
        Problems(torch.from_numpy(labels), torch.from_numpy(own), torch.tensor([10.0]), CLASSES)
        for labels in (LABELS, np.where(np.arange(USERS) < 30, 0, LABELS))
    ]
    one, other = (solve(each, lambda m: features @ (features.T @ m)) for each in problems)
    assert torch.equal(one.logits_BNK, other.logits_BNK)


def test_problems_solved_together_equal_those_solved_singly(features: torch.Tensor) -> None:
    own = learns(range(20), range(20, 40), range(40, 60), [])
    costs = [0.01, 1.0, 100.0, 1e5]
    together = solutions_of(features, own, costs).logits_BNK
    for row, cost in enumerate(costs):
        single = solutions_of(features, own[row : row + 1], [cost]).logits_BNK[0]
        assert torch.allclose(
            together[row], single, rtol=0.01, atol=0.01 * float(single.abs().max())
        )


def test_the_loss_is_that_of_scikit_learn(features: torch.Tensor) -> None:
    def loss(weights: torch.Tensor) -> float:
        errors = torch.nn.functional.cross_entropy(
            features.double() @ weights, torch.from_numpy(LABELS), reduction="sum"
        )
        return float(errors + (weights**2).sum() / (2 * 1e3))

    found = solutions_of(features, learns([]), [1e3]).coefficients_BNK[0]
    peer = LogisticRegression(C=1e3, fit_intercept=False, tol=1e-8, max_iter=10_000)
    peer.fit(features.numpy(), LABELS)
    expected = loss(torch.from_numpy(peer.coef_.T).double())
    assert loss((features.T @ found).double()) == pytest.approx(expected, rel=0.01)


def test_a_problem_without_users_has_logits_of_zero(features: torch.Tensor) -> None:
    found = solutions_of(features, learns(range(USERS), []), [10.0, 10.0])
    assert not found.logits_BNK[0].any()
    assert found.logits_BNK[1].any()


def test_equal_users_and_users_without_similarity_do_no_harm() -> None:
    features = torch.zeros(USERS, 4)
    features[:20, 0] = 1
    found = solutions_of(features, learns([]), [1e5])
    assert found.logits_BNK.isfinite().all()
    assert torch.equal(found.logits_BNK[0, 20:], torch.zeros(USERS - 20, CLASSES))
