"""Probabilities in, profiles out: the Arrow table of predictions.

Every user has one row, whatever the user's images are like: for each trait the most probable class,
its probability and all probabilities, then the outcome of the user's images.
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
from tweetprofile.data.manifests.users import UserId, UserImages
from tweetprofile.texts.spec import TextSpec
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.workers.evidence import (
    Explanation,
    Explanations,
    evidence_columns,
    evidence_fields,
)

if TYPE_CHECKING:
    from tweetprofile.workers.frames import UserFrames  # this would load torch

IMAGES, TEXTS = "images", "texts"
"""The parts of a model that reads texts, too."""

Probabilities = Mapping[str, NDArray[np.float32]]
"""(N, classes) by trait name, one row per user; the rows of users without frames are not used."""


class Status(StrEnum):
    """How complete the images of a user were: all values of `status`."""

    OK = "ok"
    PARTIAL = "partial"
    """Some of the images that were tried are unusable."""
    NO_IMAGES = "no_images"
    """The manifest lists no images."""
    UNUSABLE = "unusable"
    """The manifest lists images, and none of them is usable."""
    NO_TEXTS = "no_texts"
    """The model reads texts alone, and the manifest lists none."""
    CRASHED = "crashed"
    """The images crashed the worker, and did so again when the user was tried alone."""


@dataclass(frozen=True, slots=True)
class TextOutcome:
    """The outcome of one user's texts.

    Attributes:
        used: The number of texts that the prediction is based on; those without a character that
            is not a space are not among them.
        given: The number of texts that the manifest lists.
        cut: The number of texts that were longer than the limit, of which only the start is used,
            fields of the profile included.
        fields: The number of fields of the user's profile that the prediction is based on.
    """

    used: int
    given: int
    cut: int
    fields: int = 0

    @classmethod
    def of(cls, user: UserImages, spec: TextSpec) -> "TextOutcome":
        """Return the outcome of a user whose texts were read.

        Args:
            user: The user.
            spec: What is counted of users.
        """
        texts = user.texts if "texts" in spec.sources else ()
        profile = [user.profile[name] for name in spec.profile_fields if name in user.profile]
        given = len(user.texts) + user.texts_left_out
        return cls(_count_used(texts), given, user.texts_cut, _count_used(profile))

    @property
    def is_seen(self) -> bool:
        """Whether there is a text or a field of the profile that a prediction can be based on."""
        return self.used > 0 or self.fields > 0


def _count_used(texts: Iterable[str]) -> int:
    return sum(not text.isspace() for text in texts if text)


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """The outcome of one user's images.

    Attributes:
        user_id: The user.
        images_given: The number of images that the manifest lists.
        frames_used: The number of images that the prediction is based on.
        failed: The images that were tried and are unusable.
        crashed: Whether the images crashed the worker.
        texts: The outcome of the user's texts; None if they were not read.
        texts_alone: Whether the model reads texts alone, so that images do not matter.
    """

    user_id: UserId
    images_given: int
    frames_used: int
    failed: tuple[FailedImage, ...]
    crashed: bool = False
    texts: TextOutcome | None = None
    texts_alone: bool = False

    @classmethod
    def of(cls, user: "UserFrames") -> "UserOutcome":
        """Return the outcome of a user whose frames have been loaded."""
        return cls(user.user_id, user.images_given, len(user.frames_FHWC), user.failed)

    @property
    def is_seen(self) -> bool:
        """Whether there is anything that a prediction can be based on."""
        return self.frames_used > 0 or (self.texts is not None and self.texts.is_seen)

    @property
    def status(self) -> Status:
        """The outcome in one word."""
        if self.crashed:
            return Status.CRASHED
        if self.texts_alone:
            return Status.OK if self.is_seen else Status.NO_TEXTS
        if not self.images_given:
            return Status.NO_IMAGES
        if not self.frames_used:
            return Status.UNUSABLE
        return Status.PARTIAL if self.failed else Status.OK


@dataclass(frozen=True, slots=True)
class Counts:
    """The totals of a run, or of a part of it.

    Attributes:
        users: The number of users.
        images: The number of images that the manifest lists for these users.
        failed: The number of images that were tried and are unusable.
        left_out: The number of images beyond the limit per user, which were not tried.
        statuses: The number of users per status, without statuses that no user has.
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
        """The number of users with at least one usable image."""
        return sum(self.statuses.get(status, 0) for status in (Status.OK, Status.PARTIAL))

    @classmethod
    def of(cls, profiles: pa.Table, max_images: int) -> "Counts":
        """Count a table of profiles, which was made with at most `max_images` per user."""
        given = profiles["images_given"]
        beyond = pc.max_element_wise(pc.subtract(given, max_images), 0)
        return cls(
            len(profiles),
            pc.sum(given).as_py() or 0,
            pc.sum(profiles["images_failed"]).as_py() or 0,
            pc.sum(beyond).as_py() or 0,
            dict(Counter(profiles["status"].to_pylist())),
        )


