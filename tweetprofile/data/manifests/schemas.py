"""One schema for all files of a manifest, whichever tools wrote them.

Writers choose types by the content of each file: pandas writes a column without a single value as
`null` or as `double`, integers with gaps as `double`, and text as `string`, `large_string` or a
dictionary. Files whose types are compatible are read as one; files whose types contradict each
other are refused with an error that names both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.data.files.storage import AnyPath, arrow_source, open_binary, why
from tweetprofile.data.manifests.footers import read_claims
from tweetprofile.data.manifests.forms import Form, form_of
from tweetprofile.data.manifests.suggestions import command_for_file
from tweetprofile.data.manifests.texts import TEXT_COLUMNS
from tweetprofile.data.manifests.types import is_bytes, is_text
from tweetprofile.errors import ManifestError
from tweetprofile.untrusted.repeats import first_repeated

IMAGE_COLUMNS = ("images", "image")
"""The columns of images: the lists of users, and single images in the long form."""

CONTENT_COLUMNS = (*IMAGE_COLUMNS, *TEXT_COLUMNS)
"""The columns whose types need not agree, since each file may give them in its own form."""

ARTIFICIAL_KEY = "artificial"
"""The key in the metadata of a Parquet file which says that its users were made up by a program."""

_ARTIFICIAL = ARTIFICIAL_KEY.encode()

_IN_ORDER = (Form.HUGGING_FACE, Form.BYTES, Form.PATHS, Form.TEXTS)
"""Forms with one row per user; the first one that a file has is named as the manifest's."""


@dataclass(frozen=True, slots=True)
class FileSchema:
    """The schema of a Parquet file, as its footer gives it.

    Attributes:
        path: The path of the file.
        schema: The columns of the file.
        rows: The number of rows that the footer claims.
        is_artificial: Whether the footer says that its users were made up.
    """

    path: AnyPath
    schema: pa.Schema
    rows: int
    is_artificial: bool = False

    @classmethod
    def read(cls, path: AnyPath) -> "FileSchema":
        """Read the footer of a file.

        Raises:
            ManifestError: The file is not Parquet, or two columns have the same name.
        """
        try:
            metadata = pq.read_metadata(arrow_source(path))
            schema = metadata.schema.to_arrow_schema()
            names = schema.names
        except (pa.ArrowException, OSError, ValueError) as error:  # names may not even be UTF-8
            command = command_for_file(path) if isinstance(path, Path) else None
            if command is not None:
                raise ManifestError(f"{path} is not a readable Parquet file; {command}.") from error
            raise ManifestError(
                f"{path} is not a readable Parquet file ({why(error)}); write it as Parquet."
            ) from error
        _refuse_repeated(names, path)
        return cls(path, schema, metadata.num_rows, _ARTIFICIAL in (metadata.metadata or {}))


def unify(files: Sequence[FileSchema], partitions: Sequence[str] = ()) -> pa.Schema:
    """Return the schema that all files can be read with.

    Files without rows are ignored, unless no file has rows. Other columns than `user_id` whose
    types contradict each other keep the first type: an error is raised when they are read.

    Args:
        files: The files in order; at least one.
        partitions: The names of the text columns that folder names give.

    Raises:
        ManifestError: `user_id` is text in one file and a number in another.
    """
    found: dict[str, tuple[pa.DataType, AnyPath]] = {}
    for file in [file for file in files if file.rows] or files[:1]:
        for field in file.schema:
            if field.name not in found:
                found[field.name] = (field.type, file.path)
                continue
            kind, origin = found[field.name]
            merged = merge(field.name, kind, field.type)
            if merged is None and _is_empty(origin, field.name, kind):
                merged, kind = field.type, pa.null()
            if merged is None and field.name == "user_id":
                raise contradiction(file.path, field.name, field.type, origin, kind)
            if merged is not None and not merged.equals(kind):
                found[field.name] = (merged, file.path if pa.types.is_null(kind) else origin)
    for name in partitions:
        found.setdefault(name, (pa.string(), files[0].path))
    return pa.schema([pa.field(name, kind) for name, (kind, _) in found.items()])


def form_of_all(files: Sequence[FileSchema], schema: pa.Schema, partitions: Sequence[str]) -> Form:
    """Return the form of a manifest's files.

    Raises:
        ManifestError: A file has none of the forms, or some files have the long form and others
            do not.
    """
    forms: list[tuple[Form, AnyPath]] = []
    for file in [file for file in files if file.rows] or files[:1]:
        named = file.schema
        for name in partitions:
            if name not in named.names:
                named = named.append(schema.field(name))
        forms.append((form_of(named, file.path), file.path))
    first, origin = forms[0]
    for form, path in forms:
        if (form is Form.LONG) != (first is Form.LONG):
            raise ManifestError(
                f"{path} has the form '{form}' but {origin} has the form '{first}'; give manifests "
                "of one form at a time."
            )
    found = {form for form, _ in forms}
    return next(form for form in (*_IN_ORDER, first) if form in found)


def merge(name: str, one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both types; None if they contradict each other."""
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if name in IMAGE_COLUMNS:
        return one if holds_bytes(one) or not holds_bytes(other) else other
    if name in TEXT_COLUMNS:
        return one
    if is_text(one) and is_text(other):
        return pa.large_string()
    unified = None if any(map(_is_variable, (one, other))) else _promoted(one, other)
    is_id = unified is None or name != "user_id" or pa.types.is_integer(unified)
    return unified if is_id else None


def _is_variable(kind: pa.DataType) -> bool:
    return is_text(kind) or is_bytes(kind)


def _promoted(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the wider type of numbers, or the finer type of times; None if Arrow has none."""
    schemas = [pa.schema([("column", kind)]) for kind in (one, other)]
    try:
        unified: pa.DataType = pa.unify_schemas(schemas, promote_options="permissive")[0].type
    except pa.ArrowException:
        return None
    return unified


def contradiction(
    file: AnyPath, name: str, kind: pa.DataType, other: AnyPath, expected: pa.DataType
) -> ManifestError:
    """Return the error to raise when the types of a column in two files contradict each other."""
    fix = "write both alike"
    if name == "user_id":
        fix += " (as text, if an id such as 007 is not 7)"
    return ManifestError(f"{file}: '{name}' is {kind} where {other} has {expected}; {fix}.")


def holds_bytes(kind: pa.DataType) -> bool:
    """Return whether an image column of this type may hold the encoded images themselves."""
    if pa.types.is_nested(kind) and not pa.types.is_struct(kind):
        kind = kind.value_type
    return not (is_text(kind) or pa.types.is_null(kind))


def _is_empty(path: AnyPath, name: str, kind: pa.DataType) -> bool:
    """Return whether the statistics of a file show that a column holds only nulls.

    Only floating-point columns are checked: pandas writes columns without any value as such.
    """
    if not pa.types.is_floating(kind):
        return False
    try:
        with open_binary(path) as file:
            groups = read_claims(file)
    except (OSError, ValueError):  # the error is raised when the rows are read
        return False
    columns = [column for group in groups for column in group.columns if column.path == name]
    return all(column.nulls == column.values for column in columns)


def _refuse_repeated(names: Sequence[str], path: AnyPath) -> None:
    if (name := first_repeated(names)) is not None:
        raise ManifestError(f"{path} has two columns called '{name}'; rename or drop one of them.")
