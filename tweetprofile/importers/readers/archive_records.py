"""The records of an archive's file, `window.YTD.<name>.part<N> = [...]`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tweetprofile.importers.readers.json_records import LONGEST_RECORD
from tweetprofile.importers.readers.json_text import JsonTextReader, TextFormat
from tweetprofile.importers.readers.streams import DumpFile
from tweetprofile.importers.skipped import Skipped, SkipReason

_PIECE = 1 << 18
"""Characters read at a time, which most records are far shorter than."""

_BEGINNING = re.compile(r"\{\s{0,100}\"tweet\"\s{0,100}:")


def read_archive(file: Path, skipped: Skipped) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of an archive, each with the line that it begins in.

    What cannot be read is recorded as skipped, and reading goes on with the next tweet.
    """
    try:
        dump_file = DumpFile(file)
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, file, None, error.strerror or str(error))
        return
    form = TextFormat(_BEGINNING, one_list=True, longest=LONGEST_RECORD, piece=_PIECE)
    with dump_file:
        window = JsonTextReader(dump_file.bytes, form, file, skipped)
        yield from window.records()
        if not window.complete:
            what = dump_file.damage or "the list of records has no end"
            skipped.add(SkipReason.CUT, file, window.line, what)
