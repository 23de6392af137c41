"""Which weights a training keeps: those of the best epoch of each cycle of the learning rate."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from tweetprofile.training.recipes import Cycle
from tweetprofile.training.scores import EpochMetrics

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Kept:
    """The weights after an epoch, by name, and how they did."""

    metrics: EpochMetrics
    weights: Weights = field(repr=False)


class Selection:
    """What is kept so far.

    Args:
        kept: the best of each cycle that an earlier run has begun.
    """

    def __init__(self, kept: Iterable[Kept] = ()) -> None:
        self.kept = list(kept)

    def best_of(self, cycle: Cycle) -> EpochMetrics | None:
        """The epoch that is kept of the cycle that training is in."""
        if self.kept and self.kept[-1].metrics.epoch >= cycle.first:
            return self.kept[-1].metrics
        return None

    def is_better(self, metrics: EpochMetrics, cycle: Cycle) -> bool:
        """Whether an epoch should take the place of what is kept of its cycle."""
        return cycle.is_late(metrics.epoch) and metrics.beats(self.best_of(cycle))

    def keep(self, metrics: EpochMetrics, cycle: Cycle, weights: Weights) -> None:
        """Keep a copy of the weights after an epoch instead of what was kept of its cycle."""
        if self.best_of(cycle) is not None:
            self.kept.pop()
        self.kept.append(Kept(metrics, {name: value.clone() for name, value in weights.items()}))
