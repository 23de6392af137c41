"""Find the files that a folder or a pattern stands for, on disk or in an object store."""

import fnmatch
import glob
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.fs as pafs

from tweetprofile.data.files.storage import AnyPath, RemotePath, exists


def list_folder(folder: AnyPath) -> list[tuple[AnyPath, bool]]:
    """List the entries of a folder, each with whether it is a file; none if it is missing.

    Raises:
        OSError: The folder cannot be read, or the store cannot be reached.
    """
    if isinstance(folder, Path):
        with os.scandir(folder) as entries:
            return [(folder / entry.name, entry.is_file()) for entry in entries]
    selector = pafs.FileSelector(folder.key, allow_not_found=True)
    scheme = folder.uri.partition("://")[0]
    return [
        (RemotePath(f"{scheme}://{info.path}"), info.type == pafs.FileType.File)
        for info in folder.file_system.get_file_info(selector)
    ]


def literal_parts(pattern: AnyPath) -> int:
    """Return how many leading parts of a glob are names and not patterns.

    A part such as `run[1]` is a name if there is a file or folder with that name.

    Raises:
        OSError: The store cannot be reached.
    """
    parts = pattern.uri.split("/") if isinstance(pattern, RemotePath) else pattern.parts
    for number, part in enumerate(parts):
        if not glob.has_magic(part):
            continue
        if isinstance(pattern, RemotePath):
            there = exists(RemotePath("/".join(parts[: number + 1])))
        else:
            there = os.path.lexists(Path(*parts[: number + 1]))
        if not there:
            return number
    return len(parts)


def find_files(location: RemotePath, suffix: str) -> tuple[list[RemotePath], RemotePath]:
    """Find the files that a URI stands for: one file, the files of a folder, or those of a glob.

    Args:
        location: The URI of a file or folder, or a glob.
        suffix: The suffix of the files that are taken from a folder.

    Returns:
        The files in order, and the folder that they are in.

    Raises:
        OSError: The store cannot be reached.
    """
    (info,) = location.file_system.get_file_info([location.key])
    if info.type == pafs.FileType.File:
        return [location], location.parent
    if glob.has_magic(location.key) and info.type == pafs.FileType.NotFound:
        parts, literal = location.uri.split("/"), literal_parts(location)
        fixed = RemotePath("/".join(parts[:literal]))
        pattern = "/".join([glob.escape(fixed.uri), *parts[literal:]])
        found = _files_below(fixed, lambda uri: fnmatch.fnmatchcase(uri, pattern), deep=True)
        return found, fixed
    return _files_below(location, lambda uri: uri.endswith(suffix), deep=False), location


def _files_below(
    folder: RemotePath, wanted: Callable[[str], bool], *, deep: bool
) -> list[RemotePath]:
    selector = pafs.FileSelector(folder.key, allow_not_found=True, recursive=deep)
    scheme = folder.uri.partition("://")[0]
    found = folder.file_system.get_file_info(selector)
    uris = (f"{scheme}://{info.path}" for info in found if info.type == pafs.FileType.File)
    return [RemotePath(uri) for uri in sorted(uris) if wanted(uri)]
