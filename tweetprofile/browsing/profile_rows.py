"""Read the further columns of the profiles of chosen users: outcome and evidence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from tweetprofile.browsing.evidence import COLUMNS, Evidence, read_evidence, way_of
from tweetprofile.browsing.reading import stretches
from tweetprofile.data.files.listing import find_files
from tweetprofile.data.files.provenance import read_description
from tweetprofile.data.files.storage import AnyPath, RemotePath
from tweetprofile.data.manifests.row_groups import SourceFile, read_rows
from tweetprofile.data.manifests.schemas import FileSchema
from tweetprofile.errors import ChangedInputError, ManifestError, PredictionsError
from tweetprofile.evaluation.foreign_csv import csv_names, is_csv
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.table_files import first_line
from tweetprofile.job import VOLUME_FRAMES
from tweetprofile.workers.profiles import Status

_OUTCOME = ("status", "image_errors")

_STATUSES = frozenset(Status)

MOST_FRAMES = 48
"""The largest number of images that are shown of a user."""

_ROWS_AT_ONCE = 256
"""Rows that are read at a time."""

_USERS_AT_ONCE = 16
"""Users whose evidence is in memory as objects at a time: each may have thousands of texts."""

_DAMAGED = (
    pa.ArrowException, AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError,
)  # fmt: skip
"""Errors raised by reading columns that hold something else than they should."""


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """What the profile of one user says besides the predicted classes.

    Attributes:
        status: How complete the user's images were; None if it is not given.
        failed: The positions of the images that were unusable.
        evidence: What each image and text contributed; None if it is not given.
    """

    status: str | None = None
    failed: tuple[int, ...] = ()
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class ProfileRows:
    """The profiles of the chosen users.

    Attributes:
        rows: The profile of each user, in the order of the chosen rows.
        way: How contributions were found: `exact`, `leave_one_out` or `unknown`; None if no profile
            has any.
        frames: The number of images that the model looks at per user.
    """

    rows: tuple[ProfileRow, ...]
    way: str | None
    frames: int


def read_profile_rows(predictions: Predictions, rows: NDArray[np.int64]) -> ProfileRows:
    """Read what the profiles in some rows say; columns that are missing are not an error.

    Args:
        predictions: The profiles.
        rows: The numbers of the rows, each once.

    Raises:
        PredictionsError: The profiles have changed, or their columns are damaged.
    """
    path = predictions.path
    description = _description(path)
    frames = _frames(description)
    try:
        read = _read_rows(predictions, rows)
    except (ManifestError, ChangedInputError) as error:  # a table is read as a manifest is
        raise PredictionsError(str(error)) from None
    except _DAMAGED as error:
        raise PredictionsError(
            f"{path} has a damaged column of outcomes or evidence ({first_line(error)}); predict "
            "that manifest again."
        ) from None
    has_evidence = any(row.evidence is not None for row in read)
    return ProfileRows(read, way_of(description) if has_evidence else None, frames)


def columns_of_csv(path: AnyPath) -> list[str]:
    """Return the columns of CSV that would be read from Parquet; none for other files."""
    if not is_csv(path) or not isinstance(path, Path):
        return []
    names = csv_names(path)
    return [name for name in (*_OUTCOME, *COLUMNS) if name in names]


def _description(path: AnyPath) -> Mapping[str, Any]:
    """Return the description in profiles; it is empty if they are of another origin."""
    try:
        return read_description(_files(path)[0])
    except (*_DAMAGED, IndexError):
        return {}


def _row(row: Mapping[str, Any], predictions: Predictions) -> ProfileRow:
    errors = row.get("image_errors") or ()
    failed = (each["index"] for each in errors if each is not None) if _is_list(errors) else ()
    status = row.get("status")
    return ProfileRow(
        # Any other text may be one of the user's own.
        status if isinstance(status, str) and status in _STATUSES else None,
        tuple(index for index in failed if isinstance(index, int) and index >= 0),
        read_evidence(row, predictions.schema),
    )


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _frames(description: Mapping[str, Any]) -> int:
    """Return the number of frames of a volume of the model that made the profiles."""
    volume = description.get("volume")
    frames = volume.get("frames") if isinstance(volume, dict) else None
    return min(frames, MOST_FRAMES) if isinstance(frames, int) and frames > 0 else VOLUME_FRAMES


def _files(path: AnyPath) -> Sequence[AnyPath]:
    if isinstance(path, RemotePath):
        return find_files(path, ".parquet")[0]
    if path.is_dir():
        return [Path(file) for file in ds.dataset(path, format="parquet").files]
    return [path]


def _read_rows(predictions: Predictions, rows: NDArray[np.int64]) -> tuple[ProfileRow, ...]:
    """Return what some rows say, in their order, without holding the columns of all of them."""
    order = np.argsort(rows, kind="stable")
    parts = _take(predictions.path, rows[order])
    if parts is None:
        return tuple(ProfileRow() for _ in rows)
    found = [
        _row(each, predictions)
        for part in parts
        for batch in part.to_batches(max_chunksize=_USERS_AT_ONCE)
        for each in batch.to_pylist()
    ]
    if len(found) != len(rows):
        raise ValueError("its files have changed")
    return tuple(found[place] for place in np.argsort(order, kind="stable"))


def _take(path: AnyPath, rows: NDArray[np.int64]) -> Iterator[pa.Table] | None:
    """Yield ascending rows of the further columns, part by part; None if there are none."""
    if is_csv(path):
        return None
    files = [SourceFile.of(file) for file in _files(path)]
    held = FileSchema.read(files[0].path).schema.names
    names = [name for name in (*_OUTCOME, *COLUMNS) if name in held]
    if not names or not len(rows):
        return None
    return (
        part
        for stretch in stretches(rows.tolist())
        for part in _read_stretch(files, names, np.array(stretch))
    )


def _read_stretch(
    files: Sequence[SourceFile], names: Sequence[str], rows: NDArray[np.int64]
) -> Iterator[pa.Table]:
    """Yield rows that are near each other, ascending, a few at a time."""
    first = int(rows[0])
    for _, table in read_rows(files, _ROWS_AT_ONCE, names, begin=first):
        low, high = np.searchsorted(rows, [first, first + len(table)])
        if high > low:
            yield table.take(pa.array(rows[low:high] - first))
        first += len(table)
        if first > rows[-1]:
            return
