"""The findings about users' images, as an Arrow table with one row per user.

The columns of predicting come first (`profiles.OUTCOME_FIELDS`: status, failed images and so on, as
`predict` would write them); then the failures of *all* images, whether or not `predict` would try
them, and the facts of each usable image. This module does not need torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tweetprofile.data.images.reader import FailedImage
from tweetprofile.workers.profiles import OUTCOME_FIELDS, UserOutcome, ids_column, outcome_columns


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts of a usable image.

    Attributes:
        format: The format by Pillow's name; `other` if only nvImageCodec reads the image.
        width: The width in pixels as stored, before EXIF turns the image; None if unknown.
        height: The height in pixels, likewise.
        size: The size of the encoded image in bytes.
        digest: 8 bytes of the SHA-256 of the encoded image, as a number.
    """

    format: str
    width: int | None
    height: int | None
    size: int
    digest: int


@dataclass(frozen=True, slots=True)
class UserFindings:
    """The findings about one user's images.

    Attributes:
        outcome: The outcome that `predict` would report.
        usable: Every usable image, in manifest order.
        failed: Every unusable image, whether or not `predict` would try it.
        decoded: The number of images that had to be decoded.
    """

    outcome: UserOutcome
    usable: tuple[ImageFacts, ...] = ()
    failed: tuple[FailedImage, ...] = ()
    decoded: int = 0


_SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.string()),
        *OUTCOME_FIELDS,
        pa.field("failures", OUTCOME_FIELDS[-1].type),
        pa.field("formats", pa.list_(pa.string())),
        pa.field("widths", pa.list_(pa.int32())),
        pa.field("heights", pa.list_(pa.int32())),
        pa.field("sizes", pa.list_(pa.int64())),
        pa.field("digests", pa.list_(pa.uint64())),
        pa.field("decoded", pa.int32()),
    ]
)


def make_findings(findings: Sequence[UserFindings]) -> pa.Table:
    """Return the table of findings, in order."""
    outcomes = [user.outcome for user in findings]
    everything = [
        UserOutcome(user.outcome.user_id, user.outcome.images_given, 0, user.failed)
        for user in findings
    ]
    columns = [
        ids_column(outcomes),
        *outcome_columns(outcomes),
        outcome_columns(everything)[-1],
        pa.array([[image.format for image in user.usable] for user in findings]),
        pa.array([[image.width for image in user.usable] for user in findings]),
        pa.array([[image.height for image in user.usable] for user in findings]),
        pa.array([[image.size for image in user.usable] for user in findings]),
        pa.array(
            [[image.digest for image in user.usable] for user in findings], pa.list_(pa.uint64())
        ),
        pa.array([user.decoded for user in findings]),
    ]
    arrays = [column.cast(field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_SCHEMA)


def crashed_findings(images_given: int) -> pa.Table:
    """Return the row of a user whose images crashed the worker."""
    return make_findings([UserFindings(UserOutcome("", images_given, 0, (), crashed=True))])
