"""Image roots: a folder that image paths are relative to, and that no path of a manifest leaves.

A manifest is untrusted. Here, a path in it leads out neither by `..` nor by a symbolic link, never
opens a device or a pipe, and never brings in more bytes than the cap; in an object store, it
reaches nothing but what is below the URI that the user gave.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from tweetprofile.data.files.storage import (
    AnyPath,
    RemotePath,
    is_remote,
    read_file,
    require_reachable,
    size_of,
    why,
)
from tweetprofile.data.images.fetching import ReadProgress
from tweetprofile.errors import ImageError, OptionError, Reason, StoreError

_FOLDERS_REMEMBERED = 65_536
"""Resolved folders kept; bounded, since a dump may hold a folder a user."""

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# O_NONBLOCK: a pipe that takes a file's place just before it is opened must not hang the run.


_UNREACHABLE = (OSError, ValueError, pa.ArrowException)
"""What Arrow raises where a store cannot be reached, or does not give a file."""

_READS_AT_ONCE = 32
"""From a store, where each takes two round trips of some 20 ms, whatever its size."""


def check_image_root(root: AnyPath) -> None:
    """Raise OptionError unless an image root is a folder, or a store that can be reached."""
    if isinstance(root, RemotePath):
        try:
            require_reachable(root)
        except _UNREACHABLE as error:
            raise OptionError(
                f"image root {root} cannot be reached: {why(error)}; check the address, and the "
                "credentials in the environment or profile."
            ) from error
    elif not root.is_dir():
        raise OptionError(f"image root {root} is not a folder; give one with `image_root`.")


@dataclass(slots=True)
class LocalRoot:
    """A folder on a disk.

    Args:
        folder: absolute paths are allowed only where it is `/`.
        max_bytes: larger files are refused without being read whole.

    Raises:
        OptionError: it is no folder.
    """

    folder: Path
    max_bytes: int
    concurrent_reads: int = field(init=False, default=1)
    _real_root: str = field(init=False)
    _folders: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        check_image_root(self.folder)
        self._real_root = os.path.realpath(self.folder)

    def read(self, path: str, progress: ReadProgress | None = None) -> bytes:
        """The bytes of a file; `progress` is for stores, as a disk answers at once.

        Raises:
            ImageError: with the reason why there are none.
        """
        try:
            return self._read_file(self._confine(_local_path(path)))
        except OSError as error:
            raise ImageError(_reason_of(error)) from error
        except ValueError:  # a null byte in the path
            raise ImageError(Reason.MISSING) from None

    def _confine(self, path: str) -> str:
        """The real path of the file's folder, joined with its name."""
        if os.path.isabs(path) and self._real_root != "/":
            raise ImageError(Reason.OUTSIDE_ROOT)
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            raise ImageError(Reason.NOT_A_FILE if self._inside(path) else Reason.OUTSIDE_ROOT)
        return os.path.join(self._real_folder(folder), name)

    def _real_folder(self, folder: str) -> str:
        # Many images share a folder, and resolving one costs a system call a component.
        if (real := self._folders.get(folder)) is None:
            if not self._inside(folder):
                raise ImageError(Reason.OUTSIDE_ROOT)
            real = os.path.realpath(os.path.join(self._real_root, folder))
            if len(self._folders) >= _FOLDERS_REMEMBERED:
                self._folders.clear()
            self._folders[folder] = real
        return real

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(os.path.join(self._real_root, path))
        return os.path.commonpath([real, self._real_root]) == self._real_root

    def _read_file(self, path: str) -> bytes:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            if not self._inside(path):
                raise ImageError(Reason.OUTSIDE_ROOT)
            path = os.path.realpath(path)
            status = os.lstat(path)
        _require_file(status)
        with open(os.open(path, _OPEN_FLAGS), "rb") as file:
            return self._read_capped(file)

    def _read_capped(self, file: BinaryIO) -> bytes:
        status = os.fstat(file.fileno())
        _require_file(status)  # again: another may have taken its place since
        if status.st_size > self.max_bytes:
            raise ImageError(Reason.TOO_LARGE)
        # Not up to the cap: a buffer of that size for every image costs more than the reading.
        return file.read(status.st_size)


@dataclass(slots=True)
class RemoteRoot:
    """A folder in an object store.

    An error of the store must not be taken for one of an image, or a run whose credentials expire
    would call all images after that unusable. So an image that cannot be read is called missing or
    unreadable only if the store still answers, and still gives what it gave before.

    Args:
        folder: paths are relative to it, or URIs of files below it.
        max_bytes: larger files are refused without being read.

    Raises:
        OptionError: the store cannot be reached.
    """

    folder: RemotePath
    max_bytes: int
    concurrent_reads: int = field(init=False, default=_READS_AT_ONCE)
    _last_read: RemotePath | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        check_image_root(self.folder)

    def read(self, path: str, progress: ReadProgress | None = None) -> bytes:
        """The bytes of a file.

        Args:
            path: relative to the folder, or a URI.
            progress: is told of each attempt, and of the file's size.

        Raises:
            ImageError: with the reason why there are none.
            StoreError: the store does not answer any more, or refuses what it gave before.
        """
        progress = progress or ReadProgress()
        file = self._confine(path)
        try:
            data = read_file(file, self.max_bytes, progress.begin, progress.expect)
        except _UNREACHABLE as error:
            self._require_store()
            missing = isinstance(error, FileNotFoundError)
            raise ImageError(Reason.MISSING if missing else Reason.UNREADABLE) from error
        if data is None:
            raise ImageError(Reason.TOO_LARGE)
        self._last_read = file
        return data

    def _require_store(self) -> None:
        """Raise StoreError unless the store answers, and gives what was last read from it."""
        try:
            require_reachable(self.folder)
            if self._last_read is not None:
                size_of(self._last_read)
        except _UNREACHABLE as error:
            raise StoreError(
                f"{self.folder} cannot be read any more: {why(error)}; check the connection and "
                "the credentials, and continue with --resume."
            ) from error

    def _confine(self, path: str) -> RemotePath:
        below = path
        if is_remote(path):
            if not path.startswith(f"{self.folder}/"):
                raise ImageError(Reason.OUTSIDE_ROOT)
            below = path.removeprefix(f"{self.folder}/")
        elif "://" in path:
            raise ImageError(Reason.UNSUPPORTED_URI)
        parts = below.split("/")
        if below.startswith("/") or ".." in parts:
            raise ImageError(Reason.OUTSIDE_ROOT)
        return self.folder / "/".join(part for part in parts if part not in ("", "."))


def _require_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(Reason.NOT_A_FILE)


def _local_path(reference: str) -> str:
    """The path that a reference means: itself, or what a file:// URI points at."""
    if "://" not in reference:
        return reference
    try:
        uri = urlsplit(reference)
    except ValueError:  # http://[
        raise ImageError(Reason.UNSUPPORTED_URI) from None
    if uri.scheme != "file" or uri.netloc not in ("", "localhost"):
        raise ImageError(Reason.UNSUPPORTED_URI)
    return unquote(uri.path)


def _reason_of(error: OSError) -> Reason:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return Reason.MISSING
    return Reason.UNREADABLE
