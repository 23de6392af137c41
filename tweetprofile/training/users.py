"""The users of a training: their frames are decoded, their labels read, and some are held out."""

from dataclasses import dataclass
from itertools import chain, count, islice

import numpy as np

from tweetprofile.data.labels.reading import UNKNOWN, read_labels
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import TrainingError
from tweetprofile.training.cache import Subset
from tweetprofile.training.cache_building import CacheSource, EmbeddingSource, open_cache
from tweetprofile.training.folds import make_folds
from tweetprofile.training.holdout import (
    Holdout,
    hold_out,
    warn_of_few_users,
    warn_of_shared_images,
)
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.plan import TrainingPlan, image_root_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingUsers:
    """The users of a training, and the number of users who are not used.

    Attributes:
        everyone: All users of the training manifest with a label and a usable image.
        train: The users to learn from.
        val: The held-out users.
        left_out: The number of users without a usable image.
        unlabelled: The number of users without a label.
        warnings: Sentences to read before trusting the scores.
        notes: Sentences on how the users were divided.
        parts: The users to learn from and the held-out users of each member, if each holds out a
            part of its own; `train` then has all users, and `val` those whom a member holds out.
    """

    everyone: Subset
    train: Subset
    val: Subset
    left_out: int
    unlabelled: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    parts: tuple[tuple[Subset, Subset], ...] = ()


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The usable users of a manifest, and the number of the others."""

    users: Subset
    left_out: int
    unlabelled: int


def load_users(
    plan: TrainingPlan, observer: TrainObserver, embedding: EmbeddingSource | None = None
) -> TrainingUsers:
    """Decode the users of a training, and hold some of them out.

    Args:
        plan: The training.
        observer: Receives the progress, and the notes and warnings.
        embedding: The backbone that embeds the decoded frames; None to keep the frames.

    Raises:
        TrainingError: There is no user to learn from.
        WriteError: There is not enough space for the decoded frames.
    """
    decoded = _decode(plan, plan.manifest, observer, embedding)
    everyone = decoded.users
    if not len(everyone):
        root = image_root_of(plan.options, plan.manifest)
        raise TrainingError(
            f"{plan.manifest.source} has no user with a label and a usable image to learn from; "
            f"the `image_root` is {root}."
        )
    parts = _parts(plan, everyone) if embedding is not None else ()
    if parts:
        tested = np.unique(np.concatenate([val.users for _, val in parts]))
        holdout = Holdout(everyone, everyone.take(np.flatnonzero(np.isin(everyone.users, tested))))
        warnings = warn_of_few_users(plan.found.schema, len(everyone), holdout.val, 0)
        notes: tuple[str, ...] = (
            f"each of the {len(parts)} heads holds out a part of the users, and learns from none "
            "of their images; every user is scored by heads that have held the user out.",
        )
    else:
        holdout, warnings = _divide(plan, everyone, observer, embedding)
        notes = (holdout.note,) if holdout.note else ()
    for note in notes:
        observer.on_note(note)
    for warning in warnings:
        observer.on_warning(warning)
    return TrainingUsers(
        everyone=everyone,
        train=holdout.train,
        val=holdout.val,
        left_out=decoded.left_out + holdout.dropped,
        unlabelled=decoded.unlabelled,
        warnings=tuple(warnings),
        notes=notes,
        parts=parts,
    )


def _parts(plan: TrainingPlan, everyone: Subset) -> tuple[tuple[Subset, Subset], ...]:
    """Divide the users anew for each head; return nothing if all heads hold out the same users.

    Heads learn within seconds, so each of them can hold out another part of the users. All users
    together then tell how good the heads are, and how sure they may be. After as many heads as
    there are parts, users are divided into other parts, so that users are held out more than once.
    """
    options = plan.options
    members = options.members or 1
    if plan.validation is not None or not options.val_fraction or members == 1:
        return ()
    parts = max(2, round(1 / options.val_fraction))
    if len(everyone) < _FEWEST_USERS_PER_PART * min(members, parts):
        return ()
    divisions = (make_folds(everyone, parts, options.seed + number) for number in count())
    return tuple(islice(chain.from_iterable(divisions), members))


_FEWEST_USERS_PER_PART = 4
"""With fewer users per part, parts would lack classes."""


def _divide(
    plan: TrainingPlan,
    everyone: Subset,
    observer: TrainObserver,
    embedding: EmbeddingSource | None,
) -> tuple[Holdout, list[str]]:
    """Divide users into training and held-out users; return warnings, too."""
    options, schema = plan.options, plan.found.schema
    if plan.validation is None:
        holdout = hold_out(everyone, options.val_fraction, options.seed)
        few = warn_of_few_users(
            schema, len(everyone), holdout.val, options.val_fraction, folds=options.folds
        )
        return holdout, few
    val = _decode(plan, plan.validation, observer, embedding).users
    shared = warn_of_shared_images(everyone, val)
    few = warn_of_few_users(schema, len(everyone) + len(val), val, 0, folds=options.folds)
    return Holdout(everyone, val), [*filter(None, [shared]), *few]


def _decode(
    plan: TrainingPlan,
    manifest: Manifest,
    observer: TrainObserver,
    embedding: EmbeddingSource | None,
) -> _Decoded:
    """Decode the frames of a manifest's users, embed them if need be, and read their labels."""
    for remark in manifest.remarks:
        observer.on_warning(remark)
    options = plan.options
    root, kind = image_root_of(options, manifest), plan.devices[0].type
    source = CacheSource.of(
        manifest,
        root,
        options.volume_spec,
        decoder=options.decoder,
        kind=kind,
        embedding=embedding,
    )
    cache = open_cache(source, plan.cache, observer.on_decoded)
    labels = read_labels(manifest, plan.found.schema)
    has_frames, labelled = cache.counts > 0, (labels != UNKNOWN).any(axis=1)
    everyone = Subset(cache, np.arange(len(labels)), labels)
    return _Decoded(
        users=everyone.take(np.flatnonzero(has_frames & labelled)),
        left_out=int((~has_frames).sum()),
        unlabelled=int((has_frames & ~labelled).sum()),
    )
