"""What a build of torch without CUDA lacks, so that tensors without numbers can be on a device.

`fake_cuda.py` uses it: a device guard, the answers of `torch.cuda`, and stand-ins for what torch
cannot do with fake tensors.
"""

import ctypes
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

_GUARD = """
#include <c10/core/impl/DeviceGuardImplInterface.h>
extern "C" void register_guard() {
  using Guard = c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA>;
  c10::impl::registerDeviceGuard(c10::DeviceType::CUDA, new Guard());
}
"""
"""A build of torch without CUDA lacks what sets the current device around each operator."""

_FREE_AND_ALL_BYTES = (70 << 30, 80 << 30)


@cache
def register_guard() -> None:
    """Give this build of torch a device guard for CUDA; skip the test where that is impossible."""
    if torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        pytest.skip("this torch is built with CUDA; the fake device is for builds without")
    if (compiler := shutil.which("g++")) is None:
        pytest.skip("the fake CUDA device needs g++")
    torch_folder = Path(torch.__file__).parent
    with tempfile.TemporaryDirectory() as name:
        source, library = Path(name) / "guard.cpp", Path(name) / "guard.so"
        source.write_text(_GUARD)
        flags = ["-shared", "-fPIC", f"-I{torch_folder / 'include'}", f"-L{torch_folder / 'lib'}"]
        subprocess.run([compiler, *flags, str(source), "-lc10", "-o", str(library)], check=True)
        ctypes.CDLL(str(library)).register_guard()


def patches(wait: Callable[[str], None]) -> list[Any]:
    """Return patches of torch: what it says about devices, and what it cannot do with fakes."""
    stream = mock.Mock(device_index=0, synchronize=lambda: wait("synchronize"))
    functions: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda device: None,
        "device": lambda device: nullcontext(),
        "current_stream": lambda device=None: stream,
        "synchronize": lambda device=None: wait("synchronize"),
        "mem_get_info": lambda device=None: _FREE_AND_ALL_BYTES,
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_device_capability": lambda device=None: (9, 0),
        "get_device_name": lambda device=None: "no GPU",
        "amp.common.amp_definitely_not_available": lambda: False,
    }
    foreach = [torch.Tensor, nn.Parameter, FakeTensor]
    return [
        *(mock.patch(f"torch.cuda.{name}", each) for name, each in functions.items()),
        mock.patch("torch.optim.optimizer._foreach_supported_types", foreach),
        mock.patch("torch.utils._foreach_utils._foreach_supported_types", foreach, create=True),
        mock.patch.object(nn.Module, "_apply", _apply),
        mock.patch.object(torch.Tensor, "backward", _backward),
        mock.patch.object(torch.Tensor, "__deepcopy__", _deepcopy),
        mock.patch.object(nn.Parameter, "__deepcopy__", _deepcopy),
        mock.patch.object(torch.Tensor, "numpy", _numpy),
    ]


def _apply(module: nn.Module, function: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    """Stand in for `Module._apply`, which cannot change the device of a fake parameter."""
    for child in module.children():
        child._apply(function)  # type: ignore[no-untyped-call]
    for name, parameter in module._parameters.items():
        if parameter is not None:
            changed = function(parameter.detach())
            module._parameters[name] = nn.Parameter(changed, parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = function(buffer)
    return module


def _deepcopy(tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
    """Stand in for `Tensor.__deepcopy__`, which copies memory that a fake does not have."""
    if id(tensor) not in memo:
        copied = tensor.detach().clone()
        if isinstance(tensor, nn.Parameter):
            copied = nn.Parameter(copied, tensor.requires_grad)
        memo[id(tensor)] = copied
    copy: torch.Tensor = memo[id(tensor)]
    return copy


@torch.no_grad()
def _backward(loss: torch.Tensor) -> None:
    """Stand in for the engine of autograd, which asks a GPU for its streams."""
    root: Any = loss.grad_fn
    waiting = _count_consumers(root)
    gradients: dict[Any, dict[int, torch.Tensor]] = {root: {0: torch.ones_like(loss)}}
    ready = [root]
    while ready:
        node = ready.pop()
        of_results = gradients.pop(node, {})
        if hasattr(node, "variable"):
            _accumulate(node.variable, of_results.get(0))
            continue
        each = node(*(of_results.get(number) for number in range(len(node._input_metadata))))
        of_arguments = each if isinstance(each, tuple) else (each,)
        for (source, number), gradient in zip(node.next_functions, of_arguments, strict=True):
            if source is None:
                continue
            if gradient is not None:
                _add(gradients.setdefault(source, {}), number, _fit(gradient, source, number))
            waiting[source] -= 1
            if not waiting[source]:
                ready.append(source)


def _count_consumers(root: Any) -> Counter[Any]:
    """Return how many gradients each node of a graph waits for."""
    waiting: Counter[Any] = Counter()
    found, open_nodes = {root}, [root]
    while open_nodes:
        for source, _ in open_nodes.pop().next_functions:
            if source is not None:
                waiting[source] += 1
                if source not in found:
                    found.add(source)
                    open_nodes.append(source)
    return waiting


def _fit(gradient: torch.Tensor, node: Any, number: int) -> torch.Tensor:
    """Return the gradient of a tensor that was broadcast or converted, as that tensor needs it."""
    wanted = node._input_metadata[number]
    return gradient.sum_to_size(wanted.shape).to(wanted.dtype)


def _add(gradients: dict[int, torch.Tensor], number: int, gradient: torch.Tensor) -> None:
    gradients[number] = gradients[number] + gradient if number in gradients else gradient


def _accumulate(leaf: torch.Tensor, gradient: torch.Tensor | None) -> None:
    if gradient is not None:
        leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient


_real_numpy = torch.Tensor.numpy


def _numpy(tensor: torch.Tensor, *, force: bool = False) -> NDArray[Any]:
    """Stand in for `Tensor.numpy`: a fake tensor becomes an array of ones."""
    if not isinstance(tensor, FakeTensor):
        return _real_numpy(tensor, force=force)
    if tensor.device.type != "cpu" and not force:
        raise TypeError("can't convert a tensor on cuda:0 to numpy; copy it to the host first")
    return np.ones(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
