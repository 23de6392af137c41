"""A CUDA device that computes nothing, so that tests without a GPU run the code of one.

Under torch's `FakeTensorMode` tensors have a shape, a type and a device, but no numbers. A program
therefore runs the same lines as on a GPU, and an operator that gets tensors of two devices fails as
it would there. What a GPU would be asked to do is recorded:

    with fake_cuda() as cuda:
        predictor = Predictor(checkpoint, PredictorOptions(device="cuda", decoder="pillow"))
        with cuda.recording() as record:
            predictor(users)
    assert not record.faults
    assert record.launches.total() < 100

Whether a kernel exists for a type of number is looked up in the tables by which torch tests itself.
An operator counts as one launch, although some start several kernels; and nothing here says how
long anything takes, or whether the numbers are right.

Tests are skipped where torch is built with CUDA (they could use it), or where there is no g++.
"""

import sys
import types
import unittest
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch._C import DispatchKey
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import tweetprofile
from tests.fake_cuda_build import patches, register_guard

_PACKAGE = str(Path(tweetprofile.__file__).parent)

_COMPOSED = DispatchKey.CompositeImplicitAutograd

_ALLOCATIONS = frozenset(
    ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize_")
)
_METADATA = frozenset(("_unsafe_view", "lift_fresh", "set_", "record_stream"))
"""Operators that launch no kernel, although their schema does not say that they are views."""


@dataclass
class Record:
    """What a program asked of the device.

    Places are lines of tweetprofile: `volumes/stacking.py:52`.

    Attributes:
        launches: The operators that compute on the device, by name.
        views: The operators that only change shapes and strides.
        to_device: The copies from the host to the device, by place.
        to_host: The copies from the device to the host, by place; each waits for the device.
        waits: Other reasons to wait for the device, and their places.
        faults: Operators that would fail on CUDA, although they work on a CPU.
        unchecked: Operators for which torch has no table of types.
    """

    launches: Counter[str] = field(default_factory=Counter)
    views: Counter[str] = field(default_factory=Counter)
    to_device: Counter[str] = field(default_factory=Counter)
    to_host: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    unchecked: Counter[str] = field(default_factory=Counter)


class FakeCuda:
    """A fake device, and the answers to questions whose answer depends on numbers.

    Attributes:
        device: The device.
        selected: How many entries of a mask are True, wherever a program selects by a mask that is
            on the device.
    """

    def __init__(self) -> None:
        self.device = torch.device("cuda", 0)
        self.selected = 1
        self._records: list[Record] = []

    @contextmanager
    def recording(self) -> Iterator[Record]:
        """Record what is asked of the device within the block."""
        record = Record()
        self._records.append(record)
        try:
            yield record
        finally:
            self._records.remove(record)

    def wait(self, reason: str) -> None:
        """Record that the host waits for the device."""
        for record in self._records:
            record.waits[f"{reason} {_place()}"] += 1

    def note(self, call: "_Call") -> None:
        """Record one operator."""
        for record in self._records:
            call.add_to(record)


@contextmanager
def fake_cuda() -> Iterator[FakeCuda]:
    """Make `cuda` a fake device within the block."""
    register_guard()
    cuda = FakeCuda()
    with ExitStack() as stack:
        for patch in patches(cuda.wait):
            stack.enter_context(patch)
        stack.enter_context(_FakeTensors(allow_non_fake_inputs=True))
        stack.enter_context(_Operators(cuda))
        yield cuda


# --- operators ---------------------------------------------------------------------------------


class _FakeTensors(FakeTensorMode):  # type: ignore[no-untyped-call]
    """torch's mode, which would otherwise ask `torch.cuda.is_available` whether it may compute."""

    avoid_device_init = True


class _Operators(TorchDispatchMode):
    """Records operators, and answers those whose result depends on numbers."""

    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._cuda = cuda

    def __torch_dispatch__(
        self,
        func: OpOverload,
        kinds: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace != "aten":
            return func(*args, **kwargs)  # a question for the device of a tensor
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSED):  # type: ignore[no-untyped-call]
            # In inference mode, torch would otherwise show functions instead of their operators.
            with self:
                return func._op_dk(_COMPOSED, *args, **kwargs)
        call = _Call(func, args, kwargs)
        result = self._answer(call) if call.depends_on_numbers else func(*args, **kwargs)
        call.results = _tensors(result)
        if call.on_device:
            self._cuda.note(call)
        return result

    def _answer(self, call: "_Call") -> Any:
        """Return a result of the right shape and type."""
        first: torch.Tensor = call.args[0]
        if call.on_device:
            self._cuda.wait(call.name.strip("_"))
        if call.name == "_local_scalar_dense":
            return torch.ones((), dtype=first.dtype).numpy().item()
        if call.name == "_pin_memory":
            return first.clone()
        if call.name == "nonzero":
            return first.new_empty((self._cuda.selected, first.ndim), dtype=torch.int64)
        (mask,) = call.masks
        return first.new_empty((self._cuda.selected, *first.shape[mask.ndim :]))


