"""Image references in, encoded bytes out: what a manifest names is read here and nowhere else.

A manifest is untrusted. A path in it never leaves the image root, neither by `..` nor by a symbolic
link, never opens a device or a pipe, and never brings in more bytes than the cap.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from tweetprofile.errors import ImageError, OptionError, Reason
from tweetprofile.manifest import ImageRef

MAX_IMAGE_BYTES = 64 * 1024 * 1024
"""Default cap of an encoded image: Twitter's own is 5 MB for photos, 15 MB for GIFs."""

_FOLDERS_REMEMBERED = 65_536
"""Resolved folders kept; bounded, since a dump may hold a folder a user."""

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# O_NONBLOCK: a pipe that takes a file's place just before it is opened must not hang the run.


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image that was tried and is unusable.

    Attributes:
        index: its position in the user's list.
        image: its path, empty where the manifest carries bytes without one.
        reason: why.
    """

    index: int
    image: str
    reason: Reason


@dataclass(slots=True)
class ImageReader:
    """Reads the encoded bytes of image references.

    Args:
        root: folder that relative paths are relative to and that no path may leave. Absolute
            paths are allowed only where it is `/`.
        max_bytes: larger images are refused without being read whole.

    Raises:
        OptionError: `root` is no folder.
    """

    root: Path
    max_bytes: int = MAX_IMAGE_BYTES
    _real_root: str = field(init=False)
    _folders: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise OptionError(f"image root {self.root} is no folder; give one with --image-root.")
        self._real_root = os.path.realpath(self.root)

    def read(self, ref: ImageRef) -> bytes:
        """The encoded image that `ref` stands for.

        Raises:
            ImageError: with the reason why there is none.
        """
        data = ref.data if ref.data is not None else self._read_path(ref.path)
        if not data:
            raise ImageError(Reason.EMPTY)
        if len(data) > self.max_bytes:
            raise ImageError(Reason.TOO_LARGE)
        return data

    def _read_path(self, path: str | None) -> bytes:
        if not path:
            raise ImageError(Reason.MISSING)
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
