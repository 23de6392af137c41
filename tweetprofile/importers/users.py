"""What every layout yields: users, each with their own images."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

_IMAGE_ENDINGS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "pjpeg", "png", "gif", "webp", "bmp", "tif", "tiff", "avif",
     "heic", "heif", "ico"}
)  # fmt: skip
"""Endings of image files. Some cannot be decoded, which `predict` then reports with a reason."""

LONGEST_ID = 256
"""The largest number of characters in a user's id; the name of a folder has at most 255."""

MOST_IMAGES = 1_000_000
"""The largest number of images per user; Twitter returns at most 3,200 tweets of 4 photos per
account."""

IMAGES_OVER_LIMIT = f"images beyond the first {MOST_IMAGES:,} per user"

REPEATED = "repeated images of the same user"

LONGEST_TEXT = 100_000
"""The largest number of bytes in a text; Twitter's longest posts have 25,000 characters of up to 4
bytes."""

EMPTY_TEXTS = "empty texts"

TEXTS_CUT = f"texts cut after {LONGEST_TEXT:,} bytes"

MOST_TEXTS = 100_000
"""The largest number of texts per user; Twitter returns at most 3,200 tweets per account."""

MOST_TEXT_PER_USER = 16 << 20
"""The largest number of characters in the texts of a user."""

TEXTS_OVER_LIMIT = (
    f"texts before the last {MOST_TEXTS:,}, or {MOST_TEXT_PER_USER >> 20} Mi characters, per user"
)

PROFILE_FIELDS = ("name", "screen_name", "description")
"""The columns of texts that users write about themselves."""

TEXT_COLUMNS = frozenset({"texts", "text", *PROFILE_FIELDS})
"""Columns of texts, which are never labels."""

_SURROGATES = re.compile("[\ud800-\udfff]")

_ADDRESS_SUFFIX = re.compile(r"[:?].*$")
"""What crawlers leave of an address in a name: `abc.jpg:large`, `abc.jpg?name=orig`."""


@dataclass(frozen=True, slots=True)
class DumpUser:
    """A user of a dump.

    Attributes:
        user_id: The user's id.
        images: The paths of the user's images below the folder of all images, the oldest first.
        labels: The user's labels by column; None for an unknown one.
        texts: The user's texts, the oldest first.
        profile: What the user's profile says, by the names in `PROFILE_FIELDS`.
    """

    user_id: str
    images: list[str]
    labels: Mapping[str, str | None] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    profile: Mapping[str, str | None] = field(default_factory=dict)


def is_image_name(name: str) -> bool:
    """Return whether a file's name is that of an image; a name without an ending counts as one."""
    if name.startswith("."):
        return False
    stem, dot, ending = _ADDRESS_SUFFIX.sub("", name).rpartition(".")
    return not dot or not stem or ending.lower() in _IMAGE_ENDINGS


def natural_key(name: str) -> str:
    """Return a key that sorts names as people do: `2.jpg` before `10.jpg`.

    The key is one string, which takes a tenth of the memory of a list of its parts. Numbers come
    before text and longer numbers after shorter ones; the null byte that ends a text occurs in no
    name.
    """
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    keys = (f"0{len(digits):03}{digits}" if (digits := number.lstrip("0") or number[:1])
            else f"1{text}\0" for number, text in parts)  # fmt: skip
    return f"{''.join(keys)}\0{name}"


def is_id(value: object) -> TypeGuard[str]:
    """Return whether a value of a dump can be the id of a user."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and is_text(value)


def is_text(name: str) -> bool:
    """Return whether a file's name, or a string in JSON, is text that Parquet can hold."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def clean_text(text: str, leave_out: Callable[[str], object]) -> str:
    """Return a text as a manifest holds it: as UTF-8, and no longer than `LONGEST_TEXT`.

    Args:
        text: The text; surrogates, which stand for what is not UTF-8, become U+FFFD.
        leave_out: Called with `TEXTS_CUT` if the text is cut.
    """
    if not text.isascii():
        text = _SURROGATES.sub("\ufffd", text)
    if len(text) * 4 <= LONGEST_TEXT or len(data := text.encode()) <= LONGEST_TEXT:
        return text
    leave_out(TEXTS_CUT)
    return data[:LONGEST_TEXT].decode("utf-8", "ignore")


def newest_texts(texts: list[str], leave_out: Callable[[str, int], object]) -> list[str]:
    """Return the last texts of a user, within `MOST_TEXTS` and `MOST_TEXT_PER_USER`.

    Args:
        texts: All texts, the oldest first.
        leave_out: Called with `TEXTS_OVER_LIMIT` and the number of texts that are not returned.
    """
    if len(texts) <= MOST_TEXTS and sum(map(len, texts)) <= MOST_TEXT_PER_USER:
        return texts
    start, characters = len(texts), 0
    while start and len(texts) - start < MOST_TEXTS:
        characters += len(texts[start - 1])
        if characters > MOST_TEXT_PER_USER:
            break
        start -= 1
    leave_out(TEXTS_OVER_LIMIT, start)
    return texts[start:]
