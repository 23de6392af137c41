"""What an output must not replace: one rule for all commands.

An output never replaces a file that the run reads, anything that is not a regular file, or any file
except an earlier output of the same kind, which is recognised by its own record (`provenance.py`).
Nor does a new file become part of a manifest that the run reads. Links are followed before paths
are compared, and files are also compared by device and inode, so that hard links count.
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

_NOT_REGULAR = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link that leads nowhere",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class InputPattern:
    """A folder whose files the run reads, now or next time, if they match a pattern.

    Attributes:
        name: The role of the folder in the run, such as "the dump".
        folder: The folder.
        pattern: The pattern, which paths relative to the folder are matched against.
        star_matches_slash: Whether a `*` in the pattern also matches slashes.
    """

    name: str
    folder: AnyPath
    pattern: str
    star_matches_slash: bool = False

    def matches(self, out: AnyPath) -> bool:
        """Return whether the run would read an output, which is given by its real path."""
        if isinstance(self.folder, RemotePath) or isinstance(out, RemotePath):
            if isinstance(self.folder, Path) or isinstance(out, Path):
                return False
            folder, uri = _normalised(self.folder), _normalised(out)
            below = PurePosixPath(uri.removeprefix(f"{folder}/"))
            if not uri.startswith(f"{folder}/"):
                return False
        elif out.is_relative_to(real_path(self.folder)):
            below = PurePosixPath(out.relative_to(real_path(self.folder)))
        else:
            return False
        if self.star_matches_slash:
            return fnmatchcase(str(below), self.pattern)
        return _match_parts(below.parts, self.pattern.split("/"))


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files that a run reads.

    Attributes:
        paths: Files and folders, each with its role in the run, such as "the manifest".
        patterns: Folders whose new files the run would also read.
    """

    paths: tuple[tuple[str, AnyPath], ...] = ()
    patterns: tuple[InputPattern, ...] = ()

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(self.paths + other.paths, self.patterns + other.patterns)

    @classmethod
    def of(cls, **paths: AnyPath | None) -> "Inputs":
        """Return inputs from paths by their names to the run; paths that are None are left out."""
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
        """Return the inputs of a source of tables: a file, a folder or a glob.

        Args:
            name: The role of the source in the run, such as "the manifest".
            source: The source as the user gave it.
            files: The files that the source stands for.
            patterns: The names of the files that are read if the source is a folder.
        """
        named = tuple((name, file) for file in files)
        path = as_path(source)
        if path in {file for _, file in named}:
            return cls(named)
        parts = path.uri.split("/") if isinstance(path, RemotePath) else path.parts
        literal = _literal_parts(path, named)
        if literal == len(parts):
            of_folder = (InputPattern(name, path, pattern) for pattern in patterns)
            return cls((*named, (name, path)), tuple(of_folder))
        # The two kinds of globs are those of `sources.py` and `listing.find_files`.
        pattern = "/".join(parts[literal:])
        if isinstance(path, RemotePath):
            folder: AnyPath = RemotePath("/".join(parts[:literal]))
            return cls(named, (InputPattern(name, folder, pattern, star_matches_slash=True),))
        return cls(named, (InputPattern(name, Path(*parts[:literal]), pattern),))

    def refuse(self, out: AnyPath, shown_as: object) -> None:
        """Raise OutputError if an output is, contains or would become part of an input.

        Args:
            out: The output's real path, or its path in an object store.
            shown_as: The output as error messages name it.
        """
        for name, path in self.paths:
            if (how := _relation(out, path)) is not None:
                raise OutputError(
                    f"{shown_as} {how} {name} ({path}) that this run reads; choose another name."
                )
        for pattern in self.patterns:
            if pattern.matches(out):
                raise OutputError(
                    f"{shown_as} would become part of {pattern.name} ({pattern.folder}/"
                    f"{pattern.pattern}) that this run reads; choose another name."
                )


