"""The GPU that a worker sees: its own and no other.

A library in a worker that could see all GPUs may reserve memory on the first one, whichever GPU the
worker computes on. With eight workers, the first GPU would then have seven times that memory less.
"""

from collections.abc import Mapping

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def only_visible(device: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that hide all GPUs but one from a new process.

    Args:
        device: The device of the worker. If it is not `cuda:N`, nothing is hidden.
        environment: The environment of this process, which may itself see only some GPUs. `N`
            counts those that it sees.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number:
        return {}
    if (visible := environment.get(_VISIBLE)) is None:
        return {_VISIBLE: number}
    names = [name.strip() for name in visible.split(",")]
    return {_VISIBLE: names[int(number)] if int(number) < len(names) else ""}
