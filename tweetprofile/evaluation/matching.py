"""Match the labels of a manifest with predictions, user by user.

No user is dropped silently: a user with a label but without a prediction counts as predicted
wrongly, and users that occur in only one of the two tables are named.

Shapes: U users of the manifest; N users who have a label for a trait, in manifest order; K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.labels.reading import (
    UNKNOWN,
    check_labels,
    encode_labels,
    read_labels,
    read_user_ids,
)
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError, PredictionsError
from tweetprofile.evaluation.foreign_tables import FRAMES
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.table_files import (
    confidences_if_given,
    probabilities_if_given,
    probabilities_of,
)
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.untrusted.text import printable

NO_GUESS = -1
"""Class number that stands for a missing prediction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedTrait:
    """Labels and predictions of one trait, for the users who have a label for it.

    Attributes:
        trait: The trait.
        rows_N: The position of each user in the manifest.
        truth_N: The class numbers of the labels.
        guess_N: The class numbers of the predictions; `NO_GUESS` where there is none.
        probabilities_NK: The probabilities of all classes, float64; zeros without a prediction, and
            everywhere if predictions of other programs give none.
        frames_N: The number of usable frames per user; zeros where that is unknown.
        confidence_N: The confidences, if the predictions give them instead of probabilities; zeros
            without a prediction. None if they follow from the probabilities.
        knows_confidence: Whether the predictions say how sure they are.
        parts_NK: The probabilities by images alone and by texts alone, float64, where the
            predictions have them; zeros for users who lack that part.
    """

    trait: Trait
    rows_N: NDArray[np.int64]
    truth_N: NDArray[np.int64]
    guess_N: NDArray[np.int64]
    probabilities_NK: NDArray[np.float64]
    frames_N: NDArray[np.int64]
    confidence_N: NDArray[np.float64] | None = None
    knows_confidence: bool = True
    parts_NK: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) probability of the predicted class; 0 where there is no prediction."""
        if self.confidence_N is not None:
            return self.confidence_N
        guess = np.maximum(self.guess_N, 0)[:, None]
        confidence = np.take_along_axis(self.probabilities_NK, guess, axis=1)[:, 0]
        known: NDArray[np.float64] = np.where(self.guess_N == NO_GUESS, 0.0, confidence)
        return known

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether the prediction equals the label."""
        right: NDArray[np.bool_] = self.guess_N == self.truth_N
        return right


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedUsers:
    """Labels and predictions of all traits, and the users that could not be matched.

    Attributes:
        predictions: The predictions that were matched.
        traits: The traits for which at least one user has a label.
        users: The number of users in the manifest.
        rows_U: The row of the predictions of each of these users; -1 where there is none.
        only_in_manifest: Ids of manifest users that the predictions lack.
        only_in_predictions: Ids of predicted users that the manifest lacks.
        label_notes: Sentences about labels that were read as missing values.
    """

    predictions: Predictions
    traits: tuple[MatchedTrait, ...]
    users: int
    rows_U: NDArray[np.int64]
    only_in_manifest: tuple[str, ...]
    only_in_predictions: tuple[str, ...]
    label_notes: tuple[str, ...] = ()


def match_users(manifest: Manifest, predictions: Predictions) -> MatchedUsers:
    """Match the labels of a manifest with predictions.

    Raises:
        ManifestError: The manifest has no labels, or one that is not a class of the schema.
        PredictionsError: The two have no user or no trait in common, or users who occur twice and
            cannot be told apart.
    """
    schema = _known_traits(manifest, predictions.schema, predictions.path)
    label_notes = check_labels(manifest, schema)
    truth = read_labels(manifest, schema)
    ids = read_user_ids(manifest)
    found = pl.Series("user_id", pc.cast(predictions.table["user_id"], pa.large_string()))
    rows = _match(ids, found, predictions)
    if len(found) and not (rows >= 0).any():
        raise PredictionsError(
            f"{predictions.path} has no user of {manifest.source}; pass the predictions of these "
            "users."
        )
    guesses = encode_labels(predictions.table, schema)
    traits = tuple(
        _match_trait(
            trait,
            truth=truth[:, column],
            rows=rows,
            guesses=guesses[:, column],
            predictions=predictions,
        )
        for column, trait in enumerate(schema)
        if (truth[:, column] != UNKNOWN).any()
    )
    if not traits:
        raise ManifestError(
            f"{manifest.source} has no label for any user ({', '.join(schema.names)}: all values "
            "are null); pass a manifest with labels."
        )
    unknown = np.setdiff1d(np.arange(len(found)), rows)
    return MatchedUsers(
        predictions=predictions,
        traits=traits,
        users=len(ids),
        rows_U=rows,
        only_in_manifest=tuple(ids.filter(pl.Series(rows < 0))),
        only_in_predictions=tuple(found.gather(unknown)),
        label_notes=label_notes,
    )


