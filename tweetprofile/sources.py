"""The Parquet files that a manifest is made of: found, and told apart by what they hold."""

import glob
import hashlib
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.errors import ManifestError
from tweetprofile.storage import (
    AnyPath,
    RemotePath,
    as_path,
    find_files,
    open_binary,
    size_of,
    to_read,
    why,
)

_HASHED_WHOLE = 1 << 30
"""Bytes up to which a file is hashed whole: seconds, and ten million paths are smaller."""


def find_sources(source: str) -> tuple[Sequence[AnyPath], AnyPath]:
    """The Parquet files of a file, folder, glob or URI, in order, and the folder they are in.

    Raises:
        ManifestError: nothing is there, or it cannot be reached.
    """
    path = as_path(source)
    files: Sequence[AnyPath]
    folder: AnyPath
    if isinstance(path, RemotePath):
        files, folder = _find_remote(path)
    elif "://" in source:
        raise ManifestError(f"{source}: only s3:// and gs:// are read; give one, or a path.")
    elif path.is_file():
        return [path], path.parent
    elif path.is_dir():
        files, folder = sorted(path.glob("*.parquet")), path
    elif glob.has_magic(source):
        folder = _fixed_part(path)
        matches = folder.glob(str(path.relative_to(folder)))
        files = sorted(match for match in matches if match.is_file())
    else:
        raise ManifestError(f"{source} does not exist; give a Parquet file, a folder or a glob.")
    if not files:
        raise ManifestError(f"{source} holds no Parquet file; give one, a folder or a glob.")
    return files, folder


def _find_remote(path: RemotePath) -> tuple[list[RemotePath], RemotePath]:
    try:
        return find_files(path, ".parquet")
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"{path} cannot be reached: {why(error)}; check the address, and the credentials in "
            "the environment or profile."
        ) from error


def _fixed_part(pattern: Path) -> Path:
    return Path(*takewhile(lambda part: not glob.has_magic(part), pattern.parts))


def read_schema(file: AnyPath) -> pa.Schema:
    """The columns of a file.

    Raises:
        ManifestError: it is no Parquet.
    """
    try:
        schema: pa.Schema = pq.read_schema(to_read(file))
        return schema
    except (pa.ArrowException, OSError, ValueError) as error:  # names may not even be UTF-8
        raise ManifestError(
            f"{file} is not a readable Parquet file ({why(error)}); write it as Parquet."
        ) from error


def fingerprint(files: Sequence[AnyPath]) -> str:
    """SHA-256 of the files' contents, in order, wherever they lie.

    Of a file too large to be read twice, its size and Parquet footer stand for it.
    """
    digest = hashlib.sha256()
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
