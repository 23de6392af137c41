"""The network that learns: its optimiser, its gradient step and the average of its weights."""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from tweetprofile.checkpoints.backbone import load_backbone
from tweetprofile.networks import (
    AnyNetwork,
    Cnn3d,
    EmbeddingHead,
    EmbeddingSet,
    EmbeddingSetSpec,
    Network,
    build_network,
    ensemble_of,
)
from tweetprofile.training.averaging import AveragedWeights
from tweetprofile.training.batches import Batch
from tweetprofile.training.best_weights import KeptWeights
from tweetprofile.training.cache import feature_statistics
from tweetprofile.training.clusters import place_clusters
from tweetprofile.training.distributed import Rank
from tweetprofile.training.forward import compute_logits, training_dtype
from tweetprofile.training.loss import user_loss
from tweetprofile.training.optimisers import make_optimiser
from tweetprofile.training.pretrained import LoadedWeights, load_weights
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.training.state import TrainingState
from tweetprofile.training.topics import place_topics


class Learner:
    """One process's copy of the network, which a gradient step changes alike in all processes.

    Args:
        setup: The training.
        rank: The process.

    Attributes:
        network: The network with the weights after the last step.
        average: The average of its weights, which is validated and kept.
        optimiser: The optimiser with its moments.
        loaded: Which of the initial weights the network took; None for random weights.
    """

    def __init__(self, setup: TrainingSetup, rank: Rank) -> None:
        self._setup, self._rank = setup, rank
        self._dtype = training_dtype(setup.recipe, rank.device)
        self.network, self.loaded = self._make_network()
        self.average = AveragedWeights(self.network)
        self._parallel = rank.distribute(self.network)
        self.optimiser = self._make_optimiser()

    def start_member(self, setup: TrainingSetup) -> None:
        """Begin the next member: forget what was learnt, and draw other weights.

        Args:
            setup: The training of the member.
        """
        self._setup = setup
        weights = self._make_network()[0].state_dict()
        self.network.load_state_dict(weights)
        self.average.network.load_state_dict(weights)
        self.optimiser = self._make_optimiser()

    def start_epoch(self) -> None:
        """Put the network in training mode."""
        self._parallel.train()

    def step(self, batch: Batch, *, rate: float, kept: float) -> torch.Tensor:
        """Make a gradient step, and return this process's share of the loss, on the device.

        Args:
            batch: The users to learn from.
            rate: The learning rate.
            kept: The share of the average of the weights that is kept.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        logits = compute_logits(self._parallel, batch.inputs, batch.mask, batch.own, self._dtype)
        loss = user_loss(logits, batch.targets)
        self.optimiser.zero_grad()
        # Gradients are averaged over the processes, but must be summed.
        world = self._rank.world
        (loss if world == 1 else loss * world).backward()  # type: ignore[no-untyped-call]
        if (clip := self._setup.recipe.clip) is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), clip)
        self.optimiser.step()
        self.average.update(kept)
        return loss.detach()

    def restore(self, state: TrainingState) -> None:
        """Take the weights, their average and the moments of an interrupted run.

        Raises:
            OutputError: The state is damaged, or belongs to another network.
        """
        state.restore(self._setup.folder, self.network, self.average.network, self.optimiser)

    def ensemble(self, members: Sequence[KeptWeights]) -> AnyNetwork:
        """Return the network whose prediction is the mean of the members' predictions."""
        networks = [copy.deepcopy(self.average.network) for _ in members]
        for network, kept in zip(networks, members, strict=True):
            network.load_state_dict(kept.weights)
        return ensemble_of(networks)

    def _make_network(self) -> tuple[Network, LoadedWeights | None]:
        setup = self._setup
        network: Network
        if setup.frozen:
            assert isinstance(setup.network, EmbeddingSetSpec)
            network = EmbeddingHead(setup.network, setup.volume_spec, setup.schema)
            network.standardise(*feature_statistics(setup.train))
        else:
            network = build_network(setup.network, setup.volume_spec, setup.schema)
        network.initialise()
        if isinstance(network, EmbeddingHead) and network.spec.pool == "clusters":
            place_clusters(network, setup.train)
        if isinstance(network, EmbeddingHead) and network.spec.pool == "topics":
            place_topics(network, setup.train)
        loaded = load_weights(network, setup.init) if setup.init else None
        if isinstance(network, EmbeddingSet):
            if setup.backbone is not None:
                network.backbone.load_state_dict(load_backbone(setup.backbone).state)
            network.learn(setup.learned)
        flat = not isinstance(network, Cnn3d)
        layout = torch.channels_last if flat else torch.channels_last_3d
        moved: Network = network.to(  # type: ignore[call-overload]
            self._rank.device, memory_format=layout
        )
        return moved, loaded

    def _make_optimiser(self) -> torch.optim.Optimizer:
        recipe = self._setup.recipe
        return make_optimiser(
            recipe.optimiser, self.network, recipe.learning_rate, recipe.weight_decay
        )
