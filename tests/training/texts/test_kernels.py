"""Similarities of users are products of their weights, however they are computed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training.texts.drawn import SPEC, counts_of, dense, draw_texts, terms_of, weigh
from tweetprofile.texts.model import TermWeights
from tweetprofile.training.texts import kernels, weighted
from tweetprofile.training.texts.kernels import block_kernels
from tweetprofile.training.texts.weighted import Weighted


def draw(users: int, folder: Path) -> tuple[Weighted, TermWeights]:
    """Draw users, of whom two have no texts."""
    texts = draw_texts(np.arange(users - 2) % 3)
    counts = counts_of([[], *texts, []])
    terms = terms_of(counts)
    return weigh(counts, terms, folder), terms


def blocks_of(terms: TermWeights) -> list[slice]:
    ends = [*terms.block_starts[1:], len(terms.buckets_F)]
    return [slice(*each) for each in zip(terms.block_starts, ends, strict=True)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("users", [3, 30, 70, 110])
@pytest.mark.parametrize("at_once", [None, 50])
def test_kernels_are_dense_products(
    users: int, at_once: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if at_once is not None:
        monkeypatch.setattr(kernels, "_COLUMNS_AT_ONCE", at_once)
        monkeypatch.setattr(kernels, "_RARE_ENTRIES_AT_ONCE", at_once)
    own, terms = draw(users, tmp_path)
    matrix = dense(own)
    found = block_kernels(own, terms.block_starts)
    assert len(found) == len(SPEC.blocks)
    for kernel, block in zip(found, blocks_of(terms), strict=True):
        expected = matrix[:, block] @ matrix[:, block].T
        assert kernel.numpy() == pytest.approx(expected, abs=1e-5)
        assert kernel.diagonal()[1:-1].numpy() == pytest.approx(1, abs=1e-5)


def test_a_block_without_ngrams_has_no_similarities(tmp_path: Path) -> None:
    own, terms = draw(20, tmp_path)
    size = len(terms.buckets_F)
    (first, last) = block_kernels(own, (0, size))
    assert first.any()
    assert not last.any()


def dense_multiplications(patch: pytest.MonkeyPatch) -> list[int]:
    """Record how many columns each dense part of a kernel has."""
    columns: list[int] = []
    to_dense = torch.Tensor.to_dense

    def recording(part: torch.Tensor) -> torch.Tensor:
        if part.layout == torch.sparse_coo:
            columns.append(part.shape[1])
        return to_dense(part)

    patch.setattr(torch.Tensor, "to_dense", recording)
    return columns


@pytest.mark.parametrize("users", [30, 70, 110])
def test_rare_ngrams_are_never_multiplied_as_a_dense_matrix(
    users: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_COLUMNS_AT_ONCE", 16)
    own, terms = draw(users, tmp_path)
    columns = dense_multiplications(monkeypatch)
    block_kernels(own, terms.block_starts)
    assert columns
    assert max(columns) <= 16, "as many columns as memory is meant for"


def scales(terms: TermWeights) -> NDArray[np.float32]:
    factors = np.ones(len(terms.buckets_F), np.float32)
    for block, factor in zip(blocks_of(terms), (2.0, 1.0, 0.5), strict=True):
        factors[block] = factor
    return factors


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("at_once", [256, 7])
def test_products_with_the_files_are_dense_products(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighted, "_USERS_AT_ONCE", at_once)
    own, terms = draw(30, tmp_path)
    factors = scales(terms)
    matrix = dense(own) * factors
    scaled = own.scaled(torch.from_numpy(factors))
    random = torch.Generator().manual_seed(0)
    users, ngrams = (torch.randn(size, 4, generator=random) for size in matrix.shape)
    expected = torch.from_numpy(matrix).float()
    assert torch.allclose(scaled.times(ngrams), expected @ ngrams, rtol=1e-4, atol=1e-4)
    assert torch.allclose(scaled.transposed_times(users), expected.T @ users, rtol=1e-4, atol=1e-4)
    assert torch.allclose(
        scaled.kernel_times(users), expected @ (expected.T @ users), rtol=1e-4, atol=1e-4
    )


def test_products_with_the_files_are_those_with_the_kernels(tmp_path: Path) -> None:
    own, terms = draw(40, tmp_path)
    users = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    weights = (4.0, 1.0, 0.25)  # the squares of the scales
    kernel = torch.zeros(40, 40)
    for weight, each in zip(weights, block_kernels(own, terms.block_starts), strict=True):
        kernel += weight * each
    found = own.scaled(torch.from_numpy(scales(terms))).kernel_times(users)
    assert torch.allclose(found, kernel @ users, rtol=1e-4, atol=1e-4)


def test_some_users_can_be_taken_in_any_order(tmp_path: Path) -> None:
    own, _ = draw(20, tmp_path)
    rows = np.array([7, 0, 19, 3])
    assert np.array_equal(dense(own.take(rows)), dense(own)[rows])
