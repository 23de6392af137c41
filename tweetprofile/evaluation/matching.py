"""Labels and predictions brought together, user by user.

Nobody is dropped in silence: who has a label and no prediction counts as predicted wrongly, and
users that stand in one table alone are named.

Shapes: N users who have a label for a trait, in manifest order, K classes.
"""

from dataclasses import dataclass

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
"""Class number of a prediction that there is not."""


@dataclass(frozen=True, slots=True)
class MatchedTrait:
    """One trait of the users who have a label for it.

    Attributes:
        trait: which.
        rows_N: number of each user in the manifest.
        truth_N: class numbers of the labels.
        guess_N: class numbers of the predictions, `NO_GUESS` where there is none.
        probabilities_NK: float64 of all classes; zeros where there is no prediction.
        frames_N: usable frames.
    """

    trait: Trait
    rows_N: NDArray[np.int64]
    truth_N: NDArray[np.int64]
    guess_N: NDArray[np.int64]
    probabilities_NK: NDArray[np.float64]
    frames_N: NDArray[np.int64]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) probability of the most probable class; 0 where there is no prediction."""
        confidence: NDArray[np.float64] = self.probabilities_NK.max(axis=1)
        return confidence

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether the prediction is the label."""
        right: NDArray[np.bool_] = self.guess_N == self.truth_N
        return right


@dataclass(frozen=True, slots=True)
class MatchedUsers:
    """All traits, and who could not be judged.

    Attributes:
        predictions: what was judged.
        traits: those with labels.
        users: of the manifest.
        only_in_manifest: users without a row of predictions.
        only_in_predictions: users that the manifest does not know.
        label_notes: sentences on labels that stand for missing values.
    """

    predictions: Predictions
    traits: tuple[MatchedTrait, ...]
    users: int
    only_in_manifest: tuple[str, ...]
    only_in_predictions: tuple[str, ...]
    label_notes: tuple[str, ...] = ()


def match_users(manifest: Manifest, predictions: Predictions) -> MatchedUsers:
    """Bring the labels of a manifest and predictions together.

    Raises:
        ManifestError: no label at all, or one that the predictions' schema does not know.
        PredictionsError: no trait in common, or users that stand twice and cannot be told apart.
    """
    schema = _known_traits(manifest, predictions.schema, predictions.path)
    label_notes = check_labels(manifest, schema)
    truth = read_labels(manifest, schema)
    ids = read_user_ids(manifest)
    found = pl.Series("user_id", pc.cast(predictions.table["user_id"], pa.large_string()))
    rows = _match(ids, found, predictions)
    guesses = encode_labels(predictions.table, schema)
    frames = predictions.table["frames_used"].to_numpy().astype(np.int64)
    traits = tuple(
        _match_trait(trait, truth[:, column], rows, guesses[:, column], frames, predictions.table)
        for column, trait in enumerate(schema)
        if (truth[:, column] != UNKNOWN).any()
    )
    if not traits:
        raise ManifestError(
            f"{manifest.source} has no label for any user ({', '.join(schema.names)} are null "
            "throughout); give a labelled manifest."
        )
    unknown = np.setdiff1d(np.arange(len(found)), rows)
    return MatchedUsers(
        predictions,
        traits,
        len(ids),
        tuple(ids.filter(pl.Series(rows < 0))),
        tuple(found.gather(unknown)),
        label_notes,
    )


def labelled_traits(manifest: Manifest, schema: TraitSchema, source: AnyPath) -> TraitSchema:
    """The traits of a schema that a manifest has label columns for, these being checked.

    Args:
        manifest: with labels.
        schema: of predictions, or of a checkpoint.
        source: where it comes from, for people.

    Raises:
        ManifestError: a label that the schema does not know.
        PredictionsError: no trait in common.
    """
    labelled = _known_traits(manifest, schema, source)
    check_labels(manifest, labelled)
    return labelled


def _known_traits(manifest: Manifest, schema: TraitSchema, source: AnyPath) -> TraitSchema:
    """The traits of a schema that a manifest has label columns for; see `labelled_traits`."""
    known = [trait for trait in schema if trait.name in manifest.schema.names]
    if not known:
        raise PredictionsError(
            f"{manifest.source} has no label column for any trait of {source} "
            f"({', '.join(schema.names)}); give a manifest with labels first, then the "
            "predictions."
        )
    return TraitSchema(tuple(known))


def _match(ids: pl.Series, found: pl.Series, predictions: Predictions) -> NDArray[np.int64]:
    """Row of predictions of each manifest user; -1 where there is none."""
    if ids.equals(found, null_equal=True):
        return np.arange(len(ids))
    for name, each in (("the manifest", ids), (str(predictions.path), found)):
        if each.is_duplicated().any():
            twice = each.filter(each.is_duplicated())[0]
            raise PredictionsError(
                f"user '{twice}' stands twice in {name}, and the predictions are not in the "
                "manifest's order, so that they cannot be told apart; predict that manifest anew."
            )
    right = pl.DataFrame({"user_id": found, "row": np.arange(len(found))})
    joined = ids.to_frame("user_id").join(right, on="user_id", how="left", maintain_order="left")
    return joined["row"].fill_null(-1).to_numpy().astype(np.int64)


def _match_trait(
    trait: Trait,
    truth: NDArray[np.int64],
    rows: NDArray[np.int64],
    guesses: NDArray[np.int64],
    frames: NDArray[np.int64],
    table: pa.Table,
) -> MatchedTrait:
    users = np.flatnonzero(truth != UNKNOWN)
    missing = rows[users] < 0
    found = np.where(missing, 0, rows[users])
    probabilities = probabilities_of(table, trait)
    if not ((probabilities >= 0) & (probabilities <= 1.001)).all():
        raise PredictionsError(
            f"a probability of '{trait.name}' is not from 0 to 1; predict that manifest anew."
        )
    if not len(table):  # nothing to look up, and nobody is found
        empty = np.zeros((len(users), len(trait.classes)))
        none = np.full(len(users), NO_GUESS)
        return MatchedTrait(trait, users, truth[users], none, empty, np.zeros_like(none))
    return MatchedTrait(
        trait,
        users,
        truth[users],
        np.where(missing, NO_GUESS, guesses[found]),
        np.where(missing[:, None], 0.0, probabilities[found]),
        np.where(missing, 0, frames[found]),
    )
