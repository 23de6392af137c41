"""Read folders of users: ROOT/<user>/<image>, with users and images in the order of their names."""

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
    """Yield the users who have folders in a folder; image paths are relative to that folder.

    Raises:
        OptionError: The dump contains no folder.
    """
    found = False
    for entry in root_entries(root):
        if entry.name.startswith("."):
            continue
        if not is_folder(entry) and not is_image_name(entry.name):
            skipped.leave_out("files outside the users' folders")  # tables, the manifest itself
        elif not is_folder(entry):
            what = "an image that is not in a user's folder"
            skipped.add(SkipReason.NOT_AN_IMAGE, entry.path, None, what)
        elif not is_text(entry.name):
            skipped.add(SkipReason.BAD_NAME, entry.path, None, "the folder's name is not UTF-8")
        else:
            found = True
            yield DumpUser(entry.name, image_paths(Path(entry.path), entry.name, skipped))
    if not found:
        raise OptionError(
            f"{root} contains no folder of a user; arrange the images as ROOT/<user>/<image>."
        )


def root_entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a dump's folder, in natural order.

    Raises:
        OptionError: The folder cannot be read.
    """
    try:
        return sorted_entries(folder)
    except OSError as error:
        raise OptionError(
            f"{folder} cannot be read ({error.strerror}); give a folder that you may read."
        ) from error


def image_paths(folder: Path, prefix: str, skipped: Skipped) -> list[str]:
    """Return the paths of the images directly in a user's folder, without hidden files.

    Args:
        folder: The user's folder.
        prefix: The path of that folder, which the returned paths start with.
        skipped: Records what is not an image, or the folder if it cannot be read.
    """
    try:
        entries = sorted_entries(folder)
    except OSError as error:
        what = f"the user's folder cannot be read: {error.strerror}"
        skipped.add(SkipReason.UNREADABLE, folder, None, what)
        return []
    paths = [f"{prefix}/{entry.name}" for entry in entries if _is_image(entry, skipped)]
    skipped.leave_out(IMAGES_OVER_LIMIT, len(paths[MOST_IMAGES:]))
    return paths[:MOST_IMAGES]


def _is_image(entry: os.DirEntry[str], skipped: Skipped) -> bool:
    if entry.name.startswith("."):
        return False
    if is_folder(entry):
        what = "a folder among the images of a user"
        skipped.add(SkipReason.NOT_AN_IMAGE, entry.path, None, what)
    elif not is_text(entry.name):
        skipped.add(SkipReason.BAD_NAME, entry.path, None, "the file's name is not UTF-8")
    elif not is_image_name(entry.name):
        skipped.add(SkipReason.NOT_AN_IMAGE, entry.path, None, "not the name of an image")
    else:
        return True
    return False
