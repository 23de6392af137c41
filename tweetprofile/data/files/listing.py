"""Which files a folder or a pattern means, here or in an object store."""

import fnmatch
import glob
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.fs as pafs

from tweetprofile.data.files.storage import AnyPath, RemotePath, exists


def list_folder(folder: AnyPath) -> list[tuple[AnyPath, bool]]:
    """What is right in a folder, and whether it is a file; nothing where there is no folder.

    Raises:
        OSError: the folder cannot be read, or the store not be reached.
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
    """How many parts of a glob, from the first on, are names and no pattern.

    A part such as `run[1]` is a name where there is a file or folder of that name.

    Raises:
        OSError: the store cannot be reached.
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


def find_files(place: RemotePath, ending: str) -> tuple[list[RemotePath], RemotePath]:
    """The files that a URI means, in order: itself, those in a folder, or those of a pattern.

    Returns:
        The files, and the folder that they are in.

    Raises:
        OSError: the store cannot be reached.
    """
    (info,) = place.file_system.get_file_info([place.key])
    if info.type == pafs.FileType.File:
        return [place], place.parent
    if glob.has_magic(place.key) and info.type == pafs.FileType.NotFound:
        parts, literal = place.uri.split("/"), literal_parts(place)
        fixed = RemotePath("/".join(parts[:literal]))
        pattern = "/".join([glob.escape(fixed.uri), *parts[literal:]])
        found = _files_below(fixed, lambda uri: fnmatch.fnmatchcase(uri, pattern), deep=True)
        return found, fixed
    return _files_below(place, lambda uri: uri.endswith(ending), deep=False), place


def _files_below(
    folder: RemotePath, wanted: Callable[[str], bool], *, deep: bool
) -> list[RemotePath]:
    selector = pafs.FileSelector(folder.key, allow_not_found=True, recursive=deep)
    scheme = folder.uri.partition("://")[0]
    found = folder.file_system.get_file_info(selector)
    uris = (f"{scheme}://{info.path}" for info in found if info.type == pafs.FileType.File)
    return [RemotePath(uri) for uri in sorted(uris) if wanted(uri)]
