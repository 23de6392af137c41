"""The choice of a head: the one that predicts best in a cross-validation on the training users."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tweetprofile.errors import TrainingError
from tweetprofile.networks import MOST_PROFILES, EmbeddingSetSpec, count_profiles
from tweetprofile.scoring.traits import mean_macro_f1
from tweetprofile.training.backbones import HEADS, HeadName
from tweetprofile.training.distributed import all_ranks
from tweetprofile.training.folds import make_folds
from tweetprofile.training.loop import Trainer, train_rank
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.plan import TrainingPlan
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.traits import TraitSchema

_FOLDS = 3

_FEWEST_USERS = 60
"""The number of users below which the choice would be chance, and `sum` is taken."""

_EPOCHS = 12
"""The epochs per fold. With much fewer, `linear` would seem best, because it learns fastest."""


@dataclass(frozen=True, slots=True)
class HeadChoice:
    """The chosen head.

    Attributes:
        name: The name of the head.
        scores: The mean macro-F1 of each head in the cross-validation; empty if there was none.
        left_out: Why some heads were not compared; empty if all were.
    """

    name: HeadName
    scores: Mapping[HeadName, float]
    left_out: str = ""

    @property
    def note(self) -> str:
        """A sentence on the choice."""
        if not self.scores:
            return f"the head is '{self.name}': there are too few users to compare heads."
        each = ", ".join(f"{name} {score:.3f}" for name, score in self.scores.items())
        return (
            f"the head is '{self.name}', the best in a cross-validation on the training users "
            f"(mean macro-F1: {each}){self.left_out}."
        )


def choose_head(plan: TrainingPlan, setup: TrainingSetup, observer: TrainObserver) -> HeadChoice:
    """Choose the head that predicts best in a cross-validation.

    Args:
        plan: The training.
        setup: The training of the head that is chosen, with its users.
        observer: Receives how many trainings are done.
    """
    if len(setup.train) < _FEWEST_USERS:
        return HeadChoice("sum", {})
    try:
        folds = list(make_folds(setup.train, _FOLDS, setup.seed))
    except TrainingError:  # all users have all images in common
        return HeadChoice("sum", {})
    heads, left_out = _heads_for(setup.schema)
    scores: dict[HeadName, float] = {}
    done, total = 0, len(heads) * len(folds)
    observer.on_compared(done, total)
    for name in heads:
        each = []
        for rest, tested in folds:
            each.append(_score(plan, replace(setup, train=rest, val=tested), name))
            done += 1
            observer.on_compared(done, total)
        scores[name] = float(np.mean(each))
    return HeadChoice(max(scores, key=lambda name: scores[name]), scores, left_out)


def _heads_for(schema: TraitSchema) -> tuple[list[HeadName], str]:
    """Return the heads that suit the traits, and the end of a sentence on the others."""
    if (profiles := count_profiles(schema)) <= MOST_PROFILES:
        return list(HEADS), ""
    return [name for name in HEADS if name != "topics"], (
        f"; 'topics' was not compared, since the traits have {profiles:,} combinations of classes, "
        f"more than {MOST_PROFILES:,}"
    )


def _score(plan: TrainingPlan, fold: TrainingSetup, name: HeadName) -> float:
    """Train a head on a fold, and return its mean macro-F1 on the users that the fold tests."""
    with tempfile.TemporaryDirectory(prefix="tweetprofile-") as folder:
        setup = replace(
            fold,
            network=with_head(fold.network, name),
            recipe=replace(fold.recipe, epochs=_EPOCHS, members=1),
            parts=(),
            minutes=None,
            folder=Path(folder),
            resume=False,
            log_to=None,
        )
        with all_ranks(plan.devices[:1], train_rank, setup) as rank:
            return mean_macro_f1(Trainer(setup, rank, TrainObserver()).run().scores)


def with_head(network: object, name: HeadName) -> EmbeddingSetSpec:
    """Return a network over embeddings with the head of that name."""
    assert isinstance(network, EmbeddingSetSpec)
    pool, hidden = HEADS[name]
    return replace(network, pool=pool, hidden=hidden)
