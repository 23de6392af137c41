"""What workers make of users besides profiles: rows of frames, embeddings or counts of n-grams.

Each table has one row per user: the outcome of the user's images, as `predict` would write it, and
then the arrays of the user as bytes. This module does not need torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tweetprofile.workers.profiles import (
    OUTCOME_FIELDS,
    PROFILE_FIELD,
    TEXT_FIELDS,
    UserOutcome,
    ids_column,
    outcome_columns,
    profile_column,
    text_columns,
)

FRAMES = "frames"
"""The column of pixels: (F, H, W, 3) uint8 per user, as bytes."""

DIGESTS = "digests"
"""The column of image digests (`digests.image_digest`): (F,) uint64 per user, as bytes."""

EMBEDDINGS = "embeddings"
"""The column of embeddings: (F, V, C) float16 per user, as bytes."""

INDEXES = "indexes"
"""The column of the positions of the images behind the frames: (F,) int32 per user, as bytes."""

NGRAM_BUCKETS, NGRAM_COUNTS = "ngram_buckets", "ngram_counts"
"""The columns of the n-grams of a user's texts: (J,) uint32 and (J,) uint16 per user, as bytes."""

NGRAMS = "ngrams"
"""The column of the n-grams behind buckets: a map from the bucket to one n-gram of the user."""


@dataclass(frozen=True, slots=True)
class EmbeddedUser:
    """What is known of a user's frames, each as the bytes of an array.

    Attributes:
        indexes: The positions of the images behind the frames in the user's list: (F,) int32.
        embeddings: The embeddings: (F, V, C) float16.
        digests: The digests of the images: (F,) uint64.
    """

    indexes: bytes = b""
    embeddings: bytes = b""
    digests: bytes = b""


def make_frame_rows(
    outcomes: Sequence[UserOutcome], pixels: Sequence[bytes], digests: Sequence[bytes]
) -> pa.Table:
    """Return the outcomes of users' images, one row per user, with `FRAMES` and `DIGESTS`."""
    columns = [
        ids_column(outcomes),
        *outcome_columns(outcomes),
        pa.array(pixels, pa.large_binary()),
        pa.array(digests, pa.binary()),
    ]
    fields = [pa.field("user_id", columns[0].type), *OUTCOME_FIELDS]
    pixels_and_digests = [pa.field(FRAMES, pa.large_binary()), pa.field(DIGESTS, pa.binary())]
    schema = pa.schema([*fields, *pixels_and_digests])
    return pa.Table.from_arrays(columns, schema=schema)


def make_embedding_rows(outcomes: Sequence[UserOutcome], users: Sequence[EmbeddedUser]) -> pa.Table:
    """Return the outcomes of users' images, one row per user, with what is known of the frames."""
    columns = {
        INDEXES: pa.array([user.indexes for user in users], pa.binary()),
        EMBEDDINGS: pa.array([user.embeddings for user in users], pa.large_binary()),
        DIGESTS: pa.array([user.digests for user in users], pa.binary()),
    }
    ids = ids_column(outcomes)
    fields = [pa.field("user_id", ids.type), *OUTCOME_FIELDS]
    fields += [pa.field(name, column.type) for name, column in columns.items()]
    every = [ids, *outcome_columns(outcomes), *columns.values()]
    return pa.Table.from_arrays(every, schema=pa.schema(fields))


def make_count_rows(
    outcomes: Sequence[UserOutcome], counts: Sequence[tuple[bytes, bytes]]
) -> pa.Table:
    """Return the outcomes of users' texts, one row per user, with the n-grams of their texts."""
    columns = {
        NGRAM_BUCKETS: pa.array([buckets for buckets, _ in counts], pa.large_binary()),
        NGRAM_COUNTS: pa.array([each for _, each in counts], pa.large_binary()),
    }
    ids = ids_column(outcomes)
    fields = [pa.field("user_id", ids.type), *OUTCOME_FIELDS, *TEXT_FIELDS, PROFILE_FIELD]
    fields += [pa.field(name, column.type) for name, column in columns.items()]
    every = [ids, *outcome_columns(outcomes), *text_columns(outcomes), profile_column(outcomes)]
    every += columns.values()
    return pa.Table.from_arrays(every, schema=pa.schema(fields))


def make_name_rows(outcomes: Sequence[UserOutcome], named: Sequence[Mapping[int, str]]) -> pa.Table:
    """Return the outcomes of users, one row per user, with the n-grams behind some buckets."""
    kind = pa.map_(pa.uint32(), pa.string())
    names = pa.array([list(each.items()) for each in named], kind)
    ids = ids_column(outcomes)
    fields = [pa.field("user_id", ids.type), *OUTCOME_FIELDS, pa.field(NGRAMS, kind)]
    every = [ids, *outcome_columns(outcomes), names]
    return pa.Table.from_arrays(every, schema=pa.schema(fields))


def crashed_names(images_given: int) -> pa.Table:
    """Return the row of n-grams of a user who crashed the worker."""
    return make_name_rows([UserOutcome("", images_given, 0, (), crashed=True)], [{}])


def crashed_counts(images_given: int) -> pa.Table:
    """Return the row of counts of a user who crashed the worker."""
    outcome = UserOutcome("", images_given, 0, (), crashed=True)
    return make_count_rows([outcome], [(b"", b"")])


def crashed_frames(images_given: int) -> pa.Table:
    """Return the row of frames of a user whose images crashed the worker."""
    return make_frame_rows([UserOutcome("", images_given, 0, (), crashed=True)], [b""], [b""])


def crashed_embeddings(images_given: int) -> pa.Table:
    """Return the row of embeddings of a user whose images crashed the worker."""
    outcome = UserOutcome("", images_given, 0, (), crashed=True)
    return make_embedding_rows([outcome], [EmbeddedUser()])
