"""Trainings of a few users whose frames are in memory."""

from pathlib import Path
from typing import Any

import numpy as np

from tweetprofile.networks import network_spec
from tweetprofile.training.cache import FrameCache, Subset
from tweetprofile.training.recipes import RecipeName, recipe_for
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.profiles import Counts

SCHEMA = PRESETS["mex-a3t-2019"]


def make_setup(
    folder: Path,
    model: str = "deepset",
    recipe: RecipeName = "default",
    *,
    users: int = 32,
    side: int = 32,
    **differing: Any,
) -> TrainingSetup:
    """Return a training of users with 12 images each, a quarter of whom are held out.

    Args:
        folder: The run folder.
        model: The network.
        recipe: The name of the recipe.
        users: The number of users.
        side: The side of a frame.
        differing: The fields of the setup that differ from those of an ordinary one.
    """
    chosen = recipe_for(recipe, model)
    norm = {} if model.startswith("deepset") else {"norm": chosen.norm}
    everyone = make_users(folder, users, side + side // 4)
    facts: dict[str, Any] = {
        "network": network_spec(model, **norm),
        "volume_spec": VolumeSpec(height=side, width=side),
        "schema": SCHEMA,
        "recipe": chosen,
        "train": everyone.take(np.arange(users // 4, users)),
        "val": everyone.take(np.arange(users // 4)),
        "seed": 0,
        "minutes": None,
        "init": None,
        "folder": folder,
        "settings": {},
        "resume": False,
    }
    return TrainingSetup(**facts | differing)


def make_users(folder: Path, users: int, side: int) -> Subset:
    """Return users with 12 images each, drawn at random, and with some labels."""
    random, frames = np.random.default_rng(0), users * 12
    cache = FrameCache(
        path=folder / "frames",
        items_M=random.integers(0, 256, (frames, side, side, 3), dtype=np.uint8),
        starts=np.arange(users) * 12,
        counts=np.full(users, 12),
        hashes=np.arange(frames, dtype=np.uint64),
        digests=np.arange(frames, dtype=np.uint64),
        outcome=Counts(),
    )
    labels = np.stack([random.integers(0, len(each.classes), users) for each in SCHEMA], axis=1)
    labels[random.random(labels.shape) < 0.1] = -1
    return Subset(cache, np.arange(users), labels)
