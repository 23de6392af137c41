"""Labels and predictions brought together, user by user.

Nobody is dropped in silence: who has a label and no prediction counts as predicted wrongly, and
users that stand in one table alone are named.

Shapes: N users who have a label for a trait, in manifest order, K classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from tweetprofile.data.files.listing import find_files
from tweetprofile.data.files.provenance import read_description
from tweetprofile.data.files.storage import AnyPath, RemotePath, as_path, size_of
from tweetprofile.data.labels.reading import (
    UNKNOWN,
    check_labels,
    encode_labels,
    read_labels,
    read_user_ids,
)
from tweetprofile.data.manifests.forms import is_text
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError, PredictionsError, SchemaError
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.untrusted.fields import mapping, read_known, text
from tweetprofile.workers.profiles import probabilities_column

_NO_PROFILES = (
    pa.ArrowException, AssertionError, AttributeError, LookupError, OSError, RecursionError,
    SchemaError, TypeError, ValueError,
)  # fmt: skip
"""What reading a file raises that holds anything else."""


_ROWS_BELIEVED = 1_000_000
_MOST_ROWS_A_BYTE = 8
"""Of profiles, which have a different id in each row."""

_LONGEST_ID = 10_000
"""Bytes."""

NO_GUESS = -1
"""Class number of a prediction that there is not."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Profiles as `predict` writes them.

    Attributes:
        name: what to call them.
        path: where they are.
        schema: their traits.
        facts: what the run says of itself: network, checkpoint and version, where it says so.
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
        if isinstance(path, Path) and not path.exists():
            raise PredictionsError(
                f"{path} does not exist; give what 'tweetprofile predict' wrote."
            )
        if str(path).lower().endswith(".csv"):
            raise PredictionsError(
                f"{path} is CSV, which has lost what evaluating needs; predict again with an OUT "
                "that ends in .parquet."
            )
        try:
            files = find_files(path, ".parquet")[0] if isinstance(path, RemotePath) else None
            data = ds.dataset(path if files is None else _keys(files), **_store(path))
            _check_size(data, files or [Path(file) for file in data.files])
            facts = read_description(files[0] if files else Path(data.files[0]))
            read_known(facts, "its description", _FACTS, ("schema",))
            schema = TraitSchema.from_dict(facts["schema"])
            _check_types(data.schema, schema)
            table = _plain(data.to_table(_columns(schema)))
            _check_range(table, schema)
        except _NO_PROFILES as error:
            raise PredictionsError(
                f"{path} does not hold profiles as `tweetprofile predict` writes them "
                f"({_first_line(error)}); give the file or folder that it wrote."
            ) from None
        said = {key: facts[key] for key in _FACTS if isinstance(facts.get(key), str)}
        return cls(path.stem or str(path), path, schema, said, table)

    def called(self, name: str) -> "Predictions":
        """The same by another name."""
        return replace(self, name=name)


_FACTS = {"schema": mapping, "network": text, "checkpoint_sha256": text, "version": text}
"""What a run says of itself, as far as it is shown or relied on."""


def _check_range(table: pa.Table, schema: TraitSchema) -> None:
    """Raise ValueError unless all probabilities are from 0 to 1."""
    for trait in schema:
        values = _probabilities(table, trait)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"probabilities of {trait.name} are not from 0 to 1")


def _keys(files: Sequence[RemotePath]) -> list[str]:
    return [file.key for file in files]


def _store(path: AnyPath) -> dict[str, Any]:
    """What a dataset must be told of where it is."""
    store = {"filesystem": path.file_system} if isinstance(path, RemotePath) else {}
    # Ids stay dictionaries until it is known how long they are.
    options = ds.ParquetReadOptions(dictionary_columns={"user_id"})
    return {"format": ds.ParquetFileFormat(read_options=options), **store}


def _check_size(data: ds.Dataset, files: Sequence[AnyPath]) -> None:
    """Raise ValueError where a file claims more rows than its bytes can hold."""
    for fragment, file in zip(data.get_fragments(), files, strict=True):
        rows, size = fragment.metadata.num_rows, size_of(file)
        if rows > max(_ROWS_BELIEVED, _MOST_ROWS_A_BYTE * size):
            raise ValueError(f"{file} claims {rows:,} rows in {size:,} bytes")


def _check_types(columns: pa.Schema, schema: TraitSchema) -> None:
    """Raise ValueError unless the columns are those of profiles."""
    wanted: dict[str, Callable[[pa.DataType], bool]] = {
        "user_id": lambda kind: is_text(kind) or pa.types.is_integer(kind),
        "frames_used": pa.types.is_integer,
    }
    for trait in schema:
        floats = {(name, pa.float32()) for name in trait.classes}
        wanted[trait.name] = is_text
        wanted[probabilities_column(trait.name)] = lambda kind, floats=floats: (  # type: ignore[misc]
            pa.types.is_struct(kind) and floats <= {(each.name, each.type) for each in kind}
        )
    for name, fits in wanted.items():
        kind = columns.field(name).type
        if not fits(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise ValueError(f"column '{name}' is {kind}")


def _plain(table: pa.Table) -> pa.Table:
    """The table with its ids resolved.

    Raises:
        ArrowInvalid: text that is no UTF-8.
        ValueError: ids that are too long.
    """
    ids = table["user_id"]
    if pa.types.is_dictionary(ids.type) and is_text(ids.type.value_type):
        longest = (pc.max(pc.binary_length(chunk.dictionary)).as_py() for chunk in ids.chunks)
        if any((length or 0) > _LONGEST_ID for length in longest):
            raise ValueError(f"a user_id has more than {_LONGEST_ID:,} bytes")
    if pa.types.is_dictionary(ids.type):
        ids = ids.cast(ids.type.value_type)
    position = table.column_names.index("user_id")
    table = table.set_column(position, "user_id", ids)
    table.validate(full=True)
    if table["frames_used"].null_count or ids.null_count:
        raise ValueError("a row lacks its user_id or frames_used")
    return table


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
        label_notes: sentences on labels that stand for missing values.
    """

    predictions: Predictions
    traits: tuple[JudgedTrait, ...]
    users: int
    only_in_manifest: tuple[str, ...]
    only_in_predictions: tuple[str, ...]
    label_notes: tuple[str, ...] = ()


def judge(manifest: Manifest, predictions: Predictions) -> Judged:
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
    if not ((probabilities >= 0) & (probabilities <= 1.001)).all():
        raise PredictionsError(
            f"a probability of '{trait.name}' is not from 0 to 1; predict that manifest anew."
        )
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
    columns = [column.to_numpy(zero_copy_only=False) for column in each]
    return np.stack(columns, axis=1).astype(np.float64)


def _columns(schema: TraitSchema) -> list[str]:
    traits = [(trait.name, probabilities_column(trait.name)) for trait in schema]
    return ["user_id", "frames_used", *(name for pair in traits for name in pair)]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
