"""A prediction whose decoding and network cost nothing, for `host.py`.

The worker imports this module, as it does for any job. Everything else is the code of a real run,
including DALI's own batch of encoded images.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.decoders.guarded import GuardedDaliDecoder
from tweetprofile.engines.jobs import PredictJob
from tweetprofile.workers.image_model import Predicted
from tweetprofile.workers.predictor import Predictor


class FreeJob(PredictJob):
    """Predict profiles with the worker's free predictor."""

    __slots__ = ()
    actor: ClassVar[str] = "free_job:FreePredictor"


class FreePredictor(Predictor):
    """A predictor that reads and screens images, and neither decodes nor looks at them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        decoder = self._decoder
        assert isinstance(decoder, GuardedDaliDecoder)
        fast: Any = decoder._fast
        fast._ndd = _FreeDali(fast._ndd, self._spec.shape[1:])
        images: Any = self._images
        images._forward = self._look_at_nothing

    def _look_at_nothing(self, volumes_NDHWC: torch.Tensor, mask_ND: torch.Tensor) -> Predicted:
        self._observer.end()
        users = len(volumes_NDHWC)
        return Predicted(
            {
                trait.name: np.full((users, len(trait.classes)), 0.5, np.float32)
                for trait in self._checkpoint.schema
            },
            {},
        )


class _FreeDali:
    """DALI's dynamic mode, except that images and their resizing cost nothing."""

    def __init__(self, dali: Any, size: tuple[int, ...]) -> None:
        self._dali = dali
        self._size = size
        self.decoders = self

    def batch(self, encoded: list[NDArray[np.uint8]]) -> Any:
        return self._dali.batch(encoded)

    def as_batch(self, encoded: list[NDArray[np.uint8]]) -> Any:
        return self._dali.as_batch(encoded)

    def image(self, batch: Any, **_arguments: Any) -> int:
        return int(batch.batch_size)

    def resize(self, images: int, **_arguments: Any) -> "_Frames":
        return _Frames(images, self._size)


class _Frames:
    def __init__(self, images: int, size: tuple[int, ...]) -> None:
        self._shape = (images, *size, 3)

    def torch(self) -> torch.Tensor:
        return torch.zeros(self._shape, dtype=torch.uint8)
