"""Read the table of texts of `import folder --texts`, whose rows come in any order of users.

The table is CSV, TSV, JSON lines or Parquet with the columns `user_id` and `text`, one row per text
and the oldest first, or `texts` with a list per row. It is kept in a temporary database, so that
memory does not grow with it.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tweetprofile.data.files.scratch import no_room
from tweetprofile.data.files.scratch_database import ScratchDatabase
from tweetprofile.data.manifests.user_ids import RoundedIds, is_floating
from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.table_columns import (
    Records,
    error_text,
    floating_id_message,
    parquet_records,
)
from tweetprofile.importers.readers.csv_rows import read_header, read_rows
from tweetprofile.importers.readers.encodings import encoding_remark, find_encoding
from tweetprofile.importers.readers.json_records import is_record_file, read_records
from tweetprofile.importers.readers.parquet_rows import read_schema
from tweetprofile.importers.skipped import Line, Skipped, SkipReason, brief
from tweetprofile.importers.users import (
    EMPTY_TEXTS,
    MOST_TEXTS,
    DumpUser,
    clean_text,
    is_id,
    newest_texts,
)

_TEXT, _TEXTS = "text", "texts"
_NAMES_SHOWN = 20


class TextTable(ScratchDatabase):
    """The texts of users, from a table; use it in a `with` block.

    Args:
        file: The table.
        skipped: Records the rows that cannot be taken.

    Raises:
        OptionError: The table cannot be read, lacks a column, or its ids have lost digits.
        WriteError: The temporary database cannot be written.
    """

    def __init__(self, file: Path, skipped: Skipped) -> None:
        self._file = file
        self._skipped = skipped

    def attach(self, users: Iterable[DumpUser]) -> Iterator[DumpUser]:
        """Yield users with their texts, and then the users of whom there are only texts.

        Raises:
            WriteError: The temporary database cannot be written.
        """
        try:
            for user in users:
                self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (user.user_id,))
                user.texts.extend(self._texts_of(user.user_id))
                yield user
            others = self._database.execute(
                "SELECT user_id FROM texts WHERE user_id NOT IN seen GROUP BY user_id "
                "ORDER BY MIN(rowid)"
            )
            for (user_id,) in others:
                yield DumpUser(user_id, [], texts=self._texts_of(user_id))
        except sqlite3.Error as error:
            raise no_room(error) from error

    def _texts_of(self, user_id: str) -> list[str]:
        rows = self._database.execute(
            "SELECT text FROM texts WHERE user_id = ? ORDER BY rowid", (user_id,)
        )
        texts: list[str] = []
        for (text,) in rows:
            texts.append(text)
            if len(texts) >= 2 * MOST_TEXTS:
                texts = newest_texts(texts, self._skipped.leave_out)
        return newest_texts(texts, self._skipped.leave_out)

    def _fill(self, database: sqlite3.Connection) -> None:
        rows = _open_rows(self._file, self._skipped)
        database.execute("CREATE TABLE texts (user_id TEXT NOT NULL, text TEXT NOT NULL)")
        database.execute("CREATE TABLE seen (user_id TEXT PRIMARY KEY) WITHOUT ROWID")
        with database:
            database.executemany("INSERT INTO texts VALUES (?, ?)", self._texts_in(rows))
        if database.execute("SELECT 1 FROM texts LIMIT 1").fetchone() is None:
            raise OptionError(
                f"{self._file} holds no text; it needs a 'user_id' and a 'text' or 'texts' per row."
            )
        database.execute("CREATE INDEX by_user ON texts (user_id)")

    def _texts_in(self, rows: Records) -> Iterator[tuple[str, str]]:
        rounded = RoundedIds()
        for number, row in rows:
            line = Line(self._skipped, self._file, number)
            if (user_id := self._user_id(row.get("user_id"), line)) is None:
                continue
            rounded.add(user_id)
            values = row.get(_TEXTS) if row.get(_TEXTS) is not None else row.get(_TEXT)
            for value in values if isinstance(values, list) else [values]:
                if isinstance(value, str):
                    if value.strip():
                        yield user_id, clean_text(value, line.leave_out)
                    else:
                        line.leave_out(EMPTY_TEXTS)
                elif value is not None:
                    line.skip(SkipReason.MALFORMED, f"a text is not text: {brief(value)}")
        if (fault := rounded.sentence) is not None:
            raise OptionError(f"{self._file}: {fault}.")

    def _user_id(self, user_id: Any, line: Line) -> str | None:
        if isinstance(user_id, str):
            user_id = user_id.strip()
        if isinstance(user_id, float) or (isinstance(user_id, str) and is_floating(user_id)):
            raise OptionError(floating_id_message(self._file, line.number, user_id))
        if isinstance(user_id, bool) or not isinstance(user_id, str | int) or user_id == "":
            line.skip(SkipReason.MISSING_KEY, "a row without a user_id")
            return None
        if not is_id(str(user_id)):
            line.skip(SkipReason.BAD_NAME, f"user_id {brief(user_id)!r} cannot be an id")
            return None
        return str(user_id)


def _open_rows(file: Path, skipped: Skipped) -> Records:
    """Return the rows of a table, with the numbers of their lines.

    Raises:
        OptionError: The table cannot be read or lacks a column.
    """
    try:
        if file.suffix.lower() == ".parquet":
            return _parquet_rows(file, skipped)
        encoding = find_encoding(file)
        if (remark := encoding_remark(file, encoding)) is not None:
            skipped.remark(remark)
        if is_record_file(file.name):
            return read_records(file, skipped, encoding)
        return _csv_rows(file, skipped)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise OptionError(
            f"{file} cannot be read: {error_text(error)}; repair it or save it again."
        ) from error


def _csv_rows(file: Path, skipped: Skipped) -> Records:
    header = read_header(file)
    _require_columns(file, header, (_TEXT,))
    rows = read_rows(file, skipped)
    return ((line, dict(zip(header, cells, strict=True))) for line, cells in rows)


def _parquet_rows(file: Path, skipped: Skipped) -> Records:
    names = read_schema(file).names
    texts = _require_columns(file, names, (_TEXT, _TEXTS))
    return parquet_records(file, ["user_id", texts], skipped)


def _require_columns(file: Path, names: list[str], texts: tuple[str, ...]) -> str:
    """Return which of the columns of texts a table has, which must also have `user_id`."""
    found = next((name for name in texts if name in names), None)
    if found is None or "user_id" not in names or len(set(names)) < len(names):
        shown = ", ".join(names[:_NAMES_SHOWN]) or "none"
        wanted = " or ".join(f"'{name}'" for name in texts)
        raise OptionError(
            f"{file} needs the columns 'user_id' and {wanted}, each once; it has {shown}."
        )
    return found
