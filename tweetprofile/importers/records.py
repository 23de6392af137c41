"""Lines of plain or compressed files, and the JSON records in them, each with its line's number."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tweetprofile.importers.losses import Loss, Losses
from tweetprofile.importers.streams import DumpFile

LONGEST_RECORD = 16 << 20
"""Bytes of a line, or characters of a record: a page of 500 tweets has 2 MB. What is longer is no
record; parsed, 16 MiB of JSON can take 30 times as much memory."""

LONGEST_LINE = 1 << 16
"""Characters of a line of text that is no JSON."""

_LONGEST_SAID = f"{LONGEST_RECORD >> 20} MiB"
_SKIPPED_AT_ONCE = 1 << 16
_NO_JSON = "no JSON"

RECORD_ENDINGS = (".jsonl", ".json", ".ndjson")
COMPRESSED_ENDINGS = ("", ".gz", ".bz2", ".zst")


def is_record_file(name: str) -> bool:
    """Whether a file's name is that of JSON lines, plain or compressed."""
    return name.lower().endswith(
        tuple(record + packed for record in RECORD_ENDINGS for packed in COMPRESSED_ENDINGS)
    )


def read_records(
    file: Path, losses: Losses, encoding: str = "utf-8"
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file, one a line, with the number of the line, from 1.

    What is none is noted among the losses; of a file that ends early, what stands before is given.
    """
    try:
        dump_file = DumpFile(file, encoding)
    except OSError as error:
        losses.note(Loss.UNREADABLE, file, None, error.strerror or str(error))
        return
    with dump_file:
        yield from _records(dump_file, file, losses)


def read_lines(file: Path, losses: Losses) -> Iterator[tuple[int, str]]:
    """The lines of a file of text, with their numbers, from 1; bytes that are none are replaced.

    A line longer than `LONGEST_LINE` is noted among the losses.
    """
    try:
        dump_file = DumpFile(file)
    except OSError as error:
        losses.note(Loss.UNREADABLE, file, None, error.strerror or str(error))
        return
    number = 0
    with dump_file:
        text = io.TextIOWrapper(dump_file.bytes, "utf-8", "replace")
        for number, line in enumerate(iter(lambda: text.readline(LONGEST_LINE + 1), ""), 1):
            if len(line) <= LONGEST_LINE or line.endswith("\n"):
                yield number, line
                continue
            while (rest := text.readline(_SKIPPED_AT_ONCE)) and not rest.endswith("\n"):
                pass
            what = f"a line of more than {LONGEST_LINE:,} characters"
            losses.note(Loss.MALFORMED, file, number, what)
    if dump_file.damage is not None:
        losses.note(Loss.CUT, file, number + 1, f"cannot be read on: {dump_file.damage}")


def _records(dump_file: DumpFile, file: Path, losses: Losses) -> Iterator[tuple[int, Any]]:
    number, cut_line = 0, None
    read = dump_file.bytes.readline
    for number, line in enumerate(iter(lambda: read(LONGEST_RECORD + 1), b""), 1):
        whole = line.endswith(b"\n")
        if len(line) > LONGEST_RECORD and not whole:
            _skip_line(dump_file)
            losses.note(Loss.MALFORMED, file, number, f"a line of more than {_LONGEST_SAID}")
            continue
        record, fault = _parse(line)
        if record is not None:
            yield number, record
        elif fault and not whole and dump_file.damage is not None:
            cut_line = number  # by the damage, which is noted below
        elif fault:
            # Without an end of line, it is where a crawler was stopped.
            reason = Loss.MALFORMED if whole or fault != _NO_JSON else Loss.CUT
            losses.note(reason, file, number, f"{fault}: {_beginning(line)}")
    if dump_file.damage is not None:
        at = cut_line or number + 1
        losses.note(Loss.CUT, file, at, f"cannot be read on: {dump_file.damage}")


def _skip_line(dump_file: DumpFile) -> None:
    """Leave the rest of a line unread, in pieces."""
    while (piece := dump_file.bytes.readline(_SKIPPED_AT_ONCE)) and not piece.endswith(b"\n"):
        pass


def _parse(line: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """The record of a line, or what is wrong with it; neither of an empty line."""
    if not line.strip():
        return None, None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None, _NO_JSON
    return (record, None) if isinstance(record, dict) else (None, "no JSON object")


def _beginning(line: bytes) -> str:
    return line[:80].decode("utf-8", "replace").strip()