_WORDS = pa.dictionary(pa.int32(), pa.string())
_IMAGE_ERROR = pa.struct([("index", pa.int32()), ("image", pa.string()), ("reason", pa.string())])
OUTCOME_FIELDS = (
    pa.field("frames_used", pa.int32()),
    pa.field("images_given", pa.int32()),
    pa.field("images_failed", pa.int32()),
    pa.field("status", _WORDS),
    pa.field("image_errors", pa.list_(_IMAGE_ERROR)),
)
"""The columns for the outcome of users' images, which every table about users has."""


TEXT_FIELDS = (
    pa.field("texts_used", pa.int32()),
    pa.field("texts_given", pa.int32()),
    pa.field("texts_cut", pa.int32()),
)
"""The columns for the outcome of users' texts, where texts are read."""

PROFILE_FIELD = pa.field("profile_fields_used", pa.int32())
"""The column for the number of fields of users' profiles, where these are read."""


def probabilities_column(trait: str) -> str:
    """Return the name of the column with the probabilities of a trait."""
    return f"{trait}_probabilities"


def confidence_column(trait: str) -> str:
    """Return the name of the column with the probability of a trait's most probable class."""
    return f"{trait}_confidence"


def part_column(trait: str, part: str) -> str:
    """Return the name of the column with the probabilities of a trait by images or texts alone."""
    return f"{trait}_{part}_probabilities"


def profile_schema(
    schema: TraitSchema,
    user_id_type: pa.DataType,
    *,
    texts: bool = False,
    profile: bool = False,
    parts: Sequence[str] = (),
    evidence: bool = False,
) -> pa.Schema:
    """Return the columns of a table of profiles, without any columns kept from the manifest.

    Args:
        schema: The traits.
        user_id_type: The type of `user_id`.
        texts: Whether the model reads texts.
        profile: Whether it reads fields of users' profiles, too.
        parts: What the probabilities are given by alone, too: `images`, `texts`.
        evidence: Whether to say what each image and text contributes.
    """
    fields = [pa.field("user_id", user_id_type)]
    for trait in schema:
        each = pa.struct([(name, pa.float32()) for name in trait.classes])
        fields += [
            pa.field(trait.name, _WORDS),
            pa.field(confidence_column(trait.name), pa.float32()),
            pa.field(probabilities_column(trait.name), each),
            *(pa.field(part_column(trait.name, part), each) for part in parts),
        ]
    fields += [*OUTCOME_FIELDS, *(TEXT_FIELDS if texts else ())]
    fields += [PROFILE_FIELD] if profile else []
    if evidence:
        fields += evidence_fields(schema, texts=texts, profile=profile)
    return pa.schema(fields)


def make_profiles(
    schema: TraitSchema,
    outcomes: Sequence[UserOutcome],
    probabilities: Probabilities,
    *,
    texts: bool = False,
    profile: bool = False,
    parts: Mapping[str, tuple[NDArray[np.bool_], Probabilities]] | None = None,
    explanations: Explanations | None = None,
) -> pa.Table:
    """Return the table of profiles.

    Args:
        schema: The traits.
        outcomes: The outcome of each user, in manifest order.
        probabilities: The probabilities, one row per user; rows of users without frames and texts
            are not used.
        texts: Whether the model reads texts.
        profile: Whether it reads fields of users' profiles, too.
        parts: The probabilities by images alone and by texts alone, and which users have them.
        explanations: What each image and text contributes; None to leave that out.
    """
    parts = parts or {}
    is_seen = np.array([outcome.is_seen for outcome in outcomes], dtype=bool)
    columns: list[pa.Array] = [ids_column(outcomes)]
    for trait in schema:
        columns += _trait_columns(trait, is_seen, probabilities[trait.name])
        columns += [
            _classes_column(trait, given, rows[trait.name]) for given, rows in parts.values()
        ]
    columns += outcome_columns(outcomes)
    columns += text_columns(outcomes) if texts else []
    columns += [profile_column(outcomes)] if profile else []
    if explanations is not None:
        columns += evidence_columns(schema, is_seen, probabilities, explanations)
    fields = profile_schema(
        schema,
        columns[0].type,
        texts=texts,
        profile=profile,
        parts=tuple(parts),
        evidence=explanations is not None,
    )
    return pa.Table.from_arrays(columns, schema=fields)


