"""The observer that learns which image is being decoded, so that a slow one can be named."""

from typing import Protocol


class ImageObserver(Protocol):
    """Receives the progress of a worker thread, from any of the threads that decode for it."""

    def begin(self, user_id: str | int, index: int) -> None:
        """Note that the calling thread starts to decode an image.

        Args:
            user_id: The user whose image it is.
            index: The position of the image in the user's list.
        """

    def end(self) -> None:
        """Note that the calling thread has finished an image, or anything else that takes time."""


class NullObserver:
    """Ignores all progress, for work without a supervisor."""

    def begin(self, user_id: str | int, index: int) -> None:
        """Ignore the start of an image."""

    def end(self) -> None:
        """Ignore the end of an image."""
