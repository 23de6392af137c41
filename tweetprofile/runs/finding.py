"""Finds run folders below a folder, within bounds and without following links."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tweetprofile.checkpoints.choice import MODEL_FILE
from tweetprofile.data.files.provenance import Kind, kind_of
from tweetprofile.errors import OptionError
from tweetprofile.training.settings import SETTINGS

_MOST_ENTRIES = 1_000_000
"""Files and folders that are looked at; a folder of images may hold many more."""

_MOST_DEPTH = 32


@dataclass(slots=True)
class LeftOut:
    """What was not looked into; each of these may hold further runs.

    Attributes:
        too_deep: The number of folders below the deepest level.
        links: The number of symbolic links to folders.
        unreadable: The number of folders that cannot be read.
        foreign: The number of folders with a `model.safetensors` that tweetprofile did not write.
        stopped: Whether there were too many files to look at all of them.
    """

    too_deep: int = 0
    links: int = 0
    unreadable: int = 0
    foreign: int = 0
    stopped: bool = False


@dataclass(slots=True)
class Search:
    """A search for run folders.

    Attributes:
        folder: The folder to search, which may be a run folder itself.
        depth: The number of levels below it that are searched.
        left_out: What was not looked into; complete once `run` is exhausted.

    Raises:
        OptionError: The folder is not a readable folder, or the depth is out of range.
    """

    folder: Path
    depth: int
    left_out: LeftOut = field(default_factory=LeftOut)
    _entries: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.depth <= _MOST_DEPTH:
            raise OptionError(f"`depth` is {self.depth} and must be from 0 to {_MOST_DEPTH}.")
        if not self.folder.is_dir():
            raise OptionError(f"{self.folder} is not a folder; name a folder that holds runs.")

    def run(self) -> Iterator[Path]:
        """Yield the run folders in the order of their paths; hidden folders are not searched."""
        waiting = [(self.folder, 0)]
        while waiting and not self.left_out.stopped:
            folder, level = waiting.pop()
            try:
                below = self._subfolders(folder)
            except OSError:
                self.left_out.unreadable += 1
                continue
            if self._is_run(folder):
                yield folder
            if level < self.depth:
                waiting += [(each, level + 1) for each in sorted(below, reverse=True)]
            else:
                self.left_out.too_deep += len(below)

    def _subfolders(self, folder: Path) -> list[Path]:
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self._entries += 1
                if self._entries > _MOST_ENTRIES:
                    self.left_out.stopped = True
                    break
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    found.append(folder / entry.name)
                elif entry.is_symlink() and entry.is_dir():
                    self.left_out.links += 1
        return found

    def _is_run(self, folder: Path) -> bool:
        if kind_of(folder / SETTINGS) is Kind.SETTINGS:
            return True
        model = folder / MODEL_FILE
        if not os.path.lexists(model):
            return False
        if kind_of(model) is Kind.MODEL:
            return True
        self.left_out.foreign += 1
        return False
