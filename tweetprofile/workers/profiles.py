"""Logits in, profiles out: the Arrow table that predictions are.

One row a user, whatever their images were like: most probable class, its probability and all
probabilities of every trait, then what became of the user's images.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.images.reader import FailedImage
from tweetprofile.data.manifests.manifest import UserId
from tweetprofile.traits import Trait, TraitSchema

if TYPE_CHECKING:
    from tweetprofile.workers.frames import UserFrames  # which loads torch

Probabilities = Mapping[str, NDArray[np.float32]]
"""Trait name to (N, classes), a row a user; what stands there for one without frames is unused."""


class Status(StrEnum):
    """What became of a user: the closed set of `status`."""

    OK = "ok"
    PARTIAL = "partial"
    """Some of the images tried were unusable."""
    NO_IMAGES = "no_images"
    """The manifest lists none."""
    UNUSABLE = "unusable"
    """The manifest lists images and none is usable."""
    CRASHED = "crashed"
    """Something in the images took the process down, again when the user was tried alone."""


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """What became of one user's images."""

    user_id: UserId
    images_given: int
    frames_used: int
    failed: tuple[FailedImage, ...]
    crashed: bool = False

    @classmethod
    def of(cls, user: "UserFrames") -> "UserOutcome":
        """What became of a user whose frames were looked for."""
        return cls(user.user_id, user.images_given, len(user.frames_FHWC), user.failed)

    @property
    def status(self) -> Status:
        """The outcome in one word."""
        if self.crashed:
            return Status.CRASHED
        if not self.images_given:
            return Status.NO_IMAGES
        if not self.frames_used:
            return Status.UNUSABLE
        return Status.PARTIAL if self.failed else Status.OK


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run, or a part of it, came to.

    Attributes:
        users: rows.
        images: images that the manifest lists for them.
        failed: images that were tried and are unusable.
        left_out: images beyond the cap of a user's, which were not looked at.
        statuses: users by status, without those that no user has.
    """

    users: int = 0
    images: int = 0
    failed: int = 0
    left_out: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.users + other.users,
            self.images + other.images,
            self.failed + other.failed,
            self.left_out + other.left_out,
            dict(Counter(self.statuses) + Counter(other.statuses)),
        )

    @property
    def users_with_frames(self) -> int:
        """Users of whom at least one image was usable."""
        return sum(self.statuses.get(status, 0) for status in (Status.OK, Status.PARTIAL))

    @classmethod
    def of(cls, profiles: pa.Table, max_images: int) -> "Counts":
        """Count a table of profiles, made with at most so many images a user."""
        given = profiles["images_given"]
        beyond = pc.max_element_wise(pc.subtract(given, max_images), 0)
        return cls(
            len(profiles),
            pc.sum(given).as_py() or 0,
            pc.sum(profiles["images_failed"]).as_py() or 0,
            pc.sum(beyond).as_py() or 0,
            dict(Counter(profiles["status"].to_pylist())),
        )


FRAMES = "frames"
"""The column of pixels: (F, H, W, 3) uint8 of each user, as bytes."""

DIGESTS = "digests"
"""The column of `digests.image_digest`: (F,) uint64 of each user, as bytes."""

_WORDS = pa.dictionary(pa.int32(), pa.string())
_IMAGE_ERROR = pa.struct([("index", pa.int32()), ("image", pa.string()), ("reason", pa.string())])
OUTCOME_FIELDS = (
    pa.field("frames_used", pa.int32()),
    pa.field("images_given", pa.int32()),
    pa.field("images_failed", pa.int32()),
    pa.field("status", _WORDS),
    pa.field("image_errors", pa.list_(_IMAGE_ERROR)),
)
"""The columns of a table, whatever else it says of users, that say what became of their images."""


def probabilities_column(trait: str) -> str:
    """Name of the column that holds a trait's probabilities."""
    return f"{trait}_probabilities"


def confidence_column(trait: str) -> str:
    """Name of the column that holds the probability of a trait's most probable class."""
    return f"{trait}_confidence"


