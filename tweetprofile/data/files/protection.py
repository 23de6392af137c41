"""What an output must not replace: the one rule, for every command.

An output never replaces anything that the run reads, anything that is no regular file, or anything
but an earlier output of the same kind, recognised by its own record (`provenance.py`). Nor does a
new file become part of a manifest that the run reads. Links are followed before anything is
compared, and files are compared by what they are on the disk, too, so that hard links count.
"""

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from tweetprofile.data.files.listing import literal_parts
from tweetprofile.data.files.provenance import Kind, kind_of
from tweetprofile.data.files.storage import AnyPath, RemotePath, as_path
from tweetprofile.errors import OutputError

Identity = tuple[int, int]
"""Device and inode."""

_OTHERS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link that leads nowhere",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class Taking:
    """A folder of which every file that matches a pattern is read, or will be the next time.

    Attributes:
        name: what it is to the run.
        folder: the folder.
        pattern: of paths below it.
        across: whether a star of the pattern stands for slashes, too.
    """

    name: str
    folder: AnyPath
    pattern: str
    across: bool = False

    def takes(self, out: AnyPath) -> bool:
        """Whether an output, named by its real path, would be read."""
        if isinstance(self.folder, RemotePath) or isinstance(out, RemotePath):
            if isinstance(self.folder, Path) or isinstance(out, Path):
                return False
            folder, uri = _plain_uri(self.folder), _plain_uri(out)
            below = PurePosixPath(uri.removeprefix(f"{folder}/"))
            if not uri.startswith(f"{folder}/"):
                return False
        elif out.is_relative_to(real_path(self.folder)):
            below = PurePosixPath(out.relative_to(real_path(self.folder)))
        else:
            return False
        if self.across:
            return fnmatchcase(str(below), self.pattern)
        return _match_parts(below.parts, self.pattern.split("/"))


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run reads.

    Attributes:
        paths: files and folders, each with what it is to the run ("the manifest").
        taking: folders of which new files would be read, too.
    """

    paths: tuple[tuple[str, AnyPath], ...] = ()
    taking: tuple[Taking, ...] = ()

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(self.paths + other.paths, self.taking + other.taking)

    @classmethod
    def of(cls, **paths: AnyPath | None) -> "Inputs":
        """Files and folders by what they are to the run; those that are None are left out."""
        named = ((name.replace("_", " "), path) for name, path in paths.items())
        return cls(tuple((f"the {name}", path) for name, path in named if path is not None))

    @classmethod
    def of_tables(
        cls,
        name: str,
        source: str,
        files: Iterable[AnyPath],
        patterns: Sequence[str] = ("*.parquet",),
    ) -> "Inputs":
        """A file, folder or glob of Parquet files.

        Args:
            name: what it is to the run.
            source: as the user gave it.
            files: that it means.
            patterns: of the files that are taken where it is a folder.
        """
        named = tuple((name, file) for file in files)
        path = as_path(source)
        if path in {file for _, file in named}:
            return cls(named)
        parts = path.uri.split("/") if isinstance(path, RemotePath) else path.parts
        literal = _literal_parts(path, named)
        if literal == len(parts):
            taking = (Taking(name, path, pattern) for pattern in patterns)
            return cls((*named, (name, path)), tuple(taking))
        # As the two kinds of globs are in `sources.py` and `storage.find_files`.
        pattern = "/".join(parts[literal:])
        if isinstance(path, RemotePath):
            folder: AnyPath = RemotePath("/".join(parts[:literal]))
            return cls(named, (Taking(name, folder, pattern, across=True),))
        return cls(named, (Taking(name, Path(*parts[:literal]), pattern),))

    def refuse(self, out: AnyPath, called: object) -> None:
        """Raise OutputError if an output is, holds, or would become part of what is read.

        Args:
            out: a real path, or one in a store.
            called: what the user calls it.
        """
        for name, path in self.paths:
            if (how := _relation(out, path)) is not None:
                raise OutputError(
                    f"{called} {how} {name} ({path}) that this run reads; choose another place."
                )
        for taking in self.taking:
            if taking.takes(out):
                raise OutputError(
                    f"{called} would become part of {taking.name} ({taking.folder}/"
                    f"{taking.pattern}) that this run reads; choose another place."
                )


def check_file(
    out: Path, kind: Kind, inputs: Inputs, *, overwrite: bool, called: object = None
) -> None:
    """Raise OutputError unless a file may be written.

    Args:
        out: where to; links are followed.
        kind: of what will be written.
        inputs: what the run reads.
        overwrite: whether an earlier output may be replaced.
        called: what the user calls the place; None for `out`.
    """
    called, real = called or out, real_path(out)
    inputs.refuse(real, called)
    refuse_foreign(real, kind, called)
    if not overwrite and os.path.lexists(real):
        raise OutputError(f"{called} exists; choose another name or add --overwrite.")


def check_folder(folder: Path, kind: Kind, called: object, names: str) -> None:
    """Raise OutputError unless a folder, which is to be replaced, is an earlier output.

    Args:
        folder: that is there.
        kind: of the files that it is made of.
        called: what the user calls it.
        names: pattern of their names.
    """
    check_entries(folder, kind, called, names)
    if not any(folder.iterdir()):
        raise OutputError(
            f"{called} is an empty folder, which is not replaced; choose another name, or remove "
            "it yourself."
        )


def check_entries(folder: Path, kind: Kind, called: object, names: str = "*") -> None:
    """Raise OutputError unless all that a folder holds are earlier outputs; see `check_folder`."""
    for entry in sorted(folder.iterdir()):
        if not fnmatchcase(entry.name, names) or stranger(entry, kind) is not None:
            raise OutputError(
                f"{called} holds {entry.name}, which is not {kind} that tweetprofile wrote, so it "
                "is not replaced; choose another folder, or empty it yourself."
            )


def refuse_foreign(path: Path, kind: Kind, called: object) -> None:
    """Raise OutputError if something else than an earlier output stands at a real path."""
    if (what := stranger(path, kind)) is not None:
        raise OutputError(f"{called} {what}.")


def stranger(path: Path, kind: Kind) -> str | None:
    """What stands at a path and must not be replaced, and what to do; None if nothing does."""
    if not os.path.lexists(path):
        return None
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        what = _OTHERS.get(stat.S_IFMT(mode), "no regular file")
        return f"is {what} where a file is to be written; choose another name"
    found = kind_of(path)
    if found is kind:
        return None
    what = f"is {found} and not" if found is not None else "exists and is not"
    return (
        f"{what} {kind} that tweetprofile wrote, so it is not replaced; choose another name, or "
        "remove it yourself"
    )


def is_earlier(kind: Kind, *, overwrite: bool = True) -> "_IsEarlier":
    """For `whole.move`: replaces earlier outputs of a kind, if it may replace anything."""
    return _IsEarlier(kind, overwrite)


@dataclass(frozen=True, slots=True)
class _IsEarlier:
    kind: Kind
    overwrite: bool

    def __call__(self, path: Path) -> bool:
        return self.overwrite and stranger(path, self.kind) is None


def real_path(path: str | Path) -> Path:
    """Where a path leads, whether or not anything is there; a link that leads nowhere stays."""
    return Path(os.path.realpath(path))


def _relation(out: AnyPath, path: AnyPath) -> str | None:
    """How an output and what is read are one: a verb; None where they are apart."""
    if isinstance(out, RemotePath) and isinstance(path, RemotePath):
        mine, read = _plain_uri(out), _plain_uri(path)
        return "is" if mine == read else "holds" if read.startswith(f"{mine}/") else None
    if isinstance(out, RemotePath) or isinstance(path, RemotePath):
        return None
    real = real_path(path)
    if out == real or real.is_relative_to(out):
        return "is" if out == real else "holds"
    mine_on_disk = _identity(out)
    if mine_on_disk is None or mine_on_disk not in map(_identity, (real, *real.parents)):
        return None
    return "is" if mine_on_disk == _identity(real) else "holds"


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _literal_parts(path: AnyPath, files: Sequence[tuple[str, AnyPath]]) -> int:
    """How many parts of a source are names; no store is asked, since its files are known."""
    if isinstance(path, Path):
        return literal_parts(path)
    parts = path.uri.split("/")
    for number, part in enumerate(parts):
        fixed = "/".join(parts[: number + 1])
        if glob.has_magic(part) and not any(str(file).startswith(f"{fixed}/") for _, file in files):
            return number
    return len(parts)


def _match_parts(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_match_parts(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return (
        bool(parts) and fnmatchcase(parts[0], pattern[0]) and _match_parts(parts[1:], pattern[1:])
    )


def _plain_uri(path: RemotePath) -> str:
    """A URI by which two names of one place are equal."""
    scheme, _, key = path.uri.partition("://")
    return f"{scheme}://{'/'.join(part for part in key.split('/') if part)}"


def check_parent(folder: Path, out: str | Path) -> None:
    """Raise OutputError unless `out` can be made in a folder."""
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} of {out} does not exist; make it first.")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} of {out} is not writable; choose another.")
