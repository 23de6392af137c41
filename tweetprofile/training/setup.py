"""What every process of a training must know before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tweetprofile.networks import Learned, NetworkSpec
from tweetprofile.training.cache import Subset
from tweetprofile.training.curves import LogTo
from tweetprofile.training.recipes import Recipe
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.spec import VolumeSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSetup:
    """The input of a training, the same for each of its processes.

    Attributes:
        network: The network to train.
        volume_spec: The volumes that the network takes.
        schema: The traits to learn.
        recipe: The hyperparameters.
        train: The users to learn from.
        val: The held-out users.
        seed: The seed of everything random.
        minutes: The time that all epochs may take; None for any.
        init: The safetensors file of initial weights; None for random ones.
        folder: The run folder.
        settings: The settings that a resumed run must share with the interrupted one.
        frozen: Whether only a head is trained, over cached embeddings.
        backbone: The file of the backbone's initial weights; None for random ones, or those of
            `init`.
        learned: What is trained of a network over embeddings otherwise.
        parts: The users to learn from and the held-out users of each member, in place of `train`
            and `val`, who are then all users; empty if they are the same for all members.
        resume: Whether to resume from the state in the run folder, if there is one.
        log_to: Where the scores of epochs go besides `metrics.jsonl`; None for nowhere.
    """

    network: NetworkSpec
    volume_spec: VolumeSpec
    schema: TraitSchema
    recipe: Recipe
    train: Subset
    val: Subset
    seed: int
    minutes: float | None
    init: Path | None
    folder: Path
    settings: Mapping[str, Any]
    resume: bool
    frozen: bool = False
    backbone: Path | None = None
    learned: Learned = "all"
    parts: tuple[tuple[Subset, Subset], ...] = ()
    log_to: LogTo | None = None

    def of_member(self, member: int) -> "TrainingSetup":
        """Return the training of a member, with its own users.

        Args:
            member: The number of the member, counted from 0.
        """
        if not self.parts:
            return self
        train, val = self.parts[member % len(self.parts)]
        return replace(self, train=train, val=val, parts=())

    @property
    def batch_size(self) -> int:
        """The number of users per step; fewer than the recipe's if there are not as many."""
        return min(self.recipe.batch_size, len(self.train))

    @property
    def steps(self) -> int:
        """The number of steps per epoch."""
        return len(self.train) // self.batch_size
