"""Safetensors files of any origin: opened once, checked, and read together with their checksum.

The file consists of numbers and text, so loading it never runs code. This module reads it instead
of the safetensors library for two reasons: the header is compared with the expected tensors before
any memory is allocated, and the checksum is that of exactly the bytes that are loaded.

The format: eight bytes, little-endian, with the length of the header; the header as JSON; then the
tensors without gaps (https://huggingface.co/docs/safetensors, "Format").
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

from tweetprofile.plurals import count_of
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
"""The largest number of bytes in a header; the largest that we write, with 64 members and thousands
of classes, takes one MB."""

MAX_FILE_BYTES = 8 << 30
"""The largest number of bytes in a file; the largest that we write, the training state of 64
members of the largest network, takes half of that."""

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
"""The supported types of numbers, by their names in the format."""


@dataclass(frozen=True, slots=True)
class TensorKind:
    """The type and shape of a tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: torch.Tensor) -> "TensorKind":
        """Return the kind of a tensor."""
        return cls(tensor.dtype, tuple(tensor.shape))

    @property
    def size(self) -> int:
        """The number of bytes that the tensor takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')} {self.shape}"


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: TensorKind
    begin: int
    end: int


class TensorFile:
    """A safetensors file whose header has been read.

    Attributes:
        metadata: The texts in the header by key, exactly as written.
        kinds: The kinds of the tensors by name.
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
        """Return all tensors by name, and the SHA-256 of the bytes of the file.

        The tensors share one buffer: memory is allocated once, as much as the file has bytes.

        Raises:
            FieldError: The file ends early, or does not fit into memory.
        """
        try:
            # A bytearray would be filled with zeros first.
            data = np.empty(self._size - 8 - self._length, np.uint8)
        except MemoryError:
            raise FieldError(f"it has {self._size:,} bytes, more than fit into memory") from None
        if self._file.readinto(data.data) != len(data):
            raise FieldError("it was truncated while it was read")
        digest = hashlib.sha256(self._length.to_bytes(8, "little"))
        digest.update(self._header)
        digest.update(data.data)
        tensors = {name: _tensor(data, entry) for name, entry in self._entries.items()}
        return tensors, digest.hexdigest()

    def _read_length(self, size: int) -> int:
        if size > MAX_FILE_BYTES:
            raise FieldError(f"it has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        length = int.from_bytes(self._read_exactly(8), "little")
        if length > size - 8:
            raise FieldError(f"its header claims {length:,} bytes, more than the file has")
        if length > MAX_HEADER_BYTES:
            raise FieldError(
                f"its header has {length:,} bytes; at most {MAX_HEADER_BYTES:,} are read"
            )
        return length

    def _read_exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise FieldError(
                f"it ends after {len(data):,} of the {count_of(count, 'byte')} of its header"
            )
        return data


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a safetensors file and read its header only.

    Raises:
        FieldError: The file is not a safetensors file, or is damaged.
        OSError: The file cannot be opened or read.
    """
    # By default, opening a pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise FieldError("it is not a regular file")
        yield TensorFile(file, facts.st_size)


def first_not_finite(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of a tensor that contains NaN or an infinite value; None if there is none."""
    return next((name for name, tensor in tensors.items() if not _is_finite(tensor)), None)


def _is_finite(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    if tensor.dtype.itemsize == 1:  # torch can do little more with these than convert them
        tensor = tensor.float()
    # A sum takes one pass and no memory, and is finite only if all values are. A sum of finite
    # numbers can overflow, so an infinite sum is followed by a check of each value.
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
        raise FieldError(
            f"{what} has the type '{printable(found['dtype'], 20)}', which is not supported"
        )
    shape, offsets = found["shape"], found["data_offsets"]
    if len(shape) > _MAX_DIMENSIONS or not all(0 <= side <= _MAX_SIDE for side in shape):
        raise FieldError(f"{what} has an impossible shape")
    kind = TensorKind(_DTYPES[found["dtype"]], shape)
    if len(offsets) != 2 or offsets[1] - offsets[0] != kind.size:
        raise FieldError(f"{what} does not have as many bytes as its shape requires")
    return _Entry(kind, *offsets)


def _check_offsets(entries: Mapping[str, _Entry], size: int) -> None:
    """Check that the tensors fill the file to its end, without gap or overlap."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda each: (each[1].begin, each[1].end)):
        if entry.begin != end:
            where = f"tensor '{printable(name, 100)}'"
            raise FieldError(f"{where} does not start where the one before it ends")
        end = entry.end
    if end != size:
        raise FieldError(
            f"it contains {count_of(size, 'byte')} of tensors, but its header lists {end:,}"
        )


def _tensor(data: NDArray[np.uint8], entry: _Entry) -> torch.Tensor:
    dtype, shape = entry.kind.dtype, entry.kind.shape
    if not entry.kind.size:
        return torch.empty(shape, dtype=dtype)
    if dtype is torch.bool:  # a byte other than 0 and 1 would be neither true nor false
        return _view(data, entry, torch.uint8) != 0
    return _view(data, entry, dtype)


def _view(data: NDArray[np.uint8], entry: _Entry, dtype: torch.dtype) -> torch.Tensor:
    count = entry.kind.size // dtype.itemsize
    flat = torch.frombuffer(data, dtype=dtype, count=count, offset=entry.begin)
    # Other programs need not align numbers to multiples of their size.
    aligned = flat.data_ptr() % dtype.itemsize == 0
    return (flat if aligned else flat.clone()).view(entry.kind.shape)
