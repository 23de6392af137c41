"""What a Parquet file claims of its row groups, read from its footer.

Arrow reads footers, too, but it ends the process when it meets some damaged ones (pyarrow 26:
`RowGroupMetaData.column` throws where no exception may pass). A manifest that is damaged must cost
one sentence. So the few numbers that are needed before a row group is decoded are read here, from
Thrift's compact protocol, in which `parquet.thrift` is written down.
"""

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

_MOST_NESTED = 16
"""Structures within structures; Parquet's own footers have six."""

_BYTE_ARRAY = 6
_DICTIONARY_PAGE = 2
_PAGE_HEADER_BYTES = 32
"""Of a page's header, more than its first two numbers take."""

LARGEST_PAGE = (1 << 31) - 1

_USUAL_HEADER_BYTES = 256
_MOST_HEADER_BYTES = 16 << 20
"""Of a page's header with long statistics; what Arrow allows."""

_ALWAYS_HELD = 1 << 26
"""Bytes of a page that are read whatever its column claims: not every writer sums them up well."""

Fields = dict[int, Any]


@dataclass(frozen=True, slots=True)
class ColumnClaims:
    """What a footer claims of one column of a row group.

    Attributes:
        path: names from the top-level column down, joined by dots.
        of_bytes: whether its values are texts or blobs, of any length.
        values: how many there are, nulls included.
        unpacked: bytes that all its pages take before decoding.
        packed: bytes that they take in the file.
        first_page: position of its first page in the file.
    """

    path: str
    of_bytes: bool
    values: int
    unpacked: int
    packed: int
    first_page: int

    @property
    def top(self) -> str:
        """Name of the top-level column."""
        return self.path.partition(".")[0]


@dataclass(frozen=True, slots=True)
class GroupClaims:
    """What a footer claims of a row group: how many rows, and its columns in order."""

    rows: int
    columns: tuple[ColumnClaims, ...]


def read_claims(file: BinaryIO) -> tuple[GroupClaims, ...]:
    """What a Parquet file claims of its row groups, in order.

    Raises:
        ValueError: its footer is none.
        OSError: it cannot be read.
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
        return tuple(map(_group_of, footer.get(4, [])))
    except (IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ValueError("its footer is damaged") from error


def dictionary_bytes(file: BinaryIO, column: ColumnClaims) -> int:
    """Bytes of a column's dictionary before it is multiplied by its use; 0 without one.

    What is no page header is taken for a dictionary of the largest size: reading it then fails.
    """
    if not column.of_bytes:
        return 0
    file.seek(max(0, column.first_page))
    reader = _Reader(file.read(_PAGE_HEADER_BYTES))
    try:
        # `PageHeader` begins with its type and its uncompressed size, both 32-bit integers.
        kind, size = (reader.zigzag() if reader.byte() == 0x15 else -1 for _ in range(2))
    except IndexError:
        return LARGEST_PAGE
    if kind < 0 or size < 0:
        return LARGEST_PAGE
    return size if kind == _DICTIONARY_PAGE else 0


def require_sound_pages(file: BinaryIO, column: ColumnClaims) -> None:
    """Walk over the headers of a column's pages, which Arrow believes whatever they say.

    Raises:
        ValueError: a page claims to be larger than all of the column, or its header is none.
        OSError: the file cannot be read.
    """
    most = max(column.unpacked, _ALWAYS_HELD)
    position, end = column.first_page, column.first_page + column.packed
    while position < end:
        file.seek(position)
        fields, length = _page_header(file.read(_USUAL_HEADER_BYTES))
        if fields is None:
            file.seek(position)
            fields, length = _page_header(file.read(_MOST_HEADER_BYTES))
        unpacked, packed = ((fields or {}).get(number, -1) for number in (2, 3))
        if not (0 <= unpacked <= most and 0 <= packed <= most):
            raise ValueError(f"a page of column '{column.path}' has a damaged header")
        position += length + packed


def _page_header(data: bytes) -> tuple[Fields | None, int]:
    """Sizes of the page whose header begins there, by field, and its length; None for no header."""
    reader = _Reader(data)
    try:
        fields = reader.fields()
        return {number: int(fields[number]) for number in (2, 3)}, reader.position
    except (IndexError, KeyError, TypeError, ValueError):
        return None, 0


def _group_of(fields: Fields) -> GroupClaims:
    columns = tuple(_column_of(chunk[3]) for chunk in fields[1])
    return GroupClaims(int(fields[3]), columns)


def _column_of(fields: Fields) -> ColumnClaims:
    path = b".".join(fields[3]).decode("utf-8", "backslashreplace")
    first = fields.get(11) or fields[9]  # the dictionary's page, where the writer says where it is
    return ColumnClaims(
        path, fields[1] == _BYTE_ARRAY, fields[5], fields[6], fields[7], min(first, fields[9])
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
        """The fields of a structure by number."""
        found: Fields = {}
        number = 0
        while header := self.byte():
            delta, kind = header >> 4, header & 0x0F
            number = number + delta if delta else self.zigzag()
            # Of a boolean field, the kind is the value.
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
