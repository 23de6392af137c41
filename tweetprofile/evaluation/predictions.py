"""Read the profiles that `predict` wrote, and check them before anything relies on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from tweetprofile.data.files.listing import find_files
from tweetprofile.data.files.provenance import read_description
from tweetprofile.data.files.storage import AnyPath, RemotePath, as_path, size_of
from tweetprofile.data.manifests.types import is_text
from tweetprofile.errors import PredictionsError, SchemaError
from tweetprofile.networks import NoImagesSpec
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.untrusted.fields import list_of, mapping, optional, read_known, text, whole
from tweetprofile.workers.profiles import IMAGES, TEXTS, part_column, probabilities_column

_NO_PROFILES = (
    pa.ArrowException, AssertionError, AttributeError, LookupError, OSError, RecursionError,
    SchemaError, TypeError, ValueError,
)  # fmt: skip
"""Errors raised by reading a file that contains something other than profiles."""

_ROWS_TRUSTED = 1_000_000
"""A file may claim this many rows whatever its size."""

_MAX_ROWS_PER_BYTE = 8
"""A file that claims more is refused: each row of profiles has an id of its own."""

_MAX_ID_BYTES = 10_000

_TEXTS_USED = "texts_used"
"""The column of profiles that only models of texts write."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Profiles that `predict` wrote.

    Attributes:
        name: The name by which reports and tables call them.
        path: The file or folder that they were read from.
        schema: The traits that they predict.
        facts: The network, the checkpoint, the version and the limits that made them, as far as
            recorded.
        table: The columns `user_id`, `frames_used` and, per trait, its class and probabilities;
            also those of `parts`.
        sees: What the model looks at: `images`, `texts` or both.
        parts: What each trait has probabilities from alone, too; empty, or both.
    """

    name: str
    path: AnyPath
    schema: TraitSchema
    facts: Mapping[str, Any]
    table: pa.Table
    sees: tuple[str, ...] = (IMAGES,)
    parts: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: str | AnyPath) -> "Predictions":
        """Read a Parquet file of profiles, or a folder of them, here or in an object store.

        Raises:
            PredictionsError: The path does not exist or contains something other than profiles.
        """
        path = as_path(path)
        if isinstance(path, Path) and not path.exists():
            raise PredictionsError(
                f"{path} does not exist; pass the file or folder that 'tweetprofile predict' wrote."
            )
        if str(path).lower().endswith(".csv"):
            raise PredictionsError(
                f"{path} is a CSV file, which lacks facts that an evaluation needs; predict again, "
                "into a file that ends in .parquet."
            )
        try:
            data, files = _open(path)
            _check_size(data, files)
            facts = read_description(files[0])
            recorded = read_known(facts, "its description", _FACTS, ("schema",))
            schema = TraitSchema.from_dict(facts["schema"])
            parts = _parts(recorded)
            _check_types(data.schema, schema, parts)
            table = _plain(data.to_table(_columns(schema, parts)))
            _check_range(table, schema, parts)
        except _NO_PROFILES as error:
            raise PredictionsError(
                f"{path} does not contain profiles written by 'tweetprofile predict' "
                f"({_first_line(error)}); pass the file or folder that it wrote."
            ) from None
        known = {key: facts[key] for key in _FACTS if isinstance(facts.get(key), str | int)}
        sees = _evidence(recorded, data.schema)
        return cls(path.stem or str(path), path, schema, known, table, sees, parts)

    def renamed(self, name: str) -> "Predictions":
        """Return the same predictions under another name."""
        return replace(self, name=name)

    def failed_images(self) -> "FailedImages":
        """Read which images of each user were tried and are unusable.

        Raises:
            PredictionsError: The files do not say so.
        """
        counts, indexes = [], []
        try:
            for batch in _open(self.path)[0].to_batches(columns=["image_errors"]):
                errors = batch.column("image_errors")
                counts.append(pc.fill_null(pc.list_value_length(errors), 0).to_numpy())
                index = pc.struct_field(errors.flatten(), "index").cast(pa.int64())
                indexes.append(pc.fill_null(index, -1))
            ends = np.concatenate([[0], *counts]).cumsum()
            found = pa.chunked_array(indexes, pa.int64()).to_numpy()
            if len(ends) != len(self.table) + 1 or ends[-1] != len(found):
                raise ValueError("its files have changed")
        except _NO_PROFILES as error:
            raise PredictionsError(
                f"{self.path} does not say which images are unusable ({_first_line(error)}); "
                "predict that manifest again."
            ) from None
        return FailedImages(ends.astype(np.int64), found)


@dataclass(frozen=True, slots=True)
class FailedImages:
    """The images that were tried and are unusable, for each row of predictions.

    Attributes:
        ends: (rows + 1,) where the positions of each row begin and end.
        positions: The positions in the lists of the users, row after row.
    """

    ends: NDArray[np.int64]
    positions: NDArray[np.int64]

    def of(self, row: int) -> frozenset[int]:
        """Return the positions of one row."""
        begin, end = self.ends[row : row + 2]
        return frozenset(self.positions[begin:end].tolist())


_FACTS = {
    "schema": mapping,
    "network": text,
    "checkpoint_sha256": text,
    "version": text,
    "max_images": optional(whole),
    "parts": optional(list_of(text)),
}
"""The recorded facts that a report shows or the code relies on, each with its reader."""


def _parts(recorded: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the probabilities are given by alone, too, as `predict` recorded it."""
    parts: tuple[str, ...] = recorded.get("parts") or ()
    if parts not in ((), (IMAGES, TEXTS)):
        raise ValueError("its parts are other than images and texts")
    return parts


