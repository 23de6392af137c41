"""Lines of plain or compressed files, and the JSON records in them, each with its line's number.

A file of records is JSON lines, each an object or a list of objects; or a text in which an object
or a list takes several lines, which `windows` reads. Its beginning decides.
"""

import io
import json
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from tweetprofile.importers.readers.json_text import JsonTextReader, TextFormat, objects_of
from tweetprofile.importers.readers.streams import DumpFile, as_utf8
from tweetprofile.importers.skipped import Skipped, SkipReason

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
    file: Path, skipped: Skipped, encoding: str = "utf-8"
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file, each with the number of the line that it begins in, from 1.

    They stand one per line, or in lists, or take several lines each. What is no object is noted
    among the losses; of a file that ends early, what stands before is given.
    """
    try:
        dump_file = DumpFile(file, encoding)
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, file, None, error.strerror or str(error))
        return
    with dump_file:
        data = as_utf8(dump_file.bytes)
        records = _records_of_text if _takes_several_lines(data.peek()) else _records_of_lines
        yield from records(data, dump_file, file, skipped)


def read_lines(file: Path, skipped: Skipped) -> Iterator[tuple[int, str]]:
    """The lines of a file of text, with their numbers, from 1; bytes that are none are replaced.

    A line longer than `LONGEST_LINE` is recorded as skipped.
    """
    try:
        dump_file = DumpFile(file)
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, file, None, error.strerror or str(error))
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
            skipped.add(SkipReason.MALFORMED, file, number, what)
    if dump_file.damage is not None:
        skipped.add(SkipReason.CUT, file, number + 1, f"cannot be read on: {dump_file.damage}")


def _takes_several_lines(head: bytes) -> bool:
    """Whether a file that begins so holds JSON that goes on beyond the end of its line.

    A broken first line among JSON lines does not: nothing of the next line could follow it.
    """
    text = head.decode("utf-8-sig", "replace").lstrip()
    first, end_of_line, _ = text.partition("\n")
    if not end_of_line:
        return text.startswith("[")  # a list of any length, on one line
    if not first.startswith(("[", "{")):
        return False
    try:
        _, reached = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        reached = error.pos
    except RecursionError:
        return False
    rest = text[len(first) :]
    return reached > len(text) - len(rest.lstrip())


def _records_of_text(
    data: "BufferedReader[Any]", dump_file: DumpFile, file: Path, skipped: Skipped
) -> Iterator[tuple[int, dict[str, Any]]]:
    form = TextFormat(None, one_list=False, longest=LONGEST_RECORD)
    window = JsonTextReader(data, form, file, skipped)
    yield from window.records()
    if not window.complete and not window.cut_is_noted and dump_file.damage is None:
        skipped.add(SkipReason.CUT, file, window.line, "the list of records has no end")
    elif dump_file.damage is not None and not window.cut_is_noted:
        skipped.add(SkipReason.CUT, file, window.line, f"cannot be read on: {dump_file.damage}")


def _records_of_lines(
    data: "BufferedReader[Any]", dump_file: DumpFile, file: Path, skipped: Skipped
) -> Iterator[tuple[int, dict[str, Any]]]:
    number, cut_line = 0, None
    read = data.readline
    for number, line in enumerate(iter(lambda: read(LONGEST_RECORD + 1), b""), 1):
        whole = line.endswith(b"\n")
        if len(line) > LONGEST_RECORD and not whole:
            _skip_line(data)
            skipped.add(SkipReason.MALFORMED, file, number, f"a line of more than {_LONGEST_SAID}")
            continue
        record, fault = _parse(line)
        if isinstance(record, dict):
            yield number, record
        elif record is not None:
            yield from ((number, each) for each in objects_of(record, file, number, skipped))
        elif fault and not whole and dump_file.damage is not None:
            cut_line = number  # by the damage, which is noted below
        elif fault:
            # Without an end of line, it is where a crawler was stopped.
            reason = SkipReason.MALFORMED if whole or fault != _NO_JSON else SkipReason.CUT
            skipped.add(reason, file, number, f"{fault}: {_beginning(line)}")
    if dump_file.damage is not None:
        at = cut_line or number + 1
        skipped.add(SkipReason.CUT, file, at, f"cannot be read on: {dump_file.damage}")


def _skip_line(data: "BufferedReader[Any]") -> None:
    """Leave the rest of a line unread, in pieces."""
    while (piece := data.readline(_SKIPPED_AT_ONCE)) and not piece.endswith(b"\n"):
        pass


def _parse(line: bytes) -> tuple[dict[str, Any] | list[Any] | None, str | None]:
    """The object or list of a line, or what is wrong with it; neither of an empty line."""
    if not line.strip():
        return None, None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = _parse_between_commas(line)
        if record is None:
            return None, _NO_JSON
    return (record, None) if isinstance(record, dict | list) else (None, "no JSON object")


def _parse_between_commas(line: bytes) -> Any:
    """The value of a line without the commas around it; None where that does not help."""
    bare = line.strip(b" \t\r\n,")
    if len(bare) == len(line.rstrip()):
        return None
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        return None


def _beginning(line: bytes) -> str:
    return line[:80].decode("utf-8", "replace").strip()
