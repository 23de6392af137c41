"""Who is told which image is being decoded, so that an image that takes too long can be named."""

from typing import Protocol


class ImageObserver(Protocol):
    """Is told by a lane, from any of its threads, what it is doing."""

    def begin(self, user_id: str | int, index: int) -> None:
        """The calling thread begins to decode an image: whose, and its position in their list."""

    def end(self) -> None:
        """The calling thread has finished with an image, or with anything else that takes time."""


class NullObserver:
    """Watches nothing, for those who work without a supervisor."""

    def begin(self, user_id: str | int, index: int) -> None:
        """See `ImageObserver.begin`."""

    def end(self) -> None:
        """See `ImageObserver.end`."""
