"""The plain training loop: epochs of batches, and the best epoch is kept."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from tweetprofile.devices import resolve_precision
from tweetprofile.errors import TrainingError
from tweetprofile.networks import VolumeNetwork, network_spec
from tweetprofile.training.cache import Subset
from tweetprofile.training.labels import UNKNOWN, FoundSchema
from tweetprofile.training.scores import EpochMetrics, TraitScore, score_traits
from tweetprofile.training.settings import TrainOptions
from tweetprofile.traits import TraitSchema


class TrainObserver:
    """Is told how training goes; this one keeps it to itself."""

    def on_schema(self, found: FoundSchema) -> None:
        """Which traits are learnt, and what was left out."""

    def on_decoded(self, users: int, total: int) -> None:
        """How many users are decoded, of how many."""

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        """An epoch has ended, of how many."""


@dataclass(slots=True)
class _Best:
    """The epoch to keep: the one with the highest mean accuracy, or the last without validation."""

    metrics: EpochMetrics | None = None
    state: dict[str, torch.Tensor] = field(default_factory=dict)

    def offer(self, metrics: EpochMetrics, network: VolumeNetwork) -> None:
        best = self.metrics
        if best is None or not metrics.scores or metrics.mean_accuracy >= best.mean_accuracy:
            self.metrics = metrics
            self.state = {name: value.clone() for name, value in network.state_dict().items()}


class Trainer:
    """One network, its optimiser and the users it learns from."""

    def __init__(
        self,
        schema: TraitSchema,
        options: TrainOptions,
        device: torch.device,
        train: Subset,
        val: Subset,
    ) -> None:
        torch.manual_seed(options.seed)
        self._schema, self._options, self._device = schema, options, device
        self._train, self._val = train, val
        self._random = np.random.default_rng(options.seed)
        self._precision = (
            resolve_precision("auto", device) if device.type == "cuda" else torch.float32
        )
        spec = network_spec(options.model, norm=options.norm, dropout=options.dropout)
        self.network = VolumeNetwork(spec, options.volume_spec, schema)
        self.network.initialise()
        self.network.to(
            device,
            memory_format=torch.channels_last_3d,  # type: ignore[call-overload]
        )
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), options.learning_rate, weight_decay=options.weight_decay
        )
        steps = options.epochs * -(-len(train) // options.batch_size)
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimiser, steps)

    def run(self, log: Path, observer: TrainObserver) -> EpochMetrics:
        """All epochs; afterwards the network is the best of them."""
        best = _Best()
        with log.open("w", encoding="utf-8") as lines:
            for epoch in range(1, self._options.epochs + 1):
                metrics = self._run_epoch(epoch)
                lines.write(json.dumps(asdict(metrics)) + "\n")
                lines.flush()
                best.offer(metrics, self.network)
                observer.on_epoch(metrics, self._options.epochs)
        assert best.metrics is not None
        self.network.load_state_dict(best.state)
        return best.metrics

    def _run_epoch(self, epoch: int) -> EpochMetrics:
        began = time.monotonic()
        order = self._random.permutation(len(self._train))
        self.network.train()
        losses = [
            self._step(volumes, labels, epoch)
            for volumes, labels in self._train.batches(self._options.batch_size, order)
        ]
        val_loss, scores = self._validate()
        seconds = time.monotonic() - began
        return EpochMetrics(epoch, sum(losses) / len(losses), val_loss, scores, seconds)

    def _step(self, volumes: torch.Tensor, labels: torch.Tensor, epoch: int) -> float:
        loss = self._loss(self._logits(volumes), labels)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} in epoch {epoch}; train with a lower --learning-rate "
                f"than {self._options.learning_rate:g}."
            )
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._schedule.step()
        return loss.item()

    def _logits(self, volumes_NDHWC: torch.Tensor) -> dict[str, torch.Tensor]:
        volumes = self._options.volume_spec.normalise(volumes_NDHWC.to(self._device))
        lower = self._precision != torch.float32
        with torch.autocast(self._device.type, dtype=self._precision, enabled=lower):
            logits: dict[str, torch.Tensor] = self.network(volumes)
        return {trait: values.float() for trait, values in logits.items()}

    def _loss(self, logits: dict[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy summed over the traits (the paper's Eq. 1), each a mean over its labels."""
        total = torch.zeros((), device=self._device)
        for column, name in enumerate(self._schema.names):
            wanted = labels[:, column].to(self._device)
            each = cross_entropy(logits[name], wanted, ignore_index=UNKNOWN, reduction="sum")
            total = total + each / (wanted != UNKNOWN).sum().clamp(min=1)
        return total

    @torch.inference_mode()
    def _validate(self) -> tuple[float | None, dict[str, TraitScore]]:
        if not len(self._val):
            return None, {}
        self.network.eval()
        losses, guesses = [], []
        for volumes, labels in self._val.batches(self._options.batch_size):
            logits = self._logits(volumes)
            losses.append(self._loss(logits, labels).item() * len(labels))
            guesses.append(np.stack([each.argmax(1).cpu().numpy() for each in logits.values()], 1))
        scores = score_traits(
            self._schema, np.concatenate(guesses), self._val.labels, self._train.labels
        )
        return sum(losses) / len(self._val), scores
