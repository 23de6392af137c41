"""Write the files of an evaluation, and record them in its folder with their digests.

Reports and tables have names that other people's files may have, too. From the record, a later
evaluation knows which files an earlier one wrote and nobody has changed since; it replaces no
others. A file is recorded before it is written, so an evaluation that is killed leaves no file
that is not in the record.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from tweetprofile.data.files.atomic import is_fresh_name, write_atomically
from tweetprofile.data.files.protection import is_earlier, refuse_foreign
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, kind_of, stamp
from tweetprofile.errors import OutputError
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.unfinished import foreign_in_partial

RECORD = ".tweetprofile.json"
"""File name of the record; hidden, so that it is not submitted along with the other files."""

PREDICTIONS = "predictions.parquet"
"""File name of predictions that `evaluate` makes itself; the file records what it is."""

Digests = Mapping[str, Sequence[str]]
"""Path of a file below the folder -> the digests that the file may have."""


def check_folder(folder: Path) -> None:
    """Raise OutputError if a folder contains a file that no evaluation wrote."""
    refuse_foreign(folder / RECORD, Kind.EVALUATION, folder / RECORD)
    digests = _read_record(folder)
    for entry in sorted(folder.rglob("*")):
        if not _is_known(entry, folder, digests):
            raise OutputError(
                f"{folder} holds {entry.relative_to(folder)}, which no evaluation is known to "
                "have written, so it is not overwritten; choose another folder, or remove the file "
                "yourself."
            )


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of an evaluation, and remove other files of an earlier evaluation.

    Args:
        folder: The folder to write to; it must exist.
        files: The content of each file, by its path below the folder.

    Raises:
        FileExistsError: A file that no evaluation wrote has one of these names.
        OSError: The files cannot be written.
    """
    before = _read_record(folder)
    after = {name: [_digest(data)] for name, data in files.items()}
    _write_record(folder, {name: [*before.get(name, ()), *after.get(name, ())]
                           for name in before.keys() | after.keys()})  # fmt: skip
    for name, data in files.items():
        path = folder / name
        if path.parent != folder:
            _make_folder(path.parent)
        write_atomically(path, data, partial(_has_digest, digests=before.get(name, ())))
    for name in before.keys() - after.keys():
        if _has_digest(folder / name, before[name]):
            (folder / name).unlink()
            if (parent := (folder / name).parent) != folder:
                with suppress(OSError):  # it still contains other files of an evaluation
                    parent.rmdir()
    _write_record(folder, after)


def _make_folder(folder: Path) -> None:
    """Make a folder unless it exists; refuse a link, which may lead anywhere."""
    if folder.is_symlink():
        raise FileExistsError(errno.EEXIST, f"{folder.name} is a link", str(folder))
    folder.mkdir(exist_ok=True)


def _is_known(entry: Path, folder: Path, digests: Digests) -> bool:
    name = entry.relative_to(folder).as_posix()
    unfinished = folder / f"{PREDICTIONS}.partial"
    if entry == unfinished or unfinished in entry.parents:
        return foreign_in_partial(Destination.of(str(folder / PREDICTIONS))) is None
    if name == PREDICTIONS:
        return kind_of(entry) is Kind.PREDICTIONS
    if stat.S_ISDIR(entry.lstat().st_mode):
        return any(listed.startswith(f"{name}/") for listed in digests)
    return name == RECORD or is_fresh_name(name) or _has_digest(entry, digests.get(name, ()))


def _read_record(folder: Path) -> Digests:
    """Read the record; it is empty if there is none."""
    path = folder / RECORD
    if kind_of(path) is not Kind.EVALUATION:
        return {}
    files = json.loads(path.read_text(encoding="utf-8")).get("files")
    return {
        name: [digest for digest in digests if isinstance(digest, str)]
        for name, digests in (files if isinstance(files, dict) else {}).items()
        if isinstance(digests, list) and not {"..", "/"} & set(PurePosixPath(name).parts)
    }


def _write_record(folder: Path, digests: Digests) -> None:
    fields = {METADATA_KEY: stamp(Kind.EVALUATION), "files": digests}
    data = (json.dumps(fields, indent=1) + "\n").encode()
    write_atomically(folder / RECORD, data, is_earlier(Kind.EVALUATION))


def _has_digest(path: Path, digests: Sequence[str]) -> bool:
    """Return whether a path is a regular file with one of these digests."""
    if not digests or not os.path.lexists(path) or not stat.S_ISREG(path.lstat().st_mode):
        return False
    return _digest(path.read_bytes()) in digests


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
