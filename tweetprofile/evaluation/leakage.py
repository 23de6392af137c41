"""Whether the users that a model is evaluated on are those that it learnt from.

A model remembers. Its scores on users that it was trained with, or on images of theirs, say nothing
of new users. So a checkpoint keeps fingerprints of both, which are compared with the manifest here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.checkpoints.fingerprints import (
    Overlap,
    TrainingFingerprint,
    read_training_fingerprint,
)
from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.digests import image_digest, user_digest
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.labels.reading import read_user_ids
from tweetprofile.data.manifests.manifest import Manifest, UserImages
from tweetprofile.errors import CheckpointError, OptionError, StoreError

_MOST_USERS = 1_000
"""Users whose images are read and compared, spread evenly over the manifest: some 11,000 images."""

_USERS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Leakage:
    """What of a manifest its model was trained with.

    Attributes:
        unchecked: why nothing was compared; None where it was.
        same_manifest: whether it is the very manifest that the model was trained on.
        users: of the users, by their ids.
        images: of the images, by their content; None where none could be read.
    """

    unchecked: str | None = None
    same_manifest: bool = False
    users: Overlap | None = None
    images: Overlap | None = None

    @property
    def found(self) -> bool:
        """Whether anything was seen before."""
        overlaps = (self.users, self.images)
        return self.same_manifest or any(each.certain for each in overlaps if each is not None)

    @property
    def sentence(self) -> str:
        """What a reader of the scores must know."""
        if self.unchecked is not None:
            return (
                f"Whether the model was trained with these users was not checked: {self.unchecked}."
            )
        what = []
        if self.same_manifest:
            what.append("this manifest")
        for overlap, name in ((self.users, "users"), (self.images, "images looked at")):
            if overlap is not None and overlap.certain:
                what.append(f"{overlap.share:.0%} of the {name}")
        if what:
            return (
                f"The model was trained with {' and '.join(what)}: these scores say how well it "
                "remembers, not how well it does on new users. Evaluate users whom it has not seen "
                "(see 'tweetprofile split')."
            )
        if self.images is None:
            return "The model was trained with none of these users; their images were not compared."
        return "The model was trained with none of these users and none of the images looked at."

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "found": self.found}


def find_leakage(
    manifest: Manifest,
    checkpoint_sha256: str | None,
    candidates: Sequence[Path],
    image_root: AnyPath | None,
) -> Leakage:
    """Compare a manifest with what the model of some predictions was trained with.

    Args:
        manifest: that the model is evaluated on.
        checkpoint_sha256: of the model, as its predictions say; None where they do not.
        candidates: files, one of which may be the model.
        image_root: folder that image paths are relative to; None for the manifest's own.
    """
    training = _training_of(checkpoint_sha256, candidates)
    if training is None:
        return Leakage("its checkpoint is not at hand; name it with --checkpoint")
    if "seen" not in training:
        return Leakage("its checkpoint is of a version that did not keep fingerprints")
    seen = read_training_fingerprint(training["seen"], "seen")
    ids = np.array([user_digest(each) for each in read_user_ids(manifest)], np.uint64)
    return Leakage(
        None,
        manifest.fingerprint() in seen.manifests,
        seen.users.overlap(ids),
        _images_seen(manifest, seen, image_root),
    )


def _training_of(sha256: str | None, candidates: Sequence[Path]) -> Mapping[str, Any] | None:
    """What the model says of its training; None where none of the files is the model."""
    for path in candidates:
        with suppress(CheckpointError):
            checkpoint = load_checkpoint(path)
            if checkpoint.sha256 == sha256:
                return checkpoint.training
    return None


def _images_seen(
    manifest: Manifest, seen: TrainingFingerprint, image_root: AnyPath | None
) -> Overlap | None:
    try:
        reader = ImageReader(image_root or manifest.folder)
        refs = (image for user in _some_users(manifest) for image in user.images)
        found = [image_digest(data) for data in reader.read_all(refs) if isinstance(data, bytes)]
    except (OptionError, StoreError):
        return None
    return seen.images.overlap(np.array(found, np.uint64)) if found else None


def _some_users(manifest: Manifest) -> Iterator[UserImages]:
    step = max(1, -(-manifest.count_users() // _MOST_USERS))
    for batch in manifest.batches(_USERS_AT_ONCE * 64, _USERS_AT_ONCE):
        for position, user in enumerate(batch.users, batch.first):
            if position % step == 0:
                yield user
