"""The training loop of one process: epochs of batches, validated, and the best epoch is kept.

All processes of a training draw the same batches and each computes its part; the first one
validates, writes and tells an observer.
"""

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from tweetprofile.data.labels.reading import UNKNOWN, FoundSchema
from tweetprofile.decoders.resizing import stretch
from tweetprofile.errors import TrainingError
from tweetprofile.networks import (
    AnyNetwork,
    DeepSet,
    Network,
    NetworkSpec,
    build_network,
    ensemble_of,
)
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore, mean_macro_f1, score_traits
from tweetprofile.training.augment import Choice, Distortion, FrameChooser, fill_volumes
from tweetprofile.training.cache import FrameCache, Subset
from tweetprofile.training.distributed import Rank
from tweetprofile.training.loss import UserLoss
from tweetprofile.training.metrics import append_metrics, cut_metrics
from tweetprofile.training.optimisers import make_optimiser
from tweetprofile.training.pretrained import LoadedWeights, load_weights
from tweetprofile.training.recipes import Recipe
from tweetprofile.training.selection import Selection
from tweetprofile.training.state import TrainingState, optimiser_state
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.choice import select_evenly
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.volumes.stacking import frame_mask, stack_volumes
from tweetprofile.workers.devices import resolve_precision


class TrainObserver:
    """Is told how training goes; this one keeps it to itself."""

    def on_schema(self, found: FoundSchema) -> None:
        """Which traits are learnt, and what was left out."""

    def on_decoded(self, users: int, total: int) -> None:
        """How many users are decoded, of how many; never called where frames were at hand."""

    def on_loaded(self, weights: LoadedWeights) -> None:
        """What became of the weights to start from."""

    def on_fold(self, number: int, folds: int) -> None:
        """A fold of a cross-validation begins, of how many; the epochs that follow are its own."""

    def on_note(self, sentence: str) -> None:
        """Something that was done with the users and that a person may want to know."""

    def on_warning(self, sentence: str) -> None:
        """Something that a person should know before they trust the result."""

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        """An epoch has ended, of how many."""


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """Everything that training needs, for every process that takes part.

    Attributes:
        network: what to train.
        volume_spec: the volumes it takes.
        schema: the traits.
        recipe: how.
        train: users to learn from.
        val: users set aside.
        seed: of everything random.
        minutes: that all epochs may take; None for any.
        init: weights to start from; None for drawn ones.
        folder: of the run.
        settings: what the run was told, to be compared when it goes on.
        resume: whether to go on from what the folder holds.
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


class Trainer:
    """One process's network, its optimiser and the users it learns from.

    Args:
        setup: what to do.
        rank: which process this is.
        observer: is told how it goes, by the first process.
    """

    def __init__(
        self, setup: TrainingSetup, rank: Rank, observer: TrainObserver | None = None
    ) -> None:
        self._setup, self._rank = setup, rank
        self._recipe, self._device = setup.recipe, rank.device
        self._observer = observer or TrainObserver()
        self._dtype = _training_dtype(setup.recipe, rank.device)
        torch.manual_seed(setup.seed)
        self.network, loaded = self._make_network()
        if loaded and rank.number == 0:
            self._observer.on_loaded(loaded)
        self._average: Network = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.result: AnyNetwork = self._average
        self._parallel = rank.distribute(self.network)
        self._optimiser = self._make_optimiser()
        self._chooser = FrameChooser(setup.train, setup.volume_spec.frames, setup.recipe.augment)
        caches = {users.cache.path: users.cache for users in (setup.train, setup.val)}
        self._pixels = {path: _Pixels(cache, rank.device) for path, cache in caches.items()}
        self._loss = UserLoss(setup.train, setup.schema, setup.recipe, rank)
        self._size = min(setup.recipe.batch_size, len(setup.train))
        self._steps = len(setup.train) // self._size
        self._epochs = setup.recipe.epochs
        self._selection = Selection()

    # --- epochs ------------------------------------------------------------------------------

    def run(self) -> EpochMetrics:
        """All epochs; afterwards `result` is the network that the metrics returned are of."""
        epoch = self._next_epoch(self._restore())
        while epoch <= self._epochs:
            self._finish_epoch(self._run_epoch(epoch))
            epoch = self._next_epoch(epoch)
        return self._take_kept()

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        """The epochs that the result is of."""
        return tuple(kept.metrics.epoch for kept in self._selection.kept)

    def _take_kept(self) -> EpochMetrics:
        """Let `result` be what was kept of all members; its metrics."""
        members = [copy.deepcopy(self._average) for _ in self._selection.kept]
        for member, kept in zip(members, self._selection.kept, strict=True):
            member.load_state_dict(kept.weights)
        last = self._selection.kept[-1].metrics
        self.result = ensemble_of(members)
        if len(members) == 1 or self._rank.number > 0:
            return last
        val_loss, scores = self._validate()
        return replace(last, val_loss=val_loss, scores=scores, mean_macro_f1=mean_macro_f1(scores))

    def _run_epoch(self, epoch: int) -> EpochMetrics:
        began = time.monotonic()
        # Of the epoch's number and the seed alone, so that a run that goes on draws the same.
        random = np.random.default_rng([self._setup.seed, epoch])
        torch.manual_seed(int(random.integers(1 << 62)))
        turn = self._recipe.turn_of(epoch, self._epochs)
        if 1 < epoch == turn.first:
            self._begin_anew()
        self._parallel.train()
        loss = rate = 0.0
        for number, users in enumerate(self._batches(random)):
            step = (epoch - turn.first) * self._steps + number
            rate = self._recipe.learning_rate_at(step, self._steps, turn.epochs)
            loss += self._step(users, rate, random, epoch)
            self._update_average(self._recipe.average_kept(step, turn.epochs * self._steps))
        val_loss, scores = self._validate() if self._rank.number == 0 else (None, {})
        seconds = time.monotonic() - began
        mean = mean_macro_f1(scores)
        return EpochMetrics(epoch, loss / self._steps, val_loss, scores, mean, rate, seconds)

    def _finish_epoch(self, metrics: EpochMetrics) -> None:
        """Keep the epoch if it is its member's best, and remember where the run is."""
        turn = self._recipe.turn_of(metrics.epoch, self._epochs)
        better = self._recipe.patience is None or metrics.beats(self._selection.best_of(turn))
        # Only the first process has validated; the others do as it does.
        if self._rank.agree(better):
            self._selection.keep(metrics, turn, self._average.state_dict())
        if metrics.epoch == 1 and self._setup.minutes is not None:
            fitting = int(self._setup.minutes * 60 / metrics.seconds)
            self._epochs = self._rank.agree(max(1, min(self._recipe.epochs, fitting)))
        if self._rank.number == 0:
            self._write(metrics)
            self._observer.on_epoch(metrics, self._epochs)

    def _next_epoch(self, done: int) -> int:
        """The epoch after the last one done: the next member's first where patience has ended."""
        patience = self._recipe.patience
        if patience is None or not done or not len(self._setup.val):
            return done + 1
        turn = self._recipe.turn_of(done, self._epochs)
        best = self._selection.best_of(turn)
        return turn.last + 1 if best and done - best.epoch >= patience else done + 1

    # --- one step ----------------------------------------------------------------------------

    def _batches(self, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Every user once, in whole batches; who is left over has a turn in another epoch."""
        order = random.permutation(len(self._setup.train))
        for number in range(self._steps):
            yield order[number * self._size : (number + 1) * self._size]

    def _step(
        self, users: NDArray[np.int64], rate: float, random: np.random.Generator, epoch: int
    ) -> float:
        choices = self._chooser.choose(users, random)
        volumes, mask = self._make_volumes(choices, random)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = self._loss(self._logits(self._parallel, volumes, mask), users, choices)
        total = self._rank.add_up(loss.item())
        if not np.isfinite(total):
            raise TrainingError(
                f"the loss is {total} in epoch {epoch}; train with a lower --learning-rate than "
                f"{self._recipe.learning_rate:g}."
            )
        self._optimiser.zero_grad()
        # Gradients are averaged over the processes, and are to be added up.
        (loss * self._rank.world).backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.clip)
        self._optimiser.step()
        return total

    def _make_volumes(
        self, choices: list[Choice], random: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's part of a batch, drawn for the whole of it."""
        chosen = [choice.frames for choice in choices]
        counts = [len(each) for each in chosen]
        ends = np.cumsum([0, *counts])
        distortion = Distortion.draw(counts, self._recipe.augment, random)
        own = self._rank.share(len(chosen))
        part = slice(int(ends[own.start]), int(ends[own.stop]))
        pixels = self._pixels[self._setup.train.cache.path].take(np.concatenate(chosen)[part])
        frames = distortion.take(part).apply(pixels, self._setup.volume_spec)
        return fill_volumes(frames, counts[own], self._setup.volume_spec)

    def _logits(
        self, network: nn.Module, volumes: torch.Tensor, mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        lower = self._dtype != torch.float32
        with torch.autocast(self._device.type, dtype=self._dtype, enabled=lower):
            logits: dict[str, torch.Tensor] = network(volumes, mask)
        return {trait: values.float() for trait, values in logits.items()}

    @torch.no_grad()
    def _update_average(self, kept: float) -> None:
        """Move the mean of the weights, of which a share is kept."""
        current = self.network.state_dict()
        for name, mean in self._average.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(current[name], 1 - kept)
            else:
                mean.copy_(current[name])

    # --- validation --------------------------------------------------------------------------

    def _validate(self) -> tuple[float | None, dict[str, TraitScore]]:
        val = self._setup.val
        if not len(val):
            return None, {}
        logits = self.judge(val)
        guesses = np.stack([each.argmax(1).numpy() for each in logits.values()], axis=1)
        labels = torch.from_numpy(val.labels)
        loss = 0.0
        for column, values in enumerate(logits.values()):
            if (labels[:, column] != UNKNOWN).any():
                loss += float(cross_entropy(values, labels[:, column], ignore_index=UNKNOWN))
        schema = self._setup.schema
        return loss, score_traits(schema, guesses, val.labels, self._setup.train.labels)

    @torch.inference_mode()
    def judge(self, users: Subset) -> dict[str, torch.Tensor]:
        """Logits of the result so far, as predicting sees users: frames evenly spread, whole."""
        rows: list[dict[str, torch.Tensor]] = []
        for start in range(0, len(users), self._size):
            rows.append(self._judge(users, range(start, min(start + self._size, len(users)))))
        names = self._setup.schema.names
        return {name: torch.cat([row[name] for row in rows]).cpu() for name in names}

    def _judge(self, users: Subset, positions: range) -> dict[str, torch.Tensor]:
        spec = self._setup.volume_spec
        frames = [users.frames_of(position) for position in positions]
        chosen = [each[select_evenly(len(each), spec.frames)] for each in frames]
        pixels = self._pixels[users.cache.path].take(np.concatenate(chosen))
        counts = [len(each) for each in chosen]
        seen = torch.split(stretch(pixels, spec.height, spec.width), counts)
        mask = frame_mask(counts, spec.frames).to(self._device)
        return self._logits(self.result, spec.normalise(stack_volumes(seen, spec)), mask)

    # --- beginning, and going on -------------------------------------------------------------

    def _make_network(self) -> tuple[Network, LoadedWeights | None]:
        setup = self._setup
        network = build_network(setup.network, setup.volume_spec, setup.schema)
        network.initialise()
        loaded = load_weights(network, setup.init) if setup.init else None
        flat = isinstance(network, DeepSet)
        layout = torch.channels_last if flat else torch.channels_last_3d
        moved: Network = network.to(self._device, memory_format=layout)  # type: ignore[call-overload]
        return moved, loaded

    def _make_optimiser(self) -> torch.optim.Optimizer:
        recipe = self._recipe
        return make_optimiser(
            recipe.optimiser, self.network, recipe.learning_rate, recipe.weight_decay
        )

    def _begin_anew(self) -> None:
        """Forget what was learnt, for the next member to learn it from other weights."""
        weights = self._make_network()[0].state_dict()
        self.network.load_state_dict(weights)
        self._average.load_state_dict(weights)
        self._optimiser = self._make_optimiser()

    def _restore(self) -> int:
        """Go on where an earlier run has ended; the epochs that are done."""
        state = TrainingState.load(self._setup.folder) if self._setup.resume else None
        done = state.epoch if state else 0
        if self._rank.number == 0:
            cut_metrics(self._setup.folder, done)
        if state is not None:
            state.restore(self._setup.folder, self.network, self._average, self._optimiser)
            self._selection, self._epochs = Selection(state.kept), state.epochs
        return done

    def _write(self, metrics: EpochMetrics) -> None:
        append_metrics(self._setup.folder, metrics)
        TrainingState(
            self._setup.settings,
            metrics.epoch,
            self._epochs,
            self._selection.kept,
            self.network.state_dict(),
            self._average.state_dict(),
            optimiser_state(self._optimiser),
        ).save(self._setup.folder)


class _Pixels:
    """The frames of a cache, from the GPU if it has room for them, else from the disk."""

    def __init__(self, cache: FrameCache, device: torch.device) -> None:
        self._frames = cache.frames_MSSC
        self._resident = cache.resident(device)
        self._device = device

    def take(self, frames: NDArray[np.int64]) -> torch.Tensor:
        """Those frames: (M, S, S, 3) uint8 on the device."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(frames).to(self._device)]
        return torch.from_numpy(self._frames[frames]).to(self._device, non_blocking=True)


def train_rank(rank: Rank, setup: TrainingSetup) -> None:
    """What a process other than the first does: the same, and silently."""
    Trainer(setup, rank).run()


def _training_dtype(recipe: Recipe, device: torch.device) -> torch.dtype:
    if not recipe.mixed_precision:
        return torch.float32
    dtype = resolve_precision("auto", device)
    # The gradients of fp16 would need scaling; bf16 has the range of fp32.
    return torch.float32 if dtype == torch.float16 else dtype
