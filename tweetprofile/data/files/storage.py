"""Where files are: on a disk here, or in an object store behind an s3:// or gs:// URI.

Nothing here is touched for a file on a disk. Stores are reached through Arrow's file systems with
the credentials that others use, too: the environment, a profile, the machine's own role. Requests
that fail are repeated, later and later, before an error is raised.
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
"""Of a request, some seconds apart at the end: a store that throttles wants to be asked later."""

_CONNECT_SECONDS = 10.0
_RETRY_SECONDS = timedelta(seconds=60)

_GCS_EMULATOR = "STORAGE_EMULATOR_HOST"

_COPIED_AT_ONCE = 8 << 20

_DELETED_AT_ONCE = 16

_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before something is done once more, at most."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder in an object store.

    Attributes:
        uri: `s3://bucket/path` or `gs://bucket/path`, without a `/` at its end.
    """

    uri: str

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, below: str) -> "RemotePath":
        return RemotePath(f"{self.uri}/{below}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.uri.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The last part, without its ending."""
        return Path(self.name).stem

    @property
    def parent(self) -> "RemotePath":
        """The folder that it is in."""
        return RemotePath(self.uri.rpartition("/")[0])

    @property
    def key(self) -> str:
        """`bucket/path`, which file systems take."""
        return self.uri.partition("://")[2]

    @property
    def file_system(self) -> pafs.FileSystem:
        """What reaches it."""
        scheme = self.uri.partition("://")[0]
        return _file_system(scheme, _endpoint(scheme))


AnyPath = Path | RemotePath


def is_remote(place: str) -> bool:
    """Whether it is the URI of an object store."""
    return place.partition("://")[0] in _SCHEMES and "://" in place


def as_path(place: str | AnyPath) -> AnyPath:
    """What a user's word for a place means."""
    if not isinstance(place, str):
        return place
    return RemotePath(place.rstrip("/")) if is_remote(place) else Path(place)


def canonical(path: AnyPath) -> str:
    """The one name of a place, whichever way it was given."""
    return path.uri if isinstance(path, RemotePath) else str(path.resolve())


def absolute(path: AnyPath) -> AnyPath:
    """The same place, from whichever folder it is looked for."""
    return path if isinstance(path, RemotePath) else path.resolve()


def arrow_source(path: AnyPath) -> Any:
    """What Arrow's readers take to read a file: its path, or the file itself, opened.

    Raises:
        OSError: it cannot be opened.
    """
    return path.file_system.open_input_file(path.key) if isinstance(path, RemotePath) else path


def open_binary(path: AnyPath) -> io.BufferedReader:
    """A file, to be read from any position.

    Raises:
        OSError: it cannot be opened.
    """
    if isinstance(path, RemotePath):
        return cast("io.BufferedReader", path.file_system.open_input_file(path.key))
    return path.open("rb")


def size_of(path: AnyPath) -> int:
    """Bytes of a file.

    Raises:
        OSError: there is none.
    """
    if isinstance(path, RemotePath):
        with open_binary(path) as file:
            return file.seek(0, os.SEEK_END)
    return path.stat().st_size


def version_of(path: AnyPath) -> str:
    """What changes whenever a file is replaced or rewritten, though its name stays.

    For a file on a disk: its number, size and times, of which none can set the last one back. For
    an object in a store: its size and its entity tag, or its time where the store gives no tag.

    Raises:
        OSError: there is no such file.
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
    """Whether there is a file, or anything in a folder, of that name.

    Raises:
        OSError: the store cannot be reached.
    """
    (info,) = path.file_system.get_file_info([path.key])
    return bool(info.type != pafs.FileType.NotFound)


def is_file(path: RemotePath) -> bool:
    """Whether there is a file of that name.

    Raises:
        OSError: the store cannot be reached.
    """
    (info,) = path.file_system.get_file_info([path.key])
    return bool(info.type == pafs.FileType.File)


def list_below(folder: RemotePath) -> list[tuple[RemotePath, bool]]:
    """Everything below a folder, however deep and in order, and whether it is a file.

    Raises:
        OSError: the store cannot be reached.
    """
    selector = pafs.FileSelector(folder.key, allow_not_found=True, recursive=True)
    scheme = folder.uri.partition("://")[0]
    found = folder.file_system.get_file_info(selector)
    kinds = {f"{scheme}://{info.path}": info.type == pafs.FileType.File for info in found}
    return [(RemotePath(uri), kinds[uri]) for uri in sorted(kinds)]


def require_reachable(path: RemotePath) -> None:
    """Raise OSError unless the bucket answers."""
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
    """The bytes of a file; None where there are more than `max_bytes`.

    Args:
        path: the file.
        max_bytes: of it, at most.
        on_attempt: called before each attempt, without the pauses between them.
        on_size: called with its size, before it is read.

    Raises:
        OSError: it cannot be read, however often that is tried.
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
    """Whether a store has answered, and refuses this request: asking again is of no use."""
    return "ACCESS_DENIED" in str(error) or "PERMISSION_DENIED" in str(error)


def is_store_error(error: Exception) -> bool:
    """Whether an error comes from a store or the way to it, and not from what a file holds."""
    return any(sign in str(error) for sign in ("AWS Error", "google::cloud", "curlCode"))


def upload(source: Path, target: RemotePath) -> None:
    """Copy a file of this machine; it appears whole or not at all.

    Raises:
        OSError: that failed, however often it was tried.
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
    """Delete files, by their names.

    Raises:
        OSError: that failed.
    """

    def delete(file: RemotePath) -> None:
        with suppress(FileNotFoundError):
            file.file_system.delete_file(file.key)

    with ThreadPoolExecutor(_DELETED_AT_ONCE) as pool:
        list(pool.map(delete, files))


def _persist(action: Callable[[], Result]) -> Result:
    """Do something until it succeeds, or has failed too often; what is missing stays missing.

    Arrow repeats requests by itself, but not all: no upload whose connection was cut, and no answer
    whose kind of error it does not know.
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
    """Address of a server other than the usual one, which Arrow does not look for by itself."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") if scheme == "s3" else (_GCS_EMULATOR,)
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _at(endpoint: str | None) -> dict[str, str]:
    if not endpoint:
        return {}
    parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    return {"scheme": parts.scheme, "endpoint_override": parts.netloc}


def why(error: Exception) -> str:
    """What an error of a store says, in one line and without the store's own long-windedness."""
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, pa.ArrowException | OSError):
        text = text.partition("; Details:")[0].partition(" Detail: ")[0]
    return text
