"""Tell which photo a file holds by the names that downloaders give to files of photos.

A photo at Twitter is `ABC.jpg`: `ABC` is its media key, mostly 15 letters, digits, `-` and `_`. A
file is recognised by that key, or by the number of the tweet and the position in it, whatever
surrounds them and whatever its ending is. If the ending is not an image's, the content decides.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from tweetprofile.importers.tweets.photos import Photo
from tweetprofile.importers.users import is_image_name

_SIZES = ("orig", "4096x4096", "", "large", "medium", "900x900", "small", "680x680", "360x360",
          "240x240", "120x120", "thumb", "tiny")  # fmt: skip
"""The sizes that Twitter serves, the largest first; "" is what it serves for a bare address."""

BY_CONTENT = len(_SIZES)
"""The rank of files whose ending is not that of an image."""

PLAIN = _SIZES.index("")
"""The rank of files that do not name their size. If the media key
finds nothing better than a smaller size, the other keys are tried as well."""

_RANKS = {size: rank for rank, size in enumerate(_SIZES)}
_SIZE = "|".join(filter(None, _SIZES))

_ORDINARY = re.compile(r"([A-Za-z0-9]+)\.(?:jpg|png|jpeg|webp|gif)")
"""`ABC.jpg`: most files of most dumps, which need not be taken apart."""

_ADDRESS = re.compile(r"(?:\?|:(?=[A-Za-z0-9]+$)|[@_& -](?=(?:format|name)=)).*$", re.DOTALL)
"""The end of an address: `:orig`, `?format=jpg&name=large`; on Windows `@` replaces `?`."""

_SIZE_IN_ADDRESS = re.compile(rf"(?:name=|:)({_SIZE})\b", re.IGNORECASE)

_COPY = re.compile(r"(?:\.[0-9]{1,3}| ?\([0-9]{1,3}\))$")
"""What distinguishes a second download from the first: `ABC.jpg.1`, `ABC (1).jpg`."""

_SIZE_SUFFIX = re.compile(rf"[_.~ -]({_SIZE})$", re.IGNORECASE)
"""`ABC_large.jpg`, `ABC.jpg_large`, `ABC-orig.jpg`."""

_MOST_STRIPPED = 6

_ENDING = re.compile(r"\.([A-Za-z0-9]{1,10})$")

_UNFINISHED = frozenset({"part", "tmp", "crdownload", "download", "aria2", "ytdl"})
"""Endings of unfinished downloads, whose content begins like an image."""

_NUMBER = re.compile(r"(?<![A-Za-z0-9])([0-9]{1,19})[_-]")
"""What may be the number of a tweet, followed by more."""

_MOST_NUMBERS = 6

_POSITION = re.compile(r"(?:(?:.*[_-])?(?:img|image|photo|pic|media|p)[_-]?)?0*([0-9]{1,2})")
"""What may be a position in the tweet: `1`, `01`, `img1`, `photo_1`."""

_KEY_AT_END = re.compile(r"[^A-Za-z0-9]([A-Za-z0-9_-]{15})$")
"""A media key after whatever a downloader has put before it."""


class FileName(NamedTuple):
    """What the name of a file says.

    Attributes:
        keys: The keys under which its photo may be looked up.
        rank: The rank of its size; of several files of a photo, the one of the lowest rank, and so
            of the largest size, counts.
    """

    keys: tuple[str, ...]
    rank: int


def read_name(name: str) -> FileName | None:
    """Return what the name of a file says, or None if it cannot be a photo's."""
    if ordinary := _ORDINARY.fullmatch(name):
        return FileName((ordinary[1],), PLAIN)
    stem, size, is_image = _strip(unquote(name) if "%" in name else name)
    rank = _RANKS[size]
    if "." in stem and not is_image:
        ending = _ENDING.search(stem)
        if ending and ending[1].lower() in _UNFINISHED:
            return None
        stem, rank = _strip(stem[: ending.start()] if ending else stem)[0], BY_CONTENT
    if not stem or stem.startswith("."):
        return None
    return FileName(tuple(dict.fromkeys(_keys(stem))), rank)


def key_of(photo: Photo) -> str:
    """Return the media key of a photo, under which files whose names contain it are found."""
    return photo.name.partition(".")[0] or photo.name


def other_keys_of(photo: Photo) -> tuple[str, str]:
    """Return the other keys of a photo's files, which contain the number of its tweet."""
    return f"{photo.tweet}/{key_of(photo)}", f"{photo.tweet}/{photo.position}"


def _strip(name: str) -> tuple[str, str, bool]:
    """Return a name without its ending, size and copy number; the size; and if it is an image."""
    size, is_image = "", False
    if address := _ADDRESS.search(name):
        found = _SIZE_IN_ADDRESS.search(name, address.start())
        size, name = found[1].lower() if found else "", name[: address.start()]
    for _ in range(_MOST_STRIPPED):
        stem, dot, ending = name.rpartition(".")
        if copy := _COPY.search(name):
            name = name[: copy.start()]
        elif suffix := _SIZE_SUFFIX.search(name):
            size, name = size or suffix[1].lower(), name[: suffix.start()]
        elif dot and is_image_name(f"x.{ending}"):
            name, is_image = stem, True
        else:
            break
    return name, size, is_image


def _keys(stem: str) -> Iterator[str]:
    yield stem
    for count, number in enumerate(_NUMBER.finditer(stem)):
        rest = stem[number.end() :]
        if count == _MOST_NUMBERS or not rest:
            break
        if position := _POSITION.fullmatch(rest):
            yield f"{number[1]}/{position[1]}"
        yield f"{number[1]}/{rest}"
        if not rest.isdigit():
            yield rest
    if key := _KEY_AT_END.search(stem):
        yield key[1]
