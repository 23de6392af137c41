"""Read the lines of plain or compressed files, and the JSON records in them, with line numbers.

A file of records holds JSON lines, each an object or a list of objects; or a text in which an
object or a list takes several lines, which `json_text` reads. The beginning of the file decides.
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
"""The largest number of bytes in a line, or characters of a record; a page of 500 tweets has 2 MB.
Parsed, JSON can take 30 times its size in memory, so anything longer is skipped."""

LONGEST_LINE = 1 << 16
"""The largest number of characters in a line of text that is not JSON."""

_LONGEST_RECORD_TEXT = f"{LONGEST_RECORD >> 20} MiB"
_SKIPPED_AT_ONCE = 1 << 16
_NOT_JSON = "not JSON"

RECORD_ENDINGS = (".jsonl", ".json", ".ndjson")
COMPRESSED_ENDINGS = ("", ".gz", ".bz2", ".zst")


def is_record_file(name: str) -> bool:
    """Return whether a file's name is that of JSON, plain or compressed."""
    return name.lower().endswith(
        tuple(record + packed for record in RECORD_ENDINGS for packed in COMPRESSED_ENDINGS)
    )


def read_records(
    file: Path, skipped: Skipped, encoding: str = "utf-8"
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the JSON objects of a file, each with the number of its first line, from 1.

    The objects are one per line, or in lists, or take several lines each. What is not an object is
    recorded as skipped; of a file that ends early, everything before its end is read.
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
    """Yield the lines of a text file with their numbers, from 1; invalid UTF-8 is replaced.

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
        skipped.add(SkipReason.CUT, file, number + 1, damage_text(dump_file.damage))


def damage_text(damage: str) -> str:
    """Describe damage that ends the reading of a file."""
    return f"cannot be read any further: {damage}"


def _takes_several_lines(head: bytes) -> bool:
    """Return whether the first JSON value in the head of a file continues on the next line.

    A broken first line of JSON lines does not: nothing in the next line could continue it.
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
    text_format = TextFormat(None, is_one_list=False, longest=LONGEST_RECORD)
    reader = JsonTextReader(data, text_format, file, skipped)
    yield from reader.records()
    if reader.cut_is_recorded:
        return
    if dump_file.damage is not None:
        skipped.add(SkipReason.CUT, file, reader.line, damage_text(dump_file.damage))
    elif not reader.is_complete:
        skipped.add(SkipReason.CUT, file, reader.line, "the list of records has no end")


def _records_of_lines(
    data: "BufferedReader[Any]", dump_file: DumpFile, file: Path, skipped: Skipped
) -> Iterator[tuple[int, dict[str, Any]]]:
    number, cut_line = 0, None
    read = data.readline
    for number, line in enumerate(iter(lambda: read(LONGEST_RECORD + 1), b""), 1):
        is_complete = line.endswith(b"\n")
        if len(line) > LONGEST_RECORD and not is_complete:
            _skip_line(data)
            skipped.add(
                SkipReason.MALFORMED, file, number, f"a line of more than {_LONGEST_RECORD_TEXT}"
            )
            continue
        record, fault = _parse(line)
        if isinstance(record, dict):
            yield number, record
        elif record is not None:
            yield from ((number, each) for each in objects_of(record, file, number, skipped))
        elif fault and not is_complete and dump_file.damage is not None:
            cut_line = number  # cut by the damage that is recorded below
        elif fault:
            # A broken line without a line end is where a crawler was stopped.
            is_malformed = is_complete or fault != _NOT_JSON
            reason = SkipReason.MALFORMED if is_malformed else SkipReason.CUT
            skipped.add(reason, file, number, f"{fault}: {_excerpt(line)}")
    if dump_file.damage is not None:
        skipped.add(SkipReason.CUT, file, cut_line or number + 1, damage_text(dump_file.damage))


def _skip_line(data: "BufferedReader[Any]") -> None:
    """Skip the rest of a line, in pieces."""
    while (piece := data.readline(_SKIPPED_AT_ONCE)) and not piece.endswith(b"\n"):
        pass


def _parse(line: bytes) -> tuple[dict[str, Any] | list[Any] | None, str | None]:
    """Return the object or list in a line, or what is wrong with it; neither for an empty line."""
    if not line.strip():
        return None, None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = _parse_between_commas(line)
        if record is None:
            return None, _NOT_JSON
    return (
        (record, None) if isinstance(record, dict | list) else (None, "not a JSON object or list")
    )


def _parse_between_commas(line: bytes) -> Any:
    """Parse a line without the commas around it; return None if that does not help."""
    bare = line.strip(b" \t\r\n,")
    if len(bare) == len(line.rstrip()):
        return None
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        return None


def _excerpt(line: bytes) -> str:
    return line[:80].decode("utf-8", "replace").strip()
