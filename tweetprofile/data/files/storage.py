"""Paths of files on disk and in object stores (s3:// and gs:// URIs), and reading from both.

Stores are reached through Arrow's file systems, with the usual credentials: the environment, a
profile, or the machine's own role. Failed requests are repeated after increasing pauses before an
error is raised. None of this affects files on disk.
"""

import io
import os
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

_SCHEMES = ("s3", "gs")

_ATTEMPTS = 6
"""Attempts per request, the last ones seconds apart, since a throttling store needs time."""

_CONNECT_SECONDS = 10.0
_RETRY_SECONDS = timedelta(seconds=60)

_GCS_EMULATOR = "STORAGE_EMULATOR_HOST"

_COPIED_AT_ONCE = 8 << 20

_DELETED_AT_ONCE = 16

_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""The longest pauses, in seconds, before each repetition of a failed action."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder in an object store.

    Attributes:
        uri: `s3://bucket/path` or `gs://bucket/path`, without a trailing `/`.
    """

    uri: str

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, below: str) -> "RemotePath":
        return RemotePath(f"{self.uri}/{below}")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.uri.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The last part of the path, without its suffix."""
        return Path(self.name).stem

    @property
    def parent(self) -> "RemotePath":
        """The folder that the file or folder is in."""
        return RemotePath(self.uri.rpartition("/")[0])

    @property
    def key(self) -> str:
        """`bucket/path`, as Arrow's file systems name it."""
        return self.uri.partition("://")[2]

    @property
    def file_system(self) -> pafs.FileSystem:
        """The Arrow file system that reaches the store."""
        scheme = self.uri.partition("://")[0]
        return _file_system(scheme, _endpoint(scheme))


AnyPath = Path | RemotePath


def is_remote(location: str) -> bool:
    """Return whether a location is the URI of an object store."""
    return location.partition("://")[0] in _SCHEMES and "://" in location


def as_path(location: str | AnyPath) -> AnyPath:
    """Return the path that a location stands for, as a user writes it."""
    if not isinstance(location, str):
        return location
    return RemotePath(location.rstrip("/")) if is_remote(location) else Path(location)


def canonical(path: AnyPath) -> str:
    """Return a name that is the same for all spellings of a path."""
    return path.uri if isinstance(path, RemotePath) else str(path.resolve())


def absolute(path: AnyPath) -> AnyPath:
    """Return a path that does not depend on the current folder."""
    return path if isinstance(path, RemotePath) else path.resolve()


def arrow_source(path: AnyPath) -> Any:
    """Return what Arrow's readers take as a file: its path, or the opened file of a store.

    Raises:
        OSError: The file cannot be opened.
    """
    return path.file_system.open_input_file(path.key) if isinstance(path, RemotePath) else path


def open_binary(path: AnyPath) -> io.BufferedReader:
    """Open a file for reading from any position.

    Raises:
        OSError: The file cannot be opened.
    """
    if isinstance(path, RemotePath):
        return cast("io.BufferedReader", path.file_system.open_input_file(path.key))
    return path.open("rb")


def size_of(path: AnyPath) -> int:
    """Return the size of a file in bytes.

    Raises:
        OSError: There is no such file.
    """
    if isinstance(path, RemotePath):
        with open_binary(path) as file:
            return file.seek(0, os.SEEK_END)
    return path.stat().st_size


def version_of(path: AnyPath) -> str:
    """Return a string that changes whenever a file is replaced or rewritten under the same name.

    For a file on disk: its inode, size and times, including the change time, which no program can
    set back. For an object in a store: its size and entity tag, or its time if the store gives
    no tag.

    Raises:
        OSError: There is no such file.
    """
    if not isinstance(path, RemotePath):
        found = path.stat()
        return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
    with path.file_system.open_input_file(path.key) as file:
        facts, size = file.metadata(), file.size()
    if tag := facts.get("ETag"):
        return f"{size} {tag!r}"
    (info,) = path.file_system.get_file_info([path.key])
    return f"{size} {info.mtime_ns}"


def exists(path: RemotePath) -> bool:
    """Return whether there is a file of that name, or a folder with something in it.

    Raises:
        OSError: The store cannot be reached.
    """
    (info,) = path.file_system.get_file_info([path.key])
    return bool(info.type != pafs.FileType.NotFound)


def is_file(path: RemotePath) -> bool:
    """Return whether there is a file of that name.

    Raises:
        OSError: The store cannot be reached.
    """
    (info,) = path.file_system.get_file_info([path.key])
    return bool(info.type == pafs.FileType.File)


