"""`folder`: users by folder, or by the table of an ImageFolder, with or without splits.

::

    ROOT/<user>/<image>
    ROOT/metadata.csv, .jsonl or .parquet, and images anywhere below
    ROOT/<split>/ as one of the two above, <split> being train, validation, test or another name
        that Hugging Face knows; the manifest gets the column `split`
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.joining import TableRow, UserJoiner
from tweetprofile.importers.layouts.metadata import Metadata
from tweetprofile.importers.layouts.user_folders import folder_users, root_entries
from tweetprofile.importers.readers.folders import is_folder
from tweetprofile.importers.skipped import Skipped
from tweetprofile.importers.users import DumpUser
from tweetprofile.traits import SPLIT_COLUMN

SPLITS = frozenset(
    {"train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval",
     "evaluation"}
)  # fmt: skip
"""Names of folders that Hugging Face's data sets takes for splits."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A folder of users: the whole, or a split.

    Attributes:
        folder: where its images are.
        split: its name; empty for the whole.
        metadata: its table; None where each user has a folder.
    """

    folder: Path
    split: str
    metadata: Metadata | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the labels of its users."""
        return self.metadata.labels if self.metadata is not None else ()

    def rows(self, columns: tuple[str, ...], skipped: Skipped) -> Iterator[TableRow]:
        """Its rows, with the labels in this order, and images relative to the whole."""
        known = {name: number for number, name in enumerate(self.columns)}
        for row in self._own_rows(skipped):
            labels = [row.labels[known[name]] if name in known else None for name in columns]
            images = row.images
            if self.split:
                labels[columns.index(SPLIT_COLUMN)] = self.split
                images = [f"{self.split}/{image}" for image in images]
            yield replace(row, images=images, labels=labels)

    def _own_rows(self, skipped: Skipped) -> Iterator[TableRow]:
        if self.metadata is not None:
            yield from self.metadata.rows(skipped)
            return
        for user in folder_users(self.folder, skipped):
            yield TableRow(user.user_id, str(self.folder / user.user_id), user.images, [])


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """A folder of images, its columns checked and its users not yet read.

    Attributes:
        parts: the whole, or its splits.
    """

    parts: tuple[_Part, ...]

    @classmethod
    def open(cls, root: Path) -> "ImageFolder":
        """See what a folder holds.

        Raises:
            OptionError: it cannot be read, a table lacks a column, or splits do not name users.
        """
        metadata = Metadata.find(root)
        if metadata is not None:
            return cls((_Part(root, "", metadata),))
        splits = _splits_of(root)
        for part in splits:
            if part.metadata is not None and SPLIT_COLUMN in part.metadata.labels:
                raise OptionError(
                    f"{part.metadata.file} has a column '{SPLIT_COLUMN}' and lies in the split "
                    f"'{part.split}'; drop the column."
                )
        return cls(splits or (_Part(root, "", None),))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the labels, of all parts."""
        names = (name for part in self.parts for name in part.columns)
        of_splits = (SPLIT_COLUMN,) if self.parts[0].split else ()
        return tuple(dict.fromkeys([*names, *of_splits]))

    def users(self, skipped: Skipped) -> Iterator[DumpUser]:
        """Its users, each once; image paths are relative to the whole folder.

        Raises:
            OptionError: rows of a user contradict each other, or there is no user's folder.
        """
        whole = self.parts[0]
        if whole.metadata is None and not whole.split:
            yield from folder_users(whole.folder, skipped)
            return
        with UserJoiner(self.columns, skipped) as joiner:
            for part in self.parts:
                if part.split:
                    skipped.remark(f"{part.folder} was read as the split '{part.split}'.")
                for row in part.rows(self.columns, skipped):
                    joiner.add(row)
            if not joiner.count:
                tables = [str(part.metadata.file) for part in self.parts if part.metadata]
                seen = "; ".join(skipped.first.values()) or "there is no row"
                raise OptionError(f"{' and '.join(tables)} names no user ({seen}); correct it.")
            yield from joiner.users()


def _splits_of(root: Path) -> tuple[_Part, ...]:
    """The splits of a folder; none where its folders are users'.

    A user may be called "test". So folders are splits if one of them has a table, or if there is
    no folder of another name and users have folders of their own in them.
    """
    folders = [
        Path(entry.path)
        for entry in root_entries(root)
        if not entry.name.startswith(".") and is_folder(entry)
    ]
    named = [folder for folder in folders if folder.name.lower() in SPLITS]
    parts = [_Part(folder, folder.name, Metadata.find(folder)) for folder in named]
    if not any(part.metadata for part in parts):
        nested = [folder for folder in named if _holds_folders(folder)]
        if len(named) < len(folders) or not (nested or len(named) > 1):
            return ()
    for part in parts:
        if part.metadata is None and not _holds_folders(part.folder):
            raise OptionError(
                f"{part.folder} looks like a split, and nothing in it says whose its images are; "
                "add a metadata.csv with the columns user_id and file_name, or give each user a "
                "folder."
            )
    return tuple(parts)


def _holds_folders(folder: Path) -> bool:
    return any(is_folder(entry) for entry in root_entries(folder) if entry.name[0] != ".")
