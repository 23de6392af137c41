"""Suggest the command that makes a manifest of a file or folder that was given instead of one.

The suggestion is a guess from a few kilobytes or file names, made only when the input cannot be
read as Parquet.
"""

import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_MOST_BYTES = 1 << 16
_MOST_NAMES = 1_000
_MOST_FOLDERS = 20

_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif")
_RECORD_ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".jsonl.bz2", ".jsonl.zst")
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_DELIMITERS = (",", ";", "\t", "|")


def command_for_file(path: Path) -> str | None:
    """Suggest how to make a manifest of a table or of tweets; None if the file is neither."""
    try:
        with path.open("rb") as file:
            beginning = _as_text(file.read(_MOST_BYTES)).lstrip()
    except OSError:
        return None
    if beginning.startswith(("{", "[")):
        return _for_records(path, beginning)
    header = beginning.partition("\n")[0]
    for delimiter in _DELIMITERS:
        names = [name.strip().strip('"') for name in header.split(delimiter)]
        if "user_id" in names:
            return _for_table(path, names)
    return None


def command_for_folder(path: Path) -> str | None:
    """Suggest how to make a manifest of a folder of images or tweets; None if it holds neither."""
    try:
        entries = list(islice(path.iterdir(), _MOST_NAMES))
    except OSError:
        return None
    names = {entry.name for entry in entries}
    folders = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    if "tweet.js" in names or (path / "data" / "account.js").is_file():
        return _import("twitter-archive", path)
    if names.intersection(_METADATA) or any(map(_holds_images, folders[:_MOST_FOLDERS])):
        return _import("folder", path)
    if any(name.lower().endswith(_RECORD_ENDINGS) for name in names):
        return _import("twitter-api", path)
    if any(_is_image(name) for name in names):
        return (
            "put the images of each user into a folder named after the user's id, and make a "
            f"manifest with `tweetprofile import folder {shlex.quote(str(path))} -o "
            "manifest.parquet`"
        )
    return None


def _for_records(path: Path, beginning: str) -> str:
    if '"user_id"' in beginning and '"file_name' in beginning:
        return _for_metadata(path, ".jsonl")
    return _import("twitter-api", path)


def _for_table(path: Path, names: list[str]) -> str:
    if any(name.endswith(("file_name", "file_names")) for name in names):
        return _for_metadata(path, ".csv")
    if "images" in names or "image" in names:
        return (
            "write the table as Parquet; or call its column of paths 'file_names' (a JSON list) or "
            "'file_name', save it as metadata.csv in the folder of the images, and make a manifest "
            "with `tweetprofile import folder FOLDER -o manifest.parquet`"
        )
    return (
        "make a manifest with `tweetprofile import folder IMAGES --labels "
        f"{shlex.quote(str(path))} -o manifest.parquet`, where IMAGES holds a folder of images for "
        "each user"
    )


def _for_metadata(path: Path, ending: str) -> str:
    if path.name == f"metadata{ending}":
        return _import("folder", path.parent)
    return (
        f"name it metadata{ending}, put it into the folder of its images, and make a manifest with "
        "`tweetprofile import folder FOLDER -o manifest.parquet`"
    )


def _import(layout: str, path: Path) -> str:
    source = shlex.quote(str(path))
    return f"make a manifest with `tweetprofile import {layout} {source} -o manifest.parquet`"


def _holds_images(folder: Path) -> bool:
    return any(_is_image(name) or name in _METADATA for name in _names(folder))


def _names(folder: Path) -> Iterator[str]:
    try:
        yield from (entry.name for entry in islice(folder.iterdir(), _MOST_NAMES))
    except OSError:
        return


def _is_image(name: str) -> bool:
    return name.lower().endswith(_IMAGE_ENDINGS) and not name.startswith(".")


def _as_text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")
