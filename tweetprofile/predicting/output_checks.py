"""Whether an output may be written: checked before any work, and again before it appears."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatchcase

import pyarrow as pa

from tweetprofile.data.files.protection import Inputs, check_folder, check_parent, refuse_foreign
from tweetprofile.data.files.provenance import Kind, kind_of, sidecar_of
from tweetprofile.data.files.storage import (
    RemotePath,
    exists,
    is_file,
    list_below,
    require_reachable,
    why,
)
from tweetprofile.errors import OutputError
from tweetprofile.predicting.destination import SHARD_FILES, Destination
from tweetprofile.predicting.unfinished import foreign_in_partial

_ENDINGS = ("", ".parquet", ".pq", ".csv")
"""The endings of files that can be written, in lower case."""

_STORE_THREADS = 16
"""Files of a store that are recognised at the same time; each takes several round trips."""


def check_output(
    out: str,
    *,
    overwrite: bool,
    resume: bool = False,
    inputs: Inputs | None = None,
    kind: Kind = Kind.PREDICTIONS,
) -> None:
    """Refuse an output that cannot or must not be written.

    Args:
        out: The output, as the user gave it.
        overwrite: Whether an earlier output may be replaced.
        resume: Whether an unfinished run may be resumed.
        inputs: The files that the run reads; None for none.
        kind: The kind of output.

    Raises:
        OutputError: The output must not be written.
    """
    destination = Destination.of(out, kind)
    check_target(out, overwrite=overwrite, resume=resume, inputs=inputs, kind=kind)
    if not os.path.lexists(destination.partial):
        return
    if (entry := foreign_in_partial(destination)) is not None:
        raise OutputError(
            f"{entry} is in the way of {out} and belongs to no unfinished run of this command; "
            "choose another name, or remove it yourself."
        )
    if not (overwrite or resume):
        raise OutputError(
            f"{destination.partial} holds an unfinished run; pass `resume=True` to continue it, or "
            "`overwrite=True` to start again."
        )


def check_target(
    out: str,
    *,
    overwrite: bool,
    resume: bool = False,
    inputs: Inputs | None = None,
    kind: Kind = Kind.PREDICTIONS,
) -> None:
    """Refuse an output that cannot or must not appear, whatever is in OUT.partial.

    See `check_output` for the arguments and errors.
    """
    destination = Destination.of(out, kind)
    for path in destination.claimed:
        (inputs or Inputs()).refuse(path, out if path.name == destination.path.name else path)
    may_replace = overwrite or resume
    if (remote := destination.remote) is not None:
        with _reaching(remote):
            require_reachable(remote)
            _check_remote(destination, remote, may_replace=may_replace)
    else:
        check_parent(destination.path.parent, out)
        check_existing(destination, out, may_replace=may_replace)
    _check_ending(destination, out)


def _check_ending(destination: Destination, out: str) -> None:
    """Refuse a name whose ending belongs to an unsupported format."""
    if destination.as_csv and destination.kind is Kind.EMBEDDINGS:
        raise OutputError(
            f"{out} names a CSV file, but a vector does not fit into a cell of CSV; name it "
            ".parquet, or with a '/' at its end for a folder of Parquet files."
        )
    if destination.as_folder and destination.ending == ".csv":
        raise OutputError(
            f"{out} names a folder, but CSV is written as one file; remove the '/' at the end, "
            "or give a folder another name to get Parquet."
        )
    if not destination.as_folder and destination.ending not in _ENDINGS:
        csv = ".csv for R, Stata and spreadsheets, "
        known = csv if destination.kind is Kind.PREDICTIONS else ""
        raise OutputError(
            f"{out} ends in '{destination.path.suffix}', an unsupported format; name it {known}"
            ".parquet for Parquet, or with a '/' at its end for a folder of Parquet files."
        )


def check_existing(destination: Destination, shown_as: object, *, may_replace: bool = True) -> None:
    """Refuse to replace anything on the disk that is not an earlier output.

    Args:
        destination: The destination of the run.
        shown_as: The output, as messages name it.
        may_replace: Whether an earlier output may be replaced.

    Raises:
        OutputError: The output must not be written.
    """
    path = destination.path
    if destination.as_csv:
        _check_sidecar(destination, may_replace=may_replace)
    if not os.path.lexists(path):
        return
    if path.is_dir() != destination.as_folder:
        found, expected = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise OutputError(f"{shown_as} is a {found} where a {expected} is to be written.")
    if os.path.ismount(path):
        raise OutputError(
            f"{shown_as} is where a disk is mounted; choose a folder or file inside it."
        )
    if destination.as_folder:
        check_folder(path, destination.kind, shown_as, SHARD_FILES)
    else:
        refuse_foreign(path, destination.kind, shown_as)
    if not may_replace:
        raise _exists(shown_as)


def _check_sidecar(destination: Destination, *, may_replace: bool) -> None:
    """Refuse to replace a file next to a CSV file that does not describe an earlier one."""
    if kind_of(destination.path) is Kind.PREDICTIONS or not os.path.lexists(destination.sidecar):
        return
    refuse_foreign(destination.sidecar, Kind.DESCRIPTION, destination.sidecar)
    if not may_replace and not os.path.lexists(destination.path):
        raise OutputError(
            f"{destination.sidecar} describes a table that is gone; remove it, or pass "
            "`overwrite=True`."
        )


def _exists(shown_as: object) -> OutputError:
    return OutputError(f"{shown_as} exists; choose another name or pass `overwrite=True`.")


# --- object stores -------------------------------------------------------------------------------


def check_stored(destination: Destination, remote: RemotePath) -> list[RemotePath]:
    """Find the files of an earlier output in a store; each is recognised by its record.

    Args:
        destination: The destination of the run.
        remote: Its output in the store.

    Returns:
        The files; none if there is no earlier output.

    Raises:
        OutputError: Something there is not part of an earlier output.
        OSError: The store cannot be reached.
    """
    as_folder, kind = destination.as_folder, destination.kind
    found = list_below(remote) if as_folder else []
    if is_file(remote):
        if as_folder:
            raise OutputError(f"{remote} is a file where a folder is to be written.")
        found = [(remote, True)]
    elif not as_folder and exists(remote):
        raise OutputError(f"{remote} is a folder where a file is to be written.")
    with ThreadPoolExecutor(_STORE_THREADS) as pool:
        recognised = list(pool.map(lambda each: _is_stored_part(each[0], remote, kind), found))
    for (path, _), is_ours in zip(found, recognised, strict=True):
        if not is_ours:
            raise OutputError(
                f"{path} is not {kind} that tweetprofile wrote, so {remote} is not "
                "replaced; choose another name, or remove it yourself."
            )
    return [path for path, _ in found]


def _check_remote(destination: Destination, remote: RemotePath, *, may_replace: bool) -> None:
    if not exists(remote):
        if destination.as_csv:
            _check_stored_sidecar(remote)
        return
    check_stored(destination, remote)
    if not may_replace:
        raise _exists(remote)


def _check_stored_sidecar(remote: RemotePath) -> None:
    sidecar = sidecar_of(remote)
    assert isinstance(sidecar, RemotePath)
    if exists(sidecar) and kind_of(sidecar) is not Kind.DESCRIPTION:
        raise OutputError(
            f"{sidecar} is not {Kind.DESCRIPTION} that tweetprofile wrote, so it is not replaced; "
            "choose another name, or remove it yourself."
        )


def _is_stored_part(path: RemotePath, folder: RemotePath, kind: Kind) -> bool:
    direct = path == folder or (path.parent == folder and fnmatchcase(path.name, SHARD_FILES))
    return direct and kind_of(path) is kind


@contextmanager
def _reaching(remote: RemotePath) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise OutputError(
            f"{remote} cannot be reached: {why(error)}; check the address, and the credentials in "
            "the environment or profile."
        ) from error
