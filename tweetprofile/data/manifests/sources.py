"""The Parquet files that a manifest is made of: found, and told apart by what they hold."""

import glob
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from tweetprofile.data.files.listing import find_files, list_folder, literal_parts
from tweetprofile.data.files.storage import (
    AnyPath,
    RemotePath,
    as_path,
    is_file,
    open_binary,
    size_of,
    why,
)
from tweetprofile.data.manifests.suggestions import command_for_folder
from tweetprofile.errors import ManifestError

ENDINGS = (".parquet", ".pq", ".parq")
"""Of files that are read in a folder, in upper or lower case."""

_ANY_CASE = ("*.[pP][aA][rR][qQ][uU][eE][tT]", "*.[pP][qQ]", "*.[pP][aA][rR][qQ]")

FOLDER_PATTERNS = (*_ANY_CASE, *(f"*=*/**/{pattern}" for pattern in _ANY_CASE))
"""Globs of the files that are read in a folder."""

_SHOWN = 3
"""File names in a remark."""

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What Hive, Spark and Arrow write in place of null."""

_HASHED_WHOLE = 1 << 30
"""Bytes up to which a file is hashed whole: seconds, and ten million paths are smaller."""

Partitions = dict[str, str | None]
"""The values that a file's folders give, by column."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a manifest is read from.

    Attributes:
        files: its Parquet files, in order.
        folder: the folder that they are in.
        left_out: names of files beside them that look like Parquet and are not read.
    """

    files: Sequence[AnyPath]
    folder: AnyPath
    left_out: tuple[str, ...] = ()

    @property
    def partitions(self) -> tuple[str, ...]:
        """Columns that the names of the files' folders give, as in `country=de/part.parquet`."""
        below = str(self.folder).rstrip("/") + "/"
        names = (name for file in self.files if str(file).startswith(below)
                 for name in partitions_of(file, str(file).removeprefix(below)))  # fmt: skip
        return tuple(dict.fromkeys(names))


def find_sources(source: str) -> Sources:
    """The Parquet files of a file, folder, glob or URI.

    A folder is read with its Hive partitions, however deep. A name that exists is that file or
    folder, even if it could be a glob.

    Raises:
        ManifestError: nothing is there, or it cannot be reached.
    """
    path = as_path(source)
    if isinstance(path, Path) and "://" in source:
        raise ManifestError(f"{source}: only s3:// and gs:// are read; give one, or a path.")
    try:
        found = _find_remote(path) if isinstance(path, RemotePath) else _find_here(path, source)
    except (OSError, ValueError) as error:
        mend = "check the permissions"
        if isinstance(path, RemotePath):
            mend = "check the address, and the credentials in the environment or profile"
        raise ManifestError(f"{path} cannot be reached: {why(error)}; {mend}.") from error
    if not found.files:
        command = command_for_folder(path) if isinstance(path, Path) else None
        raise ManifestError(
            f"{source} holds no Parquet file; {command or 'give one, a folder or a glob'}."
        )
    return found


def _find_here(path: Path, source: str) -> Sources:
    if path.is_file():
        return Sources([path], path.parent)
    if path.is_dir():
        return _in_folder(path)
    if not glob.has_magic(source):
        raise ManifestError(f"{source} does not exist; give a Parquet file, a folder or a glob.")
    fixed = literal_parts(path)
    folder = Path(*path.parts[:fixed])
    matches = folder.glob("/".join(path.parts[fixed:]))
    return Sources(sorted(match for match in matches if _is_wanted(match)), folder)


def _is_wanted(match: Path) -> bool:
    """Whether a glob means a file, other than `_SUCCESS` and hidden ones."""
    marker = match.name.startswith((".", "_")) and not is_parquet_name(match.name)
    return match.is_file() and not marker


def _find_remote(path: RemotePath) -> Sources:
    if is_file(path):
        return Sources([path], path.parent)
    if not glob.has_magic(path.key) or list_folder(path):
        return _in_folder(path)
    return Sources(*find_files(path, ENDINGS[0]))


def _in_folder(folder: AnyPath) -> Sources:
    """The Parquet files right in a folder, and those of its Hive partitions."""
    files: list[AnyPath] = []
    left_out: list[str] = []
    remaining = [folder]
    while remaining:
        for entry, entry_is_file in list_folder(remaining.pop()):
            if not entry_is_file and _partition(entry.name) is not None:
                remaining.append(entry)
            elif entry_is_file and is_parquet_name(entry.name):
                files.append(entry)
            elif entry_is_file and _looks_like_parquet(entry.name):
                left_out.append(entry.name)
    in_order = sorted(files, key=_in_order)
    return Sources(in_order, folder, tuple(sorted(left_out)))


def _in_order(path: AnyPath) -> tuple[str, ...]:
    return path.parts if isinstance(path, Path) else tuple(path.uri.split("/"))


def is_parquet_name(name: str) -> bool:
    """Whether a file of a folder is read, by its name; hidden ones are not."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def _looks_like_parquet(name: str) -> bool:
    """Whether people may believe that a file is read: `a.parquet.gz`, `b.parquet.bak`."""
    inner = Path(name.lower()).suffixes[:-1]
    return not name.startswith((".", "_")) and any(ending in inner for ending in ENDINGS)


def _partition(name: str) -> tuple[str, str | None] | None:
    """Column and value of a folder's name, such as `country=de`; None of any other name."""
    column, sign, value = name.partition("=")
    if not sign or not column or column.startswith((".", "_")):
        return None
    return unquote(column), None if value == _NO_VALUE else unquote(value)


def partitions_of(file: AnyPath, below: str | None = None) -> Partitions:
    """What the folders right above a file say of its rows.

    Args:
        file: in `country=de/city=ulm/`, or anywhere.
        below: the file's path below the folder of all files, which says nothing itself.
    """
    parts = (below if below is not None else str(file)).split("/")[:-1]
    found: Partitions = {}
    for part in reversed(parts):
        partition = _partition(part)
        if partition is None:
            break
        found.setdefault(*partition)
    return dict(reversed(found.items()))


def describe_files(names: Iterable[str]) -> str:
    """How many files there are, and what the first of them are called."""
    every = list(names)
    more = f" and {len(every) - _SHOWN:,} more" if len(every) > _SHOWN else ""
    count = f"{len(every):,} file{'s' * (len(every) > 1)}"
    return f"{count} ({', '.join(every[:_SHOWN])}{more})"


def fingerprint(files: Sequence[AnyPath], partitions: Sequence[object] = ()) -> str:
    """SHA-256 of the files' contents, in order, wherever they lie.

    Of a file too large to be read twice, its size and Parquet footer stand for it.

    Args:
        files: in order.
        partitions: what the names of their folders say of them, if anything.
    """
    digest = hashlib.sha256(json.dumps(partitions).encode() if partitions else b"")
    for file in files:
        size = size_of(file)
        whole = size <= _HASHED_WHOLE
        digest.update(_hash_file(file) if whole else _read_footer(file) + str(size).encode())
    return digest.hexdigest()


def _hash_file(file: AnyPath) -> bytes:
    with open_binary(file) as handle:
        return hashlib.file_digest(handle, "sha256").digest()


def _read_footer(file: AnyPath) -> bytes:
    # A Parquet file ends with the footer, its length in 4 bytes, and the magic "PAR1".
    with open_binary(file) as handle:
        handle.seek(-8, 2)
        length = int.from_bytes(handle.read(4), "little")
        handle.seek(-8 - length, 2)
        return handle.read(length)
