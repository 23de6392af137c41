"""`pan18`: the corpus of PAN's author profiling task of 2018, with gender as its label.

Rangel et al., "Overview of the 6th Author Profiling Task at PAN 2018". A language is a folder: ten
images an author as `photo/<id>/<id>.<0-9>.{jpeg,png}`, and `truth.txt` (or one named after the
language) with a line `id:::male` an author.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.folder import image_names, sorted_entries
from tweetprofile.importers.losses import Loss, Losses
from tweetprofile.importers.users import DumpUser, is_text

PAN18_COLUMNS = ("gender", "language")
"""What the corpus says of each author beside the images."""

_GENDERS = ("female", "male")
_SEPARATOR = ":::"


def pan18_users(root: Path, losses: Losses) -> Iterator[DumpUser]:
    """The authors of one language, or of all that `root` holds; image paths are relative to it.

    Raises:
        OptionError: it is not the corpus.
    """
    languages = [root] if (root / "photo").is_dir() else _languages(root)
    if not languages:
        raise OptionError(
            f"{root} is not PAN 2018's corpus: neither it nor a folder in it has a folder 'photo'."
        )
    for language in languages:
        yield from _authors(language, root, losses)


def _languages(root: Path) -> list[Path]:
    folders = [Path(entry.path) for entry in sorted_entries(root) if entry.is_dir()]
    return [folder for folder in folders if (folder / "photo").is_dir()]


def _authors(language: Path, root: Path, losses: Losses) -> Iterator[DumpUser]:
    name = language.resolve().name
    genders = _read_truth(language, name, losses)
    for entry in sorted_entries(language / "photo"):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir() or not is_text(entry.name):
            losses.note(Loss.NOT_AN_IMAGE, entry.path, None, "no folder of an author")
            continue
        folder = Path(entry.path)
        below = folder.relative_to(root).as_posix()
        images = [f"{below}/{image}" for image in image_names(folder, losses)]
        gender, _ = genders.pop(entry.name, (None, 0))
        yield DumpUser(entry.name, images, {"gender": gender, "language": name})
    for author, (_, line) in genders.items():
        losses.note(Loss.NO_SUCH_USER, _truth_file(language, name), line, author)


def _truth_file(language: Path, name: str) -> Path:
    files = [language / "truth.txt", language / f"{name}.txt"]
    return next((file for file in files if file.is_file()), files[0])


def _read_truth(language: Path, name: str, losses: Losses) -> dict[str, tuple[str, int]]:
    """Gender of each author, and the line that says so; none where there is no such file."""
    file = _truth_file(language, name)
    if not file.is_file():
        losses.note(Loss.MISSING_FILE, file, None, "no labels for this language")
        return {}
    genders: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
        if line.strip():
            _read_line(line.strip(), file, number, genders, losses)
    return genders


def _read_line(
    line: str, file: Path, number: int, genders: dict[str, tuple[str, int]], losses: Losses
) -> None:
    author, separator, gender = line.partition(_SEPARATOR)
    if not separator or not author:
        losses.note(Loss.MALFORMED, file, number, f"not id{_SEPARATOR}gender: {line[:80]}")
    elif gender not in _GENDERS:
        losses.note(Loss.BAD_LABEL, file, number, f"gender '{gender[:80]}' of {author}")
    elif author in genders and _other(genders, author) != gender:
        losses.note(Loss.BAD_LABEL, file, number, f"{author} is {_other(genders, author)} above")
    else:
        genders[author] = (gender, number)


def _other(genders: Mapping[str, tuple[str, int]], author: str) -> str:
    return genders[author][0]
