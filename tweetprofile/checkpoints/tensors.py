"""Safetensors files, whoever wrote them: opened once, checked, and read with their checksum.

The file is numbers and text, so loading it never runs code. It is read here and not by its own
library because what a header asks for is compared with what is wanted before any memory is given
to it, and because a checksum must be of the very bytes that were loaded.

The format: eight bytes, little-endian, that say how long the header is; the header, JSON; then the
tensors, without a gap (https://huggingface.co/docs/safetensors, "Format").
"""

import hashlib
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.untrusted.fields import (
    FieldError,
    list_of,
    mapping,
    mapping_of,
    parse_json,
    read_fields,
    text,
    whole,
)
from tweetprofile.untrusted.text import printable

MAX_HEADER_BYTES = 8 << 20
"""The largest of ours, of 64 members and thousands of classes, takes one MB."""

MAX_FILE_BYTES = 8 << 30
"""Of a file; the largest of ours, the state of 64 members of the largest network, takes half."""

_MAX_DIMENSIONS = 8
_MAX_SIDE = 1 << 40

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Types of numbers that are read, by what the format calls them."""


@dataclass(frozen=True, slots=True)
class TensorKind:
    """What a tensor is besides its numbers."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: torch.Tensor) -> "TensorKind":
        """That of a tensor."""
        return cls(tensor.dtype, tuple(tensor.shape))

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')} {self.shape}"


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: TensorKind
    begin: int
    end: int


class TensorFile:
    """A safetensors file of which the header has been read.

    Attributes:
        metadata: texts by key, as whoever wrote it left them.
        kinds: of its tensors, by name.
    """

    def __init__(self, file: BufferedReader, size: int) -> None:
        self._file = file
        self._length = self._read_length(size)
        self._size = size
        self._header = self._read_exactly(self._length)
        self.metadata, self._entries = _parse_header(self._header)
        self.kinds = {name: entry.kind for name, entry in self._entries.items()}
        _check_offsets(self._entries, size - 8 - self._length)

    def read(self) -> tuple[dict[str, torch.Tensor], str]:
        """All tensors by name, and the SHA-256 of the bytes they and the header came from.

        Tensors share one buffer: memory is given once, as much as the file has bytes.

        Raises:
            FieldError: the file ends early, or memory does.
        """
        try:
            # Not a bytearray, which is filled with zeros first.
            data = np.empty(self._size - 8 - self._length, np.uint8)
        except MemoryError:
            raise FieldError(f"it takes {self._size:,} bytes, more than memory has") from None
        if self._file.readinto(data.data) != len(data):
            raise FieldError("it was cut while it was read")
        digest = hashlib.sha256(self._length.to_bytes(8, "little"))
        digest.update(self._header)
        digest.update(data.data)
        tensors = {name: _tensor(data, entry) for name, entry in self._entries.items()}
        return tensors, digest.hexdigest()

    def _read_length(self, size: int) -> int:
        if size > MAX_FILE_BYTES:
            raise FieldError(f"it has {size:,} bytes, and {MAX_FILE_BYTES:,} at most are read")
        length = int.from_bytes(self._read_exactly(8), "little")
        if length > size - 8:
            raise FieldError(f"its header is to have {length:,} bytes, more than the file has")
        if length > MAX_HEADER_BYTES:
            raise FieldError(
                f"its header has {length:,} bytes, and {MAX_HEADER_BYTES:,} at most are read"
            )
        return length

    def _read_exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise FieldError(f"it ends after {len(data)} of the {count:,} bytes of its header")
        return data


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a safetensors file and read its header, nothing more.

    Raises:
        FieldError: it is no such file, or is damaged.
        OSError: it cannot be opened or read.
    """
    # Not waiting for a writer, as opening a pipe does by default.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise FieldError("it is no regular file")
        yield TensorFile(file, facts.st_size)


def first_not_finite(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """The name of a tensor with a number that is none (NaN) or is infinite; None of no such."""
    return next((name for name, tensor in tensors.items() if not _is_finite(tensor)), None)


def _is_finite(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    if tensor.dtype.itemsize == 1:  # of which torch knows little more than how to convert them
        tensor = tensor.float()
    # A sum is one pass without memory of its own, and is finite only where all of it is; sums of
    # finite numbers can overflow, which then takes a second look.
    return bool(tensor.sum(dtype=_wide(tensor)).isfinite()) or bool(tensor.isfinite().all())


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _parse_header(data: bytes) -> tuple[dict[str, str], dict[str, _Entry]]:
    header = mapping(parse_json(data, "its header"), "its header")
    metadata: dict[str, str] = mapping_of(text)(header.pop("__metadata__", {}), "its metadata")
    return metadata, {name: _parse_entry(name, each) for name, each in header.items()}


def _parse_entry(name: str, value: object) -> _Entry:
    what = f"tensor '{printable(name, 100)}'"
    readers = {"dtype": text, "shape": list_of(whole), "data_offsets": list_of(whole)}
    found: dict[str, Any] = read_fields(value, what, readers, readers)
    if found["dtype"] not in _DTYPES:
        raise FieldError(f"{what} is of type '{printable(found['dtype'], 20)}', which is not read")
    shape, offsets = found["shape"], found["data_offsets"]
    if len(shape) > _MAX_DIMENSIONS or not all(0 <= side <= _MAX_SIDE for side in shape):
        raise FieldError(f"{what} has a shape that no tensor has")
    kind = TensorKind(_DTYPES[found["dtype"]], shape)
    if len(offsets) != 2 or offsets[1] - offsets[0] != kind.size:
        raise FieldError(f"{what} does not take the bytes that its shape asks for")
    return _Entry(kind, *offsets)


def _check_offsets(entries: Mapping[str, _Entry], size: int) -> None:
    """Tensors follow each other without gap or overlap, to the end of the file."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda each: (each[1].begin, each[1].end)):
        if entry.begin != end:
            where = f"tensor '{printable(name, 100)}'"
            raise FieldError(f"{where} does not begin where the one before it ends")
        end = entry.end
    if end != size:
        raise FieldError(f"it holds {size:,} bytes of tensors where its header has {end:,}")


def _tensor(data: NDArray[np.uint8], entry: _Entry) -> torch.Tensor:
    dtype, shape = entry.kind.dtype, entry.kind.shape
    if not entry.kind.size:
        return torch.empty(shape, dtype=dtype)
    if dtype is torch.bool:  # any other byte than 0 and 1 would be neither
        return _view(data, entry, torch.uint8) != 0
    return _view(data, entry, dtype)


def _view(data: NDArray[np.uint8], entry: _Entry, dtype: torch.dtype) -> torch.Tensor:
    count = entry.kind.size // dtype.itemsize
    flat = torch.frombuffer(data, dtype=dtype, count=count, offset=entry.begin)
    # Files of others need not keep numbers at multiples of their size.
    aligned = flat.data_ptr() % dtype.itemsize == 0
    return (flat if aligned else flat.clone()).view(entry.kind.shape)
