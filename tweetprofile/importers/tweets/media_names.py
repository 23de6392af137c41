"""What downloaders call the files of photos, and which photo a file's name stands for.

A photo at Twitter is `ABC.jpg`: `ABC` is its media key, mostly 15 letters, digits, `-` and `_`. A
file is known by that key, or by the number of the tweet and the place in it, whatever stands around
them and whatever its ending is. Where the ending is not an image's, the file's content decides.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from tweetprofile.importers.tweets.photos import Photo
from tweetprofile.importers.users import is_image_name

_SIZES = ("orig", "4096x4096", "", "large", "medium", "900x900", "small", "680x680", "360x360",
          "240x240", "120x120", "thumb", "tiny")  # fmt: skip
"""Sizes that Twitter gives, the largest first; without one it is what the bare address gives."""

BY_CONTENT = len(_SIZES)
"""The rank of files whose ending does not say that they are images."""

PLAIN = _SIZES.index("")
"""The rank of files that do not name their size. Of worse ones, others are looked for."""

_RANKS = {size: rank for rank, size in enumerate(_SIZES)}
_SIZE = "|".join(filter(None, _SIZES))

_ORDINARY = re.compile(r"([A-Za-z0-9]+)\.(?:jpg|png|jpeg|webp|gif)")
"""`ABC.jpg`: most files of most dumps, of which no more needs to be asked."""

_ADDRESS = re.compile(r"(?:\?|:(?=[A-Za-z0-9]+$)|[@_& -](?=(?:format|name)=)).*$", re.DOTALL)
"""The end of an address: `:orig`, `?format=jpg&name=large`; on Windows `@` stands for `?`."""

_SIZE_IN_ADDRESS = re.compile(rf"(?:name=|:)({_SIZE})\b", re.IGNORECASE)

_COPY = re.compile(r"(?:\.[0-9]{1,3}| ?\([0-9]{1,3}\))$")
"""What tells a second download from the first: `ABC.jpg.1`, `ABC (1).jpg`."""

_MARK = re.compile(rf"[_.~ -]({_SIZE})$", re.IGNORECASE)
"""`ABC_large.jpg`, `ABC.jpg_large`, `ABC-orig.jpg`."""

_MOST_STRIPPED = 6

_ENDING = re.compile(r"\.([A-Za-z0-9]{1,10})$")

_UNFINISHED = frozenset({"part", "tmp", "crdownload", "download", "aria2", "ytdl"})
"""Endings of files that a downloader did not finish: their beginnings look like images."""

_NUMBER = re.compile(r"(?<![A-Za-z0-9])([0-9]{1,19})[_-]")
"""What may be the number of a tweet, with more behind it."""

_MOST_NUMBERS = 6

_PLACE = re.compile(r"(?:(?:.*[_-])?(?:img|image|photo|pic|media|p)[_-]?)?0*([0-9]{1,2})")
"""What may be a place in the tweet: `1`, `01`, `img1`, `photo_1`."""

_KEY_BEHIND = re.compile(r"[^A-Za-z0-9]([A-Za-z0-9_-]{15})$")
"""A media key behind whatever a downloader has put before it."""


class FileName(NamedTuple):
    """What a file's name says.

    Attributes:
        keys: under which its photo is looked for.
        rank: of several files of a photo, the one with the lowest rank counts, the largest size.
    """

    keys: tuple[str, ...]
    rank: int


def read_name(name: str) -> FileName | None:
    """What a file's name says; None where it cannot be a photo's."""
    if ordinary := _ORDINARY.fullmatch(name):
        return FileName((ordinary[1],), PLAIN)
    stem, size, is_image = _stripped(unquote(name) if "%" in name else name)
    rank = _RANKS[size]
    if "." in stem and not is_image:
        ending = _ENDING.search(stem)
        if ending and ending[1].lower() in _UNFINISHED:
            return None
        stem, rank = _stripped(stem[: ending.start()] if ending else stem)[0], BY_CONTENT
    if not stem or stem.startswith("."):
        return None
    return FileName(tuple(dict.fromkeys(_keys(stem))), rank)


def key_of(photo: Photo) -> str:
    """The media key of a photo, which every file whose name holds it is found under."""
    return photo.name.partition(".")[0] or photo.name


def other_keys_of(photo: Photo) -> tuple[str, str]:
    """What else the files of a photo may be found under, with the number of its tweet."""
    return f"{photo.tweet}/{key_of(photo)}", f"{photo.tweet}/{photo.position}"


def _stripped(name: str) -> tuple[str, str, bool]:
    """A name without ending, size and copy's number; the size; whether the ending is an image's."""
    size, is_image = "", False
    if address := _ADDRESS.search(name):
        found = _SIZE_IN_ADDRESS.search(name, address.start())
        size, name = found[1].lower() if found else "", name[: address.start()]
    for _ in range(_MOST_STRIPPED):
        stem, dot, ending = name.rpartition(".")
        if copy := _COPY.search(name):
            name = name[: copy.start()]
        elif mark := _MARK.search(name):
            size, name = size or mark[1].lower(), name[: mark.start()]
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
        if place := _PLACE.fullmatch(rest):
            yield f"{number[1]}/{place[1]}"
        yield f"{number[1]}/{rest}"
        if not rest.isdigit():
            yield rest
    if behind := _KEY_BEHIND.search(stem):
        yield behind[1]
