"""Find repeated user ids, and ids that have lost digits, in a stream of ids.

Tens of millions of ids do not fit in the memory of a small machine. So each id is hashed to 64
bits, and beyond some millions the hashes go to temporary files, in ranges that are sorted one after
the other. Ids with equal hashes are compared themselves before they are reported as repeated.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.files.scratch import UsesScratch, no_room
from tweetprofile.data.manifests.forms import run_starts
from tweetprofile.data.manifests.types import is_text
from tweetprofile.errors import ManifestError

FLOATING = r"^[+-]?[0-9]+([.,][0-9]*([eE][+-]?[0-9]+)?|[eE][+-][0-9]+)$"
"""Matches ids that software has taken for floating-point numbers: `123.0`, `1,2E+17`.

A name such as `4e20`, without point and sign, does not match.
"""

_DIGITS_KEPT = 15
_LONG_ID = 17
_LEAST_ROUNDED = 3
_MOST_BY_CHANCE = 0.1
"""The share of long ids with zeros after 15 digits that may be chance: one in 100 of 17 digits."""

_MOST_IN_MEMORY = 1 << 22
"""The largest number of hashes in memory, of 8 bytes each, before they are written to files."""

_FILES_BITS = 6
_FILES = 1 << _FILES_BITS

_BYTES_AT_ONCE = 1 << 16
"""Bytes of ids that are hashed at once; at 32 bytes of memory each, they fit in the cache."""

_MOST_SUSPECTS = 1_000

_BASE = 0x9E3779B97F4A7C17 | 3
_INVERSE = pow(_BASE, -1, 1 << 64)
_LETTERS = np.random.default_rng(0).integers(1 << 63, size=256, dtype=np.uint64)
_ODD = np.uint64(0xBF58476D1CE4E5B9)

Hashes = NDArray[np.uint64]


def is_floating(user_id: str) -> bool:
    """Return whether an id was written as a floating-point number, which keeps only 15 digits."""
    return re.match(FLOATING, user_id) is not None


class RoundedIds:
    """Detects ids that a spreadsheet has rounded to 15 digits followed by zeros.

    At most one id in a thousand ends like this by chance, so that several are needed to be sure.
    """

    def __init__(self) -> None:
        self._long = 0
        self._rounded = 0
        self._first = ""

    def add(self, user_id: str) -> None:
        """Add the id of a row."""
        if len(user_id) < _LONG_ID or not user_id.isdecimal():
            return
        self._long += 1
        if not user_id[_DIGITS_KEPT:].strip("0"):
            self._rounded += 1
            self._first = self._first or user_id

    @property
    def sentence(self) -> str | None:
        """What is wrong with the ids; None if they look correct."""
        if self._rounded < _LEAST_ROUNDED or self._rounded < self._long * _MOST_BY_CHANCE:
            return None
        return (
            f"{self._rounded:,} of {self._long:,} long ids end in zeros (the first: "
            f"'{self._first}'), as spreadsheets round numbers of more than {_DIGITS_KEPT} digits, "
            "so that several users might be taken for one; read the ids again from their source as "
            "text"
        )


def first_floating(ids: pa.Array) -> tuple[int, str] | None:
    """Return position and text of the first id that was written as a floating-point number."""
    if not is_text(ids.type) or not _has_sign_or_point(ids):
        return None
    position = pc.index(pc.match_substring_regex(ids, FLOATING), True).as_py()
    return None if position < 0 else (position, ids[position].as_py())


def _has_sign_or_point(ids: pa.Array) -> bool:
    """Return whether an id may be a floating-point number; ten times as fast as a full check."""
    letters, offsets = _letters(ids)
    letters = letters[offsets[0] : offsets[-1]] if len(ids) else letters[:0]
    return any(bool((letters == ord(sign)).any()) for sign in ".,+-")


def check_ids(ids: pa.Array, first_row: int, source: str) -> None:
    """Raise ManifestError for a row without an id, or with an id that has lost digits."""
    if ids.null_count:
        row = first_row + int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
        raise ManifestError(f"{source}: row {row} has no user_id; name the user or drop the row.")
    if (floating := first_floating(ids)) is not None:
        position, user_id = floating
        raise ManifestError(
            f"{source}: row {first_row + position} has the user_id '{user_id}', a floating-point "
            "number, which keeps only 15 digits of an id; read the ids again from their source as "
            "text."
        )


def repeated_user(
    source: str, user_id: object, rows: tuple[int, int] | None, others: int
) -> ManifestError:
    """Return the error to raise for a user who occurs twice.

    Args:
        source: The manifest.
        user_id: The id of the user.
        rows: The numbers of the two rows; None in the long form, where a user may have any number
            of adjacent rows.
        others: The number of further users who occur twice.
    """
    more = "another user" if others == 1 else f"{others:,} other users"
    if rows is None:
        more = f" (nor are those of {more})" if others else ""
        said = f"the rows of user '{user_id}' are not adjacent{more}; sort it by user_id"
    else:
        more = f", and so {'does' if others == 1 else 'do'} {more}" if others else ""
        said = f"user '{user_id}' occurs in rows {rows[0]} and {rows[1]}{more}"
        said += "; keep one row per user"
    return ManifestError(f"{source}: {said}.")


def position_of(user_id: str, ids: pa.Array) -> int | None:
    """Return the position of an id among others, all as text; None if it is not among them."""
    try:
        found: int = pc.index(ids.cast(pa.large_string()), user_id).as_py()
    except UnicodeEncodeError:  # the id has bytes that are not text, so no user has it
        return None
    return found if found >= 0 else None


def without_repeats(ids: pa.Array, before: pa.Array) -> pa.Array:
    """Return the id of each run of equal ids, without a first run that continues `before`."""
    heads = ids.take(run_starts(ids))
    continues = len(before) and len(heads) and heads[0] == before[-1]
    return heads[1:] if continues else heads


class RepeatedIds(UsesScratch):
    """Finds ids that occur more than once; used in a `with` block.

    Raises:
        WriteError: Temporary files cannot be written.
    """

    def __init__(self) -> None:
        self._pending: list[Hashes] = []
        self._in_memory = 0

    def add(self, ids: pa.Array) -> None:
        """Add ids, which are integers or text without null."""
        hashes = hash_ids(ids)
        self._pending.append(hashes)
        self._in_memory += len(hashes)
        if self._in_memory >= _MOST_IN_MEMORY:
            self._write()

    def suspects(self) -> tuple[Hashes, int]:
        """Return some hashes that have occurred more than once, in order, and the number of all."""
        found, count = np.empty(0, np.uint64), 0
        for hashes in self._ranges():
            hashes.sort()
            repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
            count += len(repeated)
            found = np.concatenate([found, repeated])[:_MOST_SUSPECTS]
        return found, count

    def _ranges(self) -> Iterator[Hashes]:
        if not self.has_scratch:
            yield np.concatenate([np.empty(0, np.uint64), *self._pending])
            return
        self._write()
        for number in range(_FILES):
            yield np.fromfile(self._file(number), np.uint64)

    def _write(self) -> None:
        hashes = np.sort(np.concatenate(self._pending)) if self._pending else np.empty(0, np.uint64)
        starts = np.arange(1, _FILES, dtype=np.uint64) << np.uint64(64 - _FILES_BITS)
        try:
            for number, part in enumerate(np.split(hashes, np.searchsorted(hashes, starts))):
                with self._file(number).open("ab") as file:
                    file.write(part.tobytes())
        except OSError as error:
            raise no_room(error) from error
        self._pending, self._in_memory = [], 0

    def _file(self, number: int) -> Path:
        return self.scratch / f"{number:02}.hashes"


def hash_ids(ids: pa.Array) -> Hashes:
    """Return a hash of each id, (N,), equal for equal ids and different for different integers."""
    if pa.types.is_integer(ids.type):
        numbers = ids.to_numpy(zero_copy_only=False)
        wide = np.int64 if pa.types.is_signed_integer(ids.type) else np.uint64
        return np.asarray(numbers.astype(wide).view(np.uint64) * _ODD)
    letters, offsets = _letters(ids)
    return _hash_texts(letters, offsets) if len(ids) else np.empty(0, np.uint64)


def _letters(ids: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of N ids, and the offsets at which each begins and ends, (N + 1,)."""
    texts = ids.cast(pa.large_binary())
    _, offsets, letters = texts.buffers()
    positions = np.frombuffer(offsets, np.int64) if offsets else np.zeros(1, np.int64)
    values = np.frombuffer(letters, np.uint8) if letters else np.empty(0, np.uint8)
    return values, positions[texts.offset :][: len(texts) + 1]


