"""How data reach the device that trains: which frames stay there, and how arrays are copied.

Python waits for each copy to a GPU that does not come from pinned memory. All arrays of a step are
therefore copied as one. On a CPU nothing needs to be copied, except in tests of this module.
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
"""Arrays that are copied as one begin at multiples of this number of bytes."""


@dataclass(frozen=True, slots=True)
class Feed:
    """How data reach a device.

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
        """Return the feed that suits a device."""
        apart = device.type != "cpu"
        return cls(device, resident=apart, packed=apart)

    def keep(self, items_M: NDArray[Any]) -> torch.Tensor | None:
        """Return frames, or their embeddings, on the device.

        Return None if they should not stay there, or if the device lacks the room.
        """
        if not self.resident:
            return None
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            if items_M.nbytes > free * _ROOM_ON_GPU:
                return None
        dtype = torch.from_numpy(np.empty(0, items_M.dtype)).dtype
        kept = torch.empty(items_M.shape, dtype=dtype, device=self.device)
        for start in range(0, len(kept), _FRAMES_AT_A_TIME):
            part = slice(start, start + _FRAMES_AT_A_TIME)
            # The file is mapped for reading only, and torch takes only what may be written to.
            kept[part] = torch.from_numpy(np.array(items_M[part]))
        return kept

    def send(self, arrays: Sequence[NDArray[Any]]) -> list[torch.Tensor]:
        """Return arrays on the device, without waiting for the copy."""
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
