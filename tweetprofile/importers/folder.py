"""`folder`: ROOT/<user>/<image>, users and images in the order of their names."""

import os
from collections.abc import Iterator
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.losses import Loss, Losses
from tweetprofile.importers.users import DumpUser, in_order, is_image_name, is_text


def folder_users(root: Path, losses: Losses) -> Iterator[DumpUser]:
    """The users of a folder of folders; image paths are relative to it.

    Raises:
        OptionError: there is no folder in it.
    """
    found = False
    for entry in sorted_entries(root):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir() and not is_image_name(entry.name):
            losses.set_aside("files beside the users' folders")  # tables, the manifest itself
        elif not entry.is_dir():
            losses.note(Loss.NOT_AN_IMAGE, entry.path, None, "an image in no user's folder")
        elif not is_text(entry.name):
            losses.note(Loss.BAD_NAME, entry.path, None, "the folder's name is no UTF-8")
        else:
            found = True
            yield DumpUser(entry.name, list(_images(Path(entry.path), entry.name, losses)))
    if not found:
        raise OptionError(f"{root} holds no folder of a user; it must be ROOT/<user>/<image>.")


def sorted_entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, in the order of names.

    Raises:
        OptionError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: in_order(entry.name))
    except OSError as error:
        raise OptionError(
            f"{folder} cannot be read ({error.strerror}); give a folder that you may read."
        ) from error


def image_names(folder: Path, losses: Losses) -> Iterator[str]:
    """Names of the images right in a folder, in order; hidden files are none."""
    for entry in sorted_entries(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            losses.note(Loss.NOT_AN_IMAGE, entry.path, None, "a folder among a user's images")
        elif not is_text(entry.name):
            losses.note(Loss.BAD_NAME, entry.path, None, "the file's name is no UTF-8")
        elif not is_image_name(entry.name):
            losses.note(Loss.NOT_AN_IMAGE, entry.path, None, "its name is no image's")
        else:
            yield entry.name


def _images(folder: Path, user: str, losses: Losses) -> Iterator[str]:
    return (f"{user}/{name}" for name in image_names(folder, losses))
