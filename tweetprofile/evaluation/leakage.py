"""Leakage: find out whether a model was trained on the users that it is evaluated on.

A model remembers its training data, so its scores on those users, or on their images, say nothing
about new users. A checkpoint therefore records fingerprints of both; this module compares them with
the users and images of a manifest.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint
from tweetprofile.checkpoints.fingerprints import (
    Overlap,
    TrainingFingerprint,
    read_training_fingerprint,
)
from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.digests import image_digest, user_digest
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.labels.reading import read_user_ids
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import UserImages
from tweetprofile.errors import CheckpointError, OptionError, StoreError
from tweetprofile.workers.profiles import IMAGES, TEXTS

_MAX_USERS = 1_000
"""Users whose images are compared, spread evenly over the manifest: about 11,000 images."""

_USERS_PER_BATCH = 64


@dataclass(frozen=True, slots=True)
class Leakage:
    """Users and images of a manifest that its model was trained on.

    Attributes:
        unchecked: The reason why nothing was compared; None after a comparison.
        same_manifest: Whether the model was trained on this very manifest.
        users: The overlap of the users, by their ids; None if nothing was compared.
        images: The overlap of the images, by their content; None if no image could be read, or the
            model looks at none.
        uncompared: What the model looks at and was not compared: `images`, `texts`.
        is_stated: Whether the predictions do not record their model, so that the caller named it.
    """

    unchecked: str | None = None
    same_manifest: bool = False
    users: Overlap | None = None
    images: Overlap | None = None
    uncompared: tuple[str, ...] = ()
    is_stated: bool = False

    @property
    def found(self) -> bool:
        """Whether there is any leakage."""
        overlaps = (self.users, self.images)
        return self.same_manifest or any(each.certain for each in overlaps if each is not None)

    @property
    def sentence(self) -> str:
        """The sentence that readers of the scores must know."""
        if self.unchecked is not None:
            return (
                "It was not checked whether the model was trained on these users: "
                f"{self.unchecked}."
            )
        model = "The model"
        if self.is_stated:
            model += " that you named (the predictions record none)"
        leaked = []
        if self.same_manifest:
            leaked.append("this manifest")
        for overlap, name in ((self.users, "users"), (self.images, "compared images")):
            if overlap is not None and overlap.certain:
                leaked.append(f"{overlap.share:.0%} of the {name}")
        if leaked:
            return (
                f"{model} was trained on {' and '.join(leaked)}: these scores show how well it "
                "remembers, not how well it predicts new users. Evaluate it on users that it has "
                "not seen (see 'tweetprofile split')."
            )
        images = "" if self.images is None else " and none of the compared images"
        rest = (
            f"; their {' and '.join(self.uncompared)} were not compared" if self.uncompared else ""
        )
        return f"{model} was trained on none of these users{images}{rest}."

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON."""
        return {**asdict(self), "found": self.found}


def find_leakage(
    manifest: Manifest,
    checkpoint_sha256: str | None,
    candidates: Sequence[Path],
    image_root: AnyPath | None,
    *,
    made_by: Path | None = None,
) -> Leakage:
    """Compare a manifest with the users and images that a model was trained on.

    Args:
        manifest: The manifest that the model is evaluated on.
        checkpoint_sha256: The digest of the model's checkpoint, as recorded in its predictions;
            None if it is not recorded.
        candidates: Files that may include that checkpoint.
        image_root: The folder that image paths are relative to; None for the manifest's folder.
        made_by: The checkpoint that made predictions which do not record it, if that is known.
    """
    is_stated = checkpoint_sha256 is None and made_by is not None
    if checkpoint_sha256 is None and made_by is None:
        return Leakage("the predictions do not record their model")
    if checkpoint_sha256 is None and made_by is not None:
        checkpoint: Checkpoint | None = load_checkpoint(made_by)
    else:
        checkpoint = _find(checkpoint_sha256, candidates)
    if checkpoint is None:
        return Leakage(
            "the checkpoint that made the predictions was not found; name the checkpoint to check"
        )
    if "seen" not in checkpoint.training:
        return Leakage(
            "its checkpoint was written by a version that recorded no fingerprints",
            is_stated=is_stated,
        )
    seen = read_training_fingerprint(checkpoint.training["seen"], "seen")
    ids = np.array([user_digest(each) for each in read_user_ids(manifest)], np.uint64)
    sees_images = checkpoint.sees_images
    images = _image_overlap(manifest, seen, image_root) if sees_images else None
    uncompared = [IMAGES] if sees_images and images is None and manifest.has_images else []
    if checkpoint.texts is not None and manifest.has_texts:
        uncompared.append(TEXTS)
    return Leakage(
        same_manifest=manifest.fingerprint() in seen.manifests,
        users=seen.users.overlap(ids),
        images=images,
        uncompared=tuple(uncompared),
        is_stated=is_stated,
    )


def _find(sha256: str | None, candidates: Sequence[Path]) -> Checkpoint | None:
    """Return the model that made the predictions; None if no file is that."""
    for path in candidates:
        with suppress(CheckpointError):
            checkpoint = load_checkpoint(path)
            if checkpoint.sha256 == sha256:
                return checkpoint
    return None


def _image_overlap(
    manifest: Manifest, seen: TrainingFingerprint, image_root: AnyPath | None
) -> Overlap | None:
    try:
        reader = ImageReader(image_root or manifest.folder)
        refs = (image for user in _spread_users(manifest) for image in user.images)
        found = [image_digest(data) for data in reader.read_all(refs) if isinstance(data, bytes)]
    except (OptionError, StoreError):
        return None
    return seen.images.overlap(np.array(found, np.uint64)) if found else None


def _spread_users(manifest: Manifest) -> Iterator[UserImages]:
    """Yield at most `_MAX_USERS` users, spread evenly over the manifest."""
    step = max(1, -(-manifest.count_users() // _MAX_USERS))
    for batch in manifest.batches(_USERS_PER_BATCH * 64, _USERS_PER_BATCH):
        for position, user in enumerate(batch.users, batch.first):
            if position % step == 0:
                yield user
