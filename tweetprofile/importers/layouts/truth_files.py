"""Read the truth files of PAN's author profiling tasks: `id:::gender`, or `id;gender;variety`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tweetprofile.importers.readers.folders import is_file
from tweetprofile.importers.readers.json_records import read_lines
from tweetprofile.importers.skipped import Skipped, SkipReason

GENDERS = ("female", "male")

COLONS = re.compile(":::")
COLONS_OR_SEMICOLONS = re.compile(":::|;")
"""What separates the values of a line: as the organisers write it, or as others do, too."""

_AGE_GROUP = re.compile(r"[0-9]{2}-([0-9]{2}|xx)", re.IGNORECASE)
"""What stands in the place of a variety in the corpora of 2014 to 2016."""

_LINES_EXAMINED = 20
_LONGEST_VARIETY = 100

FURTHER_FIELDS = "values of truth files other than gender and variety"


@dataclass(frozen=True, slots=True)
class Truth:
    """What a truth file says of an author.

    Attributes:
        gender: The gender.
        variety: The variety of the language; None if the file names none.
    """

    gender: str
    variety: str | None = None


def is_truth_file(file: Path) -> bool:
    """Return whether most of the first lines of a file give the gender of an author."""
    skipped = Skipped(None)
    lines = [line.strip() for _, line in islice(read_lines(file, skipped), _LINES_EXAMINED)]
    fields = [COLONS_OR_SEMICOLONS.split(line) for line in lines if line]
    matching = sum(len(each) > 1 and each[1].strip().lower() in GENDERS for each in fields)
    return 0 < len(fields) < 2 * matching


def find_truth_file(folder: Path, name: str) -> Path | None:
    """Return the truth file of a folder: `truth.txt`, `<name>.txt`, or any that looks like one."""
    named = [folder / "truth.txt", folder / f"{name}.txt"]
    if (found := next((file for file in named if is_file(file)), None)) is not None:
        return found
    others = sorted(folder.glob("*.txt"))[:_LINES_EXAMINED]
    return next((file for file in others if is_file(file) and is_truth_file(file)), None)


def read_truth(
    file: Path, authors: Mapping[str, object], separator: re.Pattern[str], skipped: Skipped
) -> dict[str, Truth]:
    """Return what a truth file says of authors, by their ids.

    Args:
        file: The file.
        authors: The ids of the authors who are in the dump.
        separator: What separates values.
        skipped: Records the lines that cannot be taken.
    """
    found: dict[str, Truth] = {}
    for number, author, truth in _read_lines(file, separator, skipped):
        if author not in authors:
            skipped.add(SkipReason.NO_SUCH_USER, file, number, author)
        elif found.setdefault(author, truth) != truth:
            what = f"{author} is {found[author].gender} in an earlier line"
            if found[author].gender == truth.gender:
                what = f"{author} has another variety in an earlier line"
            skipped.add(SkipReason.BAD_LABEL, file, number, what)
    return found


def _read_lines(
    file: Path, separator: re.Pattern[str], skipped: Skipped
) -> Iterator[tuple[int, str, Truth]]:
    for number, line in read_lines(file, skipped):
        if not line.strip():
            continue
        author, *values = map(str.strip, separator.split(line.strip()))
        if not author or not values:
            what = f"not id:::gender: {line.strip()[:80]}"
            skipped.add(SkipReason.MALFORMED, file, number, what)
        elif (gender := values[0].lower()) not in GENDERS:
            what = f"the gender of {author[:80]} is '{values[0][:80]}', not female or male"
            skipped.add(SkipReason.BAD_LABEL, file, number, what)
        else:
            is_variety = len(values) > 1 and not _AGE_GROUP.fullmatch(values[1])
            skipped.leave_out(FURTHER_FIELDS, len(values) - 1 - is_variety)
            variety = values[1][:_LONGEST_VARIETY] if is_variety else ""
            yield number, author, Truth(gender, variety or None)
