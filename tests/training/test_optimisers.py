"""Muon moves convolutions equally in all directions; AdamW moves all other parameters."""

import pytest
import torch
from torch import nn

from tweetprofile.training.optimisers import make_optimiser, orthogonalise


@pytest.mark.parametrize("shape", [(32, 288), (288, 32), (64, 128)])
def test_an_orthogonalised_matrix_has_singular_values_of_about_1(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    matrix[0] *= 100  # one direction that would dominate the others
    values = torch.linalg.svdvals(orthogonalise([matrix])[0])
    assert values.min() > 0.3
    assert values.max() < 1.3
    # The directions stay the same.
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert (left.T @ orthogonalise([matrix])[0] @ right.T).diagonal().min() > 0.3


def step_of(name: str, module: nn.Module) -> dict[str, torch.Tensor]:
    """Return how far one step on a fixed loss moves each parameter."""
    before = {key: value.clone() for key, value in module.state_dict().items()}
    optimiser = make_optimiser(name, module, 1e-3, 0.0)  # type: ignore[arg-type]
    torch.manual_seed(1)
    module(torch.randn(8, 16, 9, 9)).square().sum().backward()
    optimiser.step()
    return {key: value - before[key] for key, value in module.state_dict().items()}


def convolution() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(16, 32, 3)


def test_muon_moves_a_convolution_as_far_as_adamw_but_more_evenly() -> None:
    muon, adamw = (step_of(name, convolution())["weight"] for name in ("muon", "adamw"))
    assert muon.square().mean().sqrt() == pytest.approx(0.2e-3, rel=0.3)
    assert adamw.square().mean().sqrt() == pytest.approx(1e-3, rel=0.01)  # its first step is full
    spread = [torch.linalg.svdvals(each.flatten(1)) for each in (muon, adamw)]
    evenness = [values.min() / values.max() for values in spread]
    assert evenness[0] > 1.5 * evenness[1]


def test_other_parameters_move_as_in_adamw() -> None:
    muon, adamw = (step_of(name, convolution())["bias"] for name in ("muon", "adamw"))
    assert torch.equal(muon, adamw)


def test_scales_and_biases_are_not_decayed() -> None:
    module = nn.Sequential(convolution(), nn.BatchNorm2d(32))
    decayed = {
        group["weight_decay"]: [tuple(each.shape) for each in group["params"]]
        for group in make_optimiser("muon", module, 1e-3, 0.5).param_groups
        if group["params"]
    }
    assert decayed == {0.5: [(32, 16, 3, 3)], 0.0: [(32,), (32,), (32,)]}


SHAPES = [(32, 27), (32, 288), (64, 32), (64, 288), (64, 576), (32, 288)]


@pytest.mark.parametrize("smallest", [1, 128])
def test_matrices_are_orthogonalised_together_as_one_by_one(smallest: int) -> None:
    torch.manual_seed(0)
    matrices = [torch.randn(shape) for shape in SHAPES]
    for matrix, found in zip(matrices, orthogonalise(matrices, smallest), strict=True):
        torch.testing.assert_close(found, orthogonalise([matrix])[0], atol=1e-4, rtol=1e-4)


def test_a_zero_gradient_moves_nothing() -> None:
    assert not orthogonalise([torch.zeros(8, 16)])[0].any()


def test_muon_moves_a_convolution_alike_in_any_layout() -> None:
    found = [
        step_of("muon", convolution().to(memory_format=layout))["weight"]  # type: ignore[call-overload]
        for layout in (torch.contiguous_format, torch.channels_last)
    ]
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-3)
