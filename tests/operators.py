"""Which of torch's operators a program calls."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

UNORDERED = frozenset(
    (
        "_index_put_impl",
        "embedding_dense_backward",
        "index_add",
        "index_put",
        "scatter_add",
        "scatter_reduce",
    )
)
"""Operators that may add numbers in any order on a GPU, so that the last bits vary."""


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the names of all operators that run, those of a backward pass among them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.names.add(func.overloadpacket.__name__.rstrip("_"))
        return func(*args, **(kwargs or {}))
