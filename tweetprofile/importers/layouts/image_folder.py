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
"""The names of folders that Hugging Face's datasets library takes for splits."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A folder of users: the dump itself, or one split of it.

    Attributes:
        folder: The folder of its images.
        split: The name of the split; empty for the dump itself.
        metadata: Its table; None if each user has a folder.
    """

    folder: Path
    split: str
    metadata: Metadata | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its users' labels."""
        return self.metadata.labels if self.metadata is not None else ()

    def rows(self, columns: tuple[str, ...], skipped: Skipped) -> Iterator[TableRow]:
        """Yield its rows, with labels in the order of `columns` and images relative to the dump."""
        positions = {name: number for number, name in enumerate(self.columns)}
        for row in self._own_rows(skipped):
            labels = [
                row.labels[positions[name]] if name in positions else None for name in columns
            ]
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
    """A folder of images whose columns have been checked and whose users have not been read.

    Attributes:
        parts: The dump itself, or its splits.
    """

    parts: tuple[_Part, ...]

    @classmethod
    def open(cls, root: Path) -> "ImageFolder":
        """Find out what a folder contains.

        Raises:
            OptionError: The folder cannot be read, a table lacks a column, or a split does not
                name its users.
        """
        metadata = Metadata.find(root)
        if metadata is not None:
            return cls((_Part(root, "", metadata),))
        splits = _splits_of(root)
        for part in splits:
            if part.metadata is not None and SPLIT_COLUMN in part.metadata.labels:
                raise OptionError(
                    f"{part.metadata.file} has a column '{SPLIT_COLUMN}', but is itself in the "
                    f"split '{part.split}'; drop the column."
                )
        return cls(splits or (_Part(root, "", None),))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the labels in all parts."""
        names = (name for part in self.parts for name in part.columns)
        split_column = (SPLIT_COLUMN,) if self.parts[0].split else ()
        return tuple(dict.fromkeys([*names, *split_column]))

    def users(self, skipped: Skipped) -> Iterator[DumpUser]:
        """Yield its users, each once; image paths are relative to the folder of the dump.

        Raises:
            OptionError: Rows of a user contradict each other, or no user has a folder.
        """
        first = self.parts[0]
        if first.metadata is None and not first.split:
            yield from folder_users(first.folder, skipped)
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
                raise OptionError(
                    f"{' and '.join(tables)} names no user ({seen}); add a row per user."
                )
            yield from joiner.users()


def _splits_of(root: Path) -> tuple[_Part, ...]:
    """Return the splits of a folder, or none if its folders are those of users.

    A user may be called "test". So folders are splits if one of them has a table, or if there is
    no folder of another name and they contain folders themselves.
    """
    folders = [
        Path(entry.path)
        for entry in root_entries(root)
        if not entry.name.startswith(".") and is_folder(entry)
    ]
    named = [folder for folder in folders if folder.name.lower() in SPLITS]
    parts = [_Part(folder, folder.name, Metadata.find(folder)) for folder in named]
    if not any(part.metadata for part in parts):
        nested = [folder for folder in named if _has_folders(folder)]
        if len(named) < len(folders) or not (nested or len(named) > 1):
            return ()
    for part in parts:
        if part.metadata is None and not _has_folders(part.folder):
            raise OptionError(
                f"{part.folder} looks like a split, but nothing in it says whose its images are; "
                "add a metadata.csv with the columns user_id and file_name, or one folder per user."
            )
    return tuple(parts)


def _has_folders(folder: Path) -> bool:
    return any(is_folder(entry) for entry in root_entries(folder) if entry.name[0] != ".")
