"""Read chosen users of a manifest, wherever they are in it, without reading all of it.

Users who are near each other are read in one go. In the long form, which can only be read from its
beginning, there is one pass. In a manifest that holds the images themselves, users who are far
apart cost the reading of the row groups that hold them.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pyarrow as pa

from tweetprofile.data.manifests.forms import Form
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.errors import ManifestError
from tweetprofile.inspection.sampling import pick

_BLOCK = 64
"""Users in a block. A manifest can be read from the start of any block."""

_NEAR = 4 * _BLOCK
"""Users that are read and skipped rather than opening the manifest anew."""

_USERS_PER_BATCH = 16
"""Users that are read at a time: few, as their images may be embedded."""


def read_users(
    manifest: Manifest,
    positions: Sequence[int],
    max_images: int,
    texts: TextLimits | None = None,
) -> Iterator[UserBatch]:
    """Yield users as batches of one, in the order of the manifest.

    Args:
        manifest: The manifest.
        positions: The positions of the users, each once, ascending.
        max_images: The largest number of images to read per user.
        texts: The limits of the texts; None to not read texts.

    Raises:
        ManifestError: The manifest cannot be read, or has become shorter.
    """
    for stretch in stretches(positions, one=manifest.form is Form.LONG):
        block = 0 if manifest.form is Form.LONG else stretch[0] // _BLOCK
        batches = manifest.batches(
            _BLOCK, _USERS_PER_BATCH, max_images=max_images, first_shard=block, texts=texts
        )
        found = 0
        for user in pick(batches, stretch):
            found += 1
            yield user
        if found < len(stretch):
            raise ManifestError(
                f"{manifest.source} changed while it was being read; run the command again."
            )


def stretches(positions: Sequence[int], *, one: bool = False) -> list[list[int]]:
    """Divide ascending positions where the next one is far away; never, if there must be `one`."""
    divided = [list(positions[:1])] if positions else []
    for before, position in pairwise(positions):
        if one or position - before <= _NEAR:
            divided[-1].append(position)
        else:
            divided.append([position])
    return divided


def with_images(user: UserBatch, indexes: Sequence[int]) -> UserBatch:
    """Return a user with some of the images only, in their order.

    Args:
        user: A batch of one user.
        indexes: The positions of these images in the user's list, within its length.
    """
    (images,) = user.table["images"]
    values = images.values.take(pa.array(indexes, pa.int64()))
    lists = pa.LargeListArray.from_arrays(pa.array([0, len(indexes)], pa.int64()), values)
    column = user.table.column_names.index("images")
    table = user.table.set_column(column, "images", lists)
    return UserBatch(user.shard, user.first, table)


def image_count(user: UserBatch) -> int:
    """Return the number of images in a batch of one user, within the limit per user."""
    (images,) = user.table["images"]
    return 0 if images.values is None else len(images.values)