def check_file(
    out: Path, kind: Kind, inputs: Inputs, *, overwrite: bool, shown_as: object = None
) -> None:
    """Raise OutputError if a file must not be written.

    Args:
        out: The file's path; links are followed.
        kind: The kind of output that will be written.
        inputs: The files that the run reads.
        overwrite: Whether an earlier output may be replaced.
        shown_as: The file as error messages name it; None for `out`.
    """
    shown_as, real = shown_as or out, real_path(out)
    inputs.refuse(real, shown_as)
    refuse_foreign(real, kind, shown_as)
    if not overwrite and os.path.lexists(real):
        raise OutputError(f"{shown_as} exists; choose another name or pass `overwrite=True`.")


def check_folder(folder: Path, kind: Kind, shown_as: object, names: str) -> None:
    """Raise OutputError if a folder is not an earlier output, and so must not be replaced.

    Args:
        folder: The folder, which must exist.
        kind: The kind of the files in an earlier output.
        shown_as: The folder as error messages name it.
        names: A pattern that the names of the files must match.
    """
    check_entries(folder, kind, shown_as, names)
    if not any(folder.iterdir()):
        raise OutputError(
            f"{shown_as} is an empty folder, which is not replaced; choose another name, or remove "
            "it yourself."
        )


def check_entries(folder: Path, kind: Kind, shown_as: object, names: str = "*") -> None:
    """Raise OutputError if a folder holds a foreign file; for the arguments, see `check_folder`."""
    for entry in sorted(folder.iterdir()):
        if not fnmatchcase(entry.name, names) or why_foreign(entry, kind) is not None:
            raise OutputError(
                f"{shown_as} holds {entry.name}, which is not {kind} that tweetprofile wrote, so "
                "it is not replaced; choose another folder, or empty it yourself."
            )


def refuse_foreign(path: Path, kind: Kind, shown_as: object) -> None:
    """Raise OutputError if there is anything but an earlier output at a real path."""
    if (reason := why_foreign(path, kind)) is not None:
        raise OutputError(f"{shown_as} {reason}.")


def why_foreign(path: Path, kind: Kind) -> str | None:
    """Return why the file at a path must not be replaced, to follow its name in a message.

    None if nothing is there, or an earlier output of that kind.
    """
    if not os.path.lexists(path):
        return None
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        what = _NOT_REGULAR.get(stat.S_IFMT(mode), "not a regular file")
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
    """Return a test, for `atomic.move`, of whether a file is an earlier output that it may replace.

    Args:
        kind: The kind of the earlier output.
        overwrite: Whether anything may be replaced at all.
    """
    return _IsEarlier(kind, overwrite)


@dataclass(frozen=True, slots=True)
class _IsEarlier:
    kind: Kind
    overwrite: bool

    def __call__(self, path: Path) -> bool:
        return self.overwrite and why_foreign(path, self.kind) is None


def real_path(path: str | Path) -> Path:
    """Return a path with its links followed, whether or not there is anything at it."""
    return Path(os.path.realpath(path))


def _relation(out: AnyPath, path: AnyPath) -> str | None:
    """Return "is" or "holds", by how an output relates to an input; None if they are apart."""
    if isinstance(out, RemotePath) and isinstance(path, RemotePath):
        mine, read = _normalised(out), _normalised(path)
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
    """Return how many leading parts of a source are names and not patterns.

    A store is not asked, since the files of the source are known.
    """
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


def _normalised(path: RemotePath) -> str:
    """Return a URI without empty parts, so that two URIs of one object are equal."""
    scheme, _, key = path.uri.partition("://")
    return f"{scheme}://{'/'.join(part for part in key.split('/') if part)}"


def check_parent(folder: Path, out: str | Path) -> None:
    """Raise OutputError if `out` cannot be created in a folder."""
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} of {out} does not exist; make it first.")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} of {out} is not writable; choose another folder.")