class _Call:
    """One operator with its arguments and results."""

    def __init__(self, func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.name = func._schema.name.partition("::")[2]
        self.args = args
        self.results: list[torch.Tensor] = []
        self._is_view = func.is_view or self.name in _METADATA
        self._inputs = _tensors((args, kwargs))

    @property
    def masks(self) -> list[torch.Tensor]:
        """The masks by which the operator selects."""
        if self.name != "index":
            return []
        return [each for each in self._inputs[1:] if each.dtype in (torch.bool, torch.uint8)]

    @property
    def depends_on_numbers(self) -> bool:
        """Whether the shape or the value of the result depends on numbers, which no tensor has."""
        return bool(self.masks) or self.name in ("_local_scalar_dense", "_pin_memory", "nonzero")

    @property
    def on_device(self) -> bool:
        """Whether the device takes part."""
        return any(each.device.type == "cuda" for each in self._inputs + self.results)

    def add_to(self, record: Record) -> None:
        """Add this operator to a record."""
        if self._is_view:
            record.views[self.name] += 1
            return
        if self.name in _ALLOCATIONS or self.name == "_local_scalar_dense":
            return
        if not self._add_copy(record):
            record.launches[self.name] += 1
            self._check(record)

    def _add_copy(self, record: Record) -> bool:
        """Record a copy between devices, if this is one."""
        if self.name not in ("_to_copy", "copy_"):
            return False
        source, target = self._inputs[-1].device.type, self.results[0].device.type
        if source == target:
            return False
        (record.to_device if target == "cuda" else record.to_host)[_place()] += 1
        return True

    def _check(self, record: Record) -> None:
        of_device = [each for each in self._inputs if each.device.type == "cuda"]
        others = [each for each in self._inputs if each.device.type == "cpu" and each.ndim]
        if self.name.startswith("index") and others:
            record.to_device[_place()] += 1  # the numbers of the entries
        elif of_device and others:
            record.faults[f"{self.name} mixes devices, {_place()}"] += 1
        if self.name == "copy_":
            return  # between any types
        supported = _types_on_cuda().get(_base_name(self.name))
        if supported is None:
            record.unchecked[self.name] += 1
        elif of_device and of_device[0].dtype not in supported:
            record.faults[f"{self.name} of {of_device[0].dtype}, {_place()}"] += 1


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _place() -> str:
    """Return the innermost line of tweetprofile that is being executed."""
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_PACKAGE):
            return f"{name[len(_PACKAGE) + 1 :]}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside tweetprofile"


# --- the types that kernels exist for ----------------------------------------------------------


_OTHER_NAMES = {
    "_softmax": "softmax",
    "affine_grid_generator": "nn.functional.affine_grid",
    "_to_copy": "to",
    "index": "__getitem__",
    "threshold": "nn.functional.relu",
    "_log_softmax": "log_softmax",
    "convolution": "nn.functional.conv3d",
    "_native_batch_norm_legit_no_training": "nn.functional.batch_norm",
    "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d",
    "nll_loss": "nn.functional.nll_loss",
    "nll_loss_forward": "nn.functional.nll_loss",
    "upsample_bilinear2d": "nn.functional.interpolate",
}
"""Operators that the tables list under the name of the function that calls them."""


def _base_name(operator: str) -> str:
    """Return the name under which the tables list an operator."""
    base = operator.removesuffix("_data").removesuffix("_backward")
    if not base.startswith("__"):
        base = base.removesuffix("_")
    return _OTHER_NAMES.get(base, base)


@cache
def _types_on_cuda() -> Mapping[str, frozenset[torch.dtype]]:
    """Return the types that each operator takes on CUDA, by which torch's own tests go."""
    found: dict[str, set[torch.dtype]] = {}
    for info in _operator_infos():
        for name in {info.name, info.aten_name, *(alias.name for alias in info.aliases)} - {None}:
            found.setdefault(name, set()).update(info.dtypesIfCUDA)
    return {name: frozenset(dtypes) for name, dtypes in found.items()}


def _operator_infos() -> list[Any]:
    # torch's tables import a package of its tests, of which they need nothing but a base class;
    # and they would freeze settings of torch that the package changes.
    expecttest = types.ModuleType("expecttest")
    expecttest.TestCase = unittest.TestCase  # type: ignore[attr-defined]
    with (
        mock.patch.dict(sys.modules, {"expecttest": sys.modules.get("expecttest", expecttest)}),
        mock.patch("torch.backends.disable_global_flags"),
    ):
        from torch.testing._internal import common_methods_invocations as tables
    names = [name for name in dir(tables) if name == "op_db" or name.startswith("foreach_")]
    return [info for name in names if name.endswith("_db") for info in getattr(tables, name)]
