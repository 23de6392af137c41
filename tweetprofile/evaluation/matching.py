"""Match the labels of a manifest with predictions, user by user.

No user is dropped silently: a user with a label but without a prediction counts as predicted
wrongly, and users that occur in only one of the two tables are named.

Shapes: U users of the manifest; N users who have a label for a trait, in manifest order; K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
from tweetprofile.evaluation.predictions import Predictions, probabilities_of
from tweetprofile.traits import Trait, TraitSchema

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
        probabilities_NK: The probabilities of all classes, float64; zeros without a prediction.
        frames_N: The number of usable frames per user.
        parts_NK: The probabilities by images alone and by texts alone, float64, where the
            predictions have them; zeros for users who lack that part.
    """

    trait: Trait
    rows_N: NDArray[np.int64]
    truth_N: NDArray[np.int64]
    guess_N: NDArray[np.int64]
    probabilities_NK: NDArray[np.float64]
    frames_N: NDArray[np.int64]
    parts_NK: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) probability of the predicted class; 0 where there is no prediction."""
        confidence: NDArray[np.float64] = self.probabilities_NK.max(axis=1)
        return confidence

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
    frames = predictions.table["frames_used"].to_numpy().astype(np.int64)
    traits = tuple(
        _match_trait(
            trait,
            truth=truth[:, column],
            rows=rows,
            guesses=guesses[:, column],
            frames=frames,
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
            f"({', '.join(schema.names)}); pass a manifest with labels first, then the "
            "predictions."
        )
    return TraitSchema(tuple(known))


def _match(ids: pl.Series, found: pl.Series, predictions: Predictions) -> NDArray[np.int64]:
    """Return the row of predictions of each manifest user; -1 where there is none."""
    if ids.equals(found, null_equal=True):
        return np.arange(len(ids))
    for name, each in (("the manifest", ids), (str(predictions.path), found)):
        if each.is_duplicated().any():
            twice = each.filter(each.is_duplicated())[0]
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
    frames: NDArray[np.int64],
    predictions: Predictions,
) -> MatchedTrait:
    users = np.flatnonzero(truth != UNKNOWN)
    missing = rows[users] < 0
    found = np.where(missing, 0, rows[users])
    table = predictions.table
    probabilities = probabilities_of(table, trait)
    if not ((probabilities >= 0) & (probabilities <= 1.001)).all():
        raise PredictionsError(
            f"a probability of '{trait.name}' is not between 0 and 1; predict that manifest again."
        )
    if not len(table):  # row 0, which stands in for missing rows below, does not exist
        empty = np.zeros((len(users), len(trait.classes)))
        none = np.full(len(users), NO_GUESS)
        return MatchedTrait(
            trait=trait,
            rows_N=users,
            truth_N=truth[users],
            guess_N=none,
            probabilities_NK=empty,
            frames_N=np.zeros_like(none),
            parts_NK=dict.fromkeys(predictions.parts, empty),
        )
    parts = {part: probabilities_of(table, trait, part)[found] for part in predictions.parts}
    return MatchedTrait(
        trait=trait,
        rows_N=users,
        truth_N=truth[users],
        guess_N=np.where(missing, NO_GUESS, guesses[found]),
        probabilities_NK=np.where(missing[:, None], 0.0, probabilities[found]),
        frames_N=np.where(missing, 0, frames[found]),
        parts_NK={
            part: np.where(missing[:, None], 0.0, rows_NK) for part, rows_NK in parts.items()
        },
    )
