"""How similar the texts of users are: a kernel per block of n-grams.

Frequent n-grams are multiplied as a dense matrix and rare ones as a sparse one, which is the
fastest for each (2,800 users with 100 tweets each: 25 s on two processors).

Shapes: N users, F n-grams.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.training.texts.weighted import Weighted

_RARE = 0.05
"""The largest share of the users that have a rare n-gram."""

_COLUMNS_AT_ONCE = 4096
_RARE_ENTRIES_AT_ONCE = 1 << 23


def block_kernels(weighted: Weighted, block_starts: Sequence[int]) -> list[torch.Tensor]:
    """Return the similarities (N, N) of users by each block of n-grams; 1 for a user and itself.

    Args:
        weighted: The weighted n-grams of the users.
        block_starts: The position of the first n-gram of each block.
    """
    ends = [*block_starts[1:], weighted.terms]
    return [_kernel(weighted, start, end) for start, end in zip(block_starts, ends, strict=True)]


def _kernel(weighted: Weighted, start: int, end: int) -> torch.Tensor:
    users = len(weighted)
    kernel = torch.zeros(users, users)
    rows, columns, values = _entries(weighted, start, end)
    frequencies = np.bincount(columns, minlength=end - start)
    order = np.argsort(frequencies, kind="stable")
    frequent = max(2, round(_RARE * users))
    for group in _groups(frequencies[order], frequent):
        places = np.full(end - start, -1, np.int64)
        places[order[group]] = np.arange(group.stop - group.start)
        own = places[columns]
        kept = own >= 0
        indices = torch.from_numpy(np.stack([rows[kept], own[kept]]))
        shape = (users, group.stop - group.start)
        part = torch.sparse_coo_tensor(
            indices, torch.from_numpy(values[kept]), shape, check_invariants=False
        )
        if frequencies[order[group.stop - 1]] <= frequent:
            kernel += _sparse_product(part.coalesce())
        else:
            dense = part.to_dense()
            kernel += dense @ dense.T
    return kernel


def _sparse_product(part: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        rows, columns = part.to_sparse_csr(), part.t().coalesce().to_sparse_csr()
        product: torch.Tensor = torch.sparse.mm(rows, columns).to_dense()
    return product


def _groups(frequencies: NDArray[np.int64], frequent: int) -> Iterator[slice]:
    """Yield ranges of n-grams, from rare to frequent, that are multiplied at once."""
    rare = int(np.searchsorted(frequencies, frequent, "right"))
    totals = np.cumsum(frequencies[:rare])
    start = int(np.searchsorted(frequencies, 1))
    while start < rare:
        before = totals[start - 1] if start else 0
        end = int(np.searchsorted(totals, before + _RARE_ENTRIES_AT_ONCE, "right"))
        yield slice(start, max(end, start + 1))
        start = max(end, start + 1)
    for first in range(rare, len(frequencies), _COLUMNS_AT_ONCE):
        yield slice(first, min(first + _COLUMNS_AT_ONCE, len(frequencies)))


def _entries(
    weighted: Weighted, start: int, end: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return user, n-gram and weight of each entry of a block of n-grams."""
    rows, columns, values = [], [], []
    for row in range(len(weighted)):
        positions, own = weighted.of_user(row)
        first, last = np.searchsorted(positions, [start, end])
        rows.append(np.full(last - first, row, np.int64))
        columns.append(positions[first:last].astype(np.int64) - start)
        values.append(own[first:last])
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
