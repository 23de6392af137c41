"""The weights that a training keeps: those of each member's best epoch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.training.recipes import MemberEpochs

Tensors = Mapping[str, torch.Tensor]
"""Tensors by name."""


@dataclass(frozen=True)
class KeptWeights:
    """The weights of a member after its best epoch.

    Attributes:
        metrics: The metrics of the epoch.
        weights: The weights by name.
    """

    metrics: EpochMetrics
    weights: Tensors = field(repr=False)


class BestWeights:
    """The best weights so far of every member that has begun.

    Args:
        kept: The weights that an interrupted run had kept, in the order of the members.
    """

    def __init__(self, kept: Iterable[KeptWeights] = ()) -> None:
        self.kept = list(kept)

    def best_of(self, member: MemberEpochs) -> EpochMetrics | None:
        """Return the metrics of the latest member's best epoch; None before its first."""
        if self.kept and self.kept[-1].metrics.epoch >= member.first:
            return self.kept[-1].metrics
        return None

    def keep(self, metrics: EpochMetrics, member: MemberEpochs, weights: Tensors) -> None:
        """Keep a copy of the weights, in place of those kept before for the same member.

        Args:
            metrics: The metrics of the epoch.
            member: The epochs of the member.
            weights: The weights after the epoch.
        """
        if self.best_of(member) is not None:
            self.kept.pop()
        copies = {name: value.clone() for name, value in weights.items()}
        self.kept.append(KeptWeights(metrics, copies))
