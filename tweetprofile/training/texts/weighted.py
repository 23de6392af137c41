"""The weighted n-grams of many users: a sparse matrix in files, and products with it.

The matrix is read from the disk a few users at a time, so that memory does not grow with users.

Shapes: N users, F n-grams, X entries of the matrix, M columns of a dense matrix.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.texts.model import TermWeights
from tweetprofile.training.texts.counts import TextCounts, mapped

_USERS_AT_ONCE = 256

_POSITIONS, _VALUES = "positions.int32", "values.float32"


@dataclass(frozen=True, slots=True)
class Weighted:
    """The weights of users' n-grams, in compressed sparse rows.

    Attributes:
        starts: The first entry of each user, and the number of entries (N + 1,).
        positions_X: The n-gram of each entry, int32.
        values_X: The weight of each entry, float32.
        terms: The number of n-grams.
    """

    starts: NDArray[np.int64]
    positions_X: NDArray[np.int32]
    values_X: NDArray[np.float32]
    terms: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def of(
        cls, counts: TextCounts, users: NDArray[np.int64], terms: TermWeights, folder: Path
    ) -> "Weighted":
        """Weigh the n-grams of users.

        Args:
            counts: The counts of all users.
            users: The numbers of the users to weigh.
            terms: Which n-grams count, and how much.
            folder: The folder for the files, which must outlive the result.

        Raises:
            OSError: The files cannot be written.
        """
        starts = np.zeros(len(users) + 1, np.int64)
        with (folder / _POSITIONS).open("wb") as positions, (folder / _VALUES).open("wb") as values:
            for row, user in enumerate(users.tolist()):
                own_positions, own_values = terms.weigh(counts.of_user(user))
                own_positions.tofile(positions)
                own_values.tofile(values)
                starts[row + 1] = starts[row] + len(own_positions)
        size = int(starts[-1])
        return cls(
            starts,
            mapped(folder / _POSITIONS, np.int32, size),
            mapped(folder / _VALUES, np.float32, size),
            len(terms.buckets_F),
        )

    def take(self, rows: NDArray[np.int64]) -> "Weighted":
        """Return the matrix of the users in these rows, in memory."""
        parts = [self.of_user(row) for row in rows.tolist()]
        lengths = [len(positions) for positions, _ in parts]
        return Weighted(
            np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            np.concatenate([positions for positions, _ in parts]),
            np.concatenate([values for _, values in parts]),
            self.terms,
        )

    def of_user(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the n-grams and their weights of the user in a row."""
        own = slice(self.starts[row], self.starts[row + 1])
        return self.positions_X[own], self.values_X[own]

    def scaled(self, scales_F: torch.Tensor) -> "_Scaled":
        """Return the matrix with the column of each n-gram multiplied by a number."""
        return _Scaled(self, scales_F)


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A matrix of weights whose columns are scaled; products with it and with its transpose."""

    weighted: Weighted
    scales_F: torch.Tensor

    def transposed_times(self, matrix_NM: torch.Tensor) -> torch.Tensor:
        """Return the product of the transposed matrix and a dense one: (F, M)."""
        sums = torch.zeros(self.weighted.terms, matrix_NM.shape[1])
        for rows, positions, values, users in self._parts():
            columns = self._sparse(positions, users, values, (self.weighted.terms, len(rows)))
            sums += torch.sparse.mm(columns, matrix_NM[rows.start : rows.stop])
        return sums * self.scales_F[:, None]

    def times(self, matrix_FM: torch.Tensor) -> torch.Tensor:
        """Return the product of the matrix and a dense one: (N, M)."""
        scaled = matrix_FM * self.scales_F[:, None]
        products = []
        for rows, positions, values, users in self._parts():
            part = self._sparse(users, positions, values, (len(rows), self.weighted.terms))
            products.append(torch.sparse.mm(part, scaled))
        return torch.cat([scaled.new_zeros(0, scaled.shape[1]), *products])

    def kernel_times(self, matrix_NM: torch.Tensor) -> torch.Tensor:
        """Return the product of the users' similarities and a dense matrix: (N, M)."""
        return self.times(self.transposed_times(matrix_NM))

    def _parts(
        self,
    ) -> Iterator[tuple[range, NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]]:
        starts = self.weighted.starts
        for first in range(0, len(self.weighted), _USERS_AT_ONCE):
            rows = range(first, min(first + _USERS_AT_ONCE, len(self.weighted)))
            own = slice(starts[rows.start], starts[rows.stop])
            lengths = np.diff(starts[rows.start : rows.stop + 1])
            users = np.repeat(np.arange(len(rows)), lengths)
            yield rows, self.weighted.positions_X[own], self.weighted.values_X[own], users

    @staticmethod
    def _sparse(
        rows: NDArray[np.integer],
        columns: NDArray[np.integer],
        values: NDArray[np.float32],
        shape: tuple[int, int],
    ) -> torch.Tensor:
        places = torch.from_numpy(np.stack([rows.astype(np.int64), columns.astype(np.int64)]))
        own = torch.from_numpy(values.copy())
        return torch.sparse_coo_tensor(places, own, shape, check_invariants=False)
