"""The claims of a Parquet file about its row groups, read from its footer.

Arrow also reads footers, but some damaged ones make it abort the process (pyarrow 26:
`RowGroupMetaData.column` throws where no exception may pass). A damaged manifest must cause one
error message. So the few numbers that are needed before a row group is decoded are read here, from
Thrift's compact protocol, which `parquet.thrift` is encoded in.
"""

import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from tweetprofile.plurals import count_of

_MOST_NESTED = 16
"""The deepest nesting of structures; Parquet's own footers have six levels."""

_BYTE_ARRAY = 6
_DICTIONARY_PAGE = 2
_HEADER_OF_VALUES = {0: 5, 3: 8}
"""The field of `PageHeader` with the number of values, by the kind of page: versions 1 and 2."""

LARGEST_PAGE = (1 << 31) - 1

_USUAL_HEADER_BYTES = 256
_MOST_HEADER_BYTES = 16 << 20
"""The largest page header, with long statistics; the limit is Arrow's."""

_ALWAYS_READ = 1 << 26
"""The page size in bytes that is accepted in any case, since some writers claim too little."""

Fields = dict[int, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnClaims:
    """The claims of a footer about one column of a row group.

    Attributes:
        path: The names from the top-level column down, joined by dots.
        of_bytes: Whether the values are text or binary, of any length.
        values: The number of values, including nulls.
        unpacked: The size in bytes of all pages after decompression.
        packed: The size in bytes of all pages in the file.
        first_page: The position of the first page in the file.
        nulls: The number of null values; None if the file has no statistics.
    """

    path: str
    of_bytes: bool
    values: int
    unpacked: int
    packed: int
    first_page: int
    nulls: int | None = None

    @property
    def top(self) -> str:
        """The name of the top-level column."""
        return self.path.partition(".")[0]


@dataclass(frozen=True, slots=True)
class GroupClaims:
    """The claims of a footer about a row group: the number of rows, and the columns in order."""

    rows: int
    columns: tuple[ColumnClaims, ...]


def read_claims(file: BinaryIO) -> tuple[GroupClaims, ...]:
    """Read the claims of a Parquet file about its row groups, in order.

    Raises:
        ValueError: The footer is damaged, or contradicts itself.
        OSError: The file cannot be read.
    """
    # A Parquet file ends with the footer, its length in 4 bytes, and the magic "PAR1".
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(8)[:4], "little")
    if not 0 < length <= size - 8:
        raise ValueError("its footer is longer than the file")
    file.seek(size - 8 - length)
    try:
        footer = _Reader(file.read(length)).fields()
        groups = tuple(map(_group_of, footer.get(4, [])))
        rows = int(footer[3])
    except (IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ValueError("its footer is damaged") from error
    if rows != sum(group.rows for group in groups):
        raise ValueError("its footer is damaged: its row groups do not add up to its rows")
    return groups


def dictionary_bytes(file: BinaryIO, column: ColumnClaims) -> int:
    """Return the size in bytes of a column's dictionary; 0 if it has none.

    A damaged page header counts as a dictionary of the largest size: reading it fails later.
    """
    if not column.of_bytes:
        return 0
    try:
        page = _read_page(file, column.first_page)
    except ValueError:
        return LARGEST_PAGE
    return page.unpacked if page.kind == _DICTIONARY_PAGE else 0


def require_sound_pages(file: BinaryIO, column: ColumnClaims) -> None:
    """Check the headers of a column's pages, which Arrow trusts.

    Checksums cover only the content of pages. A page header with one flipped bit makes Arrow skip
    the page, and the rows after it get the values of other rows.

    Raises:
        ValueError: A page claims to be larger than its whole column, its header is damaged, or the
            pages do not hold as many values as the footer claims.
        OSError: The file cannot be read.
    """
    # What cannot be compressed, such as photos, takes more bytes packed than unpacked.
    most = max(column.unpacked, column.packed, _ALWAYS_READ)
    position, end = column.first_page, column.first_page + column.packed
    values = 0
    while position < end:
        try:
            page = _read_page(file, position)
        except ValueError:
            page = None
        if page is None or max(page.unpacked, page.packed) > most:
            raise ValueError(f"a page of column '{column.path}' has a damaged header")
        values += page.values
        position = page.begins + page.packed
    if values != column.values:
        raise ValueError(
            f"the pages of column '{column.path}' hold {count_of(values, 'value')}; the footer "
            f"claims {column.values:,}"
        )


@dataclass(frozen=True, slots=True)
class _Page:
    """The content of a page header: the page's kind, its sizes in bytes and its number of values.

    The pages of dictionaries and indexes count as holding no values of the column.
    """

    kind: int
    unpacked: int
    packed: int
    values: int
    begins: int


def _read_page(file: BinaryIO, position: int) -> _Page:
    """Read the page header at a position.

    Raises:
        ValueError: There is no valid header.
        OSError: The file cannot be read.
    """
    for most in (_USUAL_HEADER_BYTES, _MOST_HEADER_BYTES):
        file.seek(max(0, position))
        reader = _Reader(file.read(most))
        with suppress(IndexError, KeyError, TypeError):
            fields = reader.fields()
            kind, unpacked, packed = (int(fields[number]) for number in (1, 2, 3))
            of_values = _HEADER_OF_VALUES.get(kind)
            values = int(fields[of_values][1]) if of_values else 0
            if min(kind, unpacked, packed, values) >= 0:
                return _Page(kind, unpacked, packed, values, position + reader.position)
    raise ValueError("no page header")


def _group_of(fields: Fields) -> GroupClaims:
    columns = tuple(_column_of(chunk[3]) for chunk in fields[1])
    return GroupClaims(int(fields[3]), columns)


def _column_of(fields: Fields) -> ColumnClaims:
    path = b".".join(fields[3]).decode("utf-8", "backslashreplace")
    first = fields.get(11) or fields[9]  # the dictionary's page, if the writer gives its position
    statistics = fields.get(12, {})
    return ColumnClaims(
        path=path,
        of_bytes=fields[1] == _BYTE_ARRAY,
        values=fields[5],
        unpacked=fields[6],
        packed=fields[7],
        first_page=min(first, fields[9]),
        nulls=statistics.get(3),
    )


class _Reader:
    """Reads values in Thrift's compact protocol; raises IndexError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def varint(self) -> int:
        number, shift = 0, 0
        while (byte := self.byte()) >= 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise IndexError("a number of more than 64 bits")
        return number | byte << shift

    def zigzag(self) -> int:
        number = self.varint()
        return (number >> 1) ^ -(number & 1)

    def fields(self, depth: int = 0) -> Fields:
        """Return the fields of a structure by number."""
        found: Fields = {}
        number = 0
        while header := self.byte():
            delta, kind = header >> 4, header & 0x0F
            number = number + delta if delta else self.zigzag()
            # The kind of a boolean field is its value.
            found[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind in (1, 2, 3):
            return self.byte()
        if kind in (7, 8):
            return self._bytes(8 if kind == 7 else self.varint())
        return self._nested(kind, depth + 1)

    def _nested(self, kind: int, depth: int) -> Any:
        if depth > _MOST_NESTED:
            raise IndexError("nested too deeply")
        if kind in (9, 10):
            return self._list(depth)
        if kind == 11:
            return self._map(depth)
        if kind == 12:
            return self.fields(depth)
        raise IndexError(f"no such type: {kind}")

    def _bytes(self, length: int) -> bytes:
        value = self._data[self.position : self.position + length]
        if len(value) < length:
            raise IndexError("cut")
        self.position += length
        return value

    def _list(self, depth: int) -> list[Any]:
        header = self.byte()
        size, kind = header >> 4, header & 0x0F
        if size == 15:
            size = self.varint()
        return [self._value(kind, depth) for _ in range(size)]

    def _map(self, depth: int) -> list[tuple[Any, Any]]:
        size = self.varint()
        kinds = self.byte() if size else 0
        return [
            (self._value(kinds >> 4, depth), self._value(kinds & 0x0F, depth)) for _ in range(size)
        ]