def _hash_texts(letters: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Hashes:
    """Return polynomials of the letters modulo 2^64, as differences of one running sum."""
    first, last, rows = int(offsets[0]), int(offsets[-1]), len(offsets) - 1
    if last - first > _BYTES_AT_ONCE:
        if rows == 1:
            digest = hashlib.blake2b(letters[first:last].tobytes(), digest_size=8).digest()
            return np.frombuffer(digest, np.uint64).copy()
        half = rows // 2
        parts = _hash_texts(letters, offsets[: half + 1]), _hash_texts(letters, offsets[half:])
        return np.concatenate(parts)
    powers, inverses = _powers(last - first)
    sums = np.zeros(last - first + 1, np.uint64)
    np.cumsum(_LETTERS[letters[first:last]] * powers[:-1], out=sums[1:])
    starts, ends = offsets[:-1] - first, offsets[1:] - first
    polynomials = (sums[ends] - sums[starts]) * inverses[starts]
    return np.asarray((polynomials ^ (polynomials >> np.uint64(32))) * _ODD)


_cached = (np.ones(1, np.uint64), np.ones(1, np.uint64))


def _powers(most: int) -> tuple[Hashes, Hashes]:
    """Return the powers of the base and of its inverse, from 0 to `most`."""
    global _cached  # noqa: PLW0603 - they are the same for every call
    if len(_cached[0]) <= most:
        _cached = (_powers_of(_BASE, most), _powers_of(_INVERSE, most))
    return _cached[0][: most + 1], _cached[1][: most + 1]


def _powers_of(base: int, most: int) -> Hashes:
    factors = np.full(most + 1, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)