def _evidence(recorded: Mapping[str, Any], columns: pa.Schema) -> tuple[str, ...]:
    """Return what the model looks at."""
    if recorded.get("network") == NoImagesSpec().name:
        return (TEXTS,)
    return (IMAGES, TEXTS) if _TEXTS_USED in columns.names else (IMAGES,)


def _check_range(table: pa.Table, schema: TraitSchema, parts: Sequence[str]) -> None:
    """Raise ValueError unless all probabilities are between 0 and 1."""
    for trait in schema:
        for part in (None, *parts):
            values = probabilities_of(table, trait, part)
            if not ((values >= 0) & (values <= 1)).all():
                alone = f" by {part} alone" if part else ""
                raise ValueError(f"probabilities of {trait.name}{alone} are not from 0 to 1")


def _open(path: AnyPath) -> tuple[ds.Dataset, list[AnyPath]]:
    """Return the data of a file or folder, and its files."""
    if not isinstance(path, RemotePath):
        data = ds.dataset(path, **_store(path))
        return data, [Path(file) for file in data.files]
    files = find_files(path, ".parquet")[0]
    return ds.dataset([file.key for file in files], **_store(path)), list(files)


def _store(path: AnyPath) -> dict[str, Any]:
    """Return the arguments of `dataset` that depend on where the files are."""
    store = {"filesystem": path.file_system} if isinstance(path, RemotePath) else {}
    # Ids stay dictionary-encoded until their length has been checked.
    options = ds.ParquetReadOptions(dictionary_columns={"user_id"})
    return {"format": ds.ParquetFileFormat(read_options=options), **store}


def _check_size(data: ds.Dataset, files: Sequence[AnyPath]) -> None:
    """Raise ValueError if a file claims more rows than fit into its bytes."""
    for fragment, file in zip(data.get_fragments(), files, strict=True):
        rows, size = fragment.metadata.num_rows, size_of(file)
        if rows > max(_ROWS_TRUSTED, _MAX_ROWS_PER_BYTE * size):
            raise ValueError(f"{file} claims {rows:,} rows in {size:,} bytes")


def _check_types(columns: pa.Schema, schema: TraitSchema, parts: Sequence[str]) -> None:
    """Raise ValueError unless the columns and their types are those of profiles."""
    wanted: dict[str, Callable[[pa.DataType], bool]] = {
        "user_id": lambda kind: is_text(kind) or pa.types.is_integer(kind),
        "frames_used": pa.types.is_integer,
    }
    for trait in schema:
        floats = {(name, pa.float32()) for name in trait.classes}
        wanted[trait.name] = is_text
        for part in (None, *parts):
            wanted[_column(trait, part)] = lambda kind, floats=floats: (  # type: ignore[misc]
                pa.types.is_struct(kind) and floats <= {(each.name, each.type) for each in kind}
            )
    for name, fits in wanted.items():
        kind = columns.field(name).type
        if not fits(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise ValueError(f"column '{name}' is {kind}")


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with its ids decoded from their dictionary.

    Raises:
        ArrowInvalid: A text is not valid UTF-8.
        ValueError: An id is too long, or a row lacks its id or its number of frames.
    """
    ids = table["user_id"]
    if pa.types.is_dictionary(ids.type) and is_text(ids.type.value_type):
        longest = (pc.max(pc.binary_length(chunk.dictionary)).as_py() for chunk in ids.chunks)
        if any((length or 0) > _MAX_ID_BYTES for length in longest):
            raise ValueError(f"a user_id has more than {_MAX_ID_BYTES:,} bytes")
    if pa.types.is_dictionary(ids.type):
        ids = ids.cast(ids.type.value_type)
    position = table.column_names.index("user_id")
    table = table.set_column(position, "user_id", ids)
    table.validate(full=True)
    if table["frames_used"].null_count or ids.null_count:
        raise ValueError("a row lacks its user_id or frames_used")
    return table


def probabilities_of(table: pa.Table, trait: Trait, part: str | None = None) -> NDArray[np.float64]:
    """Return the probabilities of a trait, (rows, K); zeros for users without a prediction.

    Args:
        table: Profiles.
        trait: The trait.
        part: `images` or `texts` for the probabilities by these alone; None for the model's own.
    """
    column = table[_column(trait, part)].combine_chunks()
    each = [pc.fill_null(pc.struct_field(column, name), 0.0) for name in trait.classes]
    columns = [column.to_numpy(zero_copy_only=False) for column in each]
    return np.stack(columns, axis=1).astype(np.float64)


def _column(trait: Trait, part: str | None) -> str:
    return part_column(trait.name, part) if part else probabilities_column(trait.name)


def _columns(schema: TraitSchema, parts: Sequence[str]) -> list[str]:
    names = ["user_id", "frames_used"]
    for trait in schema:
        names += [trait.name, *(_column(trait, part) for part in (None, *parts))]
    return names


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
