"""`pan18`: the corpus of PAN's author profiling task of 2018, with gender as its label.

Rangel et al., "Overview of the 6th Author Profiling Task at PAN 2018". A language is a folder: ten
images per author as `photo/<id>/<id>.<0-9>.{jpeg,png}`, and `truth.txt` (or a file named after the
language) with one line `id:::male` per author.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.user_folders import image_paths, root_entries
from tweetprofile.importers.readers.folders import is_file, is_folder
from tweetprofile.importers.readers.json_records import read_lines
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import DumpUser, is_text

PAN18_COLUMNS = ("gender", "language")
"""The labels that the corpus gives per author."""

_GENDERS = ("female", "male")
_SEPARATOR = ":::"


def pan18_users(root: Path, skipped: Skipped) -> Iterator[DumpUser]:
    """Yield the authors of one language, or of all languages in `root`.

    Image paths are relative to `root`.

    Raises:
        OptionError: The folder is not the corpus.
    """
    languages = [root] if is_folder(root / "photo") else _languages(root)
    if not languages:
        raise OptionError(
            f"{root} is not PAN 2018's corpus: neither it nor a folder in it has a folder 'photo'; "
            "give the folder of a language, or the folder of all languages."
        )
    for language in languages:
        yield from _authors(language, root, skipped)


def _languages(root: Path) -> list[Path]:
    folders = [Path(entry.path) for entry in root_entries(root) if is_folder(entry)]
    return [folder for folder in folders if is_folder(folder / "photo")]


def _authors(language: Path, root: Path, skipped: Skipped) -> Iterator[DumpUser]:
    name = language.resolve().name
    if not is_text(name):
        skipped.add(SkipReason.BAD_NAME, language, None, "the language's name is not UTF-8")
        return
    folders = list(_author_folders(language / "photo", skipped))
    truth = _Truth(_truth_file(language, name), {entry.name for entry in folders}, skipped)
    for entry in folders:
        folder = Path(entry.path)
        images = image_paths(folder, folder.relative_to(root).as_posix(), skipped)
        gender = truth.genders.get(entry.name)
        yield DumpUser(entry.name, images, {"gender": gender, "language": name})


def _author_folders(photos: Path, skipped: Skipped) -> Iterator[os.DirEntry[str]]:
    for entry in root_entries(photos):
        if entry.name.startswith("."):
            continue
        if is_folder(entry) and is_text(entry.name):
            yield entry
        else:
            skipped.add(SkipReason.NOT_AN_IMAGE, entry.path, None, "not a folder of an author")


def _truth_file(language: Path, name: str) -> Path:
    files = [language / "truth.txt", language / f"{name}.txt"]
    return next((file for file in files if is_file(file)), files[0])


class _Truth:
    """What a truth file says of the authors who have folders.

    Attributes:
        genders: The gender per author; empty if there is no truth file.
    """

    def __init__(self, file: Path, authors: set[str], skipped: Skipped) -> None:
        self.genders: dict[str, str] = {}
        self._file = file
        self._authors = authors
        self._skipped = skipped
        if not is_file(file):
            skipped.add(SkipReason.MISSING_FILE, file, None, "this language has no labels")
            return
        for number, line in read_lines(file, skipped):
            if line.strip():
                self._read_line(line.strip(), number)

    def _read_line(self, line: str, number: int) -> None:
        author, separator, gender = line.partition(_SEPARATOR)
        if not separator or not author:
            self._skip(SkipReason.MALFORMED, number, f"not id{_SEPARATOR}gender: {line[:80]}")
        elif gender not in _GENDERS:
            what = f"the gender of {author[:80]} is '{gender[:80]}', not female or male"
            self._skip(SkipReason.BAD_LABEL, number, what)
        elif author not in self._authors:
            self._skip(SkipReason.NO_SUCH_USER, number, author)
        elif self.genders.setdefault(author, gender) != gender:
            what = f"{author} is {self.genders[author]} in an earlier line"
            self._skip(SkipReason.BAD_LABEL, number, what)

    def _skip(self, reason: SkipReason, number: int, what: str) -> None:
        self._skipped.add(reason, self._file, number, what)
