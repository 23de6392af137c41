"""Read the encoded bytes of image references; nothing else reads what a manifest names."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tweetprofile.data.files.storage import AnyPath, RemotePath
from tweetprofile.data.images.fetching import Fetcher, ReadProgress
from tweetprofile.data.images.read_ahead import ReadAhead
from tweetprofile.data.images.roots import CONCURRENT_READS, LocalRoot, RemoteRoot
from tweetprofile.data.manifests.users import Encoded, ImageRef
from tweetprofile.errors import ImageError, Reason

MAX_IMAGE_BYTES = 64 * 1024 * 1024
"""The default limit on the size of an encoded image; Twitter's limits are 5 MB for photos and 15 MB
for GIFs."""


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image that could not be used.

    Attributes:
        index: The position of the image in the user's list.
        image: The path of the image; empty if the manifest holds its bytes without a path.
        reason: Why the image is unusable.
    """

    index: int
    image: str
    reason: Reason


@dataclass(slots=True)
class ImageReader:
    """Reads the encoded bytes of image references.

    Args:
        root: The image root, which relative paths are relative to and no path may leave.
        max_bytes: The size above which images are refused without being read completely.
        writable: Whether to return local files as writable memory instead of `bytes`.

    Raises:
        OptionError: `root` is not a folder, or is in a store that cannot be reached.
    """

    root: AnyPath
    max_bytes: int = MAX_IMAGE_BYTES
    writable: bool = False
    _root: LocalRoot | RemoteRoot = field(init=False)
    _ahead: ReadAhead[ImageRef, Encoded | Reason] | None = field(init=False, default=None)
    _fetcher: Fetcher[ImageRef] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if isinstance(self.root, RemotePath):
            self._root = RemoteRoot(self.root, self.max_bytes)
        else:
            self._root = LocalRoot(self.root, self.max_bytes, self.writable)
            self._ahead = ReadAhead(self._try)

    def read(self, ref: ImageRef, progress: ReadProgress | None = None) -> Encoded:
        """Read an encoded image.

        Args:
            ref: The reference of the image.
            progress: Keeps track of a read from a store.

        Raises:
            ImageError: The image is unusable; the error holds the reason.
            StoreError: The store has stopped answering.
        """
        if ref.refused is not None:
            raise ImageError(ref.refused)
        data = ref.data if ref.data is not None else self._read_path(ref.path, progress)
        if not data:
            raise ImageError(Reason.EMPTY)
        if len(data) > self.max_bytes:
            raise ImageError(Reason.TOO_LARGE)
        return data

    def read_all(
        self, refs: Iterable[ImageRef], turn: AbstractContextManager[object] | None = None
    ) -> Iterator[Encoded | Reason]:
        """Yield each encoded image, in order, or the reason why it is unusable.

        Several images are read at once, ahead of their use, from a store and from a disk that makes
        them wait.

        Args:
            refs: The references of the images.
            turn: The context in which threads take turns at reading from memory. None if they need
                not take turns.

        Raises:
            StoreError: The store has stopped answering.
        """
        if self._ahead is not None:
            return self._ahead.read_all(refs, turn)
        if self._fetcher is None:  # its threads start with the first read
            self._fetcher = Fetcher(self._try, CONCURRENT_READS)
        return self._fetcher.fetch_all(refs)

    def _try(self, ref: ImageRef, progress: ReadProgress | None = None) -> Encoded | Reason:
        try:
            return self.read(ref, progress)
        except ImageError as error:
            return error.reason

    def _read_path(self, path: str | None, progress: ReadProgress | None) -> Encoded:
        if not path:
            raise ImageError(Reason.MISSING)
        return self._root.read(path, progress)
