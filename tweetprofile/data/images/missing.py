"""Explain why images are missing, and suggest changes with which they would be found.

Only changes with which a file is actually found are suggested, with that file as evidence. No image
is read, and only the few folders that the user may have meant are searched.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.roots import LocalRoot
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ImageError, Reason
from tweetprofile.untrusted.text import printable

_PATHS_TRIED = 20
"""The largest number of paths in a manifest that are tried: the first few show the cause."""

_FOLDERS_TRIED = 100
"""The largest number of subfolders per folder that are tried; a dump may have millions."""

_ENTRIES_COMPARED = 10_000
"""The largest number of entries in a folder that are compared with a name without regard to
case."""

_FOLDERS_LISTED = 2
"""The largest number of folders that are listed in search of names in another case."""

_ANCESTORS = 4
_CAUSES_SHOWN = 3
_LONGEST_PATH = 4096
"""The longest path in bytes that is tried; longer ones cannot be opened."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that a path may stand for.

    Attributes:
        file: The path of the file.
        changes: The changes with which the path leads to the file, in words.
    """

    file: str
    changes: tuple[str, ...]


def explain_missing(manifest: Manifest, root: AnyPath) -> tuple[str, ...]:
    """Explain why the images of a manifest are missing.

    Args:
        manifest: The manifest, all of whose images are missing.
        root: The image root.

    Returns:
        Sentences, the most likely cause first. There are none if the images are in a store or in
        the manifest itself, or if some files exist, so that they are unusable for other reasons.
    """
    if not isinstance(root, Path):
        return ()
    paths = _some_paths(manifest)
    if not paths or any(_is_there(root, path) for path in paths):
        return ()
    folders = _folders_meant(manifest, root)
    found = {path: _find(path, root, folders) for path in paths}
    causes = Counter(each.changes for each in found.values() if each is not None)
    if not causes:
        return (_unexplained(paths[0], root),)
    sentences = []
    for changes, count in causes.most_common(_CAUSES_SHOWN):
        path, file = next(
            (path, each.file)
            for path, each in found.items()
            if each is not None and each.changes == changes
        )
        sentences.append(
            f"'{printable(path)}' would be found at {printable(file)}, and so would {count} of the "
            f"first {len(paths)}: {'; '.join(changes)}."
        )
    return tuple(sentences)


def _some_paths(manifest: Manifest) -> list[str]:
    """Return the first different paths of a manifest."""
    paths: dict[str, None] = {}
    for batch in islice(manifest.batches(64, 64), 4):
        for user in batch.users:
            for image in islice(user.images, 4):
                if (
                    image.path
                    and image.data is None
                    and len(os.fsencode(image.path)) < _LONGEST_PATH
                ):
                    paths[image.path] = None
            if len(paths) >= _PATHS_TRIED:
                return list(paths)[:_PATHS_TRIED]
    return list(paths)


def _is_there(root: Path, path: str) -> bool:
    """Return whether a path leads to a file without changes."""
    try:
        LocalRoot(root, max_bytes=0).read(path)  # with this limit, no file is read
    except ImageError as error:
        absent = (Reason.MISSING, Reason.OUTSIDE_ROOT, Reason.UNSUPPORTED_URI)
        return error.reason not in absent
    return True


def _unexplained(path: str, root: Path) -> str:
    if path.startswith(("http://", "https://")):
        return (
            f"'{printable(path)}' is a web address, and nothing is downloaded: download the "
            "images yourself, and write their paths into the manifest."
        )
    return (
        f"'{printable(path)}' does not exist under {root}: check that the images are on this "
        "machine, and give their folder with `image_root`."
    )


def _find(path: str, root: Path, folders: list[Path]) -> _Found | None:
    """Return the file that a path leads to with the fewest changes; None if there is none."""
    if "\0" in path:
        return None
    spellings = sorted(_spellings(path), key=lambda each: len(each[1]))
    for look in (_as_written, _below_other_folders, _in_any_case, _without_its_beginning):
        for spelled, changes in spellings:
            if ".." in spelled.split("/"):
                continue
            if (found := look(spelled, root, folders)) is not None:
                return _Found(found.file, (*changes, *found.changes))
    return None


def _as_written(path: str, root: Path, folders: list[Path]) -> _Found | None:
    if path.startswith("/"):
        if not _is_file(Path(path)):
            return None
        if Path(path).is_relative_to(root.resolve()):
            change = f"paths are absolute: remove '{root.resolve()}/' from them"
        else:
            change = f"paths are absolute: {_give_root('/')}"
        return _Found(path, (change,))
    file = root / path
    return _Found(str(file), ()) if _is_file(file) else None


def _below_other_folders(path: str, root: Path, folders: list[Path]) -> _Found | None:
    if path.startswith("/"):
        return None
    for folder in folders:
        if _is_file(folder / path):
            return _Found(str(folder / path), (_give_root(folder),))
    return None


def _in_any_case(path: str, root: Path, folders: list[Path]) -> _Found | None:
    if path.startswith("/"):
        return None
    for folder in (root, *folders[:_FOLDERS_LISTED]):
        file = folder
        for part in path.split("/"):
            same = _entry_like(file, part)
            if same is None:
                break
            file = file / same
        else:
            if _is_file(file):
                change = "upper and lower case differ: write names as they are on the disk"
                given = () if folder == root else (_give_root(folder),)
                return _Found(str(file), (change, *given))
    return None


def _without_its_beginning(path: str, root: Path, folders: list[Path]) -> _Found | None:
    """Find a path of another machine whose last folders exist on this one."""
    parts = path.split("/")
    for start in range(1, len(parts)):
        rest, beginning = "/".join(parts[start:]), "/".join(parts[:start]) + "/"
        for folder in (root, *folders):
            if rest and _is_file(folder / rest):
                change = f"remove '{printable(beginning)}' from the paths"
                if beginning.startswith("/"):
                    change = f"paths are absolute, as on another machine: {change}"
                given = () if folder == root else (_give_root(folder),)
                return _Found(str(folder / rest), (change, *given))
    return None


def _give_root(folder: str | Path) -> str:
    """Return the advice to use an image root; the command line shows it as an option."""
    return f"set `image_root` to {folder}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name is too long or has a NUL, or a folder is not readable
        return False


def _entry_like(folder: Path, name: str) -> str | None:
    """Return the entry of a folder with that name in any case; None if there is none."""
    if os.path.lexists(folder / name):
        return name
    wanted = unicodedata.normalize("NFC", name).casefold()
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, _ENTRIES_COMPARED):
                if unicodedata.normalize("NFC", entry.name).casefold() == wanted:
                    return entry.name
    except OSError:
        return None
    return None


_CHANGES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("paths have spaces or line ends around them: remove these", str.strip),
    (
        "paths have '\\', as on Windows: write '/' instead",
        lambda path: path.replace("\\", "/"),
    ),
    ("paths are escaped as in web addresses: write a space for '%20', and so on", unquote),
    (
        "paths begin with '~', which only a shell expands: write the full path",
        os.path.expanduser,
    ),
    (
        "names are in Unicode form NFC on the disk, but not in the manifest: write them in form "
        "NFC",
        lambda path: unicodedata.normalize("NFC", path),
    ),
    (
        "names are in Unicode form NFD on the disk, as a Mac writes them, but not in the manifest: "
        "write them in form NFD",
        lambda path: unicodedata.normalize("NFD", path),
    ),
)
"""Common mistakes in paths with their corrections, in words, and functions that correct them."""


def _spellings(path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a path as it is and as it may have been meant, each with the changes."""
    spellings: dict[str, tuple[str, ...]] = {path: ()}
    for change, correct in _CHANGES:
        for spelled, changes in list(spellings.items()):
            spellings.setdefault(correct(spelled), (*changes, change))
    yield from spellings.items()


def _folders_meant(manifest: Manifest, root: Path) -> list[Path]:
    """Return the folders that the user may have meant as the image root, the nearest first."""
    near = [root.resolve(), Path.cwd()]
    if isinstance(manifest.folder, Path):
        near.insert(1, manifest.folder.resolve())
    folders: dict[Path, None] = {}
    for folder in near:
        folders |= dict.fromkeys([folder, *folder.parents[:_ANCESTORS]])
    for folder in near[:-1]:
        folders |= dict.fromkeys(_folders_in(folder) + _folders_in(folder.parent))
    return [folder for folder in folders if folder != root.resolve()]


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            inside = (entry for entry in entries if entry.is_dir(follow_symlinks=False))
            return sorted(folder / entry.name for entry in islice(inside, _FOLDERS_TRIED))
    except OSError:
        return []
