"""The record that every output carries: it says what kind of output a file is.

An earlier output may be replaced, and nothing else may. Whether a file is an earlier output depends
on its content, never on its name: Parquet and safetensors files have the record in their metadata,
PNG files in a text chunk, JPEG files in a comment, JSON files under a key, and text files in their
first line. A CSV file has no room for a record that R, Stata and spreadsheets would ignore, so its
record is a separate file next to it, which holds the checksum of the CSV file: a table that a
person has edited is no longer an output.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.data.files.storage import AnyPath, RemotePath, arrow_source, open_binary
from tweetprofile.untrusted.fields import mapping, parse_json
from tweetprofile.version import __version__

METADATA_KEY = "tweetprofile"
"""The key under which a file holds its description, as JSON."""

_LINE_BYTES = 512
"""The largest number of bytes in a first line that can be a record."""

_HEADER_BYTES = 32 << 20
_JSON_BYTES = 16 << 20
_EPOCH_BYTES = 1 << 20
"""Larger safetensors headers, JSON files and lines of metrics are not ours, and are not read."""

_BROWSE_LINES = ("<!doctype html><!-- {} -->", "/* {} */", "// {}")
_BROWSE_WORDS = "tweetprofile {}: users to browse"
"""The first lines of the pages, styles and scripts of a page to browse."""

_CHUNKS = 64
"""The largest number of chunks that are read of a PNG file before its pixels; ours have two."""


class Kind(StrEnum):
    """The kinds of outputs, in words that follow "is" and "is not" in messages."""

    PREDICTIONS = "a table of predictions"
    EMBEDDINGS = "a table of embeddings"
    DESCRIPTION = "the description of a table of predictions"
    STATISTICS = "a file of statistics"
    LOG = "a worker's log"
    MANIFEST = "an imported manifest"
    LOSSES = "an import's list of skipped items"
    SHEET = "a contact sheet"
    EVALUATION = "the record of an evaluation"
    MODEL = "a trained model"
    STATE = "the state of a training"
    SETTINGS = "the settings of a training"
    CARD = "a model card"
    METRICS = "the metrics of a training"
    VOCABULARY = "the vocabulary of a training"
    FOLDS = "the scores of a cross-validation"
    BROWSE = "a file of a page to browse"

    @property
    def tag(self) -> str:
        """The name of the kind in files, which never changes."""
        return self.name.lower()

    @classmethod
    def of_tag(cls, tag: object) -> "Kind":
        """Return the kind that a file names.

        Raises:
            ValueError: There is no such kind.
        """
        for kind in cls:
            if kind.tag == tag:
                return kind
        raise ValueError("no kind of output has this name")


_NO_RECORD = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""The exceptions raised by reading a file that has no record, or other JSON."""

_FIRST_LINES = {
    Kind.LOG: re.compile(r"# tweetprofile \S+: what a worker and its libraries print\."),
    Kind.LOSSES: re.compile(r"reason,file,line,what,written by tweetprofile \S+"),
    Kind.VOCABULARY: re.compile(r"trait,class,kind,ngram,users,weight,written by tweetprofile \S+"),
    Kind.SETTINGS: re.compile(r"# tweetprofile \S+: every setting of this run\."),
    Kind.CARD: re.compile(r"# Model card: .+, .+"),
    Kind.BROWSE: re.compile(
        "|".join(
            re.escape(line).replace(r"\{\}", _BROWSE_WORDS.format(r"\S+")) for line in _BROWSE_LINES
        )
    ),
}
_HEADERS = {
    Kind.MODEL: rb'{"__metadata__":{"tweetprofile":"{\"format\": ',
    Kind.STATE: rb'{"__metadata__":{"state":"{\"settings\": ',
}
_MADE_BY = re.compile(r"Made by tweetprofile \d\S*\. The (?:network|model) ")
"""The beginning of the second paragraph of a model card."""

_EPOCH = {"epoch", "loss", "val_loss", "scores", "mean_macro_f1", "learning_rate", "seconds"}
"""The keys of one line of the metrics of a training."""


