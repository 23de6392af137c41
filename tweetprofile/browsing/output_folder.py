"""The folder of a page: written under a temporary name, then put in the place of an earlier one.

::

    index.html               the page to open
    files/page.css, wall.js  how it looks and works, with some more scripts
    files/users.js           the list of its users
    files/details-N.js       what the views of single users need, loaded when one is opened
    files/sprite-N.jpg       thumbnails, loaded when they come into view
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tweetprofile.browsing.page import FILES, PAGE
from tweetprofile.data.files.atomic import atomic_folder, fresh_name, is_fresh_name, name_taken
from tweetprofile.data.files.protection import Inputs, check_parent, real_path, why_foreign
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import OutputError, WriteError


def check_folder(folder: Path, inputs: Inputs, *, overwrite: bool) -> None:
    """Raise OutputError if a page must not be written to a folder.

    Args:
        folder: The folder.
        inputs: The files that the run reads.
        overwrite: Whether an earlier page may be replaced.
    """
    for path in (folder, folder / PAGE):
        inputs.refuse(real_path(path), folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file; pass a folder for the page.")
    check_parent(folder.absolute().parent, folder)
    if not folder.is_dir():
        return
    _refuse_foreign(folder)
    if any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"{folder} is not empty; choose another folder, or pass `overwrite=True` to replace "
            "the page in it."
        )


@contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` at the end of the block.

    If the block raises or the files cannot be moved, it is removed, and an earlier page stays as
    it was. Unfinished files are in `folder` itself if it exists, which may be a mount point: a
    folder cannot be renamed from one file system to another.

    Raises:
        OutputError: A foreign file has appeared in the folder.
        WriteError: The files cannot be written.
    """
    target = real_path(folder)
    complete = fresh_name(target if target.is_dir() else target.parent)
    try:
        with atomic_folder(complete) as unfinished:
            (unfinished / FILES).mkdir()
            yield unfinished
        _replace(target, complete, overwrite=overwrite)
    except OSError as error:
        raise WriteError(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(complete, ignore_errors=True)


def _replace(target: Path, complete: Path, *, overwrite: bool) -> None:
    """Move a complete page to its place; the folder that is there stays the same folder."""
    if not os.path.lexists(target):
        complete.rename(target)
        return
    if not overwrite and not all(is_fresh_name(each.name) for each in target.iterdir()):
        raise name_taken(target)
    _refuse_foreign(target)
    earlier, files = fresh_name(complete.parent), target / FILES
    if files.exists():
        files.rename(earlier)
    try:
        (complete / FILES).rename(files)
        (complete / PAGE).replace(target / PAGE)
    except OSError:
        if earlier.exists():
            shutil.rmtree(files, ignore_errors=True)
            earlier.rename(files)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    """Raise OutputError if a folder holds anything but an earlier page."""
    for entry in sorted(folder.iterdir()):
        inner = entry.name == FILES and entry.is_dir() and not entry.is_symlink()
        for each in sorted(entry.iterdir()) if inner else [entry]:
            if is_fresh_name(each.name) or why_foreign(each, Kind.BROWSE) is None:
                continue
            raise OutputError(
                f"{folder} holds {each.relative_to(folder)}, which is not {Kind.BROWSE} that "
                "tweetprofile wrote, so it is not replaced; choose another folder, or empty it "
                "yourself."
            )
