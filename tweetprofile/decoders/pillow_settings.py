"""Settings that Pillow and Python keep per program, changed only while images are decoded.

Three things that a decoder has to decide have no argument in Pillow: the size beyond which it warns
about an image or refuses it, the number of threads that decode an AVIF, and whether its warnings
about broken images reach the terminal. Each belongs to the program that imports this package, so
it is set when a thread starts to decode and restored when the last thread has finished.

The settings remain visible to the program's other threads in between; Pillow offers no narrower
scope.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import cast

from PIL import AvifImagePlugin, Image


class _SharedSettings:
    """Program-wide settings, shared by all threads that decode at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._decoding = 0
        self._warnings = warnings.catch_warnings()
        self._program_filters: Sequence[object] = ()
        self._own_filters: list[object] = []
        self._avif_threads = 0
        self._pixel_limit: int | None = None
        self._raised_limit: int | None = None

    def enter(self, max_pixels: int) -> None:
        """Apply the settings, if no other thread has done so yet."""
        with self._lock:
            self._decoding += 1
            if self._decoding == 1:
                self._silence_pillow()
                self._avif_threads = AvifImagePlugin.DEFAULT_MAX_THREADS
                # The images of a batch already share the processors. `AvifImageFile` reads the
                # number from its module and takes no argument for it.
                AvifImagePlugin.DEFAULT_MAX_THREADS = 1
            self._raise_limit(max_pixels)

    def leave(self) -> None:
        """Restore the program's own settings, if no other thread still decodes."""
        with self._lock:
            self._decoding -= 1
            if self._decoding == 0:
                self._restore_limit()
                AvifImagePlugin.DEFAULT_MAX_THREADS = self._avif_threads
                self._restore_warnings()

    def _silence_pillow(self) -> None:
        self._program_filters = warnings.filters
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        # Whatever Pillow warns about becomes either a frame or a reason.
        warnings.filterwarnings("ignore", module="PIL")
        self._own_filters = cast("list[object]", warnings.filters)

    def _restore_warnings(self) -> None:
        # If another thread has entered or left a `catch_warnings` of its own in the meantime, its
        # filters are in force and stay. It may still restore our list, which then must be harmless.
        if warnings.filters is self._own_filters:
            self._warnings.__exit__(None, None, None)
        self._own_filters[:] = self._program_filters

    def _raise_limit(self, max_pixels: int) -> None:
        """Have Pillow accept images of `max_pixels`; it refuses more than twice its own limit."""
        limit, needed = Image.MAX_IMAGE_PIXELS, (max_pixels + 1) // 2
        if limit is not None and limit < needed:
            if limit != self._raised_limit:
                self._pixel_limit = limit
            Image.MAX_IMAGE_PIXELS = self._raised_limit = needed

    def _restore_limit(self) -> None:
        # A limit that the program has set in the meantime stays.
        if self._raised_limit is not None and self._raised_limit == Image.MAX_IMAGE_PIXELS:
            Image.MAX_IMAGE_PIXELS = self._pixel_limit
        self._raised_limit = None


_shared = _SharedSettings()


@contextmanager
def pillow_settings(max_pixels: int) -> Iterator[None]:
    """Decode with Pillow's own pixel limit out of the way, and without its warnings.

    Pillow then opens every image of up to `max_pixels`, and perhaps larger ones: whoever decodes
    still has to check the size. A limit of the program that is higher, or none, stays as it is.
    """
    _shared.enter(max_pixels)
    try:
        yield
    finally:
        _shared.leave()
