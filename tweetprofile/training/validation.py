"""Validation: the logits of held-out users, computed as `predict` computes them, and their scores.

Shapes: N users, K classes.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.networks import AnyNetwork
from tweetprofile.scoring.traits import TraitScore, score_traits
from tweetprofile.training.augment import Filling
from tweetprofile.training.batches import DeviceFrames
from tweetprofile.training.cache import Subset
from tweetprofile.training.forward import compute_logits, training_dtype
from tweetprofile.training.inputs import Inputs
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.volumes.choice import select_evenly


class Validator:
    """Computes logits and scores of users that training does not learn from.

    Args:
        setup: The training.
        frames: The cached frames of the users.
        inputs: Makes the input of the network.
        device: The device to compute on.
    """

    def __init__(
        self, setup: TrainingSetup, frames: DeviceFrames, inputs: Inputs, device: torch.device
    ) -> None:
        self._setup, self._frames, self._inputs = setup, frames, inputs
        self._dtype = training_dtype(setup.recipe, device)

    def score(self, network: AnyNetwork) -> tuple[float | None, dict[str, TraitScore]]:
        """Return the loss and the scores on the held-out users; None and {} without such users."""
        val = self._setup.val
        if not len(val):
            return None, {}
        return score_logits(self._setup, self.logits(network, val), val.labels)

    @torch.inference_mode()
    def logits(self, network: AnyNetwork, users: Subset) -> dict[str, torch.Tensor]:
        """Return the logits of users by trait, on the CPU: (N, K) each.

        As in `predict`, a user with too many frames is represented by evenly spaced ones, and no
        frame is cropped.
        """
        size = self._setup.batch_size
        rows: list[dict[str, torch.Tensor]] = []
        for start in range(0, len(users), size):
            positions = range(start, min(start + size, len(users)))
            rows.append(self._batch_logits(network, users, positions))
        names = self._setup.schema.names
        return {name: torch.cat([row[name] for row in rows]).cpu() for name in names}

    def _batch_logits(
        self, network: AnyNetwork, users: Subset, positions: range
    ) -> dict[str, torch.Tensor]:
        spec = self._setup.volume_spec
        frames = [users.frames_of(position) for position in positions]
        chosen = [each[select_evenly(len(each), spec.frames)] for each in frames]
        filling = Filling.of([len(each) for each in chosen], spec.frames)
        items, (index, mask, _) = self._frames.send(
            users.cache, np.concatenate(chosen), filling.arrays()
        )
        inputs = self._inputs.keep(items, index, mask)
        return compute_logits(network, inputs, mask, None, self._dtype)


def score_logits(
    setup: TrainingSetup, logits: Mapping[str, torch.Tensor], labels_NT: NDArray[np.int64]
) -> tuple[float, dict[str, TraitScore]]:
    """Return the loss and the scores of logits.

    Args:
        setup: The training, whose users decide the majority class.
        logits: The logits of N users by trait.
        labels_NT: The class numbers of their labels, one column per trait.
    """
    guesses = np.stack([each.argmax(1).numpy() for each in logits.values()], axis=1)
    labels = torch.from_numpy(labels_NT)
    loss = 0.0
    for column, values in enumerate(logits.values()):
        if (labels[:, column] != UNKNOWN).any():
            loss += float(cross_entropy(values, labels[:, column], ignore_index=UNKNOWN))
    return loss, score_traits(setup.schema, guesses, labels_NT, setup.train.labels)
