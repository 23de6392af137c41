"""Recipes: how a network learns. `paper` as published, `default` as works.

The paper (section 4) trains with "Adam", "learning rate 0.05", "decay 0.7", "batch 13" and "100
iterations". What it leaves open, and what was taken:

- *decay 0.7*: the learning rate is divided by 1 + 0.7 t at the t-th step, which is what the `decay`
  of an optimiser was in Keras when the paper was written. As the decay of weights, or of the mean
  of gradients, 0.7 would keep any network from learning.
- *100 iterations*: 100 epochs; 100 steps of 13 users would not even see every user once.
- *loss*: its Eq. 1, cross-entropy summed over the heads; no normalisation, no dropout, no
  augmentation, as it speaks of none, and the weights after the last epoch.
- *weights to begin with*: those that `networks/cnn3d.py` draws for any recipe.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from tweetprofile.networks import Cnn3dSpec, Norm, network_spec
from tweetprofile.training.augment import AugmentOptions
from tweetprofile.training.optimisers import OptimiserName

RecipeName = Literal["default", "paper"]


@dataclass(frozen=True, slots=True)
class Turn:
    """The epochs from `first` to `last`, in which one member learns."""

    first: int
    last: int

    @property
    def epochs(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network learns.

    Attributes:
        model: the network to train where none is named.
        optimiser: `adam`, `adamw` or `muon`.
        epochs: passes over the users, at most, of all members together.
        members: networks that learn one after the other, from other weights and in another order,
            and predict together ("deep ensembles", Lakshminarayanan et al. 2017).
        batch_size: users a step.
        learning_rate: the highest.
        weight_decay: of adamw and muon; norms and biases are left alone.
        warmup_epochs: in which the learning rate rises from 0.
        decay: learning rate over 1 + decay x steps; None for a cosine that ends at 0.
        clip: largest norm of a step's gradient; None for any.
        label_smoothing: share of a label that is spread over all classes.
        balance: a class counts as its frequency to the power of minus this: 0 for all users alike,
            1 for all classes alike.
        average: share of a member's steps that the mean of its weights reaches back over; 0 for
            no mean.
        patience: epochs without a better mean macro-F1 after which training stops, the best epoch
            of each member being kept; None to go on to the end and keep the last.
        norm: normalisation of model1 and model2.
        dropout: share of the features before the heads that is dropped.
        mixed_precision: whether to compute in bf16 (CUDA: fp16 where it has no bf16).
        augment: how users are varied.
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
        """The learning rate of a member's step, counted from 0, of so many epochs of steps."""
        if self.decay is not None:
            return self.learning_rate / (1 + self.decay * step)
        warm = min(1.0, (step + 1) / max(1.0, self.warmup_epochs * epoch_steps))
        cosine = 0.5 * (1 + math.cos(math.pi * step / max(1, epochs * epoch_steps)))
        return self.learning_rate * warm * cosine

    def average_kept(self, step: int, steps: int) -> float:
        """Share of the mean of weights that is kept at a step of so many, little at first."""
        span = self.average * steps
        return min(1 - 1 / span, (1 + step) / (10 + step)) if span > 1 else 0.0

    def turn_of(self, epoch: int, epochs: int) -> Turn:
        """The member's turn that an epoch, counted from 1, of so many is in."""
        members = min(self.members, epochs)
        ends = [round(epochs * number / members) for number in range(members + 1)]
        number = next(number for number in range(members) if epoch <= ends[number + 1])
        return Turn(ends[number] + 1, ends[number + 1])


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
"""The recipes that can be asked for by name, as they are for the networks that they name."""

_DEFAULT_OF_VOLUMES: Mapping[str, Any] = {
    "learning_rate": 1e-3,
    "epochs": 160,
    "members": 1,
    "average": 0.1,
    "patience": 60,
    "augment": AugmentOptions(
        drop=0.3, regroup=0.8, mix=0.3, crop=0.5, turn=0.1, colour=0.2, erase=0.0, paste=0.0
    ),
}
"""What the default is for 3D CNNs: a high rate or much variation keeps them from learning."""


def recipe_for(name: RecipeName, model: str | None = None) -> Recipe:
    """The recipe of a name for a network; None for the network that the recipe names."""
    recipe = RECIPES[name]
    network = network_spec(model or recipe.model)
    if name == "default" and isinstance(network, Cnn3dSpec):
        return replace(recipe, model=network.name, **_DEFAULT_OF_VOLUMES)
    return recipe
