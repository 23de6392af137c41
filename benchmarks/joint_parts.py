"""Late fusion in a fold for `joint.py`: images and texts learned apart, as `train` learns them.

Shapes: N users, K classes.
"""

import tempfile
from collections.abc import Mapping
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import torch
from joint_users import Fold, Users
from numpy.typing import NDArray

from tweetprofile.texts.spec import TextSpec
from tweetprofile.training.cache import Subset
from tweetprofile.training.calibration import calibrate, calibrate_mean
from tweetprofile.training.distributed import all_ranks
from tweetprofile.training.folds import make_folds
from tweetprofile.training.head_choice import with_head
from tweetprofile.training.held_out import HeldOut
from tweetprofile.training.loop import Trainer, train_rank
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.training.texts.fitting import TextUsers, fit_texts
from tweetprofile.training.texts.fusing import fit_fusion

Probabilities = Mapping[str, NDArray[np.float32]]
"""(N, K) by trait."""

Predictions = Mapping[str, Probabilities]
"""Probabilities by model."""

IMAGES, TEXTS, LATE, JOINT = MODELS = ("images", "texts", "late fusion", "joint network")

PARTS = 10
"""Of this many parts of the users, each network of an ensemble holds out one in turn."""


def in_turn(users: Subset, seed: int, members: int) -> list[tuple[Subset, Subset]]:
    """Return the users to learn from and the held-out users of each member of an ensemble."""
    divisions = (make_folds(users, PARTS, seed + number) for number in count())
    return list(islice(chain.from_iterable(divisions), members))


def predict_late(users: Users, fold: Fold) -> Predictions:
    """Learn from the users of a fold, and predict the others by either part and by both."""
    schema = users.plan.found.schema
    by_images, images = learn_images(users, fold)
    by_texts, texts = learn_texts(users, fold)
    fusion = fit_fusion(by_images, by_texts, fold.train.labels, schema).fusion
    both = {name: fusion[name].combine(images[name], texts[name]) for name in schema.names}
    return {IMAGES: images, TEXTS: texts, LATE: both}


def learn_images(users: Users, fold: Fold) -> tuple[HeldOut, Probabilities]:
    """Train heads over embeddings; return logits of held-out users, and predict the tested ones."""
    plan, options = users.plan, users.plan.options
    recipe = options.resolved_recipe
    parts = in_turn(fold.train, options.seed, recipe.members)
    with tempfile.TemporaryDirectory(prefix="tweetprofile-") as folder:
        setup = TrainingSetup(
            network=with_head(plan.network, options.head),
            volume_spec=options.volume_spec,
            schema=plan.found.schema,
            recipe=recipe,
            train=fold.train,
            val=fold.train,
            seed=options.seed,
            minutes=None,
            init=None,
            folder=Path(folder),
            settings={},
            resume=False,
            frozen=True,
            learned="head",
            parts=tuple(parts),
        )
        with all_ranks(plan.devices[:1], train_rank, setup) as rank:
            trainer = Trainer(setup, rank)
            trainer.run()
        held_out, logits = trainer.evaluate_held_out(), trainer.evaluate(fold.test)
    return held_out, calibrated(users, held_out, logits, recipe.members)


def learn_texts(users: Users, fold: Fold) -> tuple[HeldOut, Probabilities]:
    """Fit the linear model of texts; return logits of held-out users, and predict the others."""
    schema, seed = users.plan.found.schema, users.plan.options.seed
    own = TextUsers(counts=users.counts, users_N=fold.train.users, labels_NT=fold.train.labels)
    with tempfile.TemporaryDirectory(prefix="tweetprofile-") as folder:
        fit = fit_texts(own, schema, TextSpec(), seed, Path(folder))
    rows = [fit.model.logits(users.counts.of_user(user)) for user in fold.test.users.tolist()]
    logits = {
        name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in schema.names
    }
    return fit.held_out, calibrated(users, fit.held_out, logits, 1)


def calibrated(
    users: Users, held_out: HeldOut, logits: Mapping[str, torch.Tensor], networks: int
) -> Probabilities:
    """Return probabilities, with the temperature that `train` would fit on the held-out users."""
    pairs = held_out.mean(2)
    probabilities = {}
    for column, name in enumerate(users.plan.found.schema.names):
        singles = held_out.labelled(name, column)
        if networks > 1:
            fit = calibrate_mean(singles, pairs.labelled(name, column), networks)
        else:
            fit = calibrate(*singles)
        probabilities[name] = (logits[name].float() / fit.temperature).softmax(dim=1).numpy()
    return probabilities
