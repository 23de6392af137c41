"""`pan18`: the corpus of PAN's author profiling task of 2018, with gender as its label.

Rangel et al., "Overview of the 6th Author Profiling Task at PAN 2018". A language is a folder: ten
images per author as `photo/<id>/<id>.<0-9>.{jpeg,png}`, the author's tweets as `text/<id>.xml`, and
`truth.txt` (or a file named after the language) with one line `id:::male` per author.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.truth_files import COLONS, Truth, find_truth_file, read_truth
from tweetprofile.importers.layouts.user_folders import image_paths, root_entries
from tweetprofile.importers.readers.author_xml import read_author
from tweetprofile.importers.readers.folders import is_file, is_folder
from tweetprofile.importers.skipped import Skipped, SkipReason, Wanted
from tweetprofile.importers.tweets.texts import unescaped
from tweetprofile.importers.users import DumpUser, is_id, is_text, natural_key

PAN18_COLUMNS = ("gender", "language")
"""The labels that the corpus gives per author."""

_PHOTOS, _TEXTS = "photo", "text"


def has_texts(root: Path) -> bool:
    """Return whether a language in a corpus has a folder of texts."""
    return any(is_folder(language / _TEXTS) for language in _languages(root))


def pan18_users(root: Path, wanted: Wanted, skipped: Skipped) -> Iterator[DumpUser]:
    """Yield the authors of one language, or of all languages in `root`.

    Image paths are relative to `root`.

    Raises:
        OptionError: The folder is not the corpus.
    """
    languages = _languages(root)
    if not languages:
        raise OptionError(
            f"{root} is not PAN 2018's corpus: neither it nor a folder in it has a folder 'photo'; "
            "give the folder of a language, or the folder of all languages."
        )
    for language in languages:
        yield from _authors(language, root, wanted, skipped)


def _languages(root: Path) -> list[Path]:
    if _is_language(root):
        return [root]
    folders = [Path(entry.path) for entry in root_entries(root) if is_folder(entry)]
    return [folder for folder in folders if _is_language(folder)]


def _is_language(folder: Path) -> bool:
    return is_folder(folder / _PHOTOS) or is_folder(folder / _TEXTS)


def _authors(language: Path, root: Path, wanted: Wanted, skipped: Skipped) -> Iterator[DumpUser]:
    name = language.resolve().name
    if not is_text(name):
        skipped.add(SkipReason.BAD_NAME, language, None, "the language's name is not UTF-8")
        return
    photos, texts = language / _PHOTOS, language / _TEXTS
    folders = dict(_author_folders(photos, skipped)) if is_folder(photos) else {}
    files = dict(_text_files(texts, skipped)) if wanted.texts and is_folder(texts) else {}
    authors = dict.fromkeys([*folders, *files])
    truth = _truth_of(language, name, authors, skipped)
    for author in sorted(authors, key=natural_key) if files else authors:
        images = []
        if (folder := folders.get(author)) is not None:
            images = image_paths(folder, folder.relative_to(root).as_posix(), skipped)
        read = read_author(files[author], skipped) if author in files else None
        gender = truth[author].gender if author in truth else None
        labels = {"gender": gender, "language": name}
        yield DumpUser(
            author, images, labels, [unescaped(text) for text in read.texts] if read else []
        )


def _truth_of(
    language: Path, name: str, authors: Mapping[str, object], skipped: Skipped
) -> dict[str, Truth]:
    file = find_truth_file(language, name)
    if file is None:
        what = "this language has no labels"
        skipped.add(SkipReason.MISSING_FILE, language / "truth.txt", None, what)
        return {}
    return read_truth(file, authors, COLONS, skipped)


def _author_folders(photos: Path, skipped: Skipped) -> Iterator[tuple[str, Path]]:
    for entry in root_entries(photos):
        if entry.name.startswith("."):
            continue
        if is_folder(entry) and is_text(entry.name):
            yield entry.name, Path(entry.path)
        else:
            skipped.add(SkipReason.NOT_AN_IMAGE, entry.path, None, "not a folder of an author")


def _text_files(folder: Path, skipped: Skipped) -> Iterator[tuple[str, Path]]:
    for entry in root_entries(folder):
        if entry.name.startswith("."):
            continue
        name, dot, ending = entry.name.rpartition(".")
        if dot and ending.lower() == "xml" and is_id(name) and is_file(entry):
            yield name, Path(entry.path)
        else:
            skipped.add(SkipReason.MALFORMED, entry.path, None, "not the file of an author's texts")
