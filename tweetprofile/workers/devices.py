"""The device to compute on, how a worker keeps it busy, and the precision to compute in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch

from tweetprofile.errors import OptionError
from tweetprofile.job import Precision
from tweetprofile.plurals import count_of

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

_BATCH_SIZES = {"cpu": 4, "cuda": 64}
"""The default number of users per forward pass.

On a CPU, the data of four users (about 20 MB at 112 pixels) stays in the caches; larger batches are
no faster, and 16 users take 100 MB. On a GPU, 64 users have 704 images, enough for DALI's full
speed.
"""

_THREADS_PER_PROCESSOR = 2
"""Worker threads on a CPU: while one computes, the other waits for the disk or for a compute slot,
at no measurable cost."""

_THREADS_ON_CUDA = 3
"""Worker threads on a GPU: one reads while another decodes and a third one runs the network."""

_MOST_DECODING_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """How a worker keeps its device busy.

    Attributes:
        worker_threads: The number of worker threads, each of which works on one task at a time.
        compute_slots: The number of worker threads that may compute at the same time.
        decoding_threads: The number of threads that decode for each worker thread.
    """

    worker_threads: int
    compute_slots: int
    decoding_threads: int


def device_settings(
    device: torch.device, processors: int, worker_threads: int | None = None
) -> DeviceSettings:
    """Return how a worker keeps a device busy.

    Args:
        device: The device of the worker.
        processors: The number of processors that the worker may use.
        worker_threads: The number of worker threads, all of which may compute at the same time;
            None for the number that suits the device.
    """
    if device.type == "cpu" and worker_threads is None:
        threads = processors * _THREADS_PER_PROCESSOR
        return DeviceSettings(worker_threads=threads, compute_slots=processors, decoding_threads=1)
    threads = worker_threads or _THREADS_ON_CUDA
    each = processors // threads if device.type == "cuda" else 1
    return DeviceSettings(
        worker_threads=threads,
        compute_slots=threads,
        decoding_threads=min(max(1, each), _MOST_DECODING_THREADS),
    )


def default_batch_size(device: torch.device) -> int:
    """Return the number of users that a device processes best at a time."""
    return _BATCH_SIZES[device.type]


def resolve_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda` or `cuda:N` means on this machine.

    Raises:
        OptionError: This machine has no such device, or the name means none.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind == "cpu" and not number:
        return torch.device("cpu")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise OptionError(f"`devices` is '{name}'; it must be auto, cpu, cuda or cuda:N.")
    return _resolve_cuda(name, int(number or 0))


def resolve_only_device(name: str) -> torch.device:
    """Return the device that a name means in a worker which sees no other GPU than its own.

    The engine hides all other GPUs from the worker of `cuda:N`, so that no library reserves memory
    on them; the worker's own GPU is then number 0.

    Raises:
        OptionError: This machine has no such device, or the name means none.
    """
    if not name.startswith("cuda:"):
        return resolve_device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    raise OptionError(
        f"`devices` is '{name}', but this machine has no usable CUDA device of that number "
        '(counted from 0); name one that it has, or pass `devices="cpu"`.'
    )


def resolve_devices(names: str) -> list[torch.device]:
    """Return the devices that names separated by commas mean; `auto` and `cuda` mean all GPUs.

    `auto` means the CPU on a machine without a GPU.

    Raises:
        OptionError: This machine has no such device, a name means none, or the devices are of two
            kinds.
    """
    first, *others = names.split(",")
    if not others and first in ("auto", "cuda"):
        device = resolve_device(first)
        if device.type == "cpu":
            return [device]
        return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    devices = [resolve_device(name) for name in (first, *others)]
    if len({device.type for device in devices}) > 1:
        raise OptionError(f"`devices` is '{names}'; all devices must be of one kind.")
    return devices


def _resolve_cuda(name: str, number: int) -> torch.device:
    if not torch.cuda.is_available():
        raise OptionError(
            f"`devices` is '{name}', but this machine has no usable CUDA device; pass "
            '`devices="cpu"`.'
        )
    if number >= torch.cuda.device_count():
        raise OptionError(
            f"`devices` is '{name}', but this machine has "
            f"{count_of(torch.cuda.device_count(), 'CUDA device')}, counted from 0; name one of "
            "them."
        )
    return torch.device("cuda", number)


def resolve_precision(name: Precision, device: torch.device) -> torch.dtype:
    """Return the floating-point type to compute in.

    `auto` means bf16 if the hardware multiplies it, otherwise fp16 on CUDA and fp32 on a CPU.
    """
    if name != "auto":
        return _DTYPES[name]
    if device.type == "cuda":
        # Emulated bf16 is slower than fp16.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    capabilities = torch.cpu.get_capabilities()
    native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if native else torch.float32


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether a device had too little memory for a computation."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return "DefaultCPUAllocator" in str(error)  # on a CPU, PyTorch raises a plain RuntimeError


def precision_name(dtype: torch.dtype) -> str:
    """Return the name of a floating-point type in options and outputs."""
    return next(name for name, candidate in _DTYPES.items() if candidate == dtype)


class _Numerics:
    """The settings of PyTorch for exact results on GPUs, which all threads of a process share."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks = 0
        self._before: tuple[bool, str, str] = (False, "none", "none")

    def enter(self, dtype: torch.dtype) -> None:
        """Change the settings for one more block."""
        conv, matmul = _fp32_settings()
        with self._lock:
            if not self._blocks:
                deterministic = torch.backends.cudnn.deterministic
                self._before = deterministic, conv.fp32_precision, matmul.fp32_precision
            self._blocks += 1
            torch.backends.cudnn.deterministic = True
            if dtype == torch.float32:
                conv.fp32_precision = matmul.fp32_precision = "ieee"

    def leave(self) -> None:
        """Restore the settings once no thread is in such a block any more."""
        conv, matmul = _fp32_settings()
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                deterministic, conv.fp32_precision, matmul.fp32_precision = self._before
                torch.backends.cudnn.deterministic = deterministic


def _fp32_settings() -> tuple[Any, Any]:
    """Return the settings of convolutions and of matrix products."""
    cudnn: Any = torch.backends.cudnn  # torch's types do not know that it has `conv`
    return cudnn.conv, torch.backends.cuda.matmul


_NUMERICS = _Numerics()


@contextmanager
def exact_numerics(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Compute the block on a GPU with results that repeat, and in fp32 with all of its digits.

    By default, cuDNN may choose algorithms that add up in a varying order, and multiplies fp32 in
    TF32, which has the 10 binary digits of fp16.

    Args:
        device: The device of the computation; on a CPU, nothing is changed.
        dtype: The floating-point type to compute in.
    """
    if device.type != "cuda":
        yield
        return
    _NUMERICS.enter(dtype)
    try:
        yield
    finally:
        _NUMERICS.leave()
