"""Recipes: the hyperparameters of a training, `paper` as published and `default` as tuned here.

The paper (section 4) trains with "Adam", "learning rate 0.05", "decay 0.7", "batch 13" and "100
iterations". It leaves some things open, which are read here as follows:

- *decay 0.7*: The learning rate is divided by 1 + 0.7 t at step t, which is what the `decay` of an
  optimiser meant in Keras when the paper was written. As weight decay, or as the decay of the mean
  of gradients, 0.7 would keep any network from learning.
- *100 iterations*: 100 epochs. In 100 steps of 13 users, not even every user would occur once.
- *loss*: Its Eq. 1, cross-entropy summed over the heads. There is no normalisation, dropout or
  augmentation, since the paper mentions none, and the weights after the last epoch are the result.
- *initial weights*: The ones that `networks/cnn3d.py` draws for every recipe.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from tweetprofile.networks import Cnn3dSpec, Learned, Norm, network_spec
from tweetprofile.training.augment import AugmentOptions
from tweetprofile.training.optimisers import OptimiserName

RecipeName = Literal["default", "paper"]


@dataclass(frozen=True, slots=True)
class MemberEpochs:
    """The epochs of one member.

    Attributes:
        first: The number of its first epoch.
        last: The number of its last epoch.
        member: The number of the member, counted from 0.
    """

    first: int
    last: int
    member: int = 0

    @property
    def count(self) -> int:
        """The number of epochs."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The hyperparameters of a training.

    Attributes:
        model: The network to train unless another one is named.
        optimiser: The optimiser: `adam`, `adamw` or `muon`.
        epochs: The largest number of passes over the users, of all members together.
        members: The number of networks that are trained one after the other, from different random
            weights and in a different order of users, and whose mean is the model ("deep
            ensembles", Lakshminarayanan et al. 2017).
        batch_size: The number of users per step.
        learning_rate: The peak learning rate.
        weight_decay: The weight decay of adamw and muon; normalisations and biases have none.
        warmup_epochs: The number of epochs in which the learning rate rises from 0.
        decay: The divisor of the learning rate grows by this much per step; None for a cosine that
            ends at 0.
        clip: The largest norm of a step's gradient; None for no limit.
        label_smoothing: The share of a label that is spread over all classes.
        balance: A class is weighted by its frequency to the power of minus this: 0 weights all
            users equally, 1 all classes.
        average: The share of a member's steps that the average of its weights reaches back over; 0
            for no average.
        patience: The number of epochs without a better mean macro-F1 after which a member stops;
            its best epoch is kept. None to train to the end and keep the last epoch.
        norm: The normalisation of model1 and model2.
        dropout: The share of the features before the heads that is dropped.
        mixed_precision: Whether to compute in bf16 where the device is fast at it.
        augment: How users are varied.
    """

    model: str
    optimiser: OptimiserName
    epochs: int
    members: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_epochs: float
    decay: float | None
    clip: float | None
    label_smoothing: float
    balance: float
    average: float
    patience: int | None
    norm: Norm
    dropout: float
    mixed_precision: bool
    augment: AugmentOptions

    def learning_rate_at(self, step: int, epoch_steps: int, epochs: int) -> float:
        """Return the learning rate of a step.

        Args:
            step: The number of the member's step, counted from 0.
            epoch_steps: The number of steps per epoch.
            epochs: The number of the member's epochs.
        """
        if self.decay is not None:
            return self.learning_rate / (1 + self.decay * step)
        warm = min(1.0, (step + 1) / max(1.0, self.warmup_epochs * epoch_steps))
        cosine = 0.5 * (1 + math.cos(math.pi * step / max(1, epochs * epoch_steps)))
        return self.learning_rate * warm * cosine

    def average_kept(self, step: int, steps: int) -> float:
        """Return the share of the average of the weights that a step keeps; little at first.

        Args:
            step: The number of the member's step, counted from 0.
            steps: The number of the member's steps.
        """
        span = self.average * steps
        return min(1 - 1 / span, (1 + step) / (10 + step)) if span > 1 else 0.0

    def member_epochs(self, epoch: int, epochs: int) -> MemberEpochs:
        """Return the epochs of the member that learns in an epoch.

        Args:
            epoch: The number of the epoch, counted from 1.
            epochs: The number of epochs of all members.
        """
        members = min(self.members, epochs)
        ends = [round(epochs * number / members) for number in range(members + 1)]
        number = next(number for number in range(members) if epoch <= ends[number + 1])
        return MemberEpochs(ends[number] + 1, ends[number + 1], number)


RECIPES: Mapping[RecipeName, Recipe] = {
    "default": Recipe(
        model="deepset",
        optimiser="muon",
        epochs=150,
        members=1,
        batch_size=16,
        learning_rate=2e-3,
        weight_decay=0.5,
        warmup_epochs=2,
        decay=None,
        clip=5.0,
        label_smoothing=0.1,
        balance=0.5,
        average=0.066,
        patience=40,
        norm="batch",
        dropout=0.0,
        mixed_precision=True,
        augment=AugmentOptions(),
    ),
    "paper": Recipe(
        model="model1",
        optimiser="adam",
        epochs=100,
        members=1,
        batch_size=13,
        learning_rate=0.05,
        weight_decay=0.0,
        warmup_epochs=0,
        decay=0.7,
        clip=None,
        label_smoothing=0.0,
        balance=0.0,
        average=0.0,
        patience=None,
        norm="none",
        dropout=0.0,
        mixed_precision=False,
        augment=AugmentOptions.none(),
    ),
}
"""The recipes by name, as they apply to the networks that they name."""

_DEFAULT_OF_VOLUMES: Mapping[str, Any] = {
    "learning_rate": 1e-3,
    "epochs": 160,
    "members": 1,
    "average": 0.1,
    "patience": 60,
    "augment": AugmentOptions(
        drop=0.3, regroup=0.8, mix=0.3, crop=0.5, rotation=0.1, colour=0.2, erase=0.0, paste=0.0
    ),
}
"""The changes of the default for 3D CNNs, which need a lower learning rate and less variation."""


HEADS = 10
"""The number of heads over a backbone that all hold out the same users, or none."""

MOST_HEADS = 20
"""The number of heads over a backbone of which each holds out another part of the users, or less:
two per part, so that each user is held out by two heads."""

_EPOCHS_PER_HEAD = 15

_DEFAULT_OF_HEADS: Mapping[str, Any] = {
    "optimiser": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "batch_size": 64,
    "warmup_epochs": 1,
    "average": 0.1,
    "patience": 6,
    "dropout": 0.5,
    "mixed_precision": False,
    "augment": replace(AugmentOptions.none(), shuffle=True, drop=1.0, regroup=1.0),
}
"""The changes of the default for heads over embeddings, which need seconds, not minutes."""

_DEFAULT_OF_FINE_TUNING: Mapping[str, Any] = {
    "optimiser": "adamw",
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "epochs": 10,
    "warmup_epochs": 1,
    "patience": 4,
    "dropout": 0.5,
}
"""The changes of the default for a backbone that has learned before."""


def recipe_for(
    name: RecipeName,
    model: str | None = None,
    learned: Learned | None = None,
    *,
    heads: int = HEADS,
) -> Recipe:
    """Return a recipe as it applies to a network.

    Args:
        name: The name of the recipe.
        model: The name of the network; None for the one that the recipe names.
        learned: What is trained of a network with a backbone; None for networks without.
        heads: The number of heads to train over a backbone that is kept.
    """
    recipe = RECIPES[name]
    if learned == "head":
        epochs = heads * _EPOCHS_PER_HEAD
        return replace(recipe, **_DEFAULT_OF_HEADS, members=heads, epochs=epochs)
    if learned == "last":
        return replace(recipe, **_DEFAULT_OF_FINE_TUNING)
    network = network_spec(model or recipe.model)
    if name == "default" and isinstance(network, Cnn3dSpec):
        return replace(recipe, model=network.name, **_DEFAULT_OF_VOLUMES)
    return recipe
