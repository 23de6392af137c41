"""Read the records in a file of an account archive: `window.YTD.<name>.part<N> = [...]`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tweetprofile.importers.readers.json_records import LONGEST_RECORD
from tweetprofile.importers.readers.json_text import JsonTextReader, TextFormat
from tweetprofile.importers.readers.streams import DumpFile
from tweetprofile.importers.skipped import Skipped, SkipReason

_PIECE = 1 << 18
"""Characters read at a time; most records are far shorter."""

_RECORD_START = re.compile(r"\{\s{0,100}\"tweet\"\s{0,100}:")


def read_archive(file: Path, skipped: Skipped) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a file of an archive, each with the number of its first line.

    What cannot be read is recorded as skipped, and reading resumes with the next tweet.
    """
    try:
        dump_file = DumpFile(file)
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, file, None, error.strerror or str(error))
        return
    text_format = TextFormat(_RECORD_START, is_one_list=True, longest=LONGEST_RECORD, piece=_PIECE)
    with dump_file:
        reader = JsonTextReader(dump_file.bytes, text_format, file, skipped)
        yield from reader.records()
        if not reader.is_complete:
            what = dump_file.damage or "the list of records has no end"
            skipped.add(SkipReason.CUT, file, reader.line, what)
