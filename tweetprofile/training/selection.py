"""Which weights a training keeps: those of the best epoch of each member."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.training.recipes import Turn

Tensors = Mapping[str, torch.Tensor]
"""By name."""


@dataclass(frozen=True)
class Kept:
    """The weights after an epoch, by name, and how they did."""

    metrics: EpochMetrics
    weights: Tensors = field(repr=False)


class Selection:
    """What is kept so far.

    Args:
        kept: the best of each member that an earlier run has begun.
    """

    def __init__(self, kept: Iterable[Kept] = ()) -> None:
        self.kept = list(kept)

    def best_of(self, turn: Turn) -> EpochMetrics | None:
        """The epoch that is kept of the member whose turn it is."""
        if self.kept and self.kept[-1].metrics.epoch >= turn.first:
            return self.kept[-1].metrics
        return None

    def keep(self, metrics: EpochMetrics, turn: Turn, weights: Tensors) -> None:
        """Keep a copy of the weights after an epoch instead of what was kept of its member."""
        if self.best_of(turn) is not None:
            self.kept.pop()
        self.kept.append(Kept(metrics, {name: value.clone() for name, value in weights.items()}))
