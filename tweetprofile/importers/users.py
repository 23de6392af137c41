"""What every importer gives: users, each with the images that are theirs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_ENDINGS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "pjpeg", "png", "gif", "webp", "bmp", "tif", "tiff", "avif",
     "heic", "heif", "ico"}
)  # fmt: skip
"""Of files that are images. Not all can be decoded: `predict` says so, with a reason."""

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


def in_order(name: str) -> list[tuple[int, int, str]]:
    """Sorts names as people do: `2.jpg` stands before `10.jpg`."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part)
            for part in parts]  # fmt: skip


def is_text(name: str) -> bool:
    """Whether a name from a file system, or a string of JSON, is text that Parquet can hold."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
