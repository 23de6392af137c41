"""The kinds of rows that a run writes about users: profiles, and embeddings.

A kind of row says what its columns are, how the table of a worker becomes them, and what decides
them besides the images.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tweetprofile.data.files.provenance import Kind, stamp
from tweetprofile.errors import OptionError
from tweetprofile.job import EmbedderFacts, PredictorFacts, RunFactsT
from tweetprofile.workers.evidence import EVIDENCE
from tweetprofile.workers.feature_rows import EMBEDDINGS, INDEXES
from tweetprofile.workers.profiles import OUTCOME_FIELDS, profile_schema

Per = Literal["image", "user"]
"""What an embedding is of."""

PER: tuple[Per, ...] = get_args(Per)


class Rows(ABC, Generic[RunFactsT]):
    """One kind of rows.

    Attributes:
        kind: The kind of output that they make.
    """

    kind: ClassVar[Kind]

    @abstractmethod
    def schema(self, facts: RunFactsT, user_id_type: pa.DataType) -> pa.Schema:
        """Return the columns, without any columns kept from the manifest."""

    @abstractmethod
    def facts(self, facts: RunFactsT) -> Mapping[str, Any]:
        """Return what decides the rows, as JSON, apart from what decides rows of every kind."""

    @abstractmethod
    def of(self, table: pa.Table, facts: RunFactsT) -> pa.Table:
        """Return the columns of the schema apart from `user_id`, made of a worker's table."""


@dataclass(frozen=True, slots=True)
class ProfileRows(Rows[PredictorFacts]):
    """Profiles: the classes of each trait, with their probabilities.

    Attributes:
        clips: The largest number of volumes per user.
        orders: The number of orders of the frames.
        views: The number of views of each frame.
    """

    clips: int
    orders: int
    views: int
    kind: ClassVar[Kind] = Kind.PREDICTIONS

    def schema(self, facts: PredictorFacts, user_id_type: pa.DataType) -> pa.Schema:
        """See `Rows.schema`."""
        return profile_schema(
            facts.schema,
            user_id_type,
            texts=facts.reads_texts,
            profile=bool(facts.profile_fields),
            parts=facts.parts,
            evidence=facts.evidence is not None,
        )

    def facts(self, facts: PredictorFacts) -> Mapping[str, Any]:
        """See `Rows.facts`; the sizes of batches change the last bits of a probability."""
        return {
            "checkpoint_sha256": facts.checkpoint_sha256,
            "network": facts.network,
            "schema": facts.schema.to_dict(),
            # An option may change the detail, so it is a fact of its own.
            "volume": {name: each for name, each in facts.volume.items() if name != "detail"},
            "batch_size": facts.batch_size,
            "clips": self.clips,
            "orders": self.orders,
            "views": self.views,
            **({"parts": list(facts.parts)} if facts.parts else {}),
            **({EVIDENCE: facts.evidence} if facts.evidence else {}),
        }

    def of(self, table: pa.Table, facts: PredictorFacts) -> pa.Table:
        """See `Rows.of`; these are the columns that a worker returns."""
        return table


@dataclass(frozen=True, slots=True)
class EmbeddingRows(Rows[EmbedderFacts]):
    """Embeddings: one vector per image of a user, or their mean.

    The vectors are float32, which every reader of Parquet knows. Those of images were rounded to
    float16 before, so that they take no more space than float16 would.

    Attributes:
        per: What a vector is of: `image` or `user`.

    Raises:
        OptionError: `per` has another value.
    """

    per: Per
    kind: ClassVar[Kind] = Kind.EMBEDDINGS

    def __post_init__(self) -> None:
        if self.per not in PER:
            raise OptionError(f"`per` is {self.per}; it must be image or user.")

    def schema(self, facts: EmbedderFacts, user_id_type: pa.DataType) -> pa.Schema:
        """See `Rows.schema`."""
        vector = _vector_type(facts)
        column = (
            pa.field("images", pa.list_(_image_type(vector)))
            if self.per == "image"
            else pa.field("embedding", vector)
        )
        return pa.schema([pa.field("user_id", user_id_type), column, *OUTCOME_FIELDS])

    def facts(self, facts: EmbedderFacts) -> Mapping[str, Any]:
        """See `Rows.facts`; no bit of an embedding depends on the size of its batch."""
        return {
            **stamp(self.kind),
            "backbone": facts.backbone,
            "backbone_digest": facts.backbone_digest,
            "features": facts.features,
            "frames": facts.size.frames,
            "height": facts.size.height,
            "width": facts.size.width,
            "per": self.per,
        }

    def of(self, table: pa.Table, facts: EmbedderFacts) -> pa.Table:
        """See `Rows.of`."""
        vectors = [
            np.frombuffer(each.as_buffer(), np.float16).reshape(-1, facts.features)
            for each in table[EMBEDDINGS]
        ]
        outcome = table.select([field.name for field in OUTCOME_FIELDS])
        if self.per == "user":
            return outcome.add_column(0, "embedding", _means(vectors, _vector_type(facts)))
        indexes = [np.frombuffer(each.as_buffer(), np.int32) for each in table[INDEXES]]
        return outcome.add_column(0, "images", _images(indexes, vectors, _vector_type(facts)))


def _vector_type(facts: EmbedderFacts) -> pa.DataType:
    return pa.list_(pa.float32(), facts.features)


def _image_type(vector: pa.DataType) -> pa.DataType:
    return pa.struct([("index", pa.int32()), ("embedding", vector)])


def _images(
    indexes: Sequence[NDArray[np.int32]], vectors: Sequence[NDArray[np.float16]], kind: pa.DataType
) -> pa.Array:
    """Return a list per user, with the position and the embedding of each image that was used."""
    none = np.empty((0, kind.list_size), np.float16)
    flat = np.concatenate([none, *vectors]).astype(np.float32).reshape(-1)
    positions = np.concatenate([np.empty(0, np.int32), *indexes])
    each = pa.StructArray.from_arrays(
        [pa.array(positions), pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)],
        fields=list(_image_type(kind)),
    )
    ends = np.cumsum([0, *map(len, vectors)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), each)


def _means(vectors: Sequence[NDArray[np.float16]], kind: pa.DataType) -> pa.Array:
    """Return the mean of each user's embeddings; null for users without any."""
    means = np.zeros((len(vectors), kind.list_size), np.float32)
    for row, each in enumerate(vectors):
        if len(each):
            means[row] = each.mean(axis=0, dtype=np.float64)
    none = pa.array([not len(each) for each in vectors], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(means.reshape(-1)), type=kind, mask=none)
