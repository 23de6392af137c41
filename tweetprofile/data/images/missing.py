"""Why image paths lead nowhere, and what would find the images: the causes that people meet.

Only a mend by which a file is really found is named, with that file as the evidence. No image is
read, and only the few folders that a person may have meant are looked at.
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
from tweetprofile.errors import ImageError
from tweetprofile.untrusted.text import printable

_PATHS_TRIED = 20
"""Of a manifest, where all of its images are missing: a cause shows in the first few."""

_FOLDERS_TRIED = 100
"""Below a folder; a dump may have millions."""

_ENTRIES_COMPARED = 10_000
"""Of a folder, where upper and lower case differ."""

_FOLDERS_LISTED = 2
"""In search of names in another case, which takes listing them."""

_ANCESTORS = 4
_CAUSES_SAID = 3
_LONGEST_PATH = 4096
"""Characters; no longer one can be opened."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that a mend finds.

    Attributes:
        file: where it is.
        mends: what to change, for people.
    """

    file: str
    mends: tuple[str, ...]


def explain_missing(manifest: Manifest, root: AnyPath) -> tuple[str, ...]:
    """What to check where a manifest's images are not found: sentences, the surest first.

    Args:
        manifest: whose images are missing.
        root: folder that their paths are relative to.

    Returns:
        Nothing where images lie in a store or in the manifest itself, or the files of some are
        there, so that they are unusable for reasons of their own.
    """
    if not isinstance(root, Path):
        return ()
    paths = _some_paths(manifest)
    if not paths or any(_is_there(root, path) for path in paths):
        return ()
    folders = _folders_meant(manifest, root)
    found = {path: _find(path, root, folders) for path in paths}
    causes = Counter(each.mends for each in found.values() if each is not None)
    if not causes:
        return (_unexplained(paths[0], root),)
    said = []
    for mends, count in causes.most_common(_CAUSES_SAID):
        path, file = next(
            (path, each.file)
            for path, each in found.items()
            if each is not None and each.mends == mends
        )
        said.append(
            f"'{printable(path)}' would be found at {printable(file)}, and so would {count} of the "
            f"first {len(paths)}: {'; '.join(mends)}."
        )
    return tuple(said)


def _some_paths(manifest: Manifest) -> list[str]:
    """The first different paths of a manifest."""
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
    """Whether a path leads to a file as it is."""
    try:
        LocalRoot(root, 0).read(path)
    except ImageError as error:
        return error.reason.value not in ("missing", "outside_root", "unsupported_uri")
    return True


def _unexplained(path: str, root: Path) -> str:
    if path.startswith(("http://", "https://")):
        return (
            f"'{printable(path)}' is a web address, from which nothing is fetched: download the "
            "images, and write their paths into the manifest."
        )
    return (
        f"'{printable(path)}' is looked for under {root} and is not there: check that the images "
        "are on this machine, and give their folder with --image-root."
    )


def _find(path: str, root: Path, folders: list[Path]) -> _Found | None:
    """A file that a path may mean, by as few changes as can be."""
    if "\0" in path:
        return None
    spellings = sorted(_spellings(path), key=lambda each: len(each[1]))
    for look in (_as_written, _below_other_folders, _in_any_case, _without_its_beginning):
        for spelled, mends in spellings:
            if ".." in spelled.split("/"):
                continue
            if (found := look(spelled, root, folders)) is not None:
                return _Found(found.file, (*mends, *found.mends))
    return None


def _as_written(path: str, root: Path, folders: list[Path]) -> _Found | None:
    if path.startswith("/"):
        if not _is_file(Path(path)):
            return None
        if Path(path).is_relative_to(root.resolve()):
            mend = f"paths are absolute: take '{root.resolve()}/' off them"
        else:
            mend = "paths are absolute: give --image-root /"
        return _Found(path, (mend,))
    file = root / path
    return _Found(str(file), ()) if _is_file(file) else None


def _below_other_folders(path: str, root: Path, folders: list[Path]) -> _Found | None:
    if path.startswith("/"):
        return None
    for folder in folders:
        if _is_file(folder / path):
            return _Found(str(folder / path), (f"give --image-root {folder}",))
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
                mend = "upper and lower case differ: write names as they are on the disk"
                given = () if folder == root else (f"give --image-root {folder}",)
                return _Found(str(file), (mend, *given))
    return None


def _without_its_beginning(path: str, root: Path, folders: list[Path]) -> _Found | None:
    """Paths of another machine, whose last folders are here."""
    parts = path.split("/")
    for start in range(1, len(parts)):
        rest, beginning = "/".join(parts[start:]), "/".join(parts[:start]) + "/"
        for folder in (root, *folders):
            if rest and _is_file(folder / rest):
                mend = f"take '{printable(beginning)}' off the paths"
                if beginning.startswith("/"):
                    mend = f"paths are absolute, as on another machine: {mend}"
                given = () if folder == root else (f"give --image-root {folder}",)
                return _Found(str(folder / rest), (mend, *given))
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, a folder that is closed, a NUL
        return False


def _entry_like(folder: Path, name: str) -> str | None:
    """The entry of a folder with that name, in whatever case."""
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
    ("paths have spaces or line ends around them: take them off", str.strip),
    (
        "paths have '\\', as on Windows: write '/'",
        lambda path: path.replace("\\", "/"),
    ),
    ("paths are escaped as in addresses: write a space for '%20', and so on", unquote),
    (
        "paths begin with '~', which only a shell replaces: write the whole path",
        os.path.expanduser,
    ),
    (
        "names are in Unicode form NFC on the disk, and in another one in the manifest: write them "
        "in form NFC",
        lambda path: unicodedata.normalize("NFC", path),
    ),
    (
        "names are in Unicode form NFD on the disk, as a Mac writes them, and in another one in "
        "the manifest: write them in form NFD",
        lambda path: unicodedata.normalize("NFD", path),
    ),
)
"""What may be wrong with how paths are written, and what to do about it."""


def _spellings(path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A path as it is and as it may have been meant, each with what was changed."""
    spellings: dict[str, tuple[str, ...]] = {path: ()}
    for mend, change in _CHANGES:
        for spelled, mends in list(spellings.items()):
            spellings.setdefault(change(spelled), (*mends, mend))
    yield from spellings.items()


def _folders_meant(manifest: Manifest, root: Path) -> list[Path]:
    """Folders that a person may have meant as the image root, the nearest first."""
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
