"""Users and the images and texts that they posted: what a manifest says once it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tweetprofile.data.manifests.profile_fields import profiles_of
from tweetprofile.data.manifests.texts import texts_of
from tweetprofile.errors import Reason

UserId = str | int

Encoded = bytes | memoryview
"""The bytes of an encoded image, or a view of them in memory that something else owns."""

MAX_IMAGES = 12_800
"""The default for the most images per user: those of the longest timeline that Twitter returned,
3,200 tweets of 4 images."""


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A reference to an encoded image, in the manifest itself (`data`) or at a path or URI.

    Attributes:
        path: The path or URI; None if there is none, or if it is not UTF-8.
        data: The encoded image, if the manifest holds it.
        misnamed: A path that is not UTF-8, with its invalid bytes escaped.
        refused: Why the image must not be read, if that is known in advance.
    """

    path: str | None = None
    data: Encoded | None = None
    misnamed: str = ""
    refused: Reason | None = None

    @property
    def label(self) -> str:
        """The name of the image in `image_errors`: its path, or an empty text."""
        return self.path or self.misnamed


@dataclass(frozen=True, slots=True)
class UserImages:
    """One user and the user's images and texts, in manifest order.

    Attributes:
        user_id: The id of the user.
        images: The images, up to the limit per user.
        left_out: The number of further images in the manifest.
        texts: The texts, oldest first, up to the limit per user; empty if they are not wanted.
        texts_left_out: The number of further texts in the manifest, which are older.
        texts_cut: The number of texts that were longer than the limit and are cut.
        profile: The texts of the user's own profile, by the column that they come from; empty if
            they are not wanted.
    """

    user_id: UserId
    images: tuple[ImageRef, ...]
    left_out: int = 0
    texts: tuple[str, ...] = ()
    texts_left_out: int = 0
    texts_cut: int = 0
    profile: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowRange:
    """Successive rows of a manifest.

    Attributes:
        first: The number of the first row.
        count: The number of rows.
        users: The number of users to take from them, from the first one.
    """

    first: int
    count: int
    users: int


@dataclass(frozen=True, slots=True)
class UserBatch:
    """Successive users of a manifest: a shard, or a part of a shard.

    Attributes:
        shard: The number of the shard.
        first: The number of the first user in the manifest.
        table: `user_id`, `images` (large_list<struct<bytes, path>>, up to the limit per user),
            `images_given` (int64, including images beyond the limit) and the requested columns. If
            texts are wanted, also `texts` (large_list<large_binary>, within the limits; not
            necessarily UTF-8), `texts_given` (int64, including texts beyond the limit),
            `texts_null` (int64, null elements, which are not given) and `texts_cut` (int64).
        rows: The rows of the users, from which a worker reads images and texts; None if `table` has
            them.
    """

    shard: int
    first: int
    table: pa.Table
    rows: RowRange | None = None

    def __len__(self) -> int:
        return len(self.table)

    def first_users(self, users: int) -> "UserBatch":
        """Return the batch without its users after the first `users`."""
        if users >= len(self):
            return self
        rows = None if self.rows is None else replace(self.rows, users=users)
        return replace(self, table=self.table.slice(0, users), rows=rows)

    @property
    def users(self) -> list[UserImages]:
        """The users of the batch, as Python objects."""
        return users_of(self.table)


def users_of(table: pa.Table, *, copy: bool = True) -> list[UserImages]:
    """Return the users in the table of a batch, as Python objects.

    Args:
        table: The table of the batch.
        copy: Whether to copy encoded images. If not, they are views of the memory of `table`.
    """
    ids, given = (table[name].to_pylist() for name in ("user_id", "images_given"))
    # One chunk at a time: joining them would copy all images.
    images = [refs for chunk in table["images"].chunks for refs in _image_refs(chunk, copy=copy)]
    users = [
        UserImages(user_id, refs, count - len(refs))
        for user_id, refs, count in zip(ids, images, given, strict=True)
    ]
    return _with_texts(users, table) if "texts" in table.column_names else users


def _with_texts(users: list[UserImages], table: pa.Table) -> list[UserImages]:
    given, cut = (table[name].to_pylist() for name in ("texts_given", "texts_cut"))
    return [
        replace(
            user,
            texts=own,
            texts_left_out=count - len(own),
            texts_cut=shortened,
            profile=profile,
        )
        for user, own, count, shortened, profile in zip(
            users, texts_of(table["texts"]), given, cut, profiles_of(table), strict=True
        )
    ]


def _image_refs(images: pa.LargeListArray, *, copy: bool) -> list[tuple[ImageRef, ...]]:
    """Return the references of each user; a path that is not UTF-8 becomes a label only."""
    values = images.flatten()
    encoded = _encoded_images(pc.struct_field(values, "bytes"), copy=copy)
    paths = pc.struct_field(values, "path")
    try:
        refs = list(map(ImageRef, paths.to_pylist(), encoded))
    except UnicodeDecodeError:
        raw = paths.cast(pa.large_binary()).to_pylist()
        refs = list(map(_ref_of, raw, encoded))
    ends = pc.list_value_length(images).to_numpy().cumsum().tolist()
    return [tuple(refs[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _encoded_images(values: pa.LargeBinaryArray, *, copy: bool) -> list[Encoded | None]:
    _, offsets, data = values.buffers()
    if copy or data is None or not len(values):
        images: list[Encoded | None] = values.to_pylist()
        return images
    view = memoryview(data)
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    bounds = ends.tolist()
    views = [view[start:end] for start, end in pairwise(bounds)]
    if not values.null_count:
        return list(views)
    valid = values.is_valid().to_pylist()
    return [each if is_valid else None for each, is_valid in zip(views, valid, strict=True)]


def _ref_of(path: bytes | None, data: Encoded | None) -> ImageRef:
    try:
        return ImageRef(None if path is None else path.decode(), data)
    except UnicodeDecodeError:
        return ImageRef(None, data, misnamed=(path or b"").decode(errors="backslashreplace"))
