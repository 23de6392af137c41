"""How the device of a training is fed: what stays on it, and how the numbers of a step reach it.

A GPU waits for each copy from the host that is not announced in pinned memory. All arrays of a step
therefore travel as one. On a CPU, nothing has to travel; tests let it do so all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

_ROOM_ON_GPU = 0.5
"""The share of a GPU's free memory that frames may take; the network needs the rest."""

_FRAMES_AT_A_TIME = 1024
"""The number of frames that are copied to the device at a time, to take little memory here."""

_ALIGNMENT = 16
"""The arrays of a parcel begin at multiples of this number of bytes."""


@dataclass(frozen=True, slots=True)
class Feed:
    """The way to a device.

    Attributes:
        device: The device.
        resident: Whether cached frames stay on the device, if there is room for them.
        packed: Whether the arrays of a step are copied to the device as one.
    """

    device: torch.device
    resident: bool
    packed: bool

    @classmethod
    def of(cls, device: torch.device) -> Self:
        """Return the way to a device that suits it."""
        apart = device.type != "cpu"
        return cls(device, resident=apart, packed=apart)

    def keep(self, frames_MSSC: NDArray[np.uint8]) -> torch.Tensor | None:
        """Return frames on the device; None if they should not stay there, or it lacks the room."""
        if not self.resident:
            return None
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            if frames_MSSC.nbytes > free * _ROOM_ON_GPU:
                return None
        kept = torch.empty(frames_MSSC.shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(kept), _FRAMES_AT_A_TIME):
            part = slice(start, start + _FRAMES_AT_A_TIME)
            # The file is mapped for reading only, and torch takes only what may be written to.
            kept[part] = torch.from_numpy(np.array(frames_MSSC[part]))
        return kept

    def send(self, arrays: Sequence[NDArray[Any]]) -> list[torch.Tensor]:
        """Return arrays on the device, which is not waited for."""
        if not self.packed:
            return [torch.from_numpy(each).to(self.device) for each in arrays]
        sizes = [-(-each.nbytes // _ALIGNMENT) * _ALIGNMENT for each in arrays]
        starts = np.cumsum([0, *sizes]).tolist()
        parcel = np.empty(starts[-1], np.uint8)
        for each, start in zip(arrays, starts, strict=False):
            part = np.ascontiguousarray(each).reshape(-1).view(np.uint8)
            parcel[start : start + each.nbytes] = part
        host = torch.from_numpy(parcel)
        if self.device.type == "cuda":
            # torch uses the memory again only after the copy from it.
            host = host.pin_memory()
        sent = host.to(self.device, non_blocking=True)
        return [
            sent[start : start + each.nbytes].view(torch.from_numpy(each).dtype).view(each.shape)
            for each, start in zip(arrays, starts, strict=False)
        ]
