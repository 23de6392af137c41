"""Image roots: the folder that image paths are relative to, and that no image path leaves.

A manifest is untrusted. On disk, a path in it leads outside neither by `..` nor by a symbolic link,
never opens a device or a pipe, and never reads more bytes than the limit. In an object store, it
reaches only objects below the URI that the user gave.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
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
from tweetprofile.data.manifests.users import Encoded
from tweetprofile.errors import CONTINUE, ImageError, OptionError, Reason, StoreError

_FOLDERS_REMEMBERED = 65_536
"""The largest number of resolved folders that are remembered, since a dump may hold a folder per
user."""

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# O_NONBLOCK: a pipe that replaces a file just before it is opened must not block the run.


_UNREACHABLE = (OSError, ValueError, pa.ArrowException)
"""The exceptions that Arrow raises if a store cannot be reached or does not return a file."""

CONCURRENT_READS = 32
"""Reads from a store, each of which takes two round trips of some 20 ms, whatever its size."""


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
    """An image root on disk.

    Args:
        folder: The folder; absolute image paths are allowed only if it is `/`.
        max_bytes: The size above which files are refused without being read completely.
        writable: Whether to return files as writable memory instead of `bytes`.

    Raises:
        OptionError: `folder` is not a folder.
    """

    folder: Path
    max_bytes: int
    writable: bool = False
    _real_root: str = field(init=False)
    _folders: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        check_image_root(self.folder)
        self._real_root = os.path.realpath(self.folder)

    def read(self, path: str, progress: ReadProgress | None = None) -> Encoded:
        """Read a file; `progress` is used only for stores, since a disk answers at once.

        Raises:
            ImageError: The file cannot be used; the error holds the reason.
        """
        try:
            return self._read_file(self._confine(_local_path(path)))
        except OSError as error:
            raise ImageError(_reason_of(error)) from error
        except ValueError:  # a null byte in the path
            raise ImageError(Reason.MISSING) from None

    def _confine(self, path: str) -> str:
        """Return the real path of the file's folder, joined with the file's name."""
        if path.startswith("/") and self._real_root != "/":
            raise ImageError(Reason.OUTSIDE_ROOT)
        folder, _, name = path.rpartition("/")  # a fifth of the time of `os.path.split`
        if name in ("", ".", ".."):
            raise ImageError(Reason.NOT_A_FILE if self._inside(path) else Reason.OUTSIDE_ROOT)
        return f"{self._real_folder(folder)}/{name}"

    def _real_folder(self, folder: str) -> str:
        # Many images share a folder, and resolving a path costs a system call per component.
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

    def _read_file(self, path: str) -> Encoded:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            if not self._inside(path):
                raise ImageError(Reason.OUTSIDE_ROOT)
            path = os.path.realpath(path)
            status = os.lstat(path)
        _require_file(status)
        # Without a file object, which would double the time to read a file from memory.
        descriptor = os.open(path, _OPEN_FLAGS)
        try:
            return self._read_capped(descriptor)
        finally:
            os.close(descriptor)

    def _read_capped(self, descriptor: int) -> Encoded:
        status = os.fstat(descriptor)
        _require_file(status)  # again: another file may have replaced it since
        if status.st_size > self.max_bytes:
            raise ImageError(Reason.TOO_LARGE)
        if self.writable:
            return _read_into(np.empty(status.st_size, np.uint8).data, descriptor)
        # Not up to the limit: memory of that size for every image costs more than the reading.
        data = os.read(descriptor, status.st_size)
        while len(data) < status.st_size:
            if not (more := os.read(descriptor, status.st_size - len(data))):
                break  # the file has become shorter since
            data += more
        return data


@dataclass(slots=True)
class RemoteRoot:
    """An image root in an object store.

    An error of the store must not be taken for an error of an image: otherwise, when credentials
    expire in the middle of a run, all later images would count as unusable. So an image that cannot
    be read counts as missing or unreadable only if the store still answers, and still returns what
    it returned before.

    Args:
        folder: The folder that image paths are relative to; they may also be URIs below it.
        max_bytes: The size above which files are refused without being read.

    Raises:
        OptionError: The store cannot be reached.
    """

    folder: RemotePath
    max_bytes: int
    _last_read: RemotePath | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        check_image_root(self.folder)

    def read(self, path: str, progress: ReadProgress | None = None) -> bytes:
        """Read a file.

        Args:
            path: The path, relative to the folder, or a URI.
            progress: Keeps track of the attempts and of the file's size.

        Raises:
            ImageError: The file cannot be used; the error holds the reason.
            StoreError: The store has stopped answering, or refuses what it returned before.
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
        """Raise StoreError if the store fails, or refuses the last file that it returned."""
        try:
            require_reachable(self.folder)
            if self._last_read is not None:
                size_of(self._last_read)
        except _UNREACHABLE as error:
            raise StoreError(
                f"{self.folder} cannot be read any more: {why(error)}; check the connection and "
                f"the credentials, and {CONTINUE}."
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


def _read_into(memory: memoryview, descriptor: int) -> memoryview:
    """Fill memory from a file; return the part that was filled."""
    filled = 0
    while filled < len(memory) and (read := os.readv(descriptor, [memory[filled:]])):
        filled += read
    return memory[:filled]


def _require_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(Reason.NOT_A_FILE)


def _local_path(reference: str) -> str:
    """Return the path that a reference stands for: itself, or the path of a file:// URI."""
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
