"""Sprites: JPEG files that hold the thumbnails of several users, as a grid.

A browser loads a sprite when one of its users comes into view. Sprites are small, so that a wall
sorted by confidence, where neighbours come from all over the manifest, does not need many large
pictures at once.
"""

import io
import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tweetprofile.data.files.provenance import METADATA_KEY, Kind, stamp

USERS_PER_SPRITE = 4

COLUMNS = 12
"""Thumbnails per row of a sprite."""

_QUALITY = 80


class Sprites:
    """Collects the thumbnails of users, in any order, and gives each sprite when it is complete.

    Args:
        users: The number of users of the page; user u belongs to sprite u // `USERS_PER_SPRITE`.
        side: The width and height of a thumbnail in pixels.
    """

    def __init__(self, users: int, side: int) -> None:
        self._users = users
        self._side = side
        self._waiting: dict[int, dict[int, NDArray[np.uint8]]] = {}
        self.first_cells: dict[int, int] = {}
        """The cell of the first thumbnail of each user in the user's sprite."""

    def add(self, user: int, frames_FHWC: NDArray[np.uint8]) -> tuple[int, bytes] | None:
        """Add the thumbnails of a user, (F, side, side, 3) uint8; F may be 0.

        Returns:
            The number and the content of the sprite that this user completes, if it has thumbnails.
        """
        number = user // USERS_PER_SPRITE
        waiting = self._waiting.setdefault(number, {})
        waiting[user] = frames_FHWC
        first = number * USERS_PER_SPRITE
        if len(waiting) < min(USERS_PER_SPRITE, self._users - first):
            return None
        del self._waiting[number]
        drawn = self._draw(waiting)
        return None if drawn is None else (number, drawn)

    def _draw(self, users: Mapping[int, NDArray[np.uint8]]) -> bytes | None:
        cell = 0
        for user in sorted(users):
            self.first_cells[user] = cell
            cell += len(users[user])
        if not cell:
            return None
        side, rows = self._side, -(-cell // COLUMNS)
        grid = np.full((rows * side, COLUMNS * side, 3), 255, np.uint8)
        frames = (frame for user in sorted(users) for frame in users[user])
        for place, frame in enumerate(frames):
            top, left = place // COLUMNS * side, place % COLUMNS * side
            grid[top : top + side, left : left + side] = frame
        encoded = io.BytesIO()
        record = json.dumps({METADATA_KEY: stamp(Kind.BROWSE)}).encode()
        Image.fromarray(grid).save(encoded, "JPEG", quality=_QUALITY, comment=record)
        return encoded.getvalue()
