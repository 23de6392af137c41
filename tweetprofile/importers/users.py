"""What every importer gives: users, each with the images that are theirs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

_ENDINGS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "pjpeg", "png", "gif", "webp", "bmp", "tif", "tiff", "avif",
     "heic", "heif", "ico"}
)  # fmt: skip
"""Of files that are images. Not all can be decoded: `predict` says so, with a reason."""

LONGEST_ID = 256
"""Characters of a user's id: a folder's name has at most 255."""

MOST_IMAGES = 1_000_000
"""Of a user: an account has at most 3,200 tweets of 4 that Twitter would give."""

IMAGES_OVER_LIMIT = f"images beyond the {MOST_IMAGES:,} that a user may have"

REPEATED = "images repeated at the same user"

_SIZES = re.compile(r"[:?].*$")
"""What crawlers leave in names of the address: `abc.jpg:large`, `abc.jpg?name=orig`."""


@dataclass(frozen=True, slots=True)
class DumpUser:
    """A user of a dump.

    Attributes:
        user_id: whose.
        images: paths of their images below the folder of all images, the oldest first.
        labels: what else is known of them, by column.
    """

    user_id: str
    images: list[str]
    labels: Mapping[str, str | None] = field(default_factory=dict)


def is_image_name(name: str) -> bool:
    """Whether a file's name is an image's; one without an ending is taken for one."""
    if name.startswith("."):
        return False
    stem, dot, ending = _SIZES.sub("", name).rpartition(".")
    return not dot or not stem or ending.lower() in _ENDINGS


def natural_key(name: str) -> str:
    """Sorts names as people do: `2.jpg` stands before `10.jpg`.

    The key is one string, which takes a tenth of what a list of its parts would: numbers come
    before text, longer numbers after shorter ones, and no name holds the byte that ends a text.
    """
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    keys = (f"0{len(digits):03}{digits}" if (digits := number.lstrip("0") or number[:1])
            else f"1{text}\0" for number, text in parts)  # fmt: skip
    return f"{''.join(keys)}\0{name}"


def is_id(value: object) -> TypeGuard[str]:
    """Whether a value of a dump can be the id of a user."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and is_text(value)


def is_text(name: str) -> bool:
    """Whether a name from a file system, or a string of JSON, is text that Parquet can hold."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