def labelled_traits(manifest: Manifest, schema: TraitSchema, source: AnyPath) -> TraitSchema:
    """Return the traits of a schema for which a manifest has label columns; check their labels.

    Args:
        manifest: A manifest with labels.
        schema: The schema of predictions or of a checkpoint.
        source: The file that the schema comes from, for messages.

    Raises:
        ManifestError: A label is not a class of the schema.
        PredictionsError: The manifest has no label column for any trait of the schema.
    """
    labelled = _known_traits(manifest, schema, source)
    check_labels(manifest, labelled)
    return labelled


def _known_traits(manifest: Manifest, schema: TraitSchema, source: AnyPath) -> TraitSchema:
    """Return the traits of a schema for which a manifest has label columns, unchecked."""
    known = [trait for trait in schema if trait.name in manifest.schema.names]
    if not known:
        raise PredictionsError(
            f"{manifest.source} has no label column for any trait of {source} "
            f"({', '.join(schema.names)}); pass a manifest that has labels of these traits."
        )
    return TraitSchema(tuple(known))


def _match(ids: pl.Series, found: pl.Series, predictions: Predictions) -> NDArray[np.int64]:
    """Return the row of predictions of each manifest user; -1 where there is none."""
    if ids.equals(found, null_equal=True):
        return np.arange(len(ids))
    for name, each in (("the manifest", ids), (str(predictions.path), found)):
        if each.is_duplicated().any():
            twice = printable(each.filter(each.is_duplicated())[0])
            if predictions.is_foreign:
                raise PredictionsError(f"user '{twice}' occurs twice in {name}; keep one row.")
            raise PredictionsError(
                f"user '{twice}' occurs twice in {name}, and the predictions are not in the order "
                "of the manifest, so that the two rows cannot be told apart; predict that manifest "
                "again."
            )
    right = pl.DataFrame({"user_id": found, "row": np.arange(len(found))})
    joined = ids.to_frame("user_id").join(right, on="user_id", how="left", maintain_order="left")
    return joined["row"].fill_null(-1).to_numpy().astype(np.int64)


def _match_trait(
    trait: Trait,
    *,
    truth: NDArray[np.int64],
    rows: NDArray[np.int64],
    guesses: NDArray[np.int64],
    predictions: Predictions,
) -> MatchedTrait:
    users = np.flatnonzero(truth != UNKNOWN)
    place = _Places(rows[users])
    given = {part: probabilities_of(predictions.table, trait, part) for part in predictions.parts}
    probabilities, confidence = probabilities_if_given(predictions.table, trait), None
    if probabilities is None:
        probabilities = np.zeros((len(predictions.table), len(trait.classes)))
        confidence = confidences_if_given(predictions.table, trait)
    return MatchedTrait(
        trait=trait,
        rows_N=users,
        truth_N=truth[users],
        guess_N=place.take(guesses, NO_GUESS),
        probabilities_NK=place.take(probabilities, 0.0),
        frames_N=place.take(_frames(predictions), 0),
        confidence_N=None if confidence is None else place.take(confidence, 0.0),
        knows_confidence=predictions.knows_confidence(trait.name),
        parts_NK={part: place.take(values, 0.0) for part, values in given.items()},
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """The row of the predictions of each labelled user; -1 where there is none."""

    rows_N: NDArray[np.int64]

    def take(self, values: NDArray[Any], missing: float) -> NDArray[Any]:
        """Return the value of each user, or `missing` for users without a row."""
        taken = np.full((len(self.rows_N), *values.shape[1:]), missing, values.dtype)
        known = self.rows_N >= 0
        taken[known] = values[self.rows_N[known]]
        return taken


def _frames(predictions: Predictions) -> NDArray[np.int64]:
    """(rows,) numbers of usable frames; zeros if they are unknown."""
    if not predictions.knows_frames:
        return np.zeros(len(predictions.table), np.int64)
    frames: NDArray[np.int64] = predictions.table[FRAMES].to_numpy().astype(np.int64)
    return frames
