"""Join profiles with the users of a manifest and with labels, without reading an image.

Shapes: P rows of profiles; T traits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.labels.reading import UNKNOWN, check_labels, read_labels, read_user_ids
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError, PredictionsError
from tweetprofile.evaluation.matching import labelled_traits
from tweetprofile.evaluation.predictions import Predictions

NOWHERE = -1
"""The position of a user whom the manifest lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Profiles, with where their users are in the manifest, and their labels.

    Attributes:
        predictions: The profiles.
        ids: The id of each profile's user, as text; P.
        positions_P: The position of each user in the manifest; `NOWHERE` if it is not there.
        truth_PT: The class number of each label; `UNKNOWN` where there is none. None without
            labels.
        without_profile: The number of users of the manifest who have no profile.
        label_notes: Sentences about labels that were read as missing values.
    """

    predictions: Predictions
    ids: pl.Series
    positions_P: NDArray[np.int64]
    truth_PT: NDArray[np.int16] | None
    without_profile: int
    label_notes: tuple[str, ...] = ()

    @property
    def not_in_manifest(self) -> int:
        """The number of profiles whose users the manifest lacks."""
        return int((self.positions_P == NOWHERE).sum())

    def rows_in_order(self) -> NDArray[np.int64]:
        """Return the rows of the users in the manifest, in the order of the manifest."""
        rows = np.flatnonzero(self.positions_P != NOWHERE)
        return rows[np.argsort(self.positions_P[rows], kind="stable")]


def join(manifest: Manifest, predictions: Predictions, labels: Manifest | None) -> Joined:
    """Join profiles with a manifest and with labels.

    Args:
        manifest: The manifest with the images, in which no user occurs twice.
        predictions: The profiles.
        labels: The manifest that has the labels, which may be the same one; None if none has any.

    Raises:
        InputError: No profile is of a user of the manifest, a user has two profiles, or labels are
            unusable.
    """
    ids = pl.Series("user_id", pc.cast(predictions.table["user_id"], pa.large_string()))
    _refuse_repeated(ids, predictions)
    positions = _positions(ids, read_user_ids(manifest))
    found = int((positions != NOWHERE).sum())
    if not found:
        raise PredictionsError(
            f"{predictions.path} has no user of {manifest.source}; pass the manifest that was "
            "predicted."
        )
    truth, notes = _truth(ids, predictions, labels) if labels is not None else (None, ())
    return Joined(
        predictions=predictions,
        ids=ids,
        positions_P=positions,
        truth_PT=truth,
        without_profile=manifest.count_users() - found,
        label_notes=notes,
    )


def _truth(
    ids: pl.Series, predictions: Predictions, labels: Manifest
) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Return the labels of each profile's user, (P, T), and sentences about them."""
    schema = predictions.schema
    labelled_traits(labels, schema, predictions.path)
    notes = check_labels(labels, schema)
    truth_UT = read_labels(labels, schema).astype(np.int16)
    rows = _positions(ids, read_user_ids(labels))
    if (rows == NOWHERE).all():
        raise ManifestError(
            f"{labels.source} has none of the users in {predictions.path}; pass the labels of "
            "these users."
        )
    unlabelled = np.full((1, truth_UT.shape[1]), UNKNOWN, np.int16)
    return np.concatenate([truth_UT, unlabelled])[rows], notes  # `NOWHERE` is the last row


def _positions(ids: pl.Series, among: pl.Series) -> NDArray[np.int64]:
    """Return the position of each id among others; `NOWHERE` where it does not occur."""
    if ids.equals(among):
        return np.arange(len(ids))
    right = pl.DataFrame({"user_id": among, "position": np.arange(len(among))})
    first = right.unique("user_id", keep="first", maintain_order=True)
    joined = ids.to_frame("user_id").join(first, on="user_id", how="left", maintain_order="left")
    return joined["position"].fill_null(NOWHERE).to_numpy().astype(np.int64)


def _refuse_repeated(ids: pl.Series, predictions: Predictions) -> None:
    if ids.is_duplicated().any():
        twice = ids.filter(ids.is_duplicated())[0]
        raise PredictionsError(
            f"user '{twice}' has two profiles in {predictions.path}; predict that manifest again."
        )


def traits_with_labels(manifest: Manifest, traits: Sequence[str]) -> list[str]:
    """Return the traits for which a manifest has a column."""
    return [name for name in traits if name in manifest.schema.names]
