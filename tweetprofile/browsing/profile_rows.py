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
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.job import VOLUME_FRAMES

_OUTCOME = ("status", "images_given", "frames_used", "image_errors")

MOST_FRAMES = 48
"""The largest number of images that are shown of a user."""

_ROWS_AT_ONCE = 256

_DAMAGED = (pa.ArrowException, AttributeError, KeyError, OSError, TypeError, ValueError)
"""Errors raised by reading columns that hold something else than they should."""


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """What the profile of one user says besides the predicted classes.

    Attributes:
        status: How complete the user's images were; None if it is not given.
        frames_used: The number of images that the prediction is based on; None if it is not given.
        failed: The positions of the images that were unusable.
        evidence: What each image and text contributed; None if it is not given.
    """

    status: str | None = None
    frames_used: int | None = None
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
        table = _take(path, rows)
        if table is None:
            return ProfileRows(tuple(ProfileRow() for _ in rows), None, frames)
        read = tuple(_row(each, predictions) for each in table.to_pylist())
    except (ManifestError, ChangedInputError) as error:  # a table is read as a manifest is
        raise PredictionsError(str(error)) from None
    except _DAMAGED as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise PredictionsError(
            f"{path} has a damaged column of outcomes or evidence ({said}); predict that manifest "
            "again."
        ) from None
    has_evidence = any(row.evidence is not None for row in read)
    return ProfileRows(read, way_of(description) if has_evidence else None, frames)


def _description(path: AnyPath) -> Mapping[str, Any]:
    """Return the description in profiles; it is empty if they are of another origin."""
    try:
        return read_description(_files(path)[0])
    except (*_DAMAGED, IndexError):
        return {}


def _row(row: Mapping[str, Any], predictions: Predictions) -> ProfileRow:
    errors = row.get("image_errors") or ()
    failed = (each["index"] for each in errors if each is not None) if _is_list(errors) else ()
    status, used = row.get("status"), row.get("frames_used")
    return ProfileRow(
        status if isinstance(status, str) else None,
        used if isinstance(used, int) else None,
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


def _take(path: AnyPath, rows: NDArray[np.int64]) -> pa.Table | None:
    """Return some rows of the further columns; None if there are none."""
    if str(path).lower().endswith(".csv"):
        return None
    files = [SourceFile.of(file) for file in _files(path)]
    held = FileSchema.read(files[0].path).schema.names
    names = [name for name in (*_OUTCOME, *COLUMNS) if name in held]
    if not names or not len(rows):
        return None
    order = np.argsort(rows, kind="stable")
    found = [
        part
        for stretch in stretches(rows[order].tolist())
        for part in _read_stretch(files, names, np.array(stretch))
    ]
    taken = pa.concat_tables(found, promote_options="default")
    if len(taken) != len(rows):
        raise ValueError("its files have changed")
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return taken.take(pa.array(back))


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