_CSV_BEGINS = b"user_id,"

_REPLACES = "replaces"
"""The key of the replaced table's checksum: a run may be killed between the two renames."""


def sidecar_of(path: AnyPath) -> AnyPath:
    """Return the path of the file that holds the record of a CSV file."""
    name = f"{path.name}.json"
    return path.with_name(name) if isinstance(path, Path) else path.parent / name


def describe_csv(facts: dict[str, Any], table: Path, replaced: AnyPath) -> bytes:
    """Return the record of a CSV file, to be written next to it.

    Args:
        facts: The description of the table.
        table: The complete CSV file.
        replaced: The path of the table that the new one may replace.

    Raises:
        OSError: A file cannot be read.
    """
    earlier = digest_of(replaced) if kind_of(replaced) is Kind.PREDICTIONS else None
    record = {**stamp(Kind.DESCRIPTION), **facts, "sha256": digest_of(table), _REPLACES: earlier}
    return (json.dumps({METADATA_KEY: record}, indent=1) + "\n").encode()


def digest_of(path: AnyPath) -> str:
    """Return the SHA-256 of a regular file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not a regular file.
    """
    with _open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _sidecar_record(path: AnyPath) -> dict[str, Any]:
    """Return the record of a CSV file, from the file next to it.

    Raises:
        KeyError, OSError, ValueError: There is no record.
    """
    with _open_regular(sidecar_of(path)) as file:
        content = mapping(parse_json(file.read(_JSON_BYTES), "its record"), "it")
    return mapping(content[METADATA_KEY], "its record")


def stamp(kind: Kind) -> dict[str, str]:
    """Return the record of an output of a kind, as JSON."""
    return {"kind": kind.tag, "version": __version__}


def browse_line(ending: str) -> str:
    """Return the first line of a file of a page to browse, without a line break.

    Args:
        ending: The ending of the file: `html`, `css` or `js`.
    """
    line = dict(zip(("html", "css", "js"), _BROWSE_LINES, strict=True))[ending]
    return line.format(_BROWSE_WORDS.format(__version__))


def kind_of(path: AnyPath) -> Kind | None:
    """Return the kind of output that a file is, by its record; None if it has no record of ours."""
    try:
        with _open_regular(path) as file:
            head = file.read(_LINE_BYTES)
            file.seek(0)
            if head.startswith(_CSV_BEGINS):
                known = _sidecar_record(path)
                return Kind.PREDICTIONS if _is_of(known, digest_of(path)) else None
            return _kind(head, file)
    except (*_NO_RECORD, pa.ArrowException):
        return None


def read_description(path: AnyPath) -> dict[str, Any]:
    """Return the description in a file of predictions, Parquet or CSV, or of embeddings.

    Raises:
        KeyError, OSError, ValueError, ArrowException: The file holds neither.
    """
    with _open_regular(path) as file:
        is_csv = file.read(len(_CSV_BEGINS)) == _CSV_BEGINS
    if not is_csv:
        return _description(arrow_source(path))
    record = _sidecar_record(path)
    if record["sha256"] != digest_of(path):
        raise ValueError(f"{path} was changed since it was written")
    return record


def _is_of(record: dict[str, Any], digest: str) -> bool:
    """Return whether a record describes a CSV file with this checksum, or was to replace it."""
    return record.get("kind") == Kind.DESCRIPTION.tag and digest in (
        record["sha256"],
        record.get(_REPLACES),
    )


def _description(source: Any) -> dict[str, Any]:
    metadata = pq.read_metadata(source).metadata or {}
    return mapping(parse_json(metadata[METADATA_KEY.encode()], "its record"), "it")


@contextmanager
def _open_regular(path: AnyPath) -> Iterator[IO[bytes]]:
    """Open a regular file; a link is refused, and so is a pipe, which would block the reader."""
    if isinstance(path, RemotePath):
        with open_binary(path) as remote:
            yield remote
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - it is open already
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        yield file


