"""`folder`: ROOT/<user>/<image>, users and images in the order of their names."""

import os
from collections.abc import Iterator
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.readers.folders import is_folder, sorted_entries
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import (
    IMAGES_OVER_LIMIT,
    MOST_IMAGES,
    DumpUser,
    is_image_name,
    is_text,
)


def folder_users(root: Path, skipped: Skipped) -> Iterator[DumpUser]:
    """The users of a folder of folders; image paths are relative to it.

    Raises:
        OptionError: there is no folder in it.
    """
    found = False
    for entry in root_entries(root):
        if entry.name.startswith("."):
            continue
        if not is_folder(entry) and not is_image_name(entry.name):
            skipped.leave_out("files beside the users' folders")  # tables, the manifest itself
        elif not is_folder(entry):
            skipped.add(SkipReason.NOT_AN_IMAGE, entry.path, None, "an image in no user's folder")
        elif not is_text(entry.name):
            skipped.add(SkipReason.BAD_NAME, entry.path, None, "the folder's name is no UTF-8")
        else:
            found = True
            yield DumpUser(entry.name, image_paths(Path(entry.path), entry.name, skipped))
    if not found:
        raise OptionError(f"{root} holds no folder of a user; it must be ROOT/<user>/<image>.")


def root_entries(folder: Path) -> list[os.DirEntry[str]]:
    """What the folder of a dump holds, in the order of names.

    Raises:
        OptionError: it cannot be read.
    """
    try:
        return sorted_entries(folder)
    except OSError as error:
        raise OptionError(
            f"{folder} cannot be read ({error.strerror}); give a folder that you may read."
        ) from error


def image_paths(folder: Path, below: str, skipped: Skipped) -> list[str]:
    """Paths of the images right in a user's folder, in order; hidden files are none.

    Args:
        folder: the user's.
        below: what its path is to begin with.
        skipped: gets what is no image, or the folder where it cannot be read.
    """
    try:
        entries = sorted_entries(folder)
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, folder, None, f"the user's folder: {error.strerror}")
        return []
    paths = [f"{below}/{entry.name}" for entry in entries if _is_image(entry, skipped)]
    if beyond := len(paths[MOST_IMAGES:]):
        skipped.leave_out(IMAGES_OVER_LIMIT, beyond)
    return paths[:MOST_IMAGES]


def _is_image(entry: os.DirEntry[str], skipped: Skipped) -> bool:
    if entry.name.startswith("."):
        return False
    if is_folder(entry):
        skipped.add(SkipReason.NOT_AN_IMAGE, entry.path, None, "a folder among a user's images")
    elif not is_text(entry.name):
        skipped.add(SkipReason.BAD_NAME, entry.path, None, "the file's name is no UTF-8")
    elif not is_image_name(entry.name):
        skipped.add(SkipReason.NOT_AN_IMAGE, entry.path, None, "its name is no image's")
    else:
        return True
    return False