def list_below(folder: RemotePath) -> list[tuple[RemotePath, bool]]:
    """List everything below a folder at any depth, in order, each with whether it is a file.

    Raises:
        OSError: The store cannot be reached.
    """
    selector = pafs.FileSelector(folder.key, allow_not_found=True, recursive=True)
    scheme = folder.uri.partition("://")[0]
    found = folder.file_system.get_file_info(selector)
    kinds = {f"{scheme}://{info.path}": info.type == pafs.FileType.File for info in found}
    return [(RemotePath(uri), kinds[uri]) for uri in sorted(kinds)]


def require_reachable(path: RemotePath) -> None:
    """Raise OSError if the bucket cannot be reached."""
    _persist(lambda: _require_bucket(path))


def _require_bucket(path: RemotePath) -> None:
    bucket = path.key.partition("/")[0]
    (info,) = path.file_system.get_file_info([bucket])
    if info.type == pafs.FileType.NotFound:
        raise FileNotFoundError(f"there is no bucket '{bucket}'")


def read_file(
    path: RemotePath,
    max_bytes: int,
    on_attempt: Callable[[], None] = lambda: None,
    on_size: Callable[[int], None] = lambda size: None,
) -> bytes | None:
    """Return the bytes of a file, or None if there are more than `max_bytes`.

    Args:
        path: The file.
        max_bytes: The largest size in bytes that is read.
        on_attempt: Called at the beginning of each attempt, after the pause before it.
        on_size: Called with the size of the file before it is read.

    Raises:
        OSError: The file could not be read in any of the attempts.
    """

    def read() -> bytes | None:
        on_attempt()
        with open_binary(path) as file:
            if (size := file.seek(0, os.SEEK_END)) > max_bytes:
                return None
            on_size(size)
            file.seek(0)
            return file.read()

    return _persist(read)


def is_denied(error: OSError) -> bool:
    """Return whether a store has refused a request, so that repeating it is of no use."""
    return "ACCESS_DENIED" in str(error) or "PERMISSION_DENIED" in str(error)


def is_store_error(error: Exception) -> bool:
    """Return whether an error comes from a store or the network, and not from a file's content."""
    return any(sign in str(error) for sign in ("AWS Error", "google::cloud", "curlCode"))


def upload(source: Path, target: RemotePath) -> None:
    """Copy a file on disk to a store; the object appears complete or not at all.

    Raises:
        OSError: All attempts have failed.
    """

    def copy() -> None:
        with (
            source.open("rb") as file,
            target.file_system.open_output_stream(target.key) as stream,
        ):
            while piece := file.read(_COPIED_AT_ONCE):
                stream.write(piece)

    _persist(copy)


def delete_files(files: Sequence[RemotePath]) -> None:
    """Delete files; a file that does not exist counts as deleted.

    Raises:
        OSError: A file could not be deleted.
    """

    def delete(file: RemotePath) -> None:
        with suppress(FileNotFoundError):
            file.file_system.delete_file(file.key)

    with ThreadPoolExecutor(_DELETED_AT_ONCE) as pool:
        list(pool.map(delete, files))


def _persist(action: Callable[[], Result]) -> Result:
    """Repeat an action until it succeeds or has failed too often; missing files are not retried.

    Arrow repeats most requests itself, but neither an upload whose connection was cut nor a request
    that was answered with an error of unknown type.
    """
    for pause in _PAUSES:
        try:
            return action()
        except (FileNotFoundError, PermissionError):
            raise
        except OSError as error:
            if is_denied(error):
                raise
            time.sleep(pause * random.uniform(0.5, 1.0))
    return action()


@lru_cache
def _file_system(scheme: str, endpoint: str | None) -> pafs.FileSystem:
    if scheme == "s3":
        return pafs.S3FileSystem(
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            connect_timeout=_CONNECT_SECONDS,
            retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
            **_at(endpoint),
        )
    return pafs.GcsFileSystem(
        anonymous=endpoint is not None, retry_time_limit=_RETRY_SECONDS, **_at(endpoint)
    )


def _endpoint(scheme: str) -> str | None:
    """Return the address of a non-default server, which Arrow does not look up itself."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") if scheme == "s3" else (_GCS_EMULATOR,)
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _at(endpoint: str | None) -> dict[str, str]:
    if not endpoint:
        return {}
    parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    return {"scheme": parts.scheme, "endpoint_override": parts.netloc}


def why(error: Exception) -> str:
    """Return an error's message in one line, without the details that stores append."""
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, pa.ArrowException | OSError):
        text = text.partition("; Details:")[0].partition(" Detail: ")[0]
    return text
