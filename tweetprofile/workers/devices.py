"""The device to compute on, and the precision to compute in."""

import torch

from tweetprofile.errors import OptionError
from tweetprofile.job import Precision

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


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
            f"`devices` is '{name}', but this machine has {torch.cuda.device_count()} CUDA "
            "device(s), counted from 0; name one of them."
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


def precision_name(dtype: torch.dtype) -> str:
    """Return the name of a floating-point type in options and outputs."""
    return next(name for name, candidate in _DTYPES.items() if candidate == dtype)
