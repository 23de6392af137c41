"""Profiles, read back from what `predict` wrote and checked before anything relies on them."""

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
from tweetprofile.data.manifests.forms import is_text
from tweetprofile.errors import PredictionsError, SchemaError
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
        values = probabilities_of(table, trait)
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


def probabilities_of(table: pa.Table, trait: Trait) -> NDArray[np.float64]:
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
