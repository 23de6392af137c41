"""The logits of users by networks that held them out, and their mean.

Shapes: R rows, one per user and network that held the user out, N users, T traits, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.data.labels.reading import UNKNOWN


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Logits of held-out users.

    Attributes:
        users_R: The number of each row's user.
        labels_RT: The class numbers of the user's labels.
        logits: The logits (R, K) by trait.
    """

    users_R: NDArray[np.int64]
    labels_RT: NDArray[np.int64]
    logits: Mapping[str, torch.Tensor]

    @classmethod
    def join(cls, parts: Sequence["HeldOut"]) -> "HeldOut":
        """Return the rows of all parts, which have the same traits."""
        return cls(
            np.concatenate([part.users_R for part in parts]),
            np.concatenate([part.labels_RT for part in parts]),
            {name: torch.cat([part.logits[name] for part in parts]) for name in parts[0].logits},
        )

    def labelled(self, trait: str, column: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of a trait, and the labels, of the rows that have one.

        Args:
            trait: The name of the trait.
            column: Its column among the labels.
        """
        labels = torch.from_numpy(self.labels_RT[:, column])
        known = labels != UNKNOWN
        return self.logits[trait][known], labels[known]

    def mean(self, networks: int | None = None) -> "HeldOut":
        """Return one row per user: the mean of the user's rows.

        Args:
            networks: The number of rows that count for each user; users with fewer are left out.
                None for all rows of every user.
        """
        order = np.argsort(self.users_R, kind="stable")
        _, firsts, counts = np.unique(self.users_R[order], return_index=True, return_counts=True)
        if networks is not None:
            enough = counts >= networks
            firsts, counts = firsts[enough], np.full(int(enough.sum()), networks)
        rows = np.concatenate(
            [order[:0], *(order[at : at + n] for at, n in zip(firsts, counts, strict=True))]
        )
        places = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
        divisor = torch.from_numpy(counts)[:, None]
        firsts_N = order[firsts]
        return HeldOut(
            self.users_R[firsts_N],
            self.labels_RT[firsts_N],
            {
                name: each.new_zeros(len(counts), each.shape[1]).index_add_(0, places, each[rows])
                / divisor
                for name, each in self.logits.items()
            },
        )
