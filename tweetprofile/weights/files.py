"""Files of weights: safetensors, or what `torch.save` wrote, as tensors by name.

A file that `torch.save` wrote is a program for Python's unpickler. `torch.load` with
`weights_only=True` runs none of it but what builds tensors and plain containers.
"""

import hashlib
import io
import os
import pickle
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tweetprofile.checkpoints.tensors import MAX_FILE_BYTES, open_tensors
from tweetprofile.errors import CheckpointError
from tweetprofile.untrusted.fields import FieldError
from tweetprofile.untrusted.text import printable

SAFETENSORS = (".safetensors",)
PICKLED = (".pth", ".pt", ".bin")

_INNER = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Where training scripts keep the weights among other things; averaged weights come first."""

_FOREIGN = re.compile(r"GLOBAL ([\w.]{1,100})")
"""How torch names the function that a file wants to call."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """The weights in a file.

    Attributes:
        path: The path of the file.
        tensors: The weights by the names that they have in the file.
        sha256: The SHA-256 of the bytes that were read.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    sha256: str


def read_weights_file(path: Path) -> WeightsFile:
    """Read all weights of a file into memory.

    Raises:
        CheckpointError: The file is missing, damaged, of another kind, or holds more than weights.
    """
    try:
        if path.suffix in SAFETENSORS:
            with open_tensors(path) as file:
                return WeightsFile(path, *file.read())
        if path.suffix not in PICKLED:
            raise FieldError(f"its name ends in none of {', '.join(SAFETENSORS + PICKLED)}")
        data = _read_bytes(path)
        return WeightsFile(path, _unpickle(data), hashlib.sha256(data).hexdigest())
    except FileNotFoundError:
        raise CheckpointError(
            f"the file of weights {path} does not exist; give `weights` an existing one."
        ) from None
    except (FieldError, OSError, ValueError) as error:
        reason = printable(getattr(error, "strerror", None) or str(error), 300).rstrip(".")
        raise CheckpointError(
            f"{path} is not a readable file of weights ({reason}); give `weights` a safetensors "
            "file."
        ) from None


def _read_bytes(path: Path) -> bytes:
    # By default, opening a pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise FieldError("it is not a regular file")
        if facts.st_size > MAX_FILE_BYTES:
            raise FieldError(f"it has {facts.st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        return file.read(facts.st_size)


def _unpickle(data: bytes) -> dict[str, torch.Tensor]:
    _check_archive(data)
    try:
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        called = _FOREIGN.search(str(error))
        what = f"calls {called[1]}" if called else "is damaged, or holds more than tensors"
        raise FieldError(f"it {what}") from None
    except Exception as error:  # damaged files raise nearly anything
        raise FieldError(f"it is damaged: {type(error).__name__}") from None
    return _tensors_in(loaded)


def _check_archive(data: bytes) -> None:
    """Refuse archives that would grow when they are read, or that torch takes for programs."""
    if not data.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise FieldError("it is damaged, or truncated") from None
    if any(entry.filename.rpartition("/")[2] == "constants.pkl" for entry in entries):
        raise FieldError("it is a TorchScript program; save its state_dict as safetensors")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise FieldError("it is compressed, which torch.save never does")


def _tensors_in(loaded: Any) -> dict[str, torch.Tensor]:
    while isinstance(loaded, Mapping):
        inner = next((loaded[key] for key in _INNER if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping):
        raise FieldError("it holds no weights by name")
    tensors = {
        name: value.detach()
        for name, value in loaded.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    for name, tensor in tensors.items():
        _check_tensor(name, tensor)
    return tensors


def _check_tensor(name: str, tensor: torch.Tensor) -> None:
    """Refuse tensors that are not numbers in memory, or larger than the memory that they have."""
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    if (
        not plain
        or tensor.is_quantized
        or tensor.is_complex()
        or tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes()
    ):
        raise FieldError(f"its weight '{printable(name, 100)}' is not a plain tensor")
