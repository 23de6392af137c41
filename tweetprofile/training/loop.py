"""The training loop of one process: learn from batches, validate, keep the best epoch.

All processes of a training draw the same batches, and each computes its share of them. Only the
first process validates, writes files and reports to an observer.
"""

import time
from contextlib import AbstractContextManager
from dataclasses import replace
from operator import attrgetter

import numpy as np
import torch

from tweetprofile.networks import AnyNetwork
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import mean_macro_f1
from tweetprofile.training.batches import Batches, DeviceFrames
from tweetprofile.training.best_weights import BestWeights
from tweetprofile.training.cache import Subset
from tweetprofile.training.curves import Curves
from tweetprofile.training.distributed import Rank
from tweetprofile.training.feed import Feed
from tweetprofile.training.forward import training_dtype
from tweetprofile.training.held_out import HeldOut
from tweetprofile.training.inputs import make_inputs
from tweetprofile.training.learner import Learner
from tweetprofile.training.loss import EpochLoss
from tweetprofile.training.metrics_file import append_metrics, cut_metrics
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.training.state import StateWriter, TrainingState, optimiser_state
from tweetprofile.training.validation import Validator, score_logits
from tweetprofile.workers.devices import exact_numerics


class Trainer:
    """One process of a training.

    Args:
        setup: The training.
        rank: The process.
        observer: Receives the events of the first process.
        feed: How data reach the rank's device; None for the feed that suits the device.

    Attributes:
        result: The network that was trained: after `run` the mean of all members, before that the
            average of the current member's weights.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        rank: Rank,
        observer: TrainObserver | None = None,
        feed: Feed | None = None,
    ) -> None:
        self._setup, self._rank = setup, rank
        self._observer = observer or TrainObserver()
        torch.manual_seed(setup.seed)
        self._learner = Learner(setup.of_member(0), rank)
        # A head that is fine-tuned has just been trained; nobody needs to hear of its weights.
        if self._learner.loaded and rank.number == 0 and setup.learned != "last":
            self._observer.on_loaded(self._learner.loaded)
        caches = setup.train.cache, setup.val.cache
        self._frames = DeviceFrames(caches, feed or Feed.of(rank.device))
        self._inputs = make_inputs(setup, rank.device)
        self._enter_member(0)
        self._writer = StateWriter(setup.folder)
        self._curves = Curves(setup.folder, setup.log_to if rank.number == 0 else None)
        self._best = BestWeights()
        self._epochs = setup.recipe.epochs
        self.result: AnyNetwork = self._learner.average.network

    def run(self) -> EpochMetrics:
        """Train for all epochs, and return the metrics of `result`."""
        epoch = self._next_epoch(self._restore())
        kept = [each.metrics for each in self._best.kept]
        self._observer.on_training(max(kept, key=attrgetter("mean_macro_f1"), default=None))
        with self._exact():
            with self._writer, self._curves:
                while epoch <= self._epochs:
                    self._finish_epoch(self._run_epoch(epoch))
                    epoch = self._next_epoch(epoch)
            return self._combine_members()

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        """The best epoch of each member."""
        return tuple(kept.metrics.epoch for kept in self._best.kept)

    def evaluate_held_out(self) -> HeldOut:
        """Return the logits of the held-out users.

        If each member holds out users of its own, they are the logits of these members; otherwise
        those of `result`.
        """
        setup = self._setup
        if not setup.parts:
            return HeldOut(setup.val.users, setup.val.labels, self.evaluate(setup.val))
        rows = []
        with self._exact():
            for number, kept in enumerate(self._best.kept):
                val, member = setup.of_member(number).val, self._learner.ensemble([kept])
                logits = self._validator.logits(member, val)
                rows.append(HeldOut(val.users, val.labels, logits))
        return HeldOut.join(rows)

    def evaluate(self, users: Subset) -> dict[str, torch.Tensor]:
        """Return the logits of `result` for users, by trait."""
        with self._exact():
            return self._validator.logits(self.result, users)

    def _enter_member(self, member: int) -> None:
        """Let the next epochs draw from the users of a member, and validate on its others."""
        self._member = member
        own = self._setup.of_member(member)
        self._steps = own.steps
        self._has_val = len(own.val) > 0
        self._batches = Batches(own, self._frames, self._inputs, self._rank)
        self._validator = Validator(own, self._frames, self._inputs, self._rank.device)

    def _exact(self) -> AbstractContextManager[None]:
        dtype = training_dtype(self._setup.recipe, self._rank.device)
        return exact_numerics(self._rank.device, dtype)

    def _run_epoch(self, epoch: int) -> EpochMetrics:
        began = time.monotonic()
        # Seeded by the epoch's number alone, so that a resumed run draws the same.
        random = np.random.default_rng([self._setup.seed, epoch])
        torch.manual_seed(int(random.integers(1 << 62)))
        recipe = self._setup.recipe
        member = recipe.member_epochs(epoch, self._epochs)
        if member.member != self._member:
            self._enter_member(member.member)
        if 1 < epoch == member.first:
            self._learner.start_member(self._setup.of_member(member.member))
        steps = self._steps
        self._learner.start_epoch()
        self._observer.on_batch(epoch, 0, steps)
        losses, rate = EpochLoss(epoch, steps, recipe, self._rank), 0.0
        for number, batch in enumerate(self._batches.draw(random)):
            step = (epoch - member.first) * steps + number
            rate = recipe.learning_rate_at(step, steps, member.count)
            kept = recipe.average_kept(step, member.count * steps)
            losses.add(self._learner.step(batch, rate=rate, kept=kept))
            self._observer.on_batch(epoch, number + 1, steps)
        loss = losses.mean()  # a loss that is not finite ends the training before anything is kept
        val_loss, scores = (
            self._validator.score(self.result) if self._rank.number == 0 else (None, {})
        )
        return EpochMetrics(
            epoch=epoch,
            loss=loss,
            val_loss=val_loss,
            scores=scores,
            mean_macro_f1=mean_macro_f1(scores),
            learning_rate=rate,
            seconds=time.monotonic() - began,
        )

    def _finish_epoch(self, metrics: EpochMetrics) -> None:
        """Keep the weights if they are the member's best, and save the state of the run."""
        recipe = self._setup.recipe
        member = recipe.member_epochs(metrics.epoch, self._epochs)
        better = recipe.patience is None or metrics.beats(self._best.best_of(member))
        # Only the first process has validated; the others follow its decision.
        if self._rank.broadcast(better):
            self._best.keep(metrics, member, self._learner.average.tensors)
        if metrics.epoch == 1 and self._setup.minutes is not None:
            fitting = int(self._setup.minutes * 60 / metrics.seconds)
            self._epochs = self._rank.broadcast(max(1, min(recipe.epochs, fitting)))
        if self._rank.number == 0:
            self._save(metrics)
            self._observer.on_epoch(metrics, self._epochs)

    def _next_epoch(self, done: int) -> int:
        """Return the epoch after the last finished one: the next member's if patience is over."""
        patience = self._setup.recipe.patience
        if patience is None or not done or not self._has_val:
            return done + 1
        member = self._setup.recipe.member_epochs(done, self._epochs)
        best = self._best.best_of(member)
        return member.last + 1 if best and done - best.epoch >= patience else done + 1

    def _combine_members(self) -> EpochMetrics:
        """Set `result` to the best weights of all members, and return its metrics."""
        self.result = self._learner.ensemble(self._best.kept)
        last = self._best.kept[-1].metrics
        if len(self._best.kept) == 1 or self._rank.number > 0:
            return last
        val_loss: float | None
        if self._setup.parts:
            held_out = self.evaluate_held_out().mean()
            val_loss, scores = score_logits(self._setup, held_out.logits, held_out.labels_RT)
        else:
            val_loss, scores = self._validator.score(self.result)
        return replace(last, val_loss=val_loss, scores=scores, mean_macro_f1=mean_macro_f1(scores))

    def _restore(self) -> int:
        """Resume from the state of an interrupted run; return the number of finished epochs."""
        state = TrainingState.load(self._setup.folder) if self._setup.resume else None
        done = state.epoch if state else 0
        if self._rank.number == 0:
            cut_metrics(self._setup.folder, done)
        if state is not None:
            self._learner.restore(state)
            self._best, self._epochs = BestWeights(state.kept), state.epochs
        return done

    def _save(self, metrics: EpochMetrics) -> None:
        append_metrics(self._setup.folder, metrics)
        self._curves.add(metrics)
        state = TrainingState(
            settings=self._setup.settings,
            epoch=metrics.epoch,
            epochs=self._epochs,
            kept=self._best.kept,
            network=self._learner.network.state_dict(),
            average=self._learner.average.tensors,
            optimiser=optimiser_state(self._learner.optimiser),
        )
        self._writer.save(state)


def train_rank(rank: Rank, setup: TrainingSetup) -> None:
    """Train in a process other than the first, without an observer."""
    Trainer(setup, rank).run()
