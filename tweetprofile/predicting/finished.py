"""A complete output: recognised when a run is resumed, so that it need not be made again."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tweetprofile.data.files.listing import find_files
from tweetprofile.data.files.provenance import read_description
from tweetprofile.data.files.storage import AnyPath, is_file
from tweetprofile.errors import OutputError
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.record import ADDED_FACTS, RunRecord
from tweetprofile.predicting.unfinished import clear_partial
from tweetprofile.predicting.uploading import publish
from tweetprofile.predicting.write_errors import writing
from tweetprofile.workers.profiles import Counts

DAMAGED = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)
"""What reading a damaged file of an output raises."""


def take_finished(out: str, record: RunRecord) -> Counts | None:
    """Return the counts of a complete output, if it is what the run would write.

    An output that is complete on this machine but has not reached its object store is uploaded.
    The remains of the run in OUT.partial are removed.

    Args:
        out: The output.
        record: The record of the run that is to be resumed.

    Returns:
        The counts; None if the run is still to be done.

    Raises:
        OutputError: The output comes from another run and must not be replaced.
    """
    destination = Destination.of(out, record.kind)
    found = list(_descriptions(destination))
    if not found:
        return None
    overwrite = record.overwrite
    if destination.record.exists():
        # The unfinished run may replace the output, or has replaced it and was killed afterwards.
        unfinished = RunRecord.read(destination.record)
        overwrite = overwrite or unfinished.overwrite
        if unfinished.run not in {each.get("run") for each in found}:
            return None
    elif record.overwrite and not _have_facts_of(found, record):
        return None
    if not _have_facts_of(found, record):
        raise OutputError(
            f"{out} exists and comes from another run, so there is nothing to resume; choose "
            "another name or pass `overwrite=True`."
        )
    if destination.path.exists():
        with writing(out):
            publish(destination, found[0]["run"], overwrite=overwrite)  # if it belongs in a store
    clear_partial(destination)
    return sum((Counts(**each["counts"]) for each in found), Counts())


def counts_in(path: Path) -> Counts:
    """Read the counts of one file of an output from its description."""
    return Counts(**read_description(path)["counts"])


def _descriptions(destination: Destination) -> Iterator[dict[str, Any]]:
    """Yield the description of each file of an output; an empty one if it cannot be read."""
    for path in _files_of(destination):
        try:
            yield read_description(path)
        except DAMAGED:
            yield {}


def _files_of(destination: Destination) -> Sequence[AnyPath]:
    """Return the files of a complete output, on this machine or in the store."""
    if destination.path.exists():
        return sorted(destination.path.iterdir()) if destination.as_folder else [destination.path]
    if destination.remote is None:
        return []
    if destination.as_csv:
        return [destination.remote] if is_file(destination.remote) else []
    return find_files(destination.remote, ".parquet")[0]


def _have_facts_of(found: list[dict[str, Any]], record: RunRecord) -> bool:
    return bool(found) and all(
        {**ADDED_FACTS, **each}.get(key) == value
        for each in found
        for key, value in record.facts.items()
    )