def _kind(head: bytes, file: IO[bytes]) -> Kind | None:
    if head.startswith(b"PAR1"):
        return _kind_of_parquet(file)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _kind_of_png(file)
    if head.startswith(b"\xff\xd8"):
        return _kind_of_jpeg(file)
    if head[8:9] == b"{":
        return _kind_of_safetensors(file) or _kind_of_text(head, file)
    return _kind_of_text(head, file)


def _kind_of_parquet(file: IO[bytes]) -> Kind | None:
    described = _description(file)
    for kind in (Kind.MANIFEST, Kind.EMBEDDINGS):
        if described.get("kind") == kind.tag:
            return kind
    # Predictions have had these keys since version 0.1.0.
    return Kind.PREDICTIONS if {"run", "network", "counts"} <= described.keys() else None


def _kind_of_png(file: IO[bytes]) -> Kind | None:
    """Return the kind that is named in a tEXt chunk before the pixels."""
    file.seek(8)
    for _ in range(_CHUNKS):
        header = file.read(8)
        if len(header) < 8 or header[4:] == b"IDAT":
            break
        length = int.from_bytes(header[:4], "big")
        if header[4:] != b"tEXt" or length > _LINE_BYTES:
            file.seek(length + 4, os.SEEK_CUR)
            continue
        keyword, _, text = file.read(length).partition(b"\0")
        if keyword == METADATA_KEY.encode():
            return Kind.SHEET if json.loads(text).get("kind") == Kind.SHEET.tag else None
        file.seek(4, os.SEEK_CUR)
    return None


def _kind_of_jpeg(file: IO[bytes]) -> Kind | None:
    """Return the kind that is named in a comment before the pixels."""
    file.seek(2)
    for _ in range(_CHUNKS):
        header = file.read(4)
        if len(header) < 4 or header[0] != 0xFF or header[1] == 0xDA:  # the scan begins
            break
        length = int.from_bytes(header[2:], "big") - 2
        if header[1] != 0xFE or not 0 < length <= _LINE_BYTES:
            file.seek(max(0, length), os.SEEK_CUR)
            continue
        record = json.loads(file.read(length))
        return Kind.BROWSE if record[METADATA_KEY]["kind"] == Kind.BROWSE.tag else None
    return None


def _kind_of_safetensors(file: IO[bytes]) -> Kind | None:
    """Return the kind that the header names; headers have not changed since version 0.1.0.

    The beginning of the header is enough: a training state that is damaged further on is still one.
    """
    length = int.from_bytes(file.read(8), "little")
    beginning = file.read(_LINE_BYTES)
    for kind, begins in _HEADERS.items():
        if beginning.startswith(begins):
            return kind
    file.seek(8)
    if length > _HEADER_BYTES:
        return None
    metadata = json.loads(file.read(length)).get("__metadata__") or {}
    if METADATA_KEY in metadata and "network" in json.loads(metadata[METADATA_KEY]):
        return Kind.MODEL
    state = json.loads(metadata["state"])
    return Kind.STATE if {"settings", "epoch", "epochs", "kept"} <= state.keys() else None


def _kind_of_text(head: bytes, file: IO[bytes]) -> Kind | None:
    lines = head.decode("utf-8", "replace").splitlines()
    first = lines[0].rstrip() if lines else ""
    for kind, pattern in _FIRST_LINES.items():
        if pattern.fullmatch(first):
            is_kind = kind is not Kind.CARD or (len(lines) > 2 and _MADE_BY.match(lines[2]))
            return kind if is_kind else None
    return _kind_of_json(file) if head.startswith(b"{") else None


def _kind_of_json(file: IO[bytes]) -> Kind | None:
    file.seek(0)
    line = file.readline(_EPOCH_BYTES)
    if line.strip() != b"{":  # or else an object over several lines
        return Kind.METRICS if json.loads(line).keys() == _EPOCH else None
    written = json.loads(line + file.read(_JSON_BYTES)).get(METADATA_KEY) or {}
    kinds = (Kind.STATISTICS, Kind.EVALUATION, Kind.FOLDS, Kind.DESCRIPTION)
    return next((kind for kind in kinds if written.get("kind") == kind.tag), None)
