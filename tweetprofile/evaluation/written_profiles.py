"""Read files of profiles that `predict` wrote, and check all that an evaluation relies on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tweetprofile.data.files.provenance import read_description
from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.types import is_text
from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.table_files import (
    MAX_ID_BYTES,
    UNREADABLE,
    check_size,
    decoded,
    first_line,
    open_parquet,
    probabilities_of,
)
from tweetprofile.job import TEXTS_ALONE
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.untrusted.fields import list_of, mapping, optional, read_known, text, whole
from tweetprofile.workers.profiles import IMAGES, TEXTS, part_column, probabilities_column

_TEXTS_USED = "texts_used"
"""The column of profiles that only models of texts write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFacts:
    """What `predict` recorded of its profiles.

    Attributes:
        schema: The traits that they predict.
        facts: The network, the checkpoint, the version and the limits, as far as recorded.
        sees: What the model looks at: `images`, `texts` or both.
        parts: What each trait has probabilities from alone, too; empty, or both.
    """

    schema: TraitSchema
    facts: Mapping[str, Any]
    sees: tuple[str, ...]
    parts: tuple[str, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any], columns: Sequence[str]) -> "WrittenFacts":
        """Return what a description says of a table with these columns.

        Raises:
            SchemaError, ValueError: It is not the description of profiles.
        """
        recorded = read_known(facts, "its description", _FACTS, ("schema",))
        return cls(
            schema=TraitSchema.from_dict(facts["schema"]),
            facts={key: facts[key] for key in _FACTS if isinstance(facts.get(key), str | int)},
            sees=_evidence(recorded, columns),
            parts=_parts(recorded),
        )


def read_written(path: AnyPath) -> tuple[WrittenFacts, pa.Table]:
    """Read a Parquet file of profiles, or a folder of them, here or in an object store.

    Returns:
        What they record, and the columns `user_id`, `frames_used` and, per trait, its class and
        probabilities, also those of the parts.

    Raises:
        PredictionsError: They are damaged, or are something other than profiles.
    """
    try:
        data, files = open_parquet(path)
        check_size(data, files)
        written = WrittenFacts.of(read_description(files[0]), data.schema.names)
        _check_types(data.schema, written)
        table = _plain(data.to_table(_columns(written)))
        _check_range(table, written)
    except UNREADABLE as error:
        raise PredictionsError(
            f"{path} does not contain profiles written by 'tweetprofile predict' "
            f"({first_line(error)}); pass the file or folder that it wrote."
        ) from None
    return written, table


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


def _evidence(recorded: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    """Return what the model looks at."""
    if recorded.get("network") == TEXTS_ALONE:
        return (TEXTS,)
    return (IMAGES, TEXTS) if _TEXTS_USED in columns else (IMAGES,)


def _check_range(table: pa.Table, written: WrittenFacts) -> None:
    """Raise ValueError unless all probabilities are between 0 and 1."""
    for trait in written.schema:
        for part in (None, *written.parts):
            values = probabilities_of(table, trait, part)
            if not ((values >= 0) & (values <= 1)).all():
                alone = f" by {part} alone" if part else ""
                raise ValueError(f"probabilities of {trait.name}{alone} are not from 0 to 1")


def _check_types(columns: pa.Schema, written: WrittenFacts) -> None:
    """Raise ValueError unless the columns and their types are those of profiles."""
    wanted: dict[str, Callable[[pa.DataType], bool]] = {
        "user_id": lambda kind: is_text(kind) or pa.types.is_integer(kind),
        "frames_used": pa.types.is_integer,
    }
    for trait in written.schema:
        wanted[trait.name] = is_text
        for part in (None, *written.parts):
            wanted[_column(trait, part)] = lambda kind, trait=trait: (  # type: ignore[misc]
                pa.types.is_struct(kind) and _holds_classes(kind, trait)
            )
    for name, fits in wanted.items():
        kind = columns.field(name).type
        if not fits(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise ValueError(f"column '{name}' is {kind}")


def _holds_classes(kind: pa.DataType, trait: Trait) -> bool:
    """Return whether a struct has one float for each class."""
    places = [kind.get_field_index(name) for name in trait.classes]
    return all(place >= 0 and kind.field(place).type == pa.float32() for place in places)


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with its ids decoded from their dictionary.

    Raises:
        ArrowInvalid: A text is not valid UTF-8.
        ValueError: An id is too long, or a row lacks its id or its number of frames.
    """
    ids = decoded(table["user_id"], MAX_ID_BYTES, "a user_id")
    table = table.set_column(table.column_names.index("user_id"), "user_id", ids)
    table.validate(full=True)
    if table["frames_used"].null_count or ids.null_count:
        raise ValueError("a row lacks its user_id or frames_used")
    return table


def _column(trait: Trait, part: str | None) -> str:
    return part_column(trait.name, part) if part else probabilities_column(trait.name)


def _columns(written: WrittenFacts) -> list[str]:
    names = ["user_id", "frames_used"]
    for trait in written.schema:
        names += [trait.name, *(_column(trait, part) for part in (None, *written.parts))]
    return names
