"""Image references in, encoded bytes out: what a manifest names is read here and nowhere else."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tweetprofile.data.files.storage import AnyPath, RemotePath
from tweetprofile.data.images.fetching import Fetcher, ReadProgress
from tweetprofile.data.images.roots import LocalRoot, RemoteRoot
from tweetprofile.data.manifests.manifest import ImageRef
from tweetprofile.errors import ImageError, Reason

MAX_IMAGE_BYTES = 64 * 1024 * 1024
"""Default cap of an encoded image: Twitter's own is 5 MB for photos, 15 MB for GIFs."""


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
        root: folder that relative paths are relative to and that no path may leave.
        max_bytes: larger images are refused without being read whole.

    Raises:
        OptionError: `root` is no folder, or in a store that cannot be reached.
    """

    root: AnyPath
    max_bytes: int = MAX_IMAGE_BYTES
    _root: LocalRoot | RemoteRoot = field(init=False)
    _fetcher: Fetcher[ImageRef] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if isinstance(self.root, RemotePath):
            self._root = RemoteRoot(self.root, self.max_bytes)
        else:
            self._root = LocalRoot(self.root, self.max_bytes)

    def read(self, ref: ImageRef, progress: ReadProgress | None = None) -> bytes:
        """The encoded image that `ref` stands for.

        Args:
            ref: the image.
            progress: is told how reading it from a store gets on.

        Raises:
            ImageError: with the reason why there is none.
            StoreError: the store that it is in does not answer any more.
        """
        if ref.refused is not None:
            raise ImageError(ref.refused)
        data = ref.data if ref.data is not None else self._read_path(ref.path, progress)
        if not data:
            raise ImageError(Reason.EMPTY)
        if len(data) > self.max_bytes:
            raise ImageError(Reason.TOO_LARGE)
        return data

    def read_all(self, refs: Iterable[ImageRef]) -> Iterator[bytes | Reason]:
        """The encoded image of each, in order, or the reason why there is none.

        From a store several are read at once, ahead of what is asked for.

        Raises:
            StoreError: the store does not answer any more.
        """
        if self._root.concurrent_reads == 1:
            return map(self._try, refs)
        if self._fetcher is None:  # not before: most readers are made to check the root alone
            self._fetcher = Fetcher(self._try, self._root.concurrent_reads)
        return self._fetcher.fetch_all(refs)

    def _try(self, ref: ImageRef, progress: ReadProgress | None = None) -> bytes | Reason:
        try:
            return self.read(ref, progress)
        except ImageError as error:
            return error.reason

    def _read_path(self, path: str | None, progress: ReadProgress | None) -> bytes:
        if not path:
            raise ImageError(Reason.MISSING)
        return self._root.read(path, progress)
