"""Lines of plain or compressed files, and the JSON records in them, each with its line's number."""

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from tweetprofile.importers.losses import Loss, Losses

_LONGEST_LINE = 256 << 20
"""Bytes: a page of 500 tweets has 2 MB; what is larger is no record."""

_BUFFER = 1 << 20

RECORD_ENDINGS = (".jsonl", ".json", ".ndjson")
COMPRESSED_ENDINGS = ("", ".gz", ".bz2", ".zst")

_ENDS_EARLY = (EOFError, OSError, zlib.error, lzma.LZMAError, pa.ArrowException)
"""What reading raises where compressed data is cut or damaged."""


def is_record_file(name: str) -> bool:
    """Whether a file's name is that of JSON lines, plain or compressed."""
    return name.lower().endswith(
        tuple(record + packed for record in RECORD_ENDINGS for packed in COMPRESSED_ENDINGS)
    )


def read_records(file: Path, losses: Losses) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file, one a line, with the number of the line, from 1.

    What is none is noted among the losses; of a file that ends early, what stands before is given.
    """
    number, complete = 0, True
    try:
        with _open(file) as lines:
            for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE), b""), 1):
                complete = line.endswith(b"\n")
                if (record := _parse(line, file, number, losses, last=not complete)) is not None:
                    yield number, record
    except _ENDS_EARLY as error:
        losses.note(Loss.CUT, file, number + 1, f"cannot be read on: {error}")


def _parse(
    line: bytes, file: Path, number: int, losses: Losses, *, last: bool
) -> dict[str, Any] | None:
    if not line.strip():
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        # Without an end of line, it is where a crawler was stopped.
        reason = Loss.CUT if last else Loss.MALFORMED
        losses.note(reason, file, number, f"no JSON: {_beginning(line)}")
        return None
    if not isinstance(record, dict):
        losses.note(Loss.MALFORMED, file, number, f"no JSON object: {_beginning(line)}")
        return None
    return record


def _beginning(line: bytes) -> str:
    return line[:80].decode("utf-8", "replace").strip()


def _open(file: Path) -> IO[bytes]:
    if file.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(file))
    if file.suffix == ".bz2":
        return bz2.open(file)
    if file.suffix == ".zst":  # which Python reads by itself only from 3.14 on
        stream = pa.CompressedInputStream(pa.OSFile(str(file)), "zstd")
        return io.BufferedReader(stream, _BUFFER)
    return file.open("rb")
