"""Texts that are meant to break a reader: each is a column of lists for a few users."""

from collections.abc import Iterator

import pyarrow as pa

_NOT_UTF8 = (
    b"\xff\xfe\xfd",
    b"\xed\xa0\x80 lone surrogate",
    b"cut \xf0\x9f\x98",
    b"\xc0\x80 overlong",
    b"\x80" * 300,
    b"fine",
)


def hostile_texts() -> Iterator[tuple[str, pa.Array]]:
    """Yield names and columns of texts, each with two users."""
    yield "10 MB", _column(["x" * 10_000_000, "é" * 5_000_000], ["short"])
    yield "no line ends", _column(["@" * 3_000_000], ["https://" * 100_000])
    yield "100,000 texts", _column(["hola"] * 100_000, [])
    yield "NULs", _column(["a\0b", "\0" * 1000], ["\0"])
    yield "right-to-left marks", _column(["\u202e\u2066\u200f" * 100, "\ufeff"], ["\u202d"])
    yield "emoji sequences", _column(["👩‍👩‍👧‍👦🏳️‍🌈🇲🇽👍🏿" * 1000], ["‍" * 5000])
    yield "combining marks", _column(["a" + "\u0301" * 200_000], ["\U0010ffff"])
    yield "nulls", _column([None] * 1000, None)
    yield "empty texts", _column([""] * 1000, ["", None, ""])
    yield "not UTF-8", _raw(_NOT_UTF8)


def _column(one: list[str | None] | None, two: list[str | None] | None) -> pa.Array:
    return pa.array([one, two], pa.list_(pa.string()))


def _raw(texts: tuple[bytes, ...]) -> pa.Array:
    """Return a column of strings with bytes that are not UTF-8, which Arrow does not check."""
    values = pa.array(texts, pa.binary())
    strings = pa.Array.from_buffers(pa.string(), len(values), values.buffers())
    return pa.ListArray.from_arrays(pa.array([0, len(texts) - 1, len(texts)], pa.int32()), strings)