def crashed_profile(
    schema: TraitSchema,
    user_id: UserId,
    images_given: int,
    *,
    texts: bool = False,
    profile: bool = False,
    parts: Sequence[str] = (),
    evidence: bool = False,
) -> pa.Table:
    """Return the row of a user whose images crashed the worker."""
    outcome = UserOutcome(user_id, images_given, 0, (), crashed=True)
    unused = {trait.name: np.zeros((1, len(trait.classes)), np.float32) for trait in schema}
    nobody, nothing = np.zeros(1, bool), [Explanation()]
    explanations = Explanations(nothing, nothing if texts else None, nothing if profile else None)
    return make_profiles(
        schema,
        [outcome],
        unused,
        texts=texts,
        profile=profile,
        parts=dict.fromkeys(parts, (nobody, unused)),
        explanations=explanations if evidence else None,
    )


def ids_column(outcomes: Sequence[UserOutcome]) -> pa.Array:
    """Return the column `user_id`, one row per user."""
    ids = [outcome.user_id for outcome in outcomes]
    return pa.array(ids) if ids else pa.array([], pa.string())


def _trait_columns(
    trait: Trait, is_seen: NDArray[np.bool_], rows: NDArray[np.float32]
) -> list[pa.Array]:
    """Return the class, confidence and probabilities; null for users of whom there is nothing."""
    best = rows.argmax(axis=1).astype(np.int32)
    classes = pa.DictionaryArray.from_arrays(
        pa.array(best, mask=~is_seen), pa.array(trait.classes, pa.string())
    )
    confidences = pa.array(rows.max(axis=1), mask=~is_seen)
    return [classes, confidences, _classes_column(trait, is_seen, rows)]


def _classes_column(
    trait: Trait, given: NDArray[np.bool_], rows: NDArray[np.float32]
) -> pa.StructArray:
    """Return the probabilities of all classes; null for users who have none."""
    return pa.StructArray.from_arrays(
        [pa.array(np.ascontiguousarray(column)) for column in rows.T],
        fields=[pa.field(name, pa.float32()) for name in trait.classes],
        mask=pa.array(~given),
    )


def outcome_columns(outcomes: Sequence[UserOutcome]) -> list[pa.Array]:
    """Return the columns `OUTCOME_FIELDS`, one row per user."""
    return [
        pa.array([outcome.frames_used for outcome in outcomes], pa.int32()),
        pa.array([outcome.images_given for outcome in outcomes], pa.int32()),
        pa.array([len(outcome.failed) for outcome in outcomes], pa.int32()),
        _dictionary(list(Status), (outcome.status for outcome in outcomes)),
        pa.array([_errors(outcome) for outcome in outcomes], pa.list_(_IMAGE_ERROR)),
    ]


def text_columns(outcomes: Sequence[UserOutcome]) -> list[pa.Array]:
    """Return the columns `TEXT_FIELDS`, one row per user; null for users who crashed the worker."""
    texts = [outcome.texts for outcome in outcomes]
    return [
        pa.array([None if each is None else each.used for each in texts], pa.int32()),
        pa.array([None if each is None else each.given for each in texts], pa.int32()),
        pa.array([None if each is None else each.cut for each in texts], pa.int32()),
    ]


def profile_column(outcomes: Sequence[UserOutcome]) -> pa.Array:
    """Return the column `PROFILE_FIELD`; null for users who crashed the worker."""
    texts = [outcome.texts for outcome in outcomes]
    return pa.array([None if each is None else each.fields for each in texts], pa.int32())


def _dictionary(words: Sequence[str], values: Iterable[str]) -> pa.DictionaryArray:
    numbers = {str(word): number for number, word in enumerate(words)}
    indices = pa.array([numbers[value] for value in values], pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(numbers), pa.string()))


def _errors(outcome: UserOutcome) -> list[dict[str, object]]:
    return [
        {"index": failed.index, "image": failed.image, "reason": failed.reason.value}
        for failed in outcome.failed
    ]
