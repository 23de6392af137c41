"""Labels and predictions brought together, user by user.

Nobody is dropped in silence: who has a label and no prediction counts as predicted wrongly, and
users that stand in one table alone are named.

Shapes: N users who have a label for a trait, in manifest order, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from tweetprofile.errors import ManifestError, PredictionsError, SchemaError
from tweetprofile.fields import mapping, read_known, text
from tweetprofile.manifest import Manifest
from tweetprofile.profiles import probabilities_column
from tweetprofile.provenance import read_description
from tweetprofile.storage import AnyPath, RemotePath, as_path, find_files
from tweetprofile.training.labels import (
    UNKNOWN,
    check_labels,
    encode_labels,
    read_labels,
    read_user_ids,
)
from tweetprofile.traits import Trait, TraitSchema

NO_GUESS = -1
"""Class number of a prediction that there is not."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Profiles as `predict` writes them.

    Attributes:
        name: what to call them.
        path: where they are.
        schema: their traits.
        facts: what the run says of itself.
        table: `user_id`, `frames_used` and, a trait, its class and probabilities.
    """

    name: str
    path: AnyPath
    schema: TraitSchema
    facts: Mapping[str, Any]
    table: pa.Table

    @classmethod
    def read(cls, path: str | AnyPath) -> "Predictions":
        """Read a Parquet file of profiles, or a folder of them, here or in an object store.

        Raises:
            PredictionsError: it is none.
        """
        path = as_path(path)
        try:
            files = find_files(path, ".parquet")[0] if isinstance(path, RemotePath) else None
            data = ds.dataset(path if files is None else _keys(files), **_store(path))
            facts = read_description(files[0] if files else Path(data.files[0]))
            read_known(facts, "its description", _FACTS, ("schema",))
            schema = TraitSchema.from_dict(facts["schema"])
            table = data.to_table(_columns(schema))
            _check_table(table, schema)
        except (pa.ArrowException, OSError, IndexError, KeyError, ValueError, SchemaError) as error:
            raise PredictionsError(
                f"{path} does not hold profiles as `tweetprofile predict` writes them "
                f"({_first_line(error)}); give the file or folder that it wrote."
            ) from None
        return cls(path.stem or str(path), path, schema, facts, table)

    def called(self, name: str) -> "Predictions":
        """The same by another name."""
        return replace(self, name=name)


_FACTS = {"schema": mapping, "network": text, "checkpoint_sha256": text, "version": text}
"""What a run says of itself, as far as it is shown or relied on."""


def _check_table(table: pa.Table, schema: TraitSchema) -> None:
    """Raise ValueError unless columns have the types, and probabilities the range, of profiles."""
    if not pa.types.is_integer(table["frames_used"].type) or table["frames_used"].null_count:
        raise ValueError("its column frames_used is not of whole numbers")
    for trait in schema:
        column = table[probabilities_column(trait.name)]
        if not pa.types.is_struct(column.type):
            raise ValueError(f"its column {trait.name}_probabilities is {column.type}")
        given = {field.name: field.type for field in column.type}
        for name in trait.classes:
            if not pa.types.is_floating(given.get(name, pa.null())):
                raise ValueError(f"{trait.name} has no probabilities of '{name}'")
        values = _probabilities(table, trait)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"probabilities of {trait.name} are not from 0 to 1")


def _keys(files: Sequence[RemotePath]) -> list[str]:
    return [file.key for file in files]


def _store(path: AnyPath) -> dict[str, Any]:
    """What a dataset must be told of where it is."""
    store = {"filesystem": path.file_system} if isinstance(path, RemotePath) else {}
    return {"format": "parquet", **store}


@dataclass(frozen=True, slots=True)
class JudgedTrait:
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
class Judged:
    """All traits, and who could not be judged.

    Attributes:
        predictions: what was judged.
        traits: those with labels.
        users: of the manifest.
        only_in_manifest: users without a row of predictions.
        only_in_predictions: users that the manifest does not know.
    """

    predictions: Predictions
    traits: tuple[JudgedTrait, ...]
    users: int
    only_in_manifest: tuple[str, ...]
    only_in_predictions: tuple[str, ...]


def judge(manifest: Manifest, predictions: Predictions) -> Judged:
    """Bring the labels of a manifest and predictions together.

    Raises:
        ManifestError: no label at all, or one that the predictions' schema does not know.
        PredictionsError: no trait in common, or users that stand twice and cannot be told apart.
    """
    schema = labelled_traits(manifest, predictions.schema, predictions.path)
    truth = read_labels(manifest, schema)
    ids = read_user_ids(manifest)
    found = pl.Series("user_id", pc.cast(predictions.table["user_id"], pa.large_string()))
    rows = _match(ids, found, predictions)
    guesses = encode_labels(predictions.table, schema)
    frames = predictions.table["frames_used"].to_numpy().astype(np.int64)
    traits = tuple(
        _judge_trait(trait, truth[:, column], rows, guesses[:, column], frames, predictions.table)
        for column, trait in enumerate(schema)
        if (truth[:, column] != UNKNOWN).any()
    )
    if not traits:
        raise ManifestError(
            f"{manifest.source} has no label for any user ({', '.join(schema.names)} are null "
            "throughout); give a labelled manifest."
        )
    unknown = np.setdiff1d(np.arange(len(found)), rows)
    return Judged(
        predictions,
        traits,
        len(ids),
        tuple(ids.filter(pl.Series(rows < 0))),
        tuple(found.gather(unknown)),
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
    known = [trait for trait in schema if trait.name in manifest.schema.names]
    if not known:
        raise PredictionsError(
            f"{manifest.source} has no label column for any trait of {source} "
            f"({', '.join(schema.names)}); give a manifest with labels first, then the "
            "predictions."
        )
    labelled = TraitSchema(tuple(known))
    check_labels(manifest, labelled)
    return labelled


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


def _judge_trait(
    trait: Trait,
    truth: NDArray[np.int64],
    rows: NDArray[np.int64],
    guesses: NDArray[np.int64],
    frames: NDArray[np.int64],
    table: pa.Table,
) -> JudgedTrait:
    users = np.flatnonzero(truth != UNKNOWN)
    missing = rows[users] < 0
    found = np.where(missing, 0, rows[users])
    probabilities = _probabilities(table, trait)
    if not len(table):  # nothing to look up, and nobody is found
        empty = np.zeros((len(users), len(trait.classes)))
        none = np.full(len(users), NO_GUESS)
        return JudgedTrait(trait, users, truth[users], none, empty, np.zeros_like(none))
    return JudgedTrait(
        trait,
        users,
        truth[users],
        np.where(missing, NO_GUESS, guesses[found]),
        np.where(missing[:, None], 0.0, probabilities[found]),
        np.where(missing, 0, frames[found]),
    )


def _probabilities(table: pa.Table, trait: Trait) -> NDArray[np.float64]:
    """(rows, K); zeros for users without a prediction."""
    column = table[probabilities_column(trait.name)].combine_chunks()
    each = [pc.fill_null(pc.struct_field(column, name), 0.0) for name in trait.classes]
    return np.stack([column.to_numpy(zero_copy_only=False) for column in each], axis=1).astype(
        np.float64
    )


def _columns(schema: TraitSchema) -> list[str]:
    traits = [(trait.name, probabilities_column(trait.name)) for trait in schema]
    return ["user_id", "frames_used", *(name for pair in traits for name in pair)]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
