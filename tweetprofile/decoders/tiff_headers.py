"""The first directory of a TIFF, as far as it shows how much work the image is to decode."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_TIFF = {b"II*\x00": "<", b"MM\x00*": ">"}
_BIG_TIFF = {b"II+\x00": "<", b"MM\x00+": ">"}

_MAX_TAGS = 65_535
"""Tags that a directory can have; of a BigTIFF, which can have more, only these are read."""

_BYTE_TYPES = frozenset({1, 2, 7})
_TILE_SIDES = frozenset({322, 323})
_SHORT = 3


class TiffTag(NamedTuple):
    """A tag of a TIFF directory.

    Attributes:
        number: The number of the tag.
        kind: The number of its type.
        values: The number of its values.
        value: The first value, if it is a number that the directory itself holds.
    """

    number: int
    kind: int
    values: int
    value: int

    @property
    def is_bytes(self) -> bool:
        """Whether Pillow keeps the values as one string, however many there are."""
        return self.kind in _BYTE_TYPES

    @property
    def is_tile_side(self) -> bool:
        """Whether the tag is the width or height of a tile."""
        return self.number in _TILE_SIDES


def read_tiff_tags(data: bytes) -> Iterator[TiffTag]:
    """Yield the tags of the first directory of a TIFF, or none if `data` has no such directory."""
    if (order := _TIFF.get(data[:4])) is not None:
        first, count, entry, value = "I", "H", "HHI4s", "I"
    elif (order := _BIG_TIFF.get(data[:4])) is not None:
        first, count, entry, value = "4xQ", "Q", "HHQ8s", "Q"
    else:
        return
    try:
        (start,) = struct.unpack_from(order + first, data, 4)
        (tags,) = struct.unpack_from(order + count, data, start)
    except (struct.error, OverflowError):  # the directory starts, or points, beyond the end
        return
    start += struct.calcsize(order + count)
    size = struct.calcsize(order + entry)
    tags = min(tags, _MAX_TAGS, max(0, len(data) - start) // size)
    directory = data[start : start + tags * size]
    for number, kind, values, inline in struct.iter_unpack(order + entry, directory):
        form = "H" if kind == _SHORT else value
        (number_inline,) = struct.unpack_from(order + form, inline)
        yield TiffTag(number, kind, values, number_inline)
