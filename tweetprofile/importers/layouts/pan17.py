"""`pan17`: the corpora of PAN's author profiling tasks of 2015 to 2017, which hold texts alone.

A language is a folder with one file `<id>.xml` per author::

    <author lang="es"><documents><document><![CDATA[...]]></document>...</documents></author>

and a truth file with one line `id:::gender:::variety` per author; `;` may stand for `:::`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.truth_files import (
    COLONS_OR_SEMICOLONS,
    find_truth_file,
    read_truth,
)
from tweetprofile.importers.layouts.user_folders import root_entries
from tweetprofile.importers.readers.author_xml import read_author
from tweetprofile.importers.readers.folders import is_file, is_folder
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.tweets.texts import unescaped
from tweetprofile.importers.users import DumpUser, is_id

PAN17_COLUMNS = ("gender", "variety", "language")
"""The labels that the corpora give per author."""

_ENDING = ".xml"


def pan17_users(root: Path, skipped: Skipped) -> Iterator[DumpUser]:
    """Yield the authors of one language, or of all folders of authors in `root`.

    Raises:
        OptionError: There is no file of an author.
    """
    folders = [root] if _has_authors(root) else _folders(root)
    if not folders:
        raise OptionError(
            f"{root} is not a corpus of PAN 2015 to 2017: neither it nor a folder in it has a file "
            "'<id>.xml'; give the folder of a language, or the folder of all languages."
        )
    taken: set[str] = set()
    for folder in folders:
        yield from _authors(folder, taken, skipped)


def _folders(root: Path) -> list[Path]:
    """Return the folders of authors in a folder, at most two levels down: `training/es/`."""
    found = []
    for entry in root_entries(root):
        if is_folder(entry) and not entry.name.startswith("."):
            folder = Path(entry.path)
            inner = [folder] if _has_authors(folder) else map(Path, _paths_in(folder))
            found += [each for each in inner if is_folder(each) and _has_authors(each)]
    return found


def _paths_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.path for entry in os.scandir(folder))
    except OSError:
        return []


def _has_authors(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.lower().endswith(_ENDING) for entry in entries)
    except OSError:
        return False


def _authors(folder: Path, taken: set[str], skipped: Skipped) -> Iterator[DumpUser]:
    files = {file.name[: -len(_ENDING)]: file for file in _author_files(folder, skipped)}
    truth_file = find_truth_file(folder, folder.resolve().name)
    truth = (
        read_truth(truth_file, files, COLONS_OR_SEMICOLONS, skipped)
        if truth_file is not None
        else {}
    )
    if truth_file is None:
        what = "this folder has no labels"
        skipped.add(SkipReason.MISSING_FILE, folder / "truth.txt", None, what)
    for name, file in files.items():
        if name in taken:
            what = "an author of another folder has the same id"
            skipped.add(SkipReason.MALFORMED, file, None, what)
        elif (author := read_author(file, skipped)) is not None:
            taken.add(name)
            known = truth.get(name)
            labels = {
                "gender": known.gender if known else None,
                "variety": known.variety if known else None,
                "language": author.language,
            }
            yield DumpUser(name, [], labels, [unescaped(text) for text in author.texts])


def _author_files(folder: Path, skipped: Skipped) -> Iterator[Path]:
    for entry in root_entries(folder):
        if not entry.name.lower().endswith(_ENDING) or entry.name.startswith("."):
            continue
        if not is_file(entry):
            skipped.add(SkipReason.UNREADABLE, entry.path, None, "not a regular file")
        elif is_id(entry.name[: -len(_ENDING)]):
            yield Path(entry.path)
        else:
            skipped.add(SkipReason.BAD_NAME, entry.path, None, "the file's name is not UTF-8")
