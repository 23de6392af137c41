"""An exponential moving average of a network's weights, which is what validation sees.

`torch.optim.swa_utils.AveragedModel` computes such averages too, but not this one: its first update
copies the weights, where this average already moves a part of the way; it would take the rounded
average of the number of batches that a normalisation has counted; and it adds a counter of its own
and a prefix to the names of the weights, so the state of a training that was interrupted under an
earlier version could not be resumed.
"""

import copy

import torch

from tweetprofile.networks import Network
from tweetprofile.training.best_weights import Tensors


class AveragedWeights:
    """The average of a network's weights over its steps.

    Args:
        network: The network before its first step, whose weights are changed in place.

    Attributes:
        network: A network with the averaged weights, in evaluation mode.
    """

    def __init__(self, network: Network) -> None:
        self.network: Network = copy.deepcopy(network).eval().requires_grad_(False)
        mean, current = self.network.state_dict(), network.state_dict()
        real = [name for name, value in mean.items() if value.is_floating_point()]
        self._means, self._weights = [mean[name] for name in real], [current[name] for name in real]
        counts = [name for name in mean if name not in real]
        self._counts = [mean[name] for name in counts], [current[name] for name in counts]

    @property
    def tensors(self) -> Tensors:
        """The averaged weights by name; later steps change them."""
        return self.network.state_dict()

    @torch.no_grad()
    def update(self, kept: float) -> None:
        """Move the average towards the weights of the network.

        Args:
            kept: The share of the average that is kept, from 0 (copy the weights) to below 1.
        """
        torch._foreach_lerp_(self._means, self._weights, 1 - kept)
        if self._counts[0]:
            torch._foreach_copy_(*self._counts)
