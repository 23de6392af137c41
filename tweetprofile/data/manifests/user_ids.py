"""The ids of users, as they stream by: which of them come twice, and which have lost digits.

Tens of millions of ids do not fit into the memory of a small machine. So each is hashed to 64 bits,
and hashes beyond some millions go to temporary files, in ranges that are sorted one after the
other. Ids of equal hashes are compared themselves before anybody is called a duplicate.
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
from tweetprofile.data.manifests.forms import is_text, run_starts
from tweetprofile.errors import ManifestError

FLOATING = r"^[+-]?[0-9]+([.,][0-9]*([eE][+-]?[0-9]+)?|[eE][+-][0-9]+)$"
"""What software writes of an id that it took for a floating-point number: `123.0`, `1,2E+17`.

A name such as `4e20`, with neither point nor sign, is none.
"""

_DIGITS_KEPT = 15
_LONG_ID = 17
_LEAST_ROUNDED = 3
_MOST_BY_CHANCE = 0.1
"""Share of long ids that end in zeros after 15 digits; of 17 digits, one in a hundred does."""

_HELD = 1 << 22
"""Hashes in memory, 8 bytes each; beyond, they are written."""

_FILES_BITS = 6
_FILES = 1 << _FILES_BITS

_BYTES_AT_ONCE = 1 << 16
"""Bytes of ids that are hashed at once: with 32 bytes of memory for each, they fit the cache."""

_MOST_SUSPECTS = 1_000

_BASE = 0x9E3779B97F4A7C17 | 3
_INVERSE = pow(_BASE, -1, 1 << 64)
_LETTERS = np.random.default_rng(0).integers(1 << 63, size=256, dtype=np.uint64)
_ODD = np.uint64(0xBF58476D1CE4E5B9)

Hashes = NDArray[np.uint64]


def is_floating(user_id: str) -> bool:
    """Whether an id was written as a floating-point number, which keeps 15 digits of an id."""
    return re.match(FLOATING, user_id) is not None


class RoundedIds:
    """Ids that a spreadsheet has rounded: it keeps 15 digits, and writes zeros after them.

    One id in a thousand and fewer ends so by itself, so that it takes several to be sure.
    """

    def __init__(self) -> None:
        self._long = 0
        self._rounded = 0
        self._first = ""

    def add(self, user_id: str) -> None:
        """Take the id of a row."""
        if len(user_id) < _LONG_ID or not user_id.isdecimal():
            return
        self._long += 1
        if not user_id[_DIGITS_KEPT:].strip("0"):
            self._rounded += 1
            self._first = self._first or user_id

    @property
    def sentence(self) -> str | None:
        """What is wrong with the ids; None if they look sound."""
        if self._rounded < _LEAST_ROUNDED or self._rounded < self._long * _MOST_BY_CHANCE:
            return None
        return (
            f"{self._rounded:,} of {self._long:,} long ids end in zeros (the first: "
            f"'{self._first}'), as spreadsheets round numbers of more than {_DIGITS_KEPT} digits, "
            "so that users might be taken for one; take the ids anew from their source, as text"
        )


def first_floating(ids: pa.Array) -> tuple[int, str] | None:
    """Position and text of the first id that was written as a floating-point number."""
    if not is_text(ids.type) or not _has_sign_or_point(ids):
        return None
    position = pc.index(pc.match_substring_regex(ids, FLOATING), True).as_py()
    return None if position < 0 else (position, ids[position].as_py())


def _has_sign_or_point(ids: pa.Array) -> bool:
    """Whether any id may be a floating-point number: ten times as fast as looking for one."""
    letters, offsets = _letters(ids)
    letters = letters[offsets[0] : offsets[-1]] if len(ids) else letters[:0]
    return any(bool((letters == ord(sign)).any()) for sign in ".,+-")


def check_ids(ids: pa.Array, first_row: int, source: str) -> None:
    """Raise ManifestError for a row without an id, or with one that has lost digits."""
    if ids.null_count:
        row = first_row + int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
        raise ManifestError(f"{source}: row {row} has no user_id; name the user or drop the row.")
    if (floating := first_floating(ids)) is not None:
        position, user_id = floating
        raise ManifestError(
            f"{source}: row {first_row + position} has the user_id '{user_id}', a floating-point "
            "number, which has only 15 digits of an id; read the ids anew from their source as "
            "text."
        )


def repeated_user(
    source: str, user_id: object, rows: tuple[int, int] | None, others: int
) -> ManifestError:
    """What to raise for a user who comes twice.

    Args:
        source: the manifest.
        user_id: whose rows they are.
        rows: which two; None in the long form, where a user may have many, one after the other.
        others: how many more users come twice.
    """
    more = "another user" if others == 1 else f"{others:,} other users"
    if rows is None:
        more = f" (nor are those of {more})" if others else ""
        said = f"the rows of user '{user_id}' are not adjacent{more}; sort it by user_id"
    else:
        more = f", and so {'does' if others == 1 else 'do'} {more}" if others else ""
        said = f"user '{user_id}' stands in rows {rows[0]} and {rows[1]}{more}"
        said += "; keep one row for each user"
    return ManifestError(f"{source}: {said}.")


def position_of(user_id: str, ids: pa.Array) -> int | None:
    """Where an id stands among others, both taken as text; None where it does not."""
    try:
        found: int = pc.index(ids.cast(pa.large_string()), user_id).as_py()
    except UnicodeEncodeError:  # bytes of a command line that are no text, as no id is
        return None
    return found if found >= 0 else None


def without_repeats(ids: pa.Array, before: pa.Array) -> pa.Array:
    """The id of each run of equal ids, less the first where it continues the ids before."""
    heads = ids.take(run_starts(ids))
    continues = len(before) and len(heads) and heads[0] == before[-1]
    return heads[1:] if continues else heads


class RepeatedIds(UsesScratch):
    """Finds ids that come more than once; used as a `with` block.

    Raises:
        WriteError: temporary files cannot be written.
    """

    def __init__(self) -> None:
        self._pending: list[Hashes] = []
        self._held = 0

    def add(self, ids: pa.Array) -> None:
        """Take ids, integers or text without null."""
        hashes = hash_ids(ids)
        self._pending.append(hashes)
        self._held += len(hashes)
        if self._held >= _HELD:
            self._write()

    def suspects(self) -> tuple[Hashes, int]:
        """Some hashes, in order, that have come more than once, and how many such there are."""
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
        self._pending, self._held = [], 0

    def _file(self, number: int) -> Path:
        return self.scratch / f"{number:02}.hashes"


def hash_ids(ids: pa.Array) -> Hashes:
    """A hash of each id, (N,), equal for equal ids; no two integers have the same."""
    if pa.types.is_integer(ids.type):
        numbers = ids.to_numpy(zero_copy_only=False)
        wide = np.int64 if pa.types.is_signed_integer(ids.type) else np.uint64
        return np.asarray(numbers.astype(wide).view(np.uint64) * _ODD)
    letters, offsets = _letters(ids)
    return _hash_texts(letters, offsets) if len(ids) else np.empty(0, np.uint64)


def _letters(ids: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of ids, and where those of each begin and end: (N + 1,) of N ids."""
    texts = ids.cast(pa.large_binary())
    _, offsets, letters = texts.buffers()
    positions = np.frombuffer(offsets, np.int64) if offsets else np.zeros(1, np.int64)
    values = np.frombuffer(letters, np.uint8) if letters else np.empty(0, np.uint8)
    return values, positions[texts.offset :][: len(texts) + 1]


def _hash_texts(letters: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Hashes:
    """Polynomials of the letters, modulo 2^64, as differences of one running sum."""
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
    """Powers of the base and of its inverse, from 0 to `most`."""
    global _cached  # noqa: PLW0603 - they are the same for every call
    if len(_cached[0]) <= most:
        _cached = (_powers_of(_BASE, most), _powers_of(_INVERSE, most))
    return _cached[0][: most + 1], _cached[1][: most + 1]


def _powers_of(base: int, most: int) -> Hashes:
    factors = np.full(most + 1, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)
