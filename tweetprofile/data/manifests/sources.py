"""Find the Parquet files of a manifest, and identify them by their content."""

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
from tweetprofile.plurals import count_of

ENDINGS = (".parquet", ".pq", ".parq")
"""The suffixes, in upper or lower case, of the files that are read in a folder."""

_ANY_CASE = ("*.[pP][aA][rR][qQ][uU][eE][tT]", "*.[pP][qQ]", "*.[pP][aA][rR][qQ]")

FOLDER_PATTERNS = (*_ANY_CASE, *(f"*=*/**/{pattern}" for pattern in _ANY_CASE))
"""Globs that match the files that are read in a folder."""

_SHOWN = 3
"""The largest number of file names in a remark."""

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""The folder name that Hive, Spark and Arrow use for null."""

_MOST_HASHED = 1 << 30
"""The largest file in bytes that is hashed completely, in seconds; ten million paths take less."""

Partitions = dict[str, str | None]
"""The values that the folder names of a file give, by column."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a manifest.

    Attributes:
        files: The Parquet files, in order.
        folder: The folder that the files are in.
        left_out: The names of other files in it that look like Parquet and are not read.
    """

    files: Sequence[AnyPath]
    folder: AnyPath
    left_out: tuple[str, ...] = ()

    @property
    def partitions(self) -> tuple[str, ...]:
        """The columns that folder names give, as in `country=de/part.parquet`."""
        below = str(self.folder).rstrip("/") + "/"
        names = (name for file in self.files if str(file).startswith(below)
                 for name in partitions_of(file, str(file).removeprefix(below)))  # fmt: skip
        return tuple(dict.fromkeys(names))


def find_sources(source: str) -> Sources:
    """Find the Parquet files of a file, folder, glob or URI.

    A folder includes its Hive partitions at any depth. A path that exists stands for that file or
    folder, even if it could be a glob.

    Raises:
        ManifestError: There are no Parquet files, or they cannot be reached.
    """
    path = as_path(source)
    if isinstance(path, Path) and "://" in source:
        raise ManifestError(
            f"{source}: only s3:// and gs:// URIs are supported; give one, or a path."
        )
    try:
        found = _find_remote(path) if isinstance(path, RemotePath) else _find_here(path, source)
    except (OSError, ValueError) as error:
        fix = "check the permissions"
        if isinstance(path, RemotePath):
            fix = "check the address, and the credentials in the environment or profile"
        raise ManifestError(f"{path} cannot be reached: {why(error)}; {fix}.") from error
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
    """Return whether a match of a glob is a file to read; `_SUCCESS` and hidden files are not."""
    marker = match.name.startswith((".", "_")) and not is_parquet_name(match.name)
    return match.is_file() and not marker


def _find_remote(path: RemotePath) -> Sources:
    if is_file(path):
        return Sources([path], path.parent)
    if not glob.has_magic(path.key) or list_folder(path):
        return _in_folder(path)
    return Sources(*find_files(path, ENDINGS[0]))


def _in_folder(folder: AnyPath) -> Sources:
    """Find the Parquet files directly in a folder and in its Hive partitions."""
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
    """Return whether a file with this name is read in a folder; hidden files are not."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def _looks_like_parquet(name: str) -> bool:
    """Return whether a user may expect a file to be read, such as `a.parquet.gz`."""
    inner = Path(name.lower()).suffixes[:-1]
    return not name.startswith((".", "_")) and any(ending in inner for ending in ENDINGS)


def _partition(name: str) -> tuple[str, str | None] | None:
    """Return column and value of a folder name such as `country=de`; None for other names."""
    column, sign, value = name.partition("=")
    if not sign or not column or column.startswith((".", "_")):
        return None
    return unquote(column), None if value == _NO_VALUE else unquote(value)


def partitions_of(file: AnyPath, below: str | None = None) -> Partitions:
    """Return the values that the names of the innermost folders of a file give.

    Args:
        file: A file, for example in `country=de/city=ulm/`.
        below: The file's path relative to the manifest's folder, whose own name does not count.
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
    """Return the number of files and the names of the first ones, in words."""
    every = list(names)
    more = f" and {len(every) - _SHOWN:,} more" if len(every) > _SHOWN else ""
    count = count_of(len(every), "file")
    return f"{count} ({', '.join(every[:_SHOWN])}{more})"


def fingerprint(files: Sequence[AnyPath], partitions: Sequence[object] = ()) -> str:
    """Return the SHA-256 of the files' contents in order, wherever the files are.

    For a file that is too large to be read twice, its size and Parquet footer are hashed instead.

    Args:
        files: The files in order.
        partitions: The values that their folder names give, if any.
    """
    digest = hashlib.sha256(json.dumps(partitions).encode() if partitions else b"")
    for file in files:
        size = size_of(file)
        completely = size <= _MOST_HASHED
        digest.update(_hash_file(file) if completely else _read_footer(file) + str(size).encode())
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