def profile_schema(schema: TraitSchema, user_id_type: pa.DataType) -> pa.Schema:
    """The columns of a table of profiles, before any column of the manifest is kept beside."""
    fields = [pa.field("user_id", user_id_type)]
    for trait in schema:
        each = pa.struct([(name, pa.float32()) for name in trait.classes])
        fields += [
            pa.field(trait.name, _WORDS),
            pa.field(confidence_column(trait.name), pa.float32()),
            pa.field(probabilities_column(trait.name), each),
        ]
    return pa.schema([*fields, *OUTCOME_FIELDS])


def make_profiles(
    schema: TraitSchema, outcomes: Sequence[UserOutcome], probabilities: Probabilities
) -> pa.Table:
    """The table of profiles.

    Args:
        schema: the traits.
        outcomes: one a user, in manifest order.
        probabilities: a row a user, too; those of users without frames are not looked at.
    """
    seen = np.array([outcome.frames_used > 0 for outcome in outcomes], dtype=bool)
    columns: list[pa.Array] = [ids_column(outcomes)]
    for trait in schema:
        columns += _trait_columns(trait, seen, probabilities[trait.name])
    columns += outcome_columns(outcomes)
    return pa.Table.from_arrays(columns, schema=profile_schema(schema, columns[0].type))


def make_frame_rows(
    outcomes: Sequence[UserOutcome], pixels: Sequence[bytes], digests: Sequence[bytes]
) -> pa.Table:
    """What became of users' images, a row each, with `FRAMES` and `DIGESTS` of these images."""
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


def crashed_profile(schema: TraitSchema, user_id: UserId, images_given: int) -> pa.Table:
    """The row of a user who took the process down."""
    outcome = UserOutcome(user_id, images_given, 0, (), crashed=True)
    unused = {trait.name: np.zeros((1, len(trait.classes)), np.float32) for trait in schema}
    return make_profiles(schema, [outcome], unused)


def crashed_frames(images_given: int) -> pa.Table:
    """The row of frames of a user who took the process down."""
    return make_frame_rows([UserOutcome("", images_given, 0, (), crashed=True)], [b""], [b""])


def ids_column(outcomes: Sequence[UserOutcome]) -> pa.Array:
    """`user_id`, a row a user."""
    ids = [outcome.user_id for outcome in outcomes]
    return pa.array(ids) if ids else pa.array([], pa.string())


def _trait_columns(
    trait: Trait, seen: NDArray[np.bool_], rows: NDArray[np.float32]
) -> list[pa.Array]:
    """Class, confidence and probabilities; null where `seen` is not."""
    best = rows.argmax(axis=1).astype(np.int32)
    classes = pa.DictionaryArray.from_arrays(
        pa.array(best, mask=~seen), pa.array(trait.classes, pa.string())
    )
    each = pa.StructArray.from_arrays(
        [pa.array(np.ascontiguousarray(column)) for column in rows.T],
        fields=[pa.field(name, pa.float32()) for name in trait.classes],
        mask=pa.array(~seen),
    )
    return [classes, pa.array(rows.max(axis=1), mask=~seen), each]


def outcome_columns(outcomes: Sequence[UserOutcome]) -> list[pa.Array]:
    """`OUTCOME_FIELDS`, a row a user."""
    return [
        pa.array([outcome.frames_used for outcome in outcomes], pa.int32()),
        pa.array([outcome.images_given for outcome in outcomes], pa.int32()),
        pa.array([len(outcome.failed) for outcome in outcomes], pa.int32()),
        _dictionary(list(Status), (outcome.status for outcome in outcomes)),
        pa.array([_errors(outcome) for outcome in outcomes], pa.list_(_IMAGE_ERROR)),
    ]


def _dictionary(words: Sequence[str], values: Iterable[str]) -> pa.DictionaryArray:
    numbers = {str(word): number for number, word in enumerate(words)}
    indices = pa.array([numbers[value] for value in values], pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(numbers), pa.string()))


def _errors(outcome: UserOutcome) -> list[dict[str, object]]:
    return [
        {"index": failed.index, "image": failed.image, "reason": failed.reason.value}
        for failed in outcome.failed
    ]
